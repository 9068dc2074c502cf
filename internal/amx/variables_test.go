package amx

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// The variables of prometheus-am-executor 2.0.2 for its own example payload,
// and amx's three. am-executor leaves AMX_ALERT_<n>_FINGERPRINT empty where the
// payload does.
const exampleVariables = `AMX_ALERT_1_END=0
AMX_ALERT_1_FINGERPRINT=5714ca6177701704
AMX_ALERT_1_LABEL_alertname=InstanceDown
AMX_ALERT_1_LABEL_instance=localhost:1234
AMX_ALERT_1_LABEL_job=broken
AMX_ALERT_1_LABEL_monitor=codelab-monitor
AMX_ALERT_1_START=1460045332
AMX_ALERT_1_STATUS=firing
AMX_ALERT_1_URL=http://oldpad:9090/graph#%5B%7B%22expr%22%3A%22up%20%3D%3D%200%22%2C%22tab%22%3A0%7D%5D
AMX_ALERT_2_END=0
AMX_ALERT_2_FINGERPRINT=4a66b51f01c085c4
AMX_ALERT_2_LABEL_alertname=InstanceDown
AMX_ALERT_2_LABEL_instance=localhost:5678
AMX_ALERT_2_LABEL_job=broken
AMX_ALERT_2_LABEL_monitor=codelab-monitor
AMX_ALERT_2_START=1460045332
AMX_ALERT_2_STATUS=firing
AMX_ALERT_2_URL=http://oldpad:9090/graph#%5B%7B%22expr%22%3A%22up%20%3D%3D%200%22%2C%22tab%22%3A0%7D%5D
AMX_ALERT_LEN=2
AMX_ALERT_TOTAL=2
AMX_COMMAND=reboot
AMX_EXTERNAL_URL=http://oldpad:9093
AMX_GLABEL_alertname=InstanceDown
AMX_LABEL_alertname=InstanceDown
AMX_LABEL_instance=localhost:1234
AMX_LABEL_job=broken
AMX_LABEL_monitor=codelab-monitor
AMX_RECEIVER=default
AMX_RUN_ID=01K9ZEXAMPLE
AMX_STATUS=firing`

func TestVariablesOfAmExecutorsExample(t *testing.T) {
	m := decodeFile(t, "testdata/alert_payload.json")
	pairs, collisions := Variables(m.Narrow(m.Alerts), 2, "reboot", "01K9ZEXAMPLE")
	if got := lines(pairs); got != exampleVariables {
		t.Errorf("got\n%s\nwant\n%s", got, exampleVariables)
	}
	if len(collisions) != 0 {
		t.Errorf("collisions: %q", collisions)
	}
}

func TestVariablesOfARunWhoseAlertsDoNotAllFit(t *testing.T) {
	d := Data{Status: Firing, Alerts: Alerts{{
		Status: Resolved, StartsAt: time.Unix(1, 999e6), EndsAt: time.Unix(-5, 0),
		Labels: KV{}, Annotations: KV{"summary": "two\nlines"}, GeneratorURL: "http://p", Fingerprint: "ff",
	}}, CommonAnnotations: KV{"summary": ""}}
	pairs, _ := Variables(d, 40, "c", "r")
	want := `AMX_ALERT_1_ANNOTATION_summary=two
lines
AMX_ALERT_1_END=-5
AMX_ALERT_1_FINGERPRINT=ff
AMX_ALERT_1_START=1
AMX_ALERT_1_STATUS=resolved
AMX_ALERT_1_URL=http://p
AMX_ALERT_LEN=1
AMX_ALERT_TOTAL=40
AMX_ANNOTATION_summary=
AMX_COMMAND=c
AMX_EXTERNAL_URL=
AMX_RECEIVER=
AMX_RUN_ID=r
AMX_STATUS=firing`
	if got := lines(pairs); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestVariableNames(t *testing.T) {
	for name, want := range map[string]string{
		"instance": "instance", "k8s.io/name": "k8s_io_name", "größe": "gr__e", "日本": "__", "a b": "a_b", "9": "9", "": "",
		"a\xffb": "a_b", "x;rm -rf /": "x_rm__rf__", "a=b": "a_b", "new\nline": "new_line", "A_z": "A_z",
	} {
		if got := variableName(name); got != want {
			t.Errorf("%q became %q, want %q", name, got, want)
		}
	}
}

func TestWhereTwoNamesMeetTheExactOneWins(t *testing.T) {
	d := Data{
		CommonLabels: KV{"a-b": "dash", "a_b": "exact", "a.b": "dot", "alertname": "x"},
		GroupLabels:  KV{"x.y": "dot", "x-y": "dash"},
		Alerts:       Alerts{{Annotations: KV{"a b": "space", "a_b": "exact"}}},
	}
	pairs, collisions := Variables(d, 1, "c", "r")
	got := KV{}
	for _, p := range pairs {
		got[p.Name] = p.Value
	}
	for name, want := range map[string]string{"AMX_LABEL_a_b": "exact", "AMX_GLABEL_x_y": "dash", "AMX_ALERT_1_ANNOTATION_a_b": "exact"} {
		if got[name] != want {
			t.Errorf("%s = %q, want %q", name, got[name], want)
		}
	}
	want := []string{
		`AMX_LABEL_a_b carries "a_b": "a-b" has the same variable name and is left out`,
		`AMX_LABEL_a_b carries "a_b": "a.b" has the same variable name and is left out`,
		`AMX_GLABEL_x_y carries "x-y": "x.y" has the same variable name and is left out`,
		`AMX_ALERT_1_ANNOTATION_a_b carries "a_b": "a b" has the same variable name and is left out`,
	}
	if !slices.Equal(collisions, want) {
		t.Errorf("collisions\n%s\nwant\n%s", strings.Join(collisions, "\n"), strings.Join(want, "\n"))
	}
}

func TestOnWindowsNamesMeetThatDifferInTheirCaseOnly(t *testing.T) {
	d := Data{
		CommonLabels: KV{"Env": "upper", "env": "lower", "ENV": "all", "Job-a": "dash", "job_a": "exact", "other": "x"},
		Alerts:       Alerts{{Annotations: KV{"Summary": "S", "summary": "s"}}},
	}
	pairs, collisions := WindowsVariables(d, 1, "c", "r")
	got := KV{}
	for _, p := range pairs {
		got[p.Name] = p.Value
	}
	for name, want := range map[string]string{"AMX_LABEL_ENV": "all", "AMX_LABEL_job_a": "exact", "AMX_LABEL_other": "x", "AMX_ALERT_1_ANNOTATION_Summary": "S"} {
		if got[name] != want {
			t.Errorf("%s = %q, want %q", name, got[name], want)
		}
	}
	want := []string{
		`AMX_LABEL_ENV carries "ENV": "Env" has the same variable name on Windows and is left out`,
		`AMX_LABEL_ENV carries "ENV": "env" has the same variable name on Windows and is left out`,
		`AMX_LABEL_job_a carries "job_a": "Job-a" has the same variable name on Windows and is left out`,
		`AMX_ALERT_1_ANNOTATION_Summary carries "Summary": "summary" has the same variable name on Windows and is left out`,
	}
	if !slices.Equal(collisions, want) {
		t.Errorf("collisions\n%s\nwant\n%s", strings.Join(collisions, "\n"), strings.Join(want, "\n"))
	}
	if len(pairs) != 7+3+5+1 {
		t.Errorf("got\n%s", lines(pairs))
	}
	if pairs, collisions := Variables(d, 1, "c", "r"); len(pairs) != 7+6+5+2 || len(collisions) != 0 {
		t.Errorf("elsewhere they are others: got\n%s\n%q", lines(pairs), collisions)
	}
}

func lines(pairs Pairs) string {
	all := make([]string, len(pairs))
	for i, p := range pairs {
		all[i] = p.Name + "=" + p.Value
	}
	return strings.Join(all, "\n")
}

func BenchmarkVariables1000Alerts(b *testing.B) {
	m, err := Decode(manyAlerts(1000), arrived)
	if err != nil {
		b.Fatal(err)
	}
	d := m.Narrow(m.Alerts)
	for b.Loop() {
		Variables(d, len(d.Alerts), "c", "r")
	}
}
