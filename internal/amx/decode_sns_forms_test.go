package amx

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

const pagerDutyBlock = `routing_key: s3cr3t
dedup_key: DiskFull/web
severity: critical
client_url: https://am.example
description: "/var is full: 99 %"
details:
  alertname: DiskFull
  instance: web-1:9100
  severity: page
  free: 1.10
  pod:
  Routing_Key: s3cr3t
  nodes: [a, b]
links:
- href: https://wiki.example/disk
`

func TestThePagerDutyShapedBlock(t *testing.T) {
	labels := KV{"alertname": "DiskFull", "instance": "web-1:9100", "severity": "critical", "free": "1.10", "pod": ""}
	annotations := KV{"description": "/var is full: 99 %", "client_url": "https://am.example"}
	want := &Message{
		Data: Data{
			Status: Firing, GroupLabels: KV{}, CommonLabels: labels, CommonAnnotations: annotations,
			Alerts: Alerts{{Status: Firing, Labels: labels, Annotations: annotations, Fingerprint: Fingerprint(KV{"dedup_key": "DiskFull/web"})}},
		},
		Version: "4", DedupKey: "DiskFull/web", RoutingKey: "s3cr3t", SentAt: sent,
	}
	got, err := DecodeSNS(SNS{Subject: "[FIRING:2] DiskFull web (page)", Body: pagerDutyBlock, SentAt: sent})
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
	}
	for subject, status := range map[string]string{
		"[FIRING] x": Firing, "[firing:1]": Firing, "[FIRING:12] a [RESOLVED]": Firing, "[RESOLVED] x": Resolved, " [resolved]": Resolved,
	} {
		got, err := DecodeSNS(SNS{Subject: subject, Body: pagerDutyBlock})
		if err != nil || got.Status != status || got.Alerts[0].Status != status {
			t.Errorf("%q: got %+v, %v, want %s", subject, got, err, status)
		}
	}
	// The group's common labels change while it fires; its identity does not.
	other, err := DecodeSNS(SNS{Subject: "[RESOLVED]", Body: "dedup_key: DiskFull/web\ndetails: {alertname: DiskFull, instance: }"})
	if err != nil || other.Alerts[0].Fingerprint != want.Alerts[0].Fingerprint {
		t.Errorf("the resolve is of another alert: %+v, %v", other, err)
	}
	asJSON, err := DecodeSNS(SNS{Subject: "[FIRING:1]", Body: `{"dedup_key": "DiskFull/web", "details": {"free": 1.10}}`})
	if err != nil || asJSON.DedupKey != "DiskFull/web" || asJSON.Alerts[0].Labels["free"] != "1.10" {
		t.Errorf("as JSON: %+v, %v", asJSON, err)
	}
}

func TestABlockIsReadByItsLines(t *testing.T) {
	m, err := DecodeSNS(SNS{Subject: "[FIRING:1]", Body: "\ufeff  dedup_key: k\n  description: a: b\n  details:\n    summary: |\n      one\n        two: x\n    list:\n    - instance: y\n    folded: >-\n      three\n      four\n    instance: db-1\n"})
	want := KV{"summary": "one\n  two: x\n", "folded": "three four", "instance": "db-1"}
	if err != nil || !reflect.DeepEqual(m.Alerts[0].Labels, want) || m.Alerts[0].Annotations["description"] != "a: b" {
		t.Errorf("got %+v, %v, want %v", m, err, want)
	}
}

func TestAnEmptySeverityDoesNotHideThatOfDetails(t *testing.T) {
	for body, want := range map[string]string{
		"severity: \ndetails: {severity: page}":         "page",
		"severity: ''\ndetails: {severity: page}":       "page",
		"severity: critical\ndetails: {severity: page}": "critical",
		"severity: critical\ndetails: {severity: }":     "critical",
		"severity: \ndetails: {a: b}":                   "",
		"details: {severity: page}":                     "page",
	} {
		m, err := DecodeSNS(SNS{Subject: "[FIRING:1]", Body: "dedup_key: a\n" + body})
		if err != nil || m.Alerts[0].Labels["severity"] != want || m.CommonLabels["severity"] != want {
			t.Errorf("%q: got %+v, %v, want %q", body, m, err, want)
		}
	}
}

func TestBlocksThatAreRefused(t *testing.T) {
	subject := func(s string) string {
		return `its subject is ` + s + `: want one that begins with "[FIRING" or "[RESOLVED]", as Alertmanager's own does; nothing else says whether the alert fires`
	}
	for _, tt := range []struct{ name, subject, body, want string }{
		{"no subject", "", pagerDutyBlock, subject(`""`)},
		{"a subject of the user's own", "Disk is full", pagerDutyBlock, subject(`"Disk is full"`)},
		{"a marker inside", "disk [FIRING:1]", pagerDutyBlock, subject(`"disk [FIRING:1]"`)},
		{"a marker cut off", "[FIRING", pagerDutyBlock, subject(`"[FIRING"`)},
		{"a subject that AMP replaced", "Error - contains non printable ASCII characters", pagerDutyBlock, subject(`"Error - contains non printable ASCII characters"`)},
		{"no identity", "[FIRING:1]", "routing_key: s3cr3t\nseverity: page", "dedup_key is missing: it is what the firing and the resolve have in common"},
		{"an empty identity", "[FIRING:1]", "dedup_key: \nseverity: page", "dedup_key is missing: it is what the firing and the resolve have in common"},
		{"an identity that is no text", "[FIRING:1]", "routing_key: s3cr3t\ndedup_key: [s3cr3t]", "line 2: dedup_key: a list: want a text"},
		{"two of them, as a line break in a value makes them", "[FIRING:1]", "dedup_key: a\ndescription: x\ndedup_key: b", "line 3: dedup_key: comes twice"},
		{"a detail twice", "[FIRING:1]", "dedup_key: a\ndetails:\n  node: x\n  node: y\n", `line 4: details: "node" comes twice`},
	} {
		_, err := DecodeSNS(SNS{Subject: tt.subject, Body: tt.body})
		if want := "decoding SNS message: PagerDuty-shaped block" + map[bool]string{true: ", ", false: ": "}[strings.HasPrefix(tt.want, "line")] + tt.want; err == nil || err.Error() != want {
			t.Errorf("%s: got  %v\nwant %s", tt.name, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: the error quotes a secret", tt.name)
		}
	}
}

const defaultTextBody = `disk is full look here

Alerts Firing:
Labels:
 - alertname = DiskFull
 - instance = web-1
Annotations:
 - runbook = look here
 - summary = disk is full:
 - delete logs
 - a = b
   or call
Source: http://prometheus:9090/graph
Labels:
 - alertname = DiskFull
 - instance = web-2
Annotations:
 - runbook = look here
Source: http://prometheus:9090/graph


Alerts Resolved:
Labels:
 - alertname = DiskFull
 - empty = 
 - instance = web-3
Annotations:
Source: 

`

func TestAlertmanagersDefaultText(t *testing.T) {
	alert := func(status, url string, labels, annotations KV) Alert {
		return Alert{Status: status, Labels: labels, Annotations: annotations, GeneratorURL: url, Fingerprint: Fingerprint(labels)}
	}
	const source = "http://prometheus:9090/graph"
	want := &Message{
		Data: Data{
			Status: Firing, GroupLabels: KV{}, CommonLabels: KV{"alertname": "DiskFull"}, CommonAnnotations: KV{},
			Alerts: Alerts{
				alert(Firing, source, KV{"alertname": "DiskFull", "instance": "web-1"}, KV{"runbook": "look here", "summary": "disk is full:\n - delete logs\n - a = b\n   or call"}),
				alert(Firing, source, KV{"alertname": "DiskFull", "instance": "web-2"}, KV{"runbook": "look here"}),
				alert(Resolved, "", KV{"alertname": "DiskFull", "empty": "", "instance": "web-3"}, KV{}),
			},
		},
		Version: "4", Ungrouped: true, SentAt: sent,
	}
	indented := strings.NewReplacer("Alerts Firing:\nLabels", "  Alerts Firing:\n    Labels", "Alerts Resolved:\nLabels", "  Alerts Resolved:\n    Labels").Replace(defaultTextBody)
	for _, subject := range []string{"[FIRING:2] DiskFull", "", "disk is full"} {
		for name, body := range map[string]string{"as it is": defaultTextBody, "indented": indented, "with a byte order mark": "\ufeff" + defaultTextBody[strings.Index(defaultTextBody, "Alerts"):], "without what is before": defaultTextBody[strings.Index(defaultTextBody, "Alerts"):]} {
			got, err := DecodeSNS(SNS{Subject: subject, Body: body, SentAt: sent})
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s: got  %+v, %v\nwant %+v", name, got, err, want)
			}
		}
	}
}

func TestDefaultTextsThatAreRefused(t *testing.T) {
	const forged = "Alerts Firing:\nLabels:\n - alertname = A\nAnnotations:\n - summary = x\nSource: \nLabels:\n - alertname = B\nAnnotations:\nSource: u\nSource: u\n"
	for _, tt := range []struct{ name, subject, body, want string }{
		{"cut off in the labels", "", "Alerts Firing:\nLabels:\n - alertname = A\n", `line 4: the end of the text: want "Annotations:"`},
		{"cut off in the annotations", "", "Alerts Firing:\nLabels:\n - alertname = A\nAnnotations:", `line 4: the end of the text: want "Source:"`},
		{"an annotation that looks like another alert", "", forged, "line 11: something else than an alert"},
		{
			"the same, and the subject tells", "[FIRING:1] A", strings.TrimSuffix(forged, "Source: u\n"),
			"read as 2 firing alerts, where the subject has 1: a value with line breaks may look like an alert",
		},
		{
			"firing alerts in a resolve", "[RESOLVED] A", strings.TrimSuffix(forged, "Source: u\n"),
			"read as 2 firing alerts, where the subject has 0: a value with line breaks may look like an alert",
		},
		{
			"a label with a line that begins labels", "[FIRING:1] A", "Alerts Firing:\nLabels:\n - alertname = A\n - b = x\nLabels:\n - alertname = B\nAnnotations:\nSource: u\n",
			`line 5: "Labels:" may be a line of the value before it, or one of the message: nobody can tell`,
		},
		{
			"a label with a line that ends an alert", "[FIRING:1] A", "Alerts Firing:\nLabels:\n - alertname = A\n - b = x\nSource: u\nAnnotations:\nSource: u\n",
			`line 5: "Source:" may be a line of the value before it, or one of the message: nobody can tell`,
		},
		{
			"an annotation with a line that begins annotations", "", "Alerts Firing:\nLabels:\n - alertname = A\nAnnotations:\n - a = x\n  Annotations:\n - b = y\nSource: u\n",
			`line 6: "Annotations:" may be a line of the value before it, or one of the message: nobody can tell`,
		},
		{
			"an annotation with the heading of another list, of resolves that no subject counts", "[FIRING:1] A",
			"Alerts Firing:\nLabels:\n - alertname = A\nAnnotations:\n - a = x\nAlerts Resolved: \r\nLabels:\n - alertname = B\nAnnotations:\nSource: u\n",
			`line 6: "Alerts Resolved:" may be a line of the value before it, or one of the message: nobody can tell`,
		},
		{
			"the same of alerts that fire", "", "Alerts Resolved:\nLabels:\n - alertname = A\nAnnotations:\n - a = x\n   Alerts Firing:\nSource: u\n",
			`line 6: "Alerts Firing:" may be a line of the value before it, or one of the message: nobody can tell`,
		},
		{"a foot of the user's own", "", "Alerts Firing:\nLabels:\n - alertname = A\nAnnotations:\nSource: u\nBest regards\n", "line 6: something else than an alert"},
		{"the headings the wrong way round", "", "Alerts Resolved:\nLabels:\nAnnotations:\nSource: u\nAlerts Firing:\nLabels:\n", "line 5: something else than an alert"},
		{"no pair after Labels:", "", "Alerts Firing:\nLabels:\nalertname: A\n", `line 3: something else than "Annotations:" or a pair`},
	} {
		_, err := DecodeSNS(SNS{Subject: tt.subject, Body: tt.body})
		if want := "decoding SNS message: default text, " + tt.want + "; rather send Data, in the definition that `amx template amp` prints: docs/amp.md"; err == nil || err.Error() != want {
			t.Errorf("%s: got  %v\nwant %s", tt.name, err, want)
		}
	}
}

func TestWhatAMPDoesToMessages(t *testing.T) {
	const (
		good      = "alerts: [{status: firing, labels: {a: b}}]"
		truncated = `it is marked "truncated": its sender cut it at 256 KB; group by more labels, or send fewer annotations`
		utf8      = `its sender replaced the body ("Message: Error - not a valid UTF-8 encoded string."): a label or an annotation is no valid UTF-8: look for one that was cut to a length`
		empty     = `its sender replaced the body ("Message: Error - Message should not be empty."): the template of the receiver's message wrote nothing: does it name one that is defined in template_files?`
	)
	for _, tt := range []struct {
		name       string
		body       string
		attributes map[string]string
		want       error
		text       string
	}{
		{"nothing", good, nil, nil, ""},
		{"the subject", good, map[string]string{"modified": "Subject: Error - Subject has been truncated from 120 characters, because it exceeds the 100 character size limit."}, nil, ""},
		{"other attributes", good, map[string]string{"modified": "MessageAttribute: Error - 2 of the message attributes have been removed because of invalid MessageAttributeKey or MessageAttributeValue", "severity": "page"}, nil, ""},
		{"a cut, although what is left can be read", good, map[string]string{"truncated": "true"}, ErrTruncated, truncated},
		{"a cut, as AMP says it", good, map[string]string{"truncated": "true", "modified": cutNote + " from 300 KB, because it exceeds the 256 KB size limit."}, ErrTruncated, truncated},
		{"a cut that only the other attribute tells", good, map[string]string{"modified": cutNote + " from 300 KB"}, ErrTruncated, truncated},
		{"no UTF-8", "Error - not a valid UTF-8 encoded string.", map[string]string{"truncated": "true", "modified": "Message: Error - not a valid UTF-8 encoded string."}, ErrReplaced, utf8},
		{"nothing to send", "Error - Message should not be empty.", map[string]string{"modified": "Message: Error - Message should not be empty."}, ErrReplaced, empty},
		{
			"an error without attributes, which somebody has dropped", "Error - Message should not be empty.\n", nil, ErrReplaced,
			strings.Replace(empty, "Message: ", "", 1),
		},
		{"something new", "Error - x", map[string]string{"modified": "Message: Error - x"}, ErrReplaced, `its sender replaced the body ("Message: Error - x"): see docs/amp.md`},
		{"an annotation that begins like an error", "Error - disk full\nAlerts Firing:\nLabels:\n - a = b\nAnnotations:\nSource: \n", nil, nil, ""},
	} {
		_, err := DecodeSNS(SNS{Body: tt.body, Attributes: tt.attributes})
		if !errors.Is(err, tt.want) || tt.want != nil && err.Error() != tt.text {
			t.Errorf("%s: got  %v\nwant %s", tt.name, err, tt.text)
		}
	}
}

func TestJSONWithEscapesMissing(t *testing.T) {
	const head, tail = `{"alerts": [{"status": "firing", "labels": {"a": "`, `"}, "startsAt": "2026-11-01 10:00:00.5 +0000 UTC m=+12.25"}]}`
	for body, want := range map[string]string{
		`it\'s`:           "it's",
		"two\nlines\tand": "two\nlines\tand",
		`\\\'\"\\`:        `\'"\`,
		`\u003Cb\u003E`:   "<b>",
		"\x00\x1f":        "\x00\x1f",
	} {
		m, err := DecodeSNS(SNS{Body: head + body + tail})
		if err != nil || m.Alerts[0].Labels["a"] != want || !m.Alerts[0].StartsAt.Equal(time.Date(2026, 11, 1, 10, 0, 0, 5e8, time.UTC)) {
			t.Errorf("%q: got %+v, %v", body, m, err)
		}
	}
	for body, want := range map[string]string{
		`\d+`:    `byte 52: invalid character 'd' in string escape code`,
		`a "b"`:  `byte 54: invalid character 'b' after object key:value pair`,
		`C:\`:    `byte 59: invalid character 's' after object key:value pair`,
		"\n\\d+": `byte 58: invalid character 'd' in string escape code`,
	} {
		_, err := DecodeSNS(SNS{Body: head + body + tail})
		if want = "decoding SNS message: JSON, " + want + `; a template has to escape what it puts between quotes, as in {{ printf "%q" .Value }} and YAML`; err == nil || err.Error() != want {
			t.Errorf("%q: got  %v\nwant %s", body, err, want)
		}
	}
}

func TestAlertsWithoutAnnotationsHaveThoseInCommon(t *testing.T) {
	for _, body := range []string{
		`{"commonAnnotations": {"a": "b"}, "alerts": [{"status": "firing"}, {"status": "firing", "annotations": {}}]}`,
		"commonAnnotations: {a: b}\nalerts: [{status: firing}, {status: firing, annotations: }]",
	} {
		m, err := DecodeSNS(SNS{Body: body})
		if err != nil || m.Alerts[0].Annotations["a"] != "b" || len(m.Alerts[1].Annotations) != 0 {
			t.Errorf("%s: got %+v, %v", body, m, err)
		}
	}
}

func FuzzDecodeSNSForms(f *testing.F) {
	f.Add("[FIRING:2] DiskFull", defaultTextBody)
	f.Add("[RESOLVED] x", pagerDutyBlock)
	f.Add("", `{"alerts": [{"status": "firing", "labels": {"a": "it\'s`+"\n"+`"}}]}`)
	f.Add("[FIRING:1]", "{\nAlerts Firing:\nLabels:\n - a = b\n - a = b\nAnnotations:\nSource: \n")
	f.Fuzz(func(t *testing.T, subject, body string) {
		m, err := DecodeSNS(SNS{Subject: subject, Body: body, SentAt: sent})
		if (m == nil) != (err != nil) {
			t.Fatalf("got %v and %v", m, err)
		}
		if err != nil {
			return
		}
		if m.GroupLabels == nil || m.CommonLabels == nil || m.CommonAnnotations == nil || m.Status == "" || !m.SentAt.Equal(sent) {
			t.Fatalf("something is missing: %+v", m)
		}
		for _, a := range m.Alerts {
			if a.Status != Firing && a.Status != Resolved || a.Labels == nil || a.Annotations == nil || a.Fingerprint == "" {
				t.Fatalf("got %+v", a)
			}
			if m.Ungrouped && a.Fingerprint != Fingerprint(a.Labels) || m.DedupKey != "" && a.Fingerprint != Fingerprint(KV{"dedup_key": m.DedupKey}) {
				t.Fatalf("the identity of %+v is another", a)
			}
		}
		Variables(m.Narrow(m.Alerts.Firing()), len(m.Alerts), "c", "r")
	})
}
