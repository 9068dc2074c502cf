package amx

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// body is a file of testdata/bodies, written after what senders send, and what has
// to become of it. The functions' and amx serve's tests have the same files.
type body struct {
	File    string
	Subject string   // of SNS
	Runs    []string // alertnames of alerts that fire
	Ends    []string // alertnames of those that are resolved
	Webhook string   // in the error of the webhook; "": it takes it
	SNS     string   // in the error of SNS
	Warns   bool     // alerts were cut off
}

func readBodies(t testing.TB) []body {
	t.Helper()
	text, err := os.ReadFile("testdata/bodies/index.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []body
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

func (b body) text(t testing.TB) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata/bodies", b.File))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestEveryBodyThatIsSent(t *testing.T) {
	all := readBodies(t)
	files, err := filepath.Glob("testdata/bodies/*")
	if err != nil || len(files) != len(all)+1 || len(all) < 40 {
		t.Errorf("%d files and %d in index.json (%v)", len(files), len(all), err)
	}
	for _, b := range all {
		text := b.text(t)
		m, err := Decode(text, arrived)
		b.check(t, "webhook", b.Webhook, m, err)
		m, err = DecodeSNS(SNS{Subject: b.Subject, Body: string(text), SentAt: arrived})
		b.check(t, "SNS", b.SNS, m, err)
	}
}

func (b body) check(t *testing.T, way, refusal string, m *Message, err error) {
	t.Helper()
	switch {
	case refusal != "" && (err == nil || !strings.Contains(err.Error(), refusal)):
		t.Errorf("%s, %s: got %v, want an error with %q", b.File, way, err, refusal)
	case refusal != "":
	case err != nil:
		t.Errorf("%s, %s: %v", b.File, way, err)
	default:
		names := func(as Alerts) (names []string) {
			for _, a := range as {
				names = append(names, a.Labels["alertname"])
			}
			return names
		}
		if runs, ends := names(m.Alerts.Firing()), names(m.Alerts.Resolved()); !slices.Equal(runs, b.Runs) || !slices.Equal(ends, b.Ends) {
			t.Errorf("%s, %s: fires %q and resolves %q, want %q and %q", b.File, way, runs, ends, b.Runs, b.Ends)
		}
		if warns := len(m.Warnings()) > 0; warns != b.Warns {
			t.Errorf("%s, %s: a warning: %t", b.File, way, warns)
		}
		ids := map[string]bool{}
		for i := range m.Alerts {
			ids[m.Alerts[i].ID()] = true
		}
		if len(ids) != len(m.Alerts) {
			t.Errorf("%s, %s: %d alerts, and %d identities", b.File, way, len(m.Alerts), len(ids))
		}
	}
}

// amx could silently change such values. It takes them as they are.
func TestValuesAreNotChanged(t *testing.T) {
	for _, tt := range []struct {
		file string
		want KV
	}{
		{"amp-unquoted.yaml", KV{"alertname": "ProbeFailed", "ticket": "see #42 in the tracker", "build": "1.10", "enabled": "yes", "owner": ""}},
		{"hand-numbers.json", KV{"alertname": "Numbers", "shard": "7", "ratio": "1.50", "canary": "true", "zone": ""}},
		{"hand-not-a-number.json", KV{"alertname": "NaNs", "emoji": "\U0001f600 ä"}},
		{"single-quotes.json", KV{"alertname": "LagHigh", "ready": "True"}},
		{"pagerduty-block.yaml", KV{"alertname": "DiskFilling", "severity": "critical", "instance": "db-7.example:9100", "note": `*see* "the runbook"`}},
	} {
		m, err := DecodeSNS(SNS{Subject: "[FIRING:1]", Body: string(body{File: tt.file}.text(t)), SentAt: arrived})
		if err != nil {
			t.Errorf("%s: %v", tt.file, err)
			continue
		}
		if got := m.Alerts[0].Labels; got.String() != tt.want.String() {
			t.Errorf("%s: labels %v, want %v", tt.file, got, tt.want)
		}
	}
	m, err := DecodeSNS(SNS{Subject: "[FIRING:1]", Body: string(body{File: "pagerduty-block.yaml"}.text(t)), SentAt: arrived})
	if want := (KV{"description": "Disk is filling: /srv at 93% #4", "client_url": "https://am.shop.example/#/alerts"}); err != nil || m.Alerts[0].Annotations.String() != want.String() {
		t.Errorf("annotations %v, %v, want %v", m, err, want)
	}
}

// An escape that JSON does not have, and YAML reads as another character than whoever
// wrote it means, is refused in each form.
func TestAnEscapeThatOnlyYAMLHasIsRefused(t *testing.T) {
	for name, body := range map[string]string{
		"nearly JSON":   `{"status":"firing","alerts":[{"labels":{"alertname":"X"},"annotations":{"path":"C:\Program Files"}}]}`,
		"YAML":          "status: firing\nalerts:\n- labels: {alertname: X}\n  annotations:\n    path: \"C:\\Program Files\"\n",
		"several lines": "status: firing\nalerts:\n- labels: {alertname: X}\n  annotations:\n    path: \"one\n      C:\\Network\"\n",
		"a key":         "status: firing\nalerts:\n- labels: {alertname: X, \"a\\_b\": c}\n",
		"block":         "dedup_key: k\ndescription: \"C:\\Logs\"\n",
	} {
		m, err := DecodeSNS(SNS{Subject: "[FIRING:1] x", Body: body, SentAt: arrived})
		if err == nil || !strings.Contains(err.Error(), ", which only YAML takes for another character") {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
	const quoted = "status: firing\nalerts:\n- labels: {alertname: \"a\\\\P \\x41\\a\\u00e9\\n\\\"\"}\n"
	if m, err := DecodeSNS(SNS{Body: quoted, SentAt: arrived}); err != nil || m.Alerts[0].Labels["alertname"] != "a\\P A\aé\n\"" {
		t.Errorf("%+v, %v", m, err)
	}
}

// A webhook's body in YAML that cannot be read says why, and not that it should be
// JSON.
func TestAWebhooksYAMLSaysWhatIsWrong(t *testing.T) {
	for body, want := range map[string]string{
		"status: firing\nalerts:\n- labels:\n    owner: @home\n":        "as YAML: yaml: line 4: found character that cannot start any token; quote what a template writes",
		"status: firing\nalerts:\n- labels:\n    owner: *home\n":        "as YAML: an anchor or an alias",
		"status: firing\nalerts: []\n---\nstatus: firing\nalerts: []\n": "a second YAML document: want one",
	} {
		if m, err := Decode([]byte(body), arrived); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v, want %s", body, m, err, want)
		}
	}
}
