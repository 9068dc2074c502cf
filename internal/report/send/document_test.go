package send

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/history"
)

// pictures is where docs/reports.md has its pictures from.
const pictures = "../../../docs/pictures"

// The pictures in docs/reports.md are of these messages. They stay true because
// this test fails when a message changes; `.ci/pictures` then makes them anew.
func TestTheMessagesOfTheDocument(t *testing.T) {
	w := newWorld(t, strings.Replace(slackConfig, "on: [started, failed, refused]", "on: all", 1))
	example := run(1, history.Failed)
	example.Alerts = []history.Alert{{
		Fingerprint: highCPU.Fingerprint, StartsAt: highCPU.StartsAt, GeneratorURL: highCPU.GeneratorURL, Labels: highCPU.Labels,
		Annotations: amx.KV{"summary": "web-1 is at 97 % CPU for 10 minutes", "runbook_url": "https://wiki.example/HighCPU"},
	}}
	example.Nodes[1].Output = "Job for nginx.service failed because the control process exited with error code.\nnginx: [emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)\n"
	w.record(example)
	w.deliver()

	refused := run(2, history.Refused)
	refused.Run, refused.Alerts, refused.Nodes = history.RefusedID("e", "r", "f"), example.Alerts, nil
	refused.Reason = "breaker: 3 runs in a row failed, until 2026-11-28 13:00 UTC"
	refused.Alerts = []history.Alert{{Fingerprint: "2", Labels: highCPU.Labels, Annotations: example.Alerts[0].Annotations}}
	w.record(refused)
	w.deliver()

	w.pass(5 * time.Minute)
	other, first := alert(), alert()
	other.Labels = amx.KV{"alertname": "HighCPU", "instance": "web-2", "job": "node", "severity": "page"}
	other.Annotations = amx.KV{"summary": "web-2 is at 94 % CPU for 10 minutes"}
	first.Annotations = example.Alerts[0].Annotations
	other.GeneratorURL, first.GeneratorURL = "", "" // one picture is enough here
	other.Fingerprint = "other"
	m := notification("firing", first, other)
	m.Alerts[1].Status = amx.Resolved
	w.message(m)
	w.deliver()

	type shown struct {
		Reply  bool              `json:"reply,omitempty"`
		Blocks []json.RawMessage `json:"blocks"`
	}
	var all []shown
	for _, m := range w.slack.Messages() {
		all = append(all, shown{m.Thread != "", m.Blocks})
	}
	var got bytes.Buffer
	encoder := json.NewEncoder(&got)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(all); err != nil {
		t.Fatal(err)
	}
	if os.Getenv("AMX_PICTURES") != "" {
		write(t, "messages.json", got.Bytes())
		write(t, "graph.png", w.slack.Files()[0].Content)
		return
	}
	want, err := os.ReadFile(filepath.Join(pictures, "messages.json"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("the messages have changed since their pictures were taken: run .ci/pictures. They are now\n%s", got.Bytes())
	}
}

func write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(pictures, name), data, 0o644); err != nil {
		t.Fatal(err)
	}
}
