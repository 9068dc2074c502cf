package app

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// sentBody is a file of internal/amx's testdata, and what has to become of it; see
// there.
type sentBody struct {
	File, Subject string
	Runs, Ends    []string
	Webhook, SNS  string
	Warns         bool
}

// Every body that is sent goes through both functions, as far as SSM: what fires is
// sent, what resolves is skipped, because it has no run, and the rest is refused.
func TestEveryBodyGoesThroughTheFunctions(t *testing.T) {
	const dir = "../amx/testdata/bodies"
	text, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all []sentBody
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	for _, b := range all {
		text, err := os.ReadFile(filepath.Join(dir, b.File))
		if err != nil {
			t.Fatal(err)
		}
		s := newStack(t)
		every := "commands: [{name: every, script: env, scope: alert, wait: 0s, targets: [{key: InstanceIds, values: [" + node1 + "]}]}]"
		if err := os.WriteFile(filepath.Join(s.vars["LAMBDA_TASK_ROOT"], "amx.yaml"), []byte(every), 0o600); err != nil {
			t.Fatal(err)
		}
		a := s.answer(s.webhook(nil), request(t, "POST", "Bearer "+token, string(text), true))
		if b.Webhook != "" {
			var refusal struct{ Error string }
			if json.Unmarshal([]byte(a.Body), &refusal) != nil || a.StatusCode != 400 || !strings.Contains(refusal.Error, b.Webhook) {
				t.Errorf("%s, webhook: got %+v, want 400 and %q", b.File, a, b.Webhook)
			}
		} else {
			b.wantAnswer(t, a)
			b.wantSent(t, "webhook", s)
		}
		s2 := newStack(t)
		if err := os.WriteFile(filepath.Join(s2.vars["LAMBDA_TASK_ROOT"], "amx.yaml"), []byte(every), 0o600); err != nil {
			t.Fatal(err)
		}
		r := record("1", topic, string(text), time.Now())
		r["Sns"].(map[string]any)["Subject"] = b.Subject
		_, err = s2.sns().Invoke(t.Context(), event(t, r))
		switch {
		case b.SNS == "" && err != nil:
			t.Errorf("%s, SNS: %v", b.File, err)
		case b.SNS != "" && (err == nil || !strings.Contains(err.Error(), b.SNS)):
			t.Errorf("%s, SNS: got %v, want an error with %q", b.File, err, b.SNS)
		case b.SNS == "":
			b.wantSent(t, "SNS", s2)
		}
	}
}

func (b sentBody) wantAnswer(t *testing.T, a urlAnswer) {
	t.Helper()
	var said struct {
		Results  []struct{ Action string }
		Warnings []string
	}
	if err := json.Unmarshal([]byte(a.Body), &said); err != nil || a.StatusCode != 200 {
		t.Errorf("%s, webhook: got %+v (%v)", b.File, a, err)
		return
	}
	count := map[string]int{}
	for _, r := range said.Results {
		count[r.Action]++
	}
	if want := map[string]int{"run": len(b.Runs), "skip": min(1, len(b.Ends))}; count["run"] != want["run"] || count["skip"] != want["skip"] || len(said.Warnings) > 0 != b.Warns {
		t.Errorf("%s, webhook: got %v and warnings %q, want %v and a warning: %t", b.File, count, said.Warnings, want, b.Warns)
	}
}

// wantSent compares the commands that SSM has with the alerts that fire.
func (b sentBody) wantSent(t *testing.T, way string, s *stack) {
	t.Helper()
	var sent []string
	for _, c := range s.ssm.Commands() {
		script := fmt.Sprint(c.Parameters["commands"])
		_, name, _ := strings.Cut(script, "AMX_ALERT_1_LABEL_alertname='")
		name, _, _ = strings.Cut(name, "'")
		sent = append(sent, name)
	}
	slices.Sort(sent)
	want := slices.Sorted(slices.Values(b.Runs))
	if !slices.Equal(sent, want) {
		t.Errorf("%s, %s: sent for %q, want %q", b.File, way, sent, want)
	}
}
