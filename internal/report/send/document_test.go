package send

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
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

// The checks of docs/reports.md become programs: their arguments are a request's
// timestamp, signature, secret and body, and the time.
func TestTheReceiversOfTheDocument(t *testing.T) {
	text, err := os.ReadFile("../../../docs/reports.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	programs := map[string][]string{}
	add := func(language, file, before, after string, command ...string) {
		if _, err := exec.LookPath(command[0]); err != nil {
			t.Logf("no %s here", command[0])
			return
		}
		_, rest, ok := strings.Cut(string(text), "```"+language+"\n")
		code, _, closed := strings.Cut(rest, "```\n")
		if !ok || !closed {
			t.Fatalf("docs/reports.md has no block of %s", language)
		}
		if err := os.WriteFile(filepath.Join(dir, file), []byte(before+code+after), 0o644); err != nil {
			t.Fatal(err)
		}
		programs[language] = append(command, filepath.Join(dir, file))
		if language == "go" {
			built := filepath.Join(dir, "check")
			if out, err := exec.Command("go", "build", "-o", built, filepath.Join(dir, file)).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			programs[language] = []string{built}
		}
	}
	add("go", "check.go", `package main
import ("crypto/hmac"; "crypto/sha256"; "encoding/hex"; "fmt"; "net/http"; "os"; "strconv"; "time")
`, `
func main() {
	h := http.Header{"Amx-Timestamp": {os.Args[1]}, "Amx-Signature": {os.Args[2]}}
	now, _ := strconv.ParseInt(os.Args[5], 10, 64)
	fmt.Print(fromAMX(h, []byte(os.Args[4]), os.Args[3], time.Unix(now, 0)))
}
`, "go")
	add("python", "check.py", "", `
import sys
print(str(from_amx({"Amx-Timestamp": sys.argv[1], "Amx-Signature": sys.argv[2]}, sys.argv[4].encode(), sys.argv[3], int(sys.argv[5]))).lower(), end="")
`, "python3")

	w := newWorld(t, webhookConfig)
	w.record(run(1, history.Failed))
	w.deliver()
	r := w.receiver.Requests()[0]
	timestamp, signed, now := r.Header.Get("Amx-Timestamp"), r.Header.Get("Amx-Signature"), noon.Unix()
	for language, command := range programs {
		for _, tt := range []struct {
			name, timestamp, signature, secret, body string
			now                                      int64
			want                                     string
		}{
			{"as amx sends it", timestamp, signed, "s1gn1ng-s3cr3t", string(r.Body), now + 299, "true"},
			{"too old", timestamp, signed, "s1gn1ng-s3cr3t", string(r.Body), now + 301, "false"},
			{"another secret", timestamp, signed, "another", string(r.Body), now, "false"},
			{"another body", timestamp, signed, "s1gn1ng-s3cr3t", string(r.Body) + " ", now, "false"},
			{"another time", "1795867201", signed, "s1gn1ng-s3cr3t", string(r.Body), now, "false"},
			{"no signature", "", "", "s1gn1ng-s3cr3t", string(r.Body), now, "false"},
		} {
			args := append(slices.Clone(command[1:]), tt.timestamp, tt.signature, tt.secret, tt.body, strconv.FormatInt(tt.now, 10))
			out, err := exec.Command(command[0], args...).CombinedOutput()
			if err != nil || string(out) != tt.want {
				t.Errorf("%s, %s: got %s, %v, want %s", language, tt.name, out, err, tt.want)
			}
		}
	}
}
