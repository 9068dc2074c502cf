package amx

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

// arrived is when the webhook's bodies of these tests come.
var arrived = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func TestDecodeTakesWhatAlertmanagerSends(t *testing.T) {
	m := decodeFile(t, "testdata/alertmanager-0.34.json")
	if m.Receiver != `team\.x` || m.Status != Firing || m.Version != "4" || m.TruncatedAlerts != 3 ||
		m.GroupKey != `{}:{alertname="DiskFull"}` || m.ExternalURL != "http://alertmanager:9093" {
		t.Errorf("decoded %+v", m)
	}
	want := Alert{
		Status:       Resolved,
		Labels:       KV{"alertname": "DiskFull", "instance": "web-2:9100", "instance_id": "i-0123456789abcdef1", "severity": "page"},
		Annotations:  KV{"summary": `"/var" is 98 % full`},
		StartsAt:     time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC),
		EndsAt:       time.Date(2026, 11, 1, 10, 5, 0, 0, time.UTC),
		GeneratorURL: "http://prometheus:9090/graph?g0.expr=node_filesystem_avail_bytes",
		Fingerprint:  "0c1d2e3f40516273",
	}
	want.Identity = Fingerprint(want.Labels) + "-" + hash("0c1d2e3f40516273")
	if len(m.Alerts) != 2 || !reflect.DeepEqual(m.Alerts[1], want) {
		t.Errorf("decoded alerts %+v", m.Alerts)
	}
	if !m.SentAt.IsZero() || m.DedupKey != "" || m.Ungrouped {
		t.Errorf("a webhook has none of these: %+v", m)
	}
}

func TestDecodeIsTolerant(t *testing.T) {
	for name, body := range map[string]string{
		"a message without alerts":                `{"version":"4","alerts":[]}`,
		"a body made by hand":                     `{"alerts":[{"status":"firing","labels":{"alertname":"x"}}]}`,
		"unknown fields":                          `{"alerts":[{"status":"firing","new":[1]}],"notification_reason":"x","routeLabels":{}}`,
		"null for what is missing":                `{"version":null,"alerts":[{"status":"firing","labels":null}],"groupLabels":null}`,
		"white space around it":                   " \r\n{\"alerts\":[]}\n",
		"a NUL in a label, which a run refuses":   `{"alerts":[{"status":"firing","labels":{"a":"\u0000"}}]}`,
		"alerts of one fingerprint":               `{"alerts":[{"status":"firing"},{"status":"resolved"},{"status":"firing"}]}`,
		"a status of the message that is unknown": `{"status":"pending","alerts":[{"status":"firing"}]}`,
	} {
		m, err := Decode([]byte(body), arrived)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if m.GroupLabels == nil || m.CommonLabels == nil || m.CommonAnnotations == nil || m.Alerts == nil || m.Status == "" {
			t.Errorf("%s: something is nil: %+v", name, m)
		}
		for _, a := range m.Alerts {
			if a.Labels == nil || a.Annotations == nil || a.Fingerprint != Fingerprint(a.Labels) {
				t.Errorf("%s: something of an alert is missing: %+v", name, a)
			}
		}
	}
	if m, _ := Decode([]byte(`{"alerts":[{"status":"firing"},{"status":"firing"}]}`), arrived); len(m.Alerts) != 2 {
		t.Errorf("alerts of one fingerprint were merged: %v", m.Alerts)
	}
}

const (
	escape   = `; a template has to escape what it puts between quotes, as in {{ printf "%q" .Value }} and YAML`
	wantTime = `want a time such as "2016-04-07T10:08:52Z" or "2016-04-07 10:08:52 +0000 UTC"`
)

func TestDecodeRefuses(t *testing.T) {
	const ok = `{"status":"firing"},{"status":"resolved"},`
	for _, c := range []struct{ name, body, want string }{
		{"nothing", ``, `empty body`},
		{"white space", " \n", `empty body`},
		{"half a message", `{"alerts":[`, `JSON, byte 11: unexpected end of JSON input` + escape},
		{"two messages", `{"alerts":[]} {}`, `JSON, byte 15: invalid character '{' after top-level value` + escape},
		{"a form", `payload=1`, `"payload=1": want a JSON object`},
		{"a list", `[{"alerts":[]}]`, `not an Alertmanager message: it has neither "version" nor "alerts"`},
		{"a string", `"alerts"`, `"\"alerts\"": want a JSON object`},
		{"null", `null`, `"null": want a JSON object`},
		{"another object", `{"a":1}`, `not an Alertmanager message: it has neither "version" nor "alerts"`},
		{"no alerts", `{"version":"4"}`, `"alerts" is missing: want a list`},
		{"null for alerts", `{"version":"4","alerts":null}`, `JSON, line 1: alerts: a single value: want a list`},
		{"alerts that are no list", `{"alerts":{}}`, `JSON, line 1: alerts: a mapping: want a list`},
		{"labels that are no object", `{"alerts":[],"groupLabels":["a"]}`, `JSON, line 1: groupLabels: a list: want keys and values`},
		{"an unknown status", `{"alerts":[` + ok + `{"status":"unknown"}]}`, `alerts[2]: status "unknown": want "firing" or "resolved"`},
		{"no status", `{"alerts":[` + ok + `{}]}`, `alerts[2]: status is missing, and so is the message's: want "firing" or "resolved"`},
		{"null for an alert", `{"alerts":[null]}`, `alerts[0]: status is missing, and so is the message's: want "firing" or "resolved"`},
		{"an alert that is no object", `{"alerts":[` + ok + `"x"]}`, `JSON, line 1: alerts[2]: a single value: want keys and values`},
		{"a time in words", `{"alerts":[` + ok + `{"startsAt":"yesterday"}]}`, `JSON, line 1: alerts[2].startsAt: "yesterday": ` + wantTime},
		{"a time as a number", `{"alerts":[{"endsAt":1460045332}]}`, `JSON, line 1: alerts[0].endsAt: "1460045332": ` + wantTime},
	} {
		m, err := Decode([]byte(c.body), arrived)
		if want := "decoding Alertmanager message: " + c.want; err == nil || err.Error() != want {
			t.Errorf("%s: got %v\nwant %s", c.name, err, want)
		}
		if m != nil {
			t.Errorf("%s: a message comes with the error", c.name)
		}
	}
}

// The body is the sender's, and the error goes into an answer and a log.
func TestErrorsQuoteLittleOfTheBody(t *testing.T) {
	long := strings.Repeat("x", 5000)
	for _, c := range []struct{ body, want string }{
		{`{"alerts":[{"status":"` + long + `"}]}`, `alerts[0]: status "` + long[:40] + `": want "firing" or "resolved"`},
		{`{"alerts":[{"startsAt":"` + long + `"}]}`, `JSON, line 1: alerts[0].startsAt: "` + long[:40] + `": ` + wantTime},
		{`{"Alerts":[{"STARTSAT":"` + long + `"}]}`, `JSON, line 1: Alerts[0].STARTSAT: "` + long[:40] + `": ` + wantTime},
		{`"` + long + `"`, `"\"` + long[:19] + `": want a JSON object`},
	} {
		_, err := Decode([]byte(c.body), arrived)
		if want := "decoding Alertmanager message: " + c.want; err == nil || err.Error() != want {
			t.Errorf("got %.200v\nwant %s", err, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, name := range []string{"testdata/alert_payload.json", "testdata/alertmanager-0.34.json"} {
		body, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := Decode(body, arrived)
		if (m == nil) == (err == nil) {
			t.Fatalf("message %v and error %v", m, err)
		}
		if err != nil {
			return
		}
		for i, a := range m.Alerts {
			if a.Status != Firing && a.Status != Resolved || a.Labels == nil || a.Annotations == nil || a.Fingerprint == "" {
				t.Fatalf("alerts[%d] is %+v", i, a)
			}
		}
		again, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if m2, err := Decode(again, arrived); err != nil || len(m2.Alerts) != len(m.Alerts) {
			t.Fatalf("decoded again: %v", err)
		}
		Variables(m.Narrow(m.Alerts.Firing()), len(m.Alerts), "c", "r")
	})
}

// The two benchmarks belong together: Decode should take no more than twice the
// time that encoding/json alone needs for the same body and types.
func BenchmarkDecode1000Alerts(b *testing.B) {
	body := manyAlerts(1000)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, err := Decode(body, arrived); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodingJSON1000Alerts(b *testing.B) {
	body := manyAlerts(1000)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if err := json.Unmarshal(body, new(plainMessage)); err != nil {
			b.Fatal(err)
		}
	}
}

func manyAlerts(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"version":"4","receiver":"r","status":"firing","alerts":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"status":"firing","labels":{"alertname":"DiskFull","instance":"web-%d:9100","severity":"page","job":"node"},`+
			`"annotations":{"summary":"disk of web-%d is full","runbook":"https://example.com/runbooks/disk-full"},`+
			`"startsAt":"2026-11-01T10:00:00.123Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"http://prometheus:9090/graph","fingerprint":"%016x"}`, i, i, i)
	}
	b.WriteString(`],"groupLabels":{"alertname":"DiskFull"},"commonLabels":{"alertname":"DiskFull"},"commonAnnotations":{},"externalURL":"http://am:9093"}`)
	return b.Bytes()
}

func decodeFile(t *testing.T, name string) *Message {
	t.Helper()
	body, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Decode(body, arrived)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
