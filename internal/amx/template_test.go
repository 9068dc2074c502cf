package amx

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

var (
	web1 = Alert{
		Status: Firing, Fingerprint: "aa", StartsAt: time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC), GeneratorURL: "http://p",
		Labels: KV{"instance_id": "i-2", "az": "b"}, Annotations: KV{"note": "n"},
	}
	web2   = Alert{Status: Resolved, Fingerprint: "bb", Labels: KV{"instance_id": " i-1\n", "az": "a"}, Annotations: KV{}}
	nolbl  = Alert{Status: Firing, Fingerprint: "cc", Labels: KV{"alertname": "x"}, Annotations: KV{}}
	sample = Data{
		Receiver: `team\.x`, Status: Firing, Alerts: Alerts{web1, web2}, ExternalURL: "http://am",
		GroupLabels: KV{"alertname": "DiskFull"}, CommonLabels: KV{"alertname": "DiskFull", "job": "node", "don't": "x"}, CommonAnnotations: KV{},
	}
)

func TestArgsAreTemplates(t *testing.T) {
	for arg, want := range map[string]string{
		`plain {text} }}`:     `plain {text} }}`,
		``:                    ``,
		`{{ .Status }}`:       `firing`,
		`{{ .Receiver }}`:     `team\.x`,
		`{{ .CommonLabels }}`: `alertname=DiskFull, don't=x, job=node`,
		`{{ len .Alerts }}`:   `2`,
		`{{ range .Alerts.Firing }}{{ .Labels.instance_id }}{{ end }}`:                   `i-2`,
		`{{ .CommonLabels.Names | join "," }}`:                                           `alertname,don't,job`,
		`{{ .CommonLabels.Values.Join ":" }}`:                                            `DiskFull:x:node`,
		`{{ (.CommonLabels.Remove (stringSlice "don't" "job")).SortedPairs }}`:           `alertname=DiskFull`,
		`{{ "DISK is full, don't panic 3rd a_b x.y" | title }}`:                          `Disk Is Full, Don't Panic 3Rd A_b X.y`,
		`{{ toUpper "aé" }}{{ toLower "AÉ" }}`:                                           `AÉaé`,
		`{{ match "^i-" "i-1" }}`:                                                        `true`,
		`{{ reReplaceAll "(.*):9100" "$1" "web:9100" }}`:                                 `web`,
		`{{ safeHtml "<b>" }}`:                                                           `<b>`,
		`{{ (index .Alerts 0).StartsAt.Unix }}`:                                          `1793527200`,
		`{{ trimSpace " a " }}|{{ safeUrl "a b" }}|{{ urlUnescape "a%20b" }}`:            `a|a b|a b`,
		`{{ base64encode "a?>" }} {{ base64decode "YT8-" }}`:                             `YT8- a?>`,
		`{{ dict "a" (list 1 "b") "c" .CommonLabels.job | toJson }}`:                     `{"a":[1,"b"],"c":"node"}`,
		`{{ append (list) "x" | toJson }}{{ toJson (list) }}`:                            `["x"][]`,
		`{{ toJson "{{ssm:a}} {{{{{ <" }}`:                                               `"{\u007bssm:a}} {\u007b{\u007b{ \u003c"`,
		`{{ (index .Alerts 0).StartsAt | tz "Europe/Berlin" | date "15:04 MST" }}`:       `11:00 CET`,
		`{{ since (index .Alerts 0).StartsAt | humanizeDuration }}`:                      `1h 30m 0s`,
		`{{ now.Unix }} {{ (toDate "2006" "2026").Year }} {{ humanizeDuration 0.0123 }}`: `1793532600 2026 12.3ms`,
	} {
		got, err := (&Command{Name: "c", Args: []string{"first", arg}}).ExpandArgs(sample.At(web1.StartsAt.Add(90 * time.Minute)))
		if err != nil || !reflect.DeepEqual(got, []string{"first", want}) {
			t.Errorf("%s: got %q, %v, want %q", arg, got, err, want)
		}
	}
	if got, err := (&Command{}).ExpandArgs(sample); err != nil || len(got) != 0 {
		t.Errorf("no arguments: got %q, %v", got, err)
	}
}

func TestArgsThatCannotBeRendered(t *testing.T) {
	for _, c := range []struct{ arg, want string }{
		{`{{ index .Alerts 5 }}`, `rendering args[1] "{{ index .Alerts 5 }}" of command "c": 1:3: at <index .Alerts 5>: error calling index: index out of range: 5`},
		{`{{ match "(" "x" }}`, "rendering args[1] \"{{ match \\\"(\\\" \\\"x\\\" }}\" of command \"c\": 1:3: at <match \"(\" \"x\">: error calling match: error parsing regexp: missing closing ): `(`"},
		{`{{ range 100000 }}more than a megabyte{{ end }}`, `rendering args[1] "{{ range 100000 }}more than a megabyte{{ end }}" of command "c": more than 1048576 bytes of output`},
		{`{{ dict "a" }}`, `rendering args[1] "{{ dict \"a\" }}" of command "c": 1:3: at <dict "a">: error calling dict: dict wants a value for each key`},
		{`{{ dict 1 2 }}`, `rendering args[1] "{{ dict 1 2 }}" of command "c": 1:3: at <dict 1 2>: error calling dict: dict wants text as a key, not 1`},
		{`{{ tz "Mars" now }}`, `rendering args[1] "{{ tz \"Mars\" now }}" of command "c": 1:3: at <tz "Mars" now>: error calling tz: unknown time zone Mars`},
		{`{{ humanizeDuration .Alerts }}`, `rendering args[1] "{{ humanizeDuration .Alerts }}" of command "c": 1:3: at <humanizeDuration .Alerts>: error calling humanizeDuration: amx.Alerts is not a number`},
		{`{{ nosuch }}`, `rendering args[1] "{{ nosuch }}" of command "c": 1: function "nosuch" not defined`},
		{`{{ define "x" }}{{ template "x" }}{{ end }}{{ template "x" }}`, `exceeded maximum template depth (100000)`},
	} {
		got, err := (&Command{Name: "c", Args: []string{"first", c.arg}}).ExpandArgs(sample)
		if got != nil || err == nil || err.Error() != c.want && !strings.HasSuffix(err.Error(), c.want) {
			t.Errorf("%s: got %q, %v\nwant %s", c.arg, got, err, c.want)
		}
	}
}

func TestParametersAreTemplates(t *testing.T) {
	c := &Command{Name: "c", Parameters: map[string][]string{"A": {"x", "{{ .Status }}"}, "B": {"{{ toJson . }}"}}}
	got, err := c.ExpandParameters(Data{Status: Firing, Alerts: Alerts{nolbl}})
	want := map[string][]string{"A": {"x", "firing"}, "B": {`{"receiver":"","status":"firing","alerts":[{"status":"firing","labels":{"alertname":"x"},"annotations":{},` +
		`"startsAt":"0001-01-01T00:00:00Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"","fingerprint":"cc"}],` +
		`"groupLabels":null,"commonLabels":null,"commonAnnotations":null,"externalURL":""}`}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	c.Parameters["B"][0] = "{{ index .Alerts 5 }}"
	_, err = c.ExpandParameters(sample)
	if want := `rendering parameters: B[0] "{{ index .Alerts 5 }}" of command "c": 1:3: at <index .Alerts 5>: error calling index: index out of range: 5`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestTargetsAreRenderedOncePerDueAlert(t *testing.T) {
	for _, c := range []struct {
		name    string
		targets []Target
		due     Alerts
		want    []Target
	}{
		{
			"their union is sorted, without the space around",
			[]Target{{"InstanceIds", []string{`{{ .Labels.instance_id }}`}}},
			Alerts{web1, web2, web1},
			[]Target{{"InstanceIds", []string{"i-1", "i-2"}}},
		},
		{
			"only alerts that are due count",
			[]Target{{"InstanceIds", []string{`{{ .Labels.instance_id }}`}}},
			Alerts{web1},
			[]Target{{"InstanceIds", []string{"i-2"}}},
		},
		{
			"several keys and fixed values",
			[]Target{{"tag:Role", []string{"web", "app"}}, {"tag:Zone", []string{`{{ .Labels.az }}-{{ .CommonLabels.job }}`}}},
			Alerts{web1, web2},
			[]Target{{"tag:Role", []string{"app", "web"}}, {"tag:Zone", []string{"a-node", "b-node"}}},
		},
		{
			"a template sees the alert, and its status before the message's",
			[]Target{{"tag:A", []string{`{{ .Status }} {{ .Fingerprint }} {{ .StartsAt.Year }} {{ .EndsAt.Year }} {{ .Annotations.note }} {{ .GeneratorURL }} {{ .Receiver }} {{ len .Alerts }}`}}},
			Alerts{web1},
			[]Target{{"tag:A", []string{`firing aa 2026 1 n http://p team\.x 2`}}},
		},
		{"no targets", nil, Alerts{web1}, []Target{}},
	} {
		got, err := (&Command{Name: "c", Targets: c.targets}).ExpandTargets(sample, c.due)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %v, %v, want %v", c.name, got, err, c.want)
		}
	}
}

func TestTargetsThatRefuseARun(t *testing.T) {
	many := []string{"1", "2", "3", "4", `{{ .Labels.az }}`}
	for _, c := range []struct {
		name, key string
		values    []string
		due       Alerts
		want      string
	}{
		{
			"a label that one of the alerts lacks", "InstanceIds",
			[]string{`{{ .Labels.instance_id }}`},
			Alerts{web1, nolbl},
			`rendering targets[0].values[0] "{{ .Labels.instance_id }}" of command "c": alert cc: the value is empty: does the alert have the label?`,
		},
		{
			"white space only", "tag:A",
			[]string{"x", ` {{ .Labels.no }} `},
			Alerts{web1},
			`rendering targets[0].values[1] " {{ .Labels.no }} " of command "c": alert aa: the value is empty: does the alert have the label?`,
		},
		{
			"every node", "InstanceIds",
			[]string{`{{ reReplaceAll ".+" "*" .Labels.az }}`},
			Alerts{web1},
			`rendering targets[0].values[0] "{{ reReplaceAll \".+\" \"*\" .Labels.az }}" of command "c": alert aa: the value is "*", which could mean every node`,
		},
		{"no alert", "InstanceIds", []string{"i-1"}, nil, `rendering targets[0] "InstanceIds" of command "c": no value`},
		{"no value", "InstanceIds", nil, Alerts{web1}, `rendering targets[0] "InstanceIds" of command "c": no value`},
		{"more values of a tag than SSM takes", "tag:A", many, Alerts{web1, web2}, `rendering targets[0] "tag:A" of command "c": 6 values: SSM takes at most 5`},
		{
			"a template that fails", "tag:A",
			[]string{`{{ slice .Labels.az 5 }}`},
			Alerts{web1},
			`rendering targets[0].values[0] "{{ slice .Labels.az 5 }}" of command "c": alert aa: 1:3: at <slice .Labels.az 5>: error calling slice: index out of range: 5`,
		},
	} {
		got, err := (&Command{Name: "c", Targets: []Target{{c.key, c.values}}}).ExpandTargets(sample, c.due)
		if got != nil || err == nil || err.Error() != c.want {
			t.Errorf("%s: got %v, %v\nwant %s", c.name, got, err, c.want)
		}
	}
}
