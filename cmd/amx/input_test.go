package main

import (
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
)

// The payload of prometheus-am-executor's README, with other values.
const executorPayload = `{
  "receiver": "default", "status": "firing",
  "alerts": [{
    "status": "firing",
    "labels": {"alertname": "InstanceDown", "instance": "localhost:1234", "job": "broken", "monitor": "codelab-monitor"},
    "annotations": {}, "startsAt": "2016-04-07T18:08:52.804+02:00", "endsAt": "0001-01-01T00:00:00Z",
    "generatorURL": "http://oldpad:9090/graph#%5B%7B%22expr%22%3A%22up%20%3D%3D%200%22%2C%22tab%22%3A0%7D%5D"
  }],
  "groupLabels": {"alertname": "InstanceDown"},
  "commonLabels": {"alertname": "InstanceDown", "instance": "localhost:1234", "job": "broken", "monitor": "codelab-monitor"},
  "commonAnnotations": {}, "externalURL": "http://oldpad:9093", "version": "4", "groupKey": "{}:{alertname=\"InstanceDown\"}"
}`

func TestTheVariablesOfACommand(t *testing.T) {
	m := newMachine(t, "commands:\n- {name: show, cmd: sh, args: [-c, 'env -0 >@DIR@/env']}\n")
	if a := m.request(http.MethodGet, executorPayload); a.Status != 200 || a.Results[0].Status != "Success" {
		t.Fatalf("%+v\n%s", a, m.log.String())
	}
	text, err := os.ReadFile(filepath.Join(m.dir, "env"))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for v := range strings.SplitSeq(strings.TrimSuffix(string(text), "\x00"), "\x00") {
		if name, value, _ := strings.Cut(v, "="); strings.HasPrefix(name, "AMX_") {
			got[name] = value
		}
	}
	delete(got, "AMX_RUN_ID") // random
	want := map[string]string{
		"AMX_RECEIVER": "default", "AMX_STATUS": "firing", "AMX_EXTERNAL_URL": "http://oldpad:9093", "AMX_ALERT_LEN": "1",
		"AMX_LABEL_alertname": "InstanceDown", "AMX_LABEL_instance": "localhost:1234", "AMX_LABEL_job": "broken",
		"AMX_LABEL_monitor": "codelab-monitor", "AMX_GLABEL_alertname": "InstanceDown",
		"AMX_ALERT_1_STATUS": "firing", "AMX_ALERT_1_START": "1460045332", "AMX_ALERT_1_END": "0",
		"AMX_ALERT_1_URL":             "http://oldpad:9090/graph#%5B%7B%22expr%22%3A%22up%20%3D%3D%200%22%2C%22tab%22%3A0%7D%5D",
		"AMX_ALERT_1_LABEL_alertname": "InstanceDown", "AMX_ALERT_1_LABEL_instance": "localhost:1234",
		"AMX_ALERT_1_LABEL_job": "broken", "AMX_ALERT_1_LABEL_monitor": "codelab-monitor",
		"AMX_ALERT_1_FINGERPRINT": amx.Fingerprint(amx.KV{"alertname": "InstanceDown", "instance": "localhost:1234", "job": "broken", "monitor": "codelab-monitor"}),
		"AMX_ALERT_TOTAL":         "1", "AMX_COMMAND": "show",
	}
	if !maps.Equal(got, want) {
		t.Errorf("variables:\n%s", strings.ReplaceAll(string(text), "\x00", "\n"))
	}
}

func TestBadRequests(t *testing.T) {
	m := newMachine(t, "commands:\n- {cmd: touch, args: ['@DIR@/ran']}\n")
	big := notification("amx", firing(strings.Repeat("x", 7<<20), 0))
	tests := []struct {
		name, method, body string
		status             int
		err                string
	}{
		{"empty", "POST", "", 400, "empty"},
		{"not JSON", "POST", "{", 400, "unexpected end"},
		{"a wrong type", "POST", `{"version":"4","alerts":{}}`, 400, "alerts"},
		{"an unknown status", "POST", `{"version":"4","alerts":[{"status":"burning","labels":{"a":"b"}}]}`, 400, `"burning"`},
		{"7 MB", "POST", big, 413, "the body is over 6291456 bytes"},
		{"PUT", "PUT", "{}", 405, "send a notification with POST, as Alertmanager's webhook does"},
		{"GET without a body", "GET", "", 405, "POST"},
		{"HEAD", "HEAD", "", 405, "POST"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a := m.request(test.method, test.body)
			if a.Status != test.status || !strings.Contains(a.Error, test.err) {
				t.Errorf("%d %q, want %d %q", a.Status, a.Error, test.status, test.err)
			}
		})
	}
	if _, err := os.Stat(filepath.Join(m.dir, "ran")); err == nil {
		t.Error("a command ran")
	}
}

// A file holds a group that is too large for DynamoDB.
func TestAGroupOfTenThousandAlerts(t *testing.T) {
	m := newMachine(t, "commands:\n- {name: c, cmd: 'true'}\n")
	var alerts []alert
	for i := range 10_000 {
		alerts = append(alerts, firing(strconv.Itoa(i), 0))
	}
	if a := m.post(notification("amx", alerts...)); a.Status != 200 || len(a.Results) != 1 || len(a.Results[0].Alerts) != 10_000 {
		t.Errorf("answered %d %.300s", a.Status, a.Error)
	}
}

func TestANULIsRefused(t *testing.T) {
	m := newMachine(t, "commands:\n- {cmd: touch, args: ['@DIR@/ran']}\n")
	a := m.post(notification("amx", firing("a\x00b", 0)))
	if a.Status != 200 || len(a.Results) != 1 || a.Results[0].Action != "refuse" || !strings.Contains(a.Results[0].Reason, "has a NUL byte, which no environment variable can carry") {
		t.Errorf("%+v", a)
	}
	if _, err := os.Stat(filepath.Join(m.dir, "ran")); err == nil {
		t.Error("a command ran")
	}
}

func TestMatchingIsPerAlert(t *testing.T) {
	m := newMachine(t, `
commands:
  - {name: on-a, cmd: "true", match_labels: {name: a}}
  - {name: not-a, cmd: "true", matchers: ['name!="a"']}
  - {name: nobody, cmd: "true", match_labels: {name: z}}
`)
	a := m.post(notification("amx", firing("a", 0), firing("b", 0), firing("c", 0)))
	var got []string
	for i, r := range told(a) {
		got = append(got, a.Results[i].Command+" "+r)
	}
	if want := []string{"on-a run a: firing", "not-a run b,c: firing"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if a := m.post(strings.ReplaceAll(notification("amx"), `"alerts":null`, `"alerts":[]`)); a.Status != 200 || a.Results == nil || len(a.Results) != 0 {
		t.Errorf("nothing matches: %+v, want an empty list", a)
	}
}

func TestAFailureIsAnError(t *testing.T) {
	m := newMachine(t, `
commands:
  - {name: loud, cmd: sh, args: [-c, 'echo "no disk" >&2; exit 3'], match_labels: {name: a}}
  - {name: quiet, cmd: sh, args: [-c, 'exit 3'], match_labels: {name: b}, notify_on_failure: false}
  - {name: again, cmd: sh, args: [-c, 'echo x >>@DIR@/again; exit 3'], match_labels: {name: c}, retries: 1, retry_delay: 1s}
`)
	a := m.post(notification("amx", firing("a", 0)))
	if a.Status != 500 || !strings.Contains(a.Error, `command "loud": run `) || !strings.Contains(a.Error, `ended Failed; node mi-00000000000000000: Failed, exit 3: "no disk`) || a.Results[0].Status != "Failed" {
		t.Errorf("%+v", a)
	}
	if a := m.post(notification("amx", firing("a", 0))); a.Status != 200 || !slices.Equal(told(a), []string{"skip a: failed, retries used up"}) {
		t.Errorf("%+v", a)
	}
	if a := m.post(notification("amx", firing("b", 0))); a.Status != 200 || a.Results[0].Status != "Failed" {
		t.Errorf("%+v", a)
	}
	for i, want := range []string{"run c: firing", "skip c: failed, retry pending"} {
		if a := m.post(notification("amx", firing("c", 0))); a.Status != 200 || !slices.Equal(told(a), []string{want}) {
			t.Errorf("delivery %d: %+v, want %q", i+1, a, want)
		}
	}
	m.later(time.Minute, "the retry has run, and nothing is left to do", func() bool { return len(m.lines("again")) == 2 && m.waiting() == 0 })
	m.eventually("its end is entered", func() bool {
		return slices.Equal(told(m.post(notification("amx", firing("c", 0)))), []string{"skip c: failed, retries used up"})
	})
	if n := len(m.lines("again")); n != 2 {
		t.Errorf("%d runs, want 2", n)
	}
}
