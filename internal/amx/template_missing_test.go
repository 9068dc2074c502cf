package amx

import (
	"errors"
	"strings"
	"testing"
)

// The alerts of these have no label `tenant` and an empty annotation `note`.
func TestWhatATemplatePrintsOfLabelsHasToBeThere(t *testing.T) {
	alert := Alert{Status: Firing, Fingerprint: "aa", Labels: KV{"alertname": "DiskFull", "job": "node"}, Annotations: KV{"note": ""}}
	d := Data{Status: Firing, Alerts: Alerts{alert}, CommonLabels: alert.Labels, CommonAnnotations: alert.Annotations, GroupLabels: KV{}}
	for _, tt := range []struct{ arg, want, lacks string }{
		// Printed: as it is, through functions, out of a variable, a range, a with.
		{arg: `/data/{{ .CommonLabels.tenant }}`, lacks: `.CommonLabels.tenant`},
		{arg: `/data/{{ .CommonAnnotations.note }}`, lacks: `.CommonAnnotations.note`},
		{arg: `{{ .GroupLabels.tenant }}`, lacks: `.GroupLabels.tenant`},
		{arg: `{{ $.CommonLabels.tenant }}`, lacks: `$.CommonLabels.tenant`},
		{arg: `{{ (index .Alerts 0).Labels.tenant }}`, lacks: `(index .Alerts 0).Labels.tenant`},
		{arg: `{{ index .CommonLabels "tenant" }}`, lacks: `index .CommonLabels "tenant"`},
		{arg: `{{ index (index .Alerts 0).Labels "tenant" }}`, lacks: `index (index .Alerts 0).Labels "tenant"`},
		{arg: `{{ printf "/data/%s" .CommonLabels.tenant }}`, lacks: `.CommonLabels.tenant`},
		{arg: `{{ .CommonLabels.tenant | printf "/data/%s" }}`, lacks: `.CommonLabels.tenant`},
		{arg: `{{ index .CommonLabels "tenant" | toUpper | printf "%q" }}`, lacks: `index .CommonLabels "tenant"`},
		{arg: `{{ toJson (dict "a" (list .CommonLabels.tenant)) }}`, lacks: `.CommonLabels.tenant`},
		{arg: `{{ (printf "%s" .CommonLabels.tenant) }}`, lacks: `.CommonLabels.tenant`},
		{arg: `{{ and .CommonLabels.job .CommonLabels.tenant }}`, lacks: `.CommonLabels.tenant`},
		{arg: `{{ or .CommonLabels.tenant .CommonLabels.cluster }}`, lacks: `.CommonLabels.cluster`},
		{arg: `{{ range .Alerts }}{{ .Labels.tenant }}{{ end }}`, lacks: `.Labels.tenant`},
		{arg: `{{ range $a := .Alerts }}{{ $a.Labels.tenant }}{{ end }}`, lacks: `$a.Labels.tenant`},
		{arg: `{{ range list .CommonLabels.job .CommonLabels.tenant }}{{ . }}{{ end }}`, lacks: `.CommonLabels.tenant`},
		{arg: `{{ with .CommonLabels }}{{ .tenant }}{{ end }}`, lacks: `.tenant`},
		{arg: `{{ with .CommonLabels.job }}{{ $.CommonLabels.tenant }}{{ end }}`, lacks: `$.CommonLabels.tenant`},
		{arg: `{{ if .CommonLabels.tenant }}yes{{ else }}{{ .CommonLabels.tenant }}{{ end }}`, lacks: `.CommonLabels.tenant`},
		{arg: `{{ $t := .CommonLabels.tenant }}/data/{{ $t }}`, lacks: `$t`},
		{arg: `{{ $t := "" }}{{ $t = index .CommonLabels "tenant" }}/data/{{ printf "%s" $t }}`, lacks: `$t`},
		{arg: `{{ $l := .CommonLabels }}{{ $l.tenant }}`, lacks: `$l.tenant`},
		// A text that was made of it is not empty.
		{arg: `{{ $t := printf "/data/%s" .CommonLabels.tenant }}{{ $t }}`, lacks: `.CommonLabels.tenant`},
		{arg: `{{ $t := .CommonLabels.tenant }}{{ $u := print "/data/" $t }}{{ if $u }}{{ $u }}{{ end }}`, lacks: `.CommonLabels.tenant`},
		{arg: `{{ $t := "x" }}{{ $t = join "/" (stringSlice "data" .CommonLabels.tenant) }}{{ toUpper $t }}`, lacks: `.CommonLabels.tenant`},
		{arg: `{{ $d := dict "t" .CommonLabels.tenant }}/data/{{ $d.t }}`, lacks: `$d.t`},
		{arg: `{{ with printf "/data/%s" .CommonLabels.tenant }}{{ . }}{{ end }}`, lacks: `.CommonLabels.tenant`},
		{arg: `{{ with $l := list .CommonLabels.tenant }}/data/{{ index $l 0 }}{{ end }}`, lacks: `.CommonLabels.tenant`},
		{arg: `{{ or (printf "/data/%s" .CommonLabels.tenant) "all" }}`, lacks: `.CommonLabels.tenant`},
		{arg: `{{ $t := print "/data/" .CommonLabels.tenant }}{{ or $t "all" }}`, lacks: `.CommonLabels.tenant`},
		{arg: `{{ if $t := .CommonLabels.tenant }}{{ $t }}{{ else }}/data/{{ $t }}{{ end }}`, lacks: `$t`},
		{arg: `{{ with $t := .CommonLabels.tenant }}{{ $t }}{{ else }}/data/{{ $t }}{{ end }}`, lacks: `$t`},
		{arg: `{{ $t := .CommonLabels.tenant }}{{ if true }}{{ $t := "x" }}{{ $t }}{{ end }}/data/{{ $t }}`, lacks: `$t`},
		{arg: `{{ define "x" }}{{ .CommonLabels.tenant }}{{ end }}{{ template "x" . }}`, lacks: `.CommonLabels.tenant`},
		{arg: `{{ define "x" }}{{ . }}{{ end }}{{ template "x" .CommonLabels.tenant }}`, lacks: `.CommonLabels.tenant`},

		// Said that it may be missing, or not printed.
		{arg: `/data/{{ or .CommonLabels.tenant "all" }}`, want: `/data/all`},
		{arg: `/data/{{ or .CommonLabels.tenant .CommonLabels.job }}`, want: `/data/node`},
		{arg: `/data/{{ or (index .CommonLabels "tenant") "all" | toUpper }}`, want: `/data/ALL`},
		{arg: `x{{ with .CommonLabels.tenant }}/{{ . }}{{ end }}`, want: `x`},
		{arg: `x{{ with .CommonLabels.job }}/{{ . }}{{ end }}`, want: `x/node`},
		{arg: `x{{ if .CommonLabels.tenant }}/{{ .CommonLabels.tenant }}{{ end }}`, want: `x`},
		{arg: `{{ if eq .CommonLabels.tenant "a" }}a{{ else }}b{{ end }}`, want: `b`},
		{arg: `{{ eq .CommonLabels.tenant "" }} {{ not .CommonLabels.tenant }} {{ len .CommonLabels.tenant }}`, want: `true true 0`},
		{arg: `{{ $t := or .CommonLabels.tenant "" }}[{{ $t }}]`, want: `[]`},
		{arg: `{{ $t := "" }}[{{ $t }}]`, want: `[]`},
		{arg: `{{ $t := .CommonLabels.tenant }}{{ if $t }}{{ $t }}{{ end }}none`, want: `none`},
		{arg: `{{ $t := .CommonLabels.tenant | toUpper }}{{ if $t }}{{ $t }}{{ end }}none`, want: `none`},
		{arg: `{{ with .CommonLabels.tenant | toUpper | printf "%s" }}{{ . }}{{ else }}none{{ end }}`, want: `none`},
		{arg: `{{ with $t := .CommonLabels.job | toUpper }}{{ $t }}{{ . }}{{ end }}`, want: `NODENODE`},
		{arg: `{{ $t := .CommonLabels.tenant }}{{ $t := or $t (toUpper $t) "all" }}{{ $t }}`, want: `all`},
		{arg: `{{ $t := .CommonLabels.tenant }}{{ if not $t }}{{ $t = "all" }}{{ end }}{{ $t }}`, want: `all`},
		{arg: `{{ range $i, $l := list "a" "b" }}{{ $t := index $.CommonLabels (print "jo" $l) }}{{ if $t }}{{ $i }}={{ $t }}{{ end }}{{ end }}`, want: `1=node`},
		{arg: `{{ if or (printf "/data/%s" .CommonLabels.tenant) false }}some{{ end }}`, want: `some`},
		{arg: `{{ $f := printf "%s-%s" .CommonLabels.job .Status }}{{ $f }}`, want: `node-firing`},

		// There, or no label.
		{arg: `{{ .CommonLabels.job }} {{ .Status }} {{ (index .Alerts 0).Labels.job }} {{ index .CommonLabels "job" }}`, want: `node firing node node`},
		{arg: `[{{ .Receiver }}{{ .ExternalURL }}{{ (index .Alerts 0).GeneratorURL }}]`, want: `[]`},
		{arg: `{{ .CommonLabels.Names | join "," }} {{ (.CommonLabels.Remove (stringSlice "job")).Values | join "," }}`, want: `alertname,job DiskFull`},
		{arg: `{{ range .CommonAnnotations.SortedPairs }}{{ .Name }}={{ .Value }}{{ end }}`, want: `note=`},
		{arg: `{{ range $name, $value := .CommonAnnotations }}{{ $name }}={{ $value }}{{ end }}`, want: `note=`},
		{arg: `{{ (index .Alerts 0).StartsAt.Year }}`, want: `1`},
		{arg: ``, want: ``},
	} {
		got, err := (&Command{Name: "c", Args: []string{tt.arg}}).ExpandArgs(d)
		var lack *MissingError
		switch {
		case tt.lacks == "" && (err != nil || got[0] != tt.want):
			t.Errorf("%s: got %q, %v, want %q", tt.arg, got, err, tt.want)
		case tt.lacks != "" && (!errors.As(err, &lack) || lack.Field != tt.lacks):
			t.Errorf("%s: got %q, %v, want that %s is missing", tt.arg, got, err, tt.lacks)
		}
		if tt.lacks == "" {
			continue
		}
		if _, err := (&Command{Name: "c", Parameters: map[string][]string{"P": {tt.arg}}}).ExpandParameters(d); !errors.As(err, &lack) {
			t.Errorf("as a parameter: %s: %v", tt.arg, err)
		}
		if _, err := (&Command{Name: "c", Targets: []Target{{"tag:A", []string{"x" + tt.arg}}}}).ExpandTargets(d, d.Alerts); !errors.As(err, &lack) {
			t.Errorf("in targets: %s: %v", tt.arg, err)
		}
	}
	_, err := (&Command{Name: "clean", Args: []string{"-rf", "/data/{{ .CommonLabels.tenant }}"}}).ExpandArgs(d)
	const want = `rendering args[1] "/data/{{ .CommonLabels.tenant }}" of command "clean": .CommonLabels.tenant is missing or empty: ` +
		`if it may be, say so, with {{ or .CommonLabels.tenant "default" }} or {{ with .CommonLabels.tenant }}…{{ end }}`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// Templates of the file are for args and parameters; what they print has to be
// there as well. Their place in the file does not matter.
func TestNamedTemplatesOfTheFile(t *testing.T) {
	c := parse(t, `
commands:
  - name: a
    cmd: a
    args: ['{{ template "where" . }}', '{{ define "where" }}mine{{ end }}{{ template "where" }}', '{{ template "both" . }}', plain]
  - name: d
    document: Acme
    parameters: {Where: '{{ template "where" . }}'}
templates:
  where: 'at {{ .CommonLabels.job }}'
  both: '{{ template "where" . }}!'
`)
	d := Data{CommonLabels: KV{"job": "node"}}
	args, err := c.Commands[0].ExpandArgs(d)
	if err != nil || strings.Join(args, "|") != "at node|mine|at node!|plain" {
		t.Errorf("args are %q, %v", args, err)
	}
	parameters, err := c.Commands[1].ExpandParameters(d)
	if err != nil || parameters["Where"][0] != "at node" {
		t.Errorf("parameters are %v, %v", parameters, err)
	}
	if _, err := c.Commands[0].ExpandArgs(Data{}); !errors.As(err, new(*MissingError)) {
		t.Errorf("without the label: %v", err)
	}
	const want = `amx.yaml:2: commands[0]: args[0]: "{{ template \"wher\" . }}": 1: template "wher" not defined: want its {{ define }} in the same value`
	if _, err := ParseConfig("amx.yaml", []byte("templates: {where: x}\ncommands: [{cmd: a, args: ['{{ template \"wher\" . }}']}]")); err == nil || err.Error() != want {
		t.Errorf("a misspelt one: %v", err)
	}
}
