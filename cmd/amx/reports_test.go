package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/amx-lambda/amx/internal/reporttest"
)

// An alert with a graph, from a webhook's body through the queue in the ledger's
// file to Slack: with a token in a file, and a Prometheus.
func TestAmxServeTellsSlackOfAnAlertWithItsGraph(t *testing.T) {
	slack, stop := reporttest.NewSlack()
	defer stop()
	prometheus, stop := reporttest.NewPrometheus(reporttest.Series{Labels: map[string]string{"instance": "web-1"}, Value: reporttest.Constant(0.97)})
	defer stop()
	m := newMachine(t, `
prometheus: {url: "`+prometheus.URL+`"}
reports: [{name: ops, slack: {channel: "#alerts", token: "file:@DIR@/token"}, on: alert}]
commands: []
`)
	m.host.sender.SlackURL = slack.URL
	if err := os.WriteFile(filepath.Join(m.dir, "token"), []byte(reporttest.SlackToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	told := make(chan struct{}, 10)
	slack.Told = func() { told <- struct{}{} }
	defer m.host.workQueue(t.Context())()

	body := `{"version":"4","status":"firing","receiver":"amx","groupLabels":{"alertname":"HighCPU"},"alerts":[{"status":"firing",` +
		`"labels":{"alertname":"HighCPU","instance":"web-1"},"startsAt":"2026-11-28T11:00:00Z","generatorURL":"http://p.example/graph?g0.expr=cpu+%3E+0.9"}]}`
	if a := m.post(body); a.Status != 200 {
		t.Fatalf("answer %+v\n%s", a, m.log.String())
	}
	<-told // the message
	<-told // and the update with its picture
	messages := slack.Messages()
	if len(messages) != 1 || messages[0].Text != "🔥 HighCPU is firing" || len(slack.Files()) != 1 {
		t.Fatalf("%d files, messages %+v\n%s", len(slack.Files()), messages, m.log.String())
	}
	if last := messages[0].Blocks[len(messages[0].Blocks)-2]; !strings.Contains(string(last), `"slack_file":{"id":"F001"}`) {
		t.Errorf("the picture is not in the message: %s", last)
	}
	if strings.Contains(m.log.String(), reporttest.SlackToken) {
		t.Error("the token is in the log")
	}
}
