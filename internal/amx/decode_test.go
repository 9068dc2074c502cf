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
		m, err := Decode([]byte(body))
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
	if m, _ := Decode([]byte(`{"alerts":[{"status":"firing"},{"status":"firing"}]}`)); len(m.Alerts) != 2 {
		t.Errorf("alerts of one fingerprint were merged: %v", m.Alerts)
	}
}

func TestDecodeRefuses(t *testing.T) {
	const ok = `{"status":"firing"},{"status":"resolved"},`
	for _, c := range []struct{ name, body, want string }{
		{"nothing", ``, `empty body`},
		{"white space", " \n", `empty body`},
		{"half a message", `{"alerts":[`, `byte 11: unexpected end of JSON input`},
		{"two messages", `{"alerts":[]} {}`, `byte 15: invalid character '{' after top-level value`},
		{"a form", `payload=1`, `byte 1: invalid character 'p' looking for beginning of value`},
		{"a list", `[{"alerts":[]}]`, `"[{\"alerts\":[]}]": want a JSON object`},
		{"a string", `"alerts"`, `"\"alerts\"": want a JSON object`},
		{"null", `null`, `"null": want a JSON object`},
		{"another object", `{"a":1}`, `not an Alertmanager message: it has neither "version" nor "alerts"`},
		{"no alerts", `{"version":"4"}`, `"alerts" is missing: want a list`},
		{"null for alerts", `{"version":"4","alerts":null}`, `"alerts" is missing: want a list`},
		{"another version", `{"version":"5","alerts":[]}`, `version "5": want "4"`},
		{"the version as a number", `{"version":4,"alerts":[]}`, `"version" is a JSON number: want a string`},
		{"alerts that are no list", `{"alerts":{}}`, `"alerts" is a JSON object: want a list`},
		{"labels that are no object", `{"alerts":[],"groupLabels":["a"]}`, `"groupLabels" is a JSON array: want an object of strings`},
		{"a label that is no string", `{"alerts":[],"commonLabels":{"a":1}}`, `"commonLabels" is a JSON number: want a string`},
		{"less than no alerts cut off", `{"alerts":[],"truncatedAlerts":-1}`, `"truncatedAlerts" is a JSON number -1: want a whole number that is not negative`},
		{"an unknown status", `{"alerts":[` + ok + `{"status":"unknown"}]}`, `alerts[2]: status "unknown": want "firing" or "resolved"`},
		{"a status in capitals", `{"alerts":[{"status":"FIRING"}]}`, `alerts[0]: status "FIRING": want "firing" or "resolved"`},
		{"no status", `{"alerts":[` + ok + `{}]}`, `alerts[2]: status is missing: want "firing" or "resolved"`},
		{"null for an alert", `{"alerts":[null]}`, `alerts[0]: status is missing: want "firing" or "resolved"`},
		{"an alert that is no object", `{"alerts":[` + ok + `"x"]}`, `alerts[2]: "\"x\"": want an object`},
		{"an alert's label that is no string", `{"alerts":[` + ok + `{"status":"firing","labels":{"a":true}}]}`, `alerts[2]: "labels" is a JSON bool: want a string`},
		{"a time in words", `{"alerts":[` + ok + `{"startsAt":"yesterday"}]}`, `alerts[2]: "startsAt" is "yesterday": want a time such as "2016-04-07T10:08:52Z"`},
		{"a time as a number", `{"alerts":[{"endsAt":1460045332}]}`, `alerts[0]: "endsAt" is 1460045332: want a time such as "2016-04-07T10:08:52Z"`},
	} {
		m, err := Decode([]byte(c.body))
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
		{`{"version":"` + long + `","alerts":[]}`, `version "` + long[:40] + `": want "4"`},
		{`{"alerts":[{"status":"` + long + `"}]}`, `alerts[0]: status "` + long[:40] + `": want "firing" or "resolved"`},
		{`{"alerts":[{"startsAt":"` + long + `"}]}`, `alerts[0]: "startsAt" is "` + long[:39] + `: want a time such as "2016-04-07T10:08:52Z"`},
		{`{"alerts":[{"STARTSAT":"` + long + `"}]}`, `alerts[0]: "STARTSAT" is "` + long[:39] + `: want a time such as "2016-04-07T10:08:52Z"`},
		{`{"Alerts":[{"startsAt":"` + long + `"}]}`, `parsing time "` + long[:106]},
		{
			`{"alerts":[],"truncatedAlerts":` + strings.Repeat("1", 5000) + `}`,
			`"truncatedAlerts" is a JSON number ` + strings.Repeat("1", 33) + `: want a whole number that is not negative`,
		},
		{`"` + long + `"`, `"\"` + long[:19] + `": want a JSON object`},
	} {
		_, err := Decode([]byte(c.body))
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
		m, err := Decode(body)
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
			return // a year that JSON cannot have
		}
		if m2, err := Decode(again); err != nil || len(m2.Alerts) != len(m.Alerts) {
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
		if _, err := Decode(body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodingJSON1000Alerts(b *testing.B) {
	body := manyAlerts(1000)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if err := json.Unmarshal(body, new(Message)); err != nil {
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
	m, err := Decode(body)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
