package amx

import (
	"encoding/json"
	"reflect"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

var sent = time.Date(2016, 4, 7, 10, 9, 0, 123e6, time.UTC)

const snsYAML = `receiver: "sns"
status: "firing"
groupLabels: {"alertname": "NginxDown"}
commonLabels:
  "alertname": "NginxDown"
commonAnnotations:
externalURL: "https://aps-workspaces.eu-central-1.amazonaws.com/workspaces/ws-1"
truncatedAlerts: "2"
someday: [a new field, {of: Alertmanager}]
alerts:
  - status: "firing"
    labels:
      "alertname": "NginxDown"
      "instance": "web-1:9113"
      "version": 1.10
      "on": yes
      "none": ~
      "octal": 0o17
      "text": "null"
    annotations:
      "summary": "\"it's\" down\n\\ ü \u00a0 \U0001f525"
    startsAt: "2016-04-07T10:08:52.804000000Z"
    endsAt: "0001-01-01T00:00:00Z"
    generatorURL: "http://prometheus:9090/graph?g0.expr=up"
    fingerprint: "6f3a1e2d4c5b6a79"
  - status: resolved
    labels: {alertname: NginxDown, instance: web-2}
    startsAt: 2016-04-07 10:08:52.804 +0200 CEST
    endsAt: 2016-04-07 10:09:00 +0000 UTC
`

func snsMessage() *Message {
	second := KV{"alertname": "NginxDown", "instance": "web-2"}
	return &Message{
		Data: Data{
			Receiver: "sns", Status: "firing",
			GroupLabels:       KV{"alertname": "NginxDown"},
			CommonLabels:      KV{"alertname": "NginxDown"},
			CommonAnnotations: KV{},
			ExternalURL:       "https://aps-workspaces.eu-central-1.amazonaws.com/workspaces/ws-1",
			Alerts: Alerts{
				{
					Status: "firing",
					Labels: KV{
						"alertname": "NginxDown", "instance": "web-1:9113", "version": "1.10",
						"on": "yes", "none": "", "octal": "0o17", "text": "null",
					},
					Annotations:  KV{"summary": "\"it's\" down\n\\ ü \u00a0 \U0001f525"},
					StartsAt:     time.Date(2016, 4, 7, 10, 8, 52, 804e6, time.UTC),
					GeneratorURL: "http://prometheus:9090/graph?g0.expr=up",
					Fingerprint:  "6f3a1e2d4c5b6a79",
					Identity:     "9e331fde49b6ab93-2eeda27d5048cf07",
				},
				{
					Status: "resolved", Labels: second, Annotations: KV{}, Fingerprint: Fingerprint(second),
					StartsAt: time.Date(2016, 4, 7, 8, 8, 52, 804e6, time.UTC),
					EndsAt:   time.Date(2016, 4, 7, 10, 9, 0, 0, time.UTC),
				},
			},
		},
		Version: "4", TruncatedAlerts: 2, SentAt: sent,
	}
}

func inUTC(m *Message) *Message {
	for i := range m.Alerts {
		a := &m.Alerts[i]
		a.StartsAt, a.EndsAt = a.StartsAt.UTC(), a.EndsAt.UTC()
		a.StartsSent, a.EndsSent = a.StartsSent.UTC(), a.EndsSent.UTC()
	}
	return m
}

func TestDecodeSNS(t *testing.T) {
	asJSON, err := json.Marshal(snsMessage())
	if err != nil {
		t.Fatal(err)
	}
	times := strings.NewReplacer(
		`"2016-04-07T08:08:52.804Z"`, `"2016-04-07 10:08:52.804 +0200 CEST"`,
		`"2016-04-07T10:09:00Z"`, `"2016-04-07 10:09:00 +0000 UTC"`,
		`"0001-01-01T00:00:00Z"`, `null`)
	for name, body := range map[string]string{
		"YAML":                               snsYAML,
		"YAML, keys in another case":         strings.NewReplacer("startsAt:", "StartsAt:", "alerts:", "Alerts:", "groupLabels:", "GROUPLABELS:").Replace(snsYAML),
		"YAML with a marker and CRLF":        strings.ReplaceAll("---\n"+snsYAML, "\n", "\r\n"),
		"JSON":                               string(asJSON),
		"JSON, times as Go prints them":      times.Replace(string(asJSON)),
		"JSON, keys in another case":         strings.NewReplacer(`"startsAt"`, `"StartsAt"`, `"alerts"`, `"ALERTS"`).Replace(string(asJSON)),
		"JSON, no version, between blanks":   "\n " + strings.Replace(string(asJSON), `"version":"4",`, "", 1) + "\n",
		"JSON, a fingerprint to be computed": strings.Replace(string(asJSON), `"fingerprint":"`+snsMessage().Alerts[1].Fingerprint+`"`, `"fingerprint":""`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := DecodeSNS(SNS{Body: body, SentAt: sent})
			if err != nil {
				t.Fatal(err)
			}
			if want := snsMessage(); !reflect.DeepEqual(inUTC(got), want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestDecodeSNSWithoutTimes(t *testing.T) {
	m, err := DecodeSNS(SNS{Body: "alerts: [{status: firing, labels: {a: b}}]", SentAt: sent})
	if err != nil {
		t.Fatal(err)
	}
	if a := m.Alerts[0]; !a.EndsAt.IsZero() || !a.StartsAt.IsZero() || !m.SentAt.Equal(sent) || m.Status != Firing {
		t.Errorf("got %+v", m)
	}
}

func TestDecodeSNSRefuses(t *testing.T) {
	const noForm = `of no accepted form: want Alertmanager's Data as YAML or JSON, with a list "alerts"`
	for _, tt := range []struct{ name, body, want string }{
		{"nothing", " \n", "empty body"},
		{"a sentence", "Nginx is down", noForm},
		{"comments only", "# nothing", noForm},
		{"YAML with a value that should have been quoted", "alerts:\n- labels:\n    a: b: c\n", noForm + "; as YAML: yaml: line 3: mapping values are not allowed in this context; quote what a template writes: {{ printf \"%q\" .Value }}"},
		{"a secret that looks like an alias", "receiver: *s3cr3t\nalerts: []\n", noForm + "; as YAML: an anchor or an alias"},
		{"a block's secret that looks like an alias", "routing_key: *s3cr3t\nalerts: []\n", "PagerDuty-shaped block: dedup_key is missing: it is what the firing and the resolve have in common"},
		{"a list", "- status: firing", noForm},
		{"JSON without alerts", `{"status": "firing"}`, noForm},
		{"JSON cut off", `{"alerts": [{"status": "fir`, `JSON, byte 27: unexpected end of JSON input; a template has to escape what it puts between quotes, as in {{ printf "%q" .Value }} and YAML`},
		{"JSON with a list for a label", `{"alerts": [{"labels": {"a": [1]}}]}`, `JSON, line 1: alerts[0].labels.a: a list: want a text`},
		{"JSON with no time for a time", `{"alerts": [{"startsAt": "now"}]}`, `JSON, line 1: alerts[0].startsAt: "now": want a time such as "2016-04-07T10:08:52Z" or "2016-04-07 10:08:52 +0000 UTC"`},
		{"two documents", "alerts: []\n---\nalerts: []", `a second YAML document: want one, in which no line is "---"`},
		{"alerts that are no list", "alerts: firing", "YAML, line 1: alerts: a single value: want a list"},
		{"alerts that are null, as a range over nothing leaves them", "alerts:\n", "YAML, line 1: alerts: a single value: want a list"},
		{"an alert without a status", "alerts: [{labels: {a: b}}]", `alerts[0]: status is missing, and so is the message's: want "firing" or "resolved"`},
		{"a status of no alert", "alerts: [{status: suppressed}]", `alerts[0]: status "suppressed": want "firing" or "resolved"`},
		{"labels in a list", "alerts:\n- labels: [a]\n", "YAML, line 2: alerts[0].labels: a list: want keys and values"},
		{"a label that is a mapping", "alerts:\n- labels:\n    a: {{ .x }}\n", "YAML, line 3: alerts[0].labels.a: a mapping: want a text"},
		{"no time", "alerts:\n- startsAt: now\n", `YAML, line 2: alerts[0].startsAt: "now": want a time such as "2016-04-07T10:08:52Z" or "2016-04-07 10:08:52 +0000 UTC"`},
		{"an alert that is twice what it is", "alerts:\n- status: firing\n  Status: resolved\n", "YAML, line 3: alerts[0].Status: comes twice"},
		{"a label that comes twice", "alerts:\n- labels: {a: b, a: c}\n", `YAML, line 2: alerts[0].labels: "a" comes twice`},
		{"an alias", "x: &a [b]\nalerts: *a\n", "YAML, line 2: alerts: an alias: want a list"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := DecodeSNS(SNS{Body: tt.body, SentAt: sent})
			if want := "decoding SNS message: " + tt.want; err == nil || err.Error() != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
			if err != nil && strings.Contains(err.Error(), "s3cr3t") {
				t.Error("the error quotes a secret")
			}
		})
	}
}

// An SNS message has at most 256 KB. None of them takes long, beside a plain one of
// that size, and none takes much memory.
func TestHostileSNSMessagesAreRefusedSoon(t *testing.T) {
	const size = 256 << 10
	fill := func(head, unit, tail string) string {
		return head + strings.Repeat(unit, (size-len(head)-len(tail))/len(unit)) + tail
	}
	bomb := "a: &a [x, x, x, x, x, x, x, x, x]\n"
	for name := range strings.SplitSeq("bcdefghij", "") {
		last := string(name[0] - 1)
		bomb += name + ": &" + name + " [" + strings.TrimSuffix(strings.Repeat("*"+last+", ", 9), ", ") + "]\n"
	}
	begun := worked(t)
	if _, err := DecodeSNS(SNS{Body: fill("alerts:\n", "- {status: firing, labels: {alertname: Down, instance: a}}\n", ""), SentAt: sent}); err != nil {
		t.Fatal(err)
	}
	plain := worked(t) - begun
	t.Logf("a plain message takes %v", plain)
	for name, body := range map[string]string{
		"aliases that unfold":       bomb + "alerts: *j\n",
		"aliases in labels":         bomb + "alerts: [{status: firing, labels: {a: *j}}]\n",
		"lists in lists":            fill("alerts: ", "[", ""),
		"mappings in mappings":      fill("alerts: ", "{a: ", ""),
		"indented lists":            fill("alerts:\n", "- ", "x"),
		"JSON lists in lists":       fill(`{"alerts": `, "[", ""),
		"JSON objects":              fill(`{"x": `, `{"a":`, ""),
		"many anchors":              fill("alerts:\n", "- &a x\n", ""),
		"many tags":                 fill("alerts:\n", "- !!float x\n", ""),
		"many keys":                 fill("alerts: [{status: firing, labels: {", "a: b, ", "c: d}}]"),
		"many documents":            fill("a: b\n", "---\n", ""),
		"question marks":            fill("", "? ", "x"),
		"a long quoted text":        fill(`alerts: "`, `\u00e4`, `"`),
		"a long text of many lines": fill("alerts: |\n", " x\n", ""),
		"many escapes missing":      fill(`{"alerts": "`, "\n", `"`),
		"details in details":        fill("dedup_key: a\ndetails: ", "{a: ", ""),
		"aliases in details":        bomb + "dedup_key: *j\ndetails: {a: *j}\n",
		"many headings":             fill("", "Alerts Firing:\nLabels:\n", ""),
		"values of many lines":      fill("Alerts Firing:\nLabels:\n - a = b\n", "\n", ""),
		"pairs out of order":        fill("Alerts Firing:\nLabels:\n - b = b\n", " - a = b\n", ""),
		"many alerts of no labels":  fill("Alerts Firing:\n", "Labels:\nAnnotations:\nSource:\n", "x"),
	} {
		t.Run(name, func(t *testing.T) {
			begun, before := worked(t), allocated()
			if _, err := DecodeSNS(SNS{Body: body, SentAt: sent}); err == nil {
				t.Error("it is taken")
			}
			if took := worked(t) - begun; took > 20*plain {
				t.Errorf("it took %v, and a plain message %v", took, plain)
			} else {
				t.Log(took)
			}
			if n := allocated() - before; n > 128<<20 {
				t.Errorf("it allocated %d MiB", n>>20)
			}
		})
	}
}

// worked is the processors' time that this process has had: what else the machine
// does is not in it.
func worked(t *testing.T) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// allocated is how many bytes this process has ever allocated.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

func FuzzDecodeSNS(f *testing.F) {
	f.Add(snsYAML)
	f.Add("alerts: [{status: resolved, labels: {? a : b}}]")
	f.Add(`{"alerts": [{"status": "firing", "startsAt": "2016-04-07 10:08:52.8 +0000 UTC"}]}`)
	f.Fuzz(func(t *testing.T, body string) {
		m, err := DecodeSNS(SNS{Body: body, SentAt: sent})
		if (m == nil) != (err != nil) {
			t.Fatalf("got %v and %v", m, err)
		}
		if err != nil {
			return
		}
		for _, a := range m.Alerts {
			if a.Status != Firing && a.Status != Resolved || a.Labels == nil || a.Annotations == nil || a.Fingerprint == "" {
				t.Fatalf("got %+v", a)
			}
		}
	})
}
