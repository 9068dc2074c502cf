package send

import (
	"bytes"
	"fmt"
	"image/png"
	"strings"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/history"
	"github.com/amx-lambda/amx/internal/reporttest"
)

const slackConfig = `
prometheus: {url: "PROMETHEUS_URL"}
reports:
  - name: ops
    slack: {channel: "#alerts", token: "ssm:/amx/slack"}
    on: [started, failed, refused]
commands: [{name: restart-nginx, cmd: systemctl}]
`

func replaced(text string, pairs ...string) string {
	return strings.NewReplacer(pairs...).Replace(text)
}

// one expects the only message in the channel itself.
func (w *world) one() reporttest.SlackMessage {
	w.t.Helper()
	var top []reporttest.SlackMessage
	for _, m := range w.slack.Messages() {
		if m.Thread == "" {
			top = append(top, m)
		}
	}
	if len(top) != 1 {
		w.t.Fatalf("%d messages in the channel, want 1\n%s", len(top), w.log.String())
	}
	return top[0]
}

func all(m reporttest.SlackMessage) string {
	return string(bytes.Join(func() (parts [][]byte) {
		for _, b := range m.Blocks {
			parts = append(parts, b)
		}
		return
	}(), []byte("\n")))
}

func TestARunIsOneMessageThatIsUpdatedAsItGoesOn(t *testing.T) {
	w := newWorld(t, slackConfig)
	w.record(run(1, history.Running))
	w.deliver()
	if m := w.one(); m.Text != "⏳ restart-nginx started for HighCPU" {
		t.Errorf("at the start: %q", m.Text)
	}
	w.pass(time.Minute)
	w.record(run(1, history.Failed))
	w.deliver()
	m := w.one()
	if want := "❌ restart-nginx failed on 1 of 2 nodes for HighCPU"; m.Text != want {
		t.Errorf("got %q, want %q", m.Text, want)
	}
	for _, want := range []string{
		"i-0aaaaaaaaaaaaaaa2 (exit code 3)", `*Took*\n40s`, `severity=page`,
		`https://amx.example/runs/01KAZ3ZQ8Q0000000000000001|Run 01KAZ3ZQ8Q0000000000000001`, `web-1 is at 97 % CPU \u0026lt;!channel\u0026gt; \u0026amp; more`,
	} {
		if !strings.Contains(all(m), want) {
			t.Errorf("%q is not in\n%s", want, all(m))
		}
	}
}

func TestTheOutputOfFailedNodesGoesIntoTheThread(t *testing.T) {
	w := newWorld(t, slackConfig)
	w.record(run(1, history.Failed))
	w.deliver()
	messages := w.slack.Messages()
	if len(messages) != 2 || messages[1].Thread != messages[0].TS {
		t.Fatalf("got %+v, want a message and a reply to it", messages)
	}
	got := all(messages[1])
	if !strings.Contains(got, "Address already in use") || strings.Count(got, "```") != 2 {
		t.Errorf("the reply is %s", got)
	}
}

func TestTheMessageHasAGraphWithTheExpressionWithoutItsThreshold(t *testing.T) {
	w := newWorld(t, slackConfig)
	w.slack.Processing = 2 // Slack refuses the file until it has processed it
	w.record(run(1, history.Running))
	w.deliver()
	if got := w.prom.Queries(); len(got) != 1 || got[0] != "avg by (instance, job) (cpu)" {
		t.Errorf("asked for %q", got)
	}
	files := w.slack.Files()
	if len(files) != 1 {
		t.Fatalf("%d files, want 1\n%s", len(files), w.log.String())
	}
	if im, err := png.Decode(bytes.NewReader(files[0].Content)); err != nil || im.Bounds().Dx() != 1200 {
		t.Errorf("the picture: %v", err)
	}
	if m := w.one(); !strings.Contains(all(m), `"slack_file":{"id":"F001"}`) {
		t.Errorf("the picture is not in %s", all(m))
	}
	// The end keeps the picture, and draws none again.
	w.pass(time.Minute)
	w.record(run(1, history.Failed))
	w.deliver()
	if m := w.one(); len(w.slack.Files()) != 1 || !strings.Contains(all(m), "F001") {
		t.Errorf("%d files, and the message is %s", len(w.slack.Files()), all(m))
	}
}

func TestNoGraphIsNoFailure(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(*world)
	}{
		{"Prometheus is down", func(w *world) {
			w.prom.Add("/workspaces/ws-1/api/v1/query_range", reporttest.Fault{Down: true}, reporttest.Fault{Down: true})
		}},
		{"Prometheus has no such series", func(w *world) { w.prom.Series = nil }},
		{"Slack takes no file", func(w *world) { w.slack.Add("/api/files.getUploadURLExternal", reporttest.Fault{Status: 500}) }},
		{"the upload breaks", func(w *world) { w.slack.Add("/upload/F001", reporttest.Fault{Down: true}) }},
		{"Slack never processes the file", func(w *world) { w.slack.Processing = 1000 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, slackConfig)
			tt.spoil(w)
			w.record(run(1, history.Running))
			w.deliver()
			if m := w.one(); strings.Contains(all(m), "slack_file") || len(w.lost) > 0 {
				t.Errorf("lost %q, message %s", w.lost, all(m))
			}
			w.record(run(1, history.Failed))
			w.deliver()
			if m := w.one(); !strings.Contains(m.Text, "failed") {
				t.Errorf("the end is not told: %q\n%s", m.Text, w.log.String())
			}
		})
	}
}

func TestOneMessageForARunWhateverGoesWrong(t *testing.T) {
	tests := []struct {
		name   string
		faults []reporttest.Fault
	}{
		{"down", []reporttest.Fault{{Down: true}, {Down: true}, {Down: true}}},
		{"429", []reporttest.Fault{{Status: 429, RetryAfter: 30}}},
		{"5xx", []reporttest.Fault{{Status: 503}, {Status: 500}}},
		{"a lost answer", []reporttest.Fault{{LoseAnswer: true}}},
		{"two lost answers, and down", []reporttest.Fault{{LoseAnswer: true}, {Down: true}, {LoseAnswer: true}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, slackConfig)
			w.slack.Add("/api/chat.postMessage", tt.faults...)
			w.record(run(1, history.Running))
			w.record(run(1, history.Running)) // written twice
			w.deliver()
			w.one()
			w.slack.Add("/api/chat.update", tt.faults...)
			w.record(run(1, history.Failed))
			w.deliver()
			if m := w.one(); !strings.Contains(m.Text, "failed") || len(w.slack.Messages()) != 2 || len(w.lost) > 0 {
				t.Errorf("lost %q, messages %+v", w.lost, w.slack.Messages())
			}
		})
	}
}

func TestAStartThatComesAfterTheEndDoesNotUndoIt(t *testing.T) {
	w := newWorld(t, slackConfig)
	w.slack.Add("/api/chat.postMessage", reporttest.Fault{Status: 500}, reporttest.Fault{Status: 500}) // both deliveries of the start are put off
	w.record(run(1, history.Running))
	w.record(run(1, history.Failed))
	w.deliver()
	if m := w.one(); !strings.Contains(m.Text, "failed") {
		t.Errorf("got %q", m.Text)
	}
}

func TestARetryGoesOnInTheSameMessage(t *testing.T) {
	w := newWorld(t, strings.Replace(slackConfig, "cmd: systemctl", "cmd: systemctl, retries: 1", 1))
	w.record(run(1, history.Running))
	w.record(run(1, history.Failed))
	w.deliver()
	if m := w.one(); m.Text != "🔁 restart-nginx failed on 1 of 2 nodes for HighCPU, and will be tried again" {
		t.Errorf("got %q", m.Text)
	}
	again := run(2, history.Running)
	again.Attempt, again.RetryOf = 2, run(1, history.Running).Run
	w.record(again)
	w.deliver()
	if m := w.one(); m.Text != "⏳ restart-nginx started again (attempt 2) for HighCPU" {
		t.Errorf("got %q", m.Text)
	}
	ended := run(2, history.Succeeded)
	ended.Attempt, ended.RetryOf = 2, again.RetryOf
	w.record(ended)
	w.deliver()
	if m := w.one(); m.Text != "✅ restart-nginx succeeded on 2 nodes for HighCPU" {
		t.Errorf("got %q", m.Text)
	}
}

func TestWhatNobodyWantsCostsNoCall(t *testing.T) {
	w := newWorld(t, strings.Replace(slackConfig, "on: [started, failed, refused]", "on: [failed]", 1))
	w.record(run(1, history.Running))
	w.record(run(1, history.Succeeded))
	w.message(notification("firing", alert()))
	if len(w.items) != 0 {
		t.Errorf("on the queue: %+v", w.items)
	}
}

func TestAMessageThatSomebodyDeletedIsPostedAgain(t *testing.T) {
	w := newWorld(t, slackConfig)
	w.record(run(1, history.Running))
	w.deliver()
	w.slack.Delete(w.one().TS)
	w.record(run(1, history.Failed))
	w.deliver()
	if m := w.one(); !strings.Contains(m.Text, "failed") {
		t.Errorf("got %q", m.Text)
	}
}

func TestWhatSlackNeverTakesIsGivenUpWithWhatToDo(t *testing.T) {
	w := newWorld(t, strings.Replace(slackConfig, "#alerts", "#private", 1))
	w.record(run(1, history.Running))
	w.deliver()
	want := `answer of Slack: \"not_in_channel\": invite the app to the channel: /invite @amx`
	if !strings.Contains(w.log.String(), want) || len(w.lost) != 1 {
		t.Errorf("lost %q, log\n%s", w.lost, w.log.String())
	}
}

func TestAnIncomingWebhookGetsAMessageForEachEnd(t *testing.T) {
	w := newWorld(t, `
reports: [{name: ops, slack: {webhook_url: "file:/hook"}, on: [failed]}]
commands: [{name: restart-nginx, cmd: systemctl}]
`)
	w.slack.Add("/services/hook", reporttest.Fault{Status: 429, RetryAfter: 20}, reporttest.Fault{Down: true})
	w.record(run(1, history.Running))
	w.record(run(1, history.Failed))
	w.deliver()
	if m := w.one(); !strings.Contains(m.Text, "failed") || !strings.Contains(all(m), "Address already in use") {
		t.Errorf("got %s", all(m))
	}
}

// Everything at its longest, and in characters of four bytes and markup.
func TestTheBlocksStayWithinSlacksLimits(t *testing.T) {
	w := newWorld(t, strings.Replace(slackConfig, "on: [started, failed, refused]", `on: all
  - {name: hook, slack: {webhook_url: "file:/hook"}, on: all}`, 1))
	rec := run(1, history.Failed)
	for _, filler := range []string{"x", "<", "&", "💥", "`", "|"} {
		rec.Run = run(1, history.Failed).Run[:25] + string(rune('A'+len(filler)+strings.Index("x<&💥`|", filler)))
		long := strings.Repeat(filler, 4000)
		labels := map[string]string{"alertname": long, "severity": "page"}
		for i := range 60 {
			labels[strings.Repeat(string(rune('a'+i%26)), 1+i)] = long
		}
		rec.Alerts = []history.Alert{{Fingerprint: "1", Labels: labels, Annotations: map[string]string{"summary": long, "description": long}, GeneratorURL: "https://p.example/?g0.expr=" + long}}
		rec.Reason, rec.CancelledBy = long, &history.CancelledBy{Who: long, Why: long}
		rec.Nodes = nil
		for range 30 {
			rec.Nodes = append(rec.Nodes, history.Node{Node: long, Status: "Failed", Output: strings.Repeat(long[:2400]+"\n", 3)})
		}
		w.record(rec)
	}
	m := notification("firing")
	for i := range 30 {
		m.Alerts = append(m.Alerts, amx.Alert{
			Status: amx.Firing, Fingerprint: fmt.Sprint(i), Labels: amx.KV{"a": fmt.Sprint(i), "b": strings.Repeat("<", 4000)},
			Annotations: amx.KV{"summary": strings.Repeat(fmt.Sprint("&", i), 2000)},
		})
	}
	w.message(m)
	w.deliver()
	if len(w.slack.Messages()) != 12+6+2 || len(w.lost) > 0 { // runs have a reply, but at the webhook
		t.Errorf("%d messages, lost %q\n%s", len(w.slack.Messages()), w.lost, w.log.String()[:min(4000, w.log.Len())])
	}
}

// Each output has its part of the room, and what fails on one node is shown whole.
func TestOutputsShareOutTheRoom(t *testing.T) {
	for _, tt := range []struct {
		nodes, each int
		more        bool
	}{{1, 2400, false}, {3, 2400, false}, {5, 1800, false}, {7, 1800, true}} {
		w := newWorld(t, slackConfig)
		rec := run(1, history.Failed)
		rec.Nodes = nil
		for i := range tt.nodes {
			rec.Nodes = append(rec.Nodes, history.Node{Node: fmt.Sprint("i-", i), Status: "Failed", Output: strings.Repeat("x", 2400)})
		}
		w.record(rec)
		w.deliver()
		reply := w.slack.Messages()[1]
		if n := strings.Count(all(reply), "x"); n < tt.each*min(tt.nodes, 5) || strings.Contains(all(reply), "and the output of 2 more") != tt.more {
			t.Errorf("%d nodes: the reply has %d characters of their output\n%s", tt.nodes, n, all(reply))
		}
	}
}

func TestALinkThatIsTooLongKeepsNoOtherOut(t *testing.T) {
	w := newWorld(t, slackConfig)
	rec := run(1, history.Failed)
	rec.Alerts[0].GeneratorURL = "https://p.example/?q=" + strings.Repeat("&", 1900)
	w.record(rec)
	w.deliver()
	if m := all(w.one()); strings.Contains(m, "|Source") || !strings.Contains(m, "|Alertmanager") || !strings.Contains(m, "|Run 01KAZ3") {
		t.Errorf("the links are in %s", m)
	}
}

func TestAnAlertItselfIsOneMessageForItsGroup(t *testing.T) {
	w := newWorld(t, strings.Replace(slackConfig, "on: [started, failed, refused]", "on: alert", 1))
	other := alert()
	other.Labels, other.Fingerprint = map[string]string{"alertname": "HighCPU", "instance": "web-2", "job": "node", "severity": "page"}, "7df4f742dfd5ca1e"
	w.message(notification("firing", alert()))
	w.pass(time.Minute)
	w.message(notification("firing", alert())) // repeat_interval
	w.pass(time.Minute)
	w.message(notification("firing", alert(), other))
	w.deliver()
	if m := w.one(); m.Text != "🔥 HighCPU is firing (2 alerts)" || !strings.Contains(all(m), "🔥 instance=web-2") || !strings.Contains(all(m), "F001") {
		t.Errorf("got %q: %s", m.Text, all(m))
	}
	w.pass(time.Minute)
	w.message(notification("resolved", alert(), other))
	w.deliver()
	if m := w.one(); m.Text != "✅ HighCPU has resolved (2 alerts)" {
		t.Errorf("got %q", m.Text)
	}
	w.pass(time.Minute)
	w.message(notification("firing", alert()))
	w.deliver()
	if n := len(w.slack.Messages()); n != 2 {
		t.Errorf("%d messages, want another one for the alert that fires again", n)
	}
}
