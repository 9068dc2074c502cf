package conformance

import (
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/prometheus/alertmanager/notify/sns"

	"github.com/amx-lambda/amx/internal/amx"
)

// plainJSON is the way of AWS's guide to have the message as JSON: values stand
// between quotes as they are, times as Go prints them, empty sets are left out.
// https://docs.aws.amazon.com/prometheus/latest/userguide/AMP-alertmanager-receiver-JSON.html
const plainJSON = `{{ define "plain.set" }}{{ "{" }}{{ range $i, $p := .SortedPairs }}{{ if $i }}, {{ end }}"{{ $p.Name }}": "{{ $p.Value }}"{{ end }}{{ "}" }}{{ end }}
{{ define "plain.json" }}{{ "{" }}"receiver": "{{ .Receiver }}", "status": "{{ .Status }}", "alerts": [
{{- range $i, $a := .Alerts }}{{ if $i }}, {{ end }}{{ "{" }}"status": "{{ $a.Status }}"
{{- if $a.Labels }}, "labels": {{ template "plain.set" $a.Labels }}{{ end }}{{ if $a.Annotations }}, "annotations": {{ template "plain.set" $a.Annotations }}{{ end -}}
, "startsAt": "{{ $a.StartsAt }}", "endsAt": "{{ $a.EndsAt }}", "generatorURL": "{{ $a.GeneratorURL }}", "fingerprint": "{{ $a.Fingerprint }}"{{ "}" }}{{ end }}]
{{- if .GroupLabels }}, "groupLabels": {{ template "plain.set" .GroupLabels }}{{ end }}{{ if .CommonLabels }}, "commonLabels": {{ template "plain.set" .CommonLabels }}{{ end }}
{{- if .CommonAnnotations }}, "commonAnnotations": {{ template "plain.set" .CommonAnnotations }}{{ end }}, "externalURL": "{{ .ExternalURL }}"{{ "}" }}{{ end }}`

// block is the message of AWS's guide to PagerDuty, with the values quoted.
// https://aws.amazon.com/blogs/mt/using-amazon-managed-service-for-prometheus-alert-manager-to-receive-alerts-with-pagerduty/
const block = `routing_key: R0UT1NGKEY
dedup_key: {{ .GroupLabels.SortedPairs.Values | join "/" | printf "%q" }}
severity: {{ .CommonLabels.severity }}
client_url: {{ .ExternalURL }}
description: {{ printf "%q" .CommonAnnotations.description }}
details:
  alertname: {{ .CommonLabels.alertname }}
  instance_id: {{ .CommonLabels.instance_id }}
  path: {{ printf "%q" .CommonLabels.path }}
`

// The default text quotes nothing: a value whose line looks like more of the
// text cannot be told from it. All else is carried.
func TestTheDefaultTextCarriesStatusLabelsAndAnnotations(t *testing.T) {
	tmpl := alertmanager(t)
	r := rand.New(rand.NewPCG(9, uint64(*cases)))
	compared := 0
	for i := range *cases {
		d := hostile(r, i)
		if i%4 > 0 {
			d = tame(d)
		}
		d.Status = amx.Resolved
		if len(d.Alerts.Firing()) > 0 {
			d.Status = amx.Firing
		}
		body, err := tmpl.ExecuteTextString(sns.DefaultSNSConfig.Message, theirs(t, d))
		if err != nil {
			t.Fatal(err)
		}
		subject, err := tmpl.ExecuteTextString(sns.DefaultSNSConfig.Subject, theirs(t, d))
		if err != nil {
			t.Fatal(err)
		}
		got, err := amx.DecodeSNS(amx.SNS{Body: body, Subject: subject, SentAt: sent})
		if !carried(d) {
			continue
		}
		if err != nil {
			t.Fatalf("case %d: %v\n%s\n%s", i, err, subject, body)
		}
		compared++
		want := amx.Message{
			Data:    amx.Data{Status: d.Status, GroupLabels: amx.KV{}, Alerts: append(d.Alerts.Firing(), d.Alerts.Resolved()...)},
			Version: "4", SentAt: sent, Ungrouped: true,
		}
		want.CommonLabels, want.CommonAnnotations = maps.Clone(want.Alerts[0].Labels), maps.Clone(want.Alerts[0].Annotations)
		for i := range want.Alerts {
			a := &want.Alerts[i]
			a.StartsAt, a.EndsAt = time.Time{}, time.Time{}
			keep(want.CommonLabels, a.Labels)
			keep(want.CommonAnnotations, a.Annotations)
		}
		same(t, got, &want, body)
	}
	if compared < *cases/2 {
		t.Errorf("only %d of %d cases were compared", compared, *cases)
	}
}

// keep keeps in common what kv has too.
func keep(common, kv amx.KV) {
	maps.DeleteFunc(common, func(name, value string) bool {
		other, ok := kv[name]
		return !ok || other != value
	})
}

// carried says whether no line of a value can be taken for something else.
func carried(d amx.Data) bool {
	for _, value := range d.CommonAnnotations {
		if strings.Contains(value, "Alerts ") {
			return false
		}
	}
	for _, a := range d.Alerts {
		if !lines(a.Labels, "Annotations:") || !lines(a.Annotations, "Source:") || strings.Contains(a.GeneratorURL, "\n") {
			return false
		}
	}
	return true
}

func lines(kv amx.KV, end string) bool {
	for name, value := range kv {
		if strings.Contains(name, "\n") || strings.Index(name+" = ", " = ") != len(name) ||
			strings.Contains(value, "\n"+end) || strings.Contains(value, "\n - ") || headed(value) {
			return false
		}
	}
	return true
}

// headed says whether a line of a value after its first is a heading of the
// text, which refuses the message.
func headed(value string) bool {
	_, rest, _ := strings.Cut(value, "\n")
	for line := range strings.SplitSeq(rest, "\n") {
		switch strings.TrimSpace(line) {
		case "Labels:", "Annotations:", "Alerts Firing:", "Alerts Resolved:":
			return true
		}
		if strings.HasPrefix(line, "Source:") {
			return true
		}
	}
	return false
}

// tame takes away most of what the default text cannot carry.
func tame(d amx.Data) amx.Data {
	names, values := strings.NewReplacer("\n", "", " = ", "="), strings.NewReplacer("\n - ", "\n+ ", "\nAnnotations:", "\n", "\nSource:", "\n", "\nLabels:", "\n", "Alerts ", "")
	all := func(kv amx.KV) amx.KV {
		tamed := amx.KV{}
		for name, value := range kv {
			tamed[names.Replace(name)] = values.Replace(value)
		}
		return tamed
	}
	d.CommonAnnotations = all(d.CommonAnnotations)
	for i := range d.Alerts {
		a := &d.Alerts[i]
		a.Labels, a.Annotations, a.GeneratorURL = all(a.Labels), all(a.Annotations), names.Replace(a.GeneratorURL)
		a.Fingerprint = amx.Fingerprint(a.Labels)
	}
	return d
}

// Values between quotes as they are can have anything but quotation marks and
// backslashes; through the function js they can have everything that prints.
func TestJSONWithoutTheRightEscapesIsDecodedWhereItsMeaningIsCertain(t *testing.T) {
	escaped := strings.NewReplacer("$p.Name", "js $p.Name", "$p.Value", "js $p.Value", ".Receiver", "js .Receiver", ".ExternalURL", "js .ExternalURL", "$a.GeneratorURL", "js $a.GeneratorURL").Replace(plainJSON)
	plain, js := alertmanager(t, plainJSON), alertmanager(t, escaped)
	r := rand.New(rand.NewPCG(10, uint64(*cases)))
	for i := range *cases {
		d := hostile(r, i)
		tmpl := plain
		if i%2 == 0 {
			tmpl = js
			d = replaceAll(d, func(c rune) bool { return c > 0xffff && !unicode.IsPrint(c) }) // js writes \uE0001 for it
		} else {
			d = replaceAll(d, func(c rune) bool { return c == '"' || c == '\\' })
		}
		body, err := tmpl.ExecuteTextString(`{{ template "plain.json" . }}`, theirs(t, d))
		if err != nil {
			t.Fatal(err)
		}
		got, err := amx.DecodeSNS(amx.SNS{Body: body, SentAt: sent})
		if err != nil {
			t.Fatalf("case %d: %v\n%s", i, err, body)
		}
		for i := range d.Alerts { // left out where it is empty, and then those in common stand for it
			if len(d.Alerts[i].Annotations) == 0 {
				d.Alerts[i].Annotations = d.CommonAnnotations
			}
		}
		same(t, got, &amx.Message{Data: d, Version: "4", SentAt: sent}, body)
	}
}

// replaceAll replaces characters in all texts of d.
func replaceAll(d amx.Data, which func(rune) bool) amx.Data {
	text := func(s string) string {
		return strings.Map(func(c rune) rune {
			if which(c) {
				return '_'
			}
			return c
		}, s)
	}
	all := func(kv amx.KV) amx.KV {
		replaced := amx.KV{}
		for name, value := range kv {
			replaced[text(name)] = text(value)
		}
		return replaced
	}
	d.Receiver, d.ExternalURL = text(d.Receiver), text(d.ExternalURL)
	d.GroupLabels, d.CommonLabels, d.CommonAnnotations = all(d.GroupLabels), all(d.CommonLabels), all(d.CommonAnnotations)
	for i := range d.Alerts {
		a := &d.Alerts[i]
		a.Labels, a.Annotations, a.GeneratorURL = all(a.Labels), all(a.Annotations), text(a.GeneratorURL)
		a.Fingerprint = amx.Fingerprint(a.Labels)
	}
	return d
}
