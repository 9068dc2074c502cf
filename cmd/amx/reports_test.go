package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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

// A run that fails is one message, with what it wrote in the thread, and an
// incident that ends with the alert.
func TestAmxServeTellsHowARunEnds(t *testing.T) {
	slack, stop := reporttest.NewSlack()
	defer stop()
	pagerDuty, stop := reporttest.NewPagerDuty()
	defer stop()
	m := newMachine(t, `
reports:
  - {name: ops, slack: {channel: "#alerts", token: "env:SLACK"}, on: [started, failed]}
  - {name: pager, pagerduty: {routing_key: "env:KEY"}, on: failed}
commands:
  - {name: broken, script: "echo it is all on fire >&2; exit 3", matchers: [alertname="HighCPU"], notify_on_failure: false}
`)
	m.host.tellPeople([]string{"SLACK=" + reporttest.SlackToken, "KEY=" + reporttest.RoutingKey, "AMX_SLACK_URL=" + slack.URL, "AMX_PAGERDUTY_URL=" + pagerDuty.URL})
	told := make(chan struct{}, 20)
	slack.Told = func() { told <- struct{}{} }
	pagerDuty.Told = func() { told <- struct{}{} }
	defer m.host.workQueue(t.Context())()

	alert := `{"version":"4","status":"STATUS","receiver":"amx","groupLabels":{"alertname":"HighCPU"},"alerts":[{"status":"STATUS",` +
		`"labels":{"alertname":"HighCPU","instance":"web-1"},"startsAt":"2026-11-28T11:00:00Z","endsAt":"ENDS"}]}`
	if a := m.post(strings.NewReplacer("STATUS", "firing", "ENDS", "0001-01-01T00:00:00Z").Replace(alert)); a.Status != 200 {
		t.Fatalf("answer %+v\n%s", a, m.log.String())
	}
	for len(pagerDuty.Open()) == 0 || len(slack.Messages()) < 2 || !strings.Contains(slack.Messages()[0].Text, "failed") {
		<-told
	}
	messages := slack.Messages()
	if len(messages) != 2 || messages[0].Text != "❌ broken failed for HighCPU" || messages[1].Thread != messages[0].TS {
		t.Errorf("messages %+v\n%s", messages, m.log.String())
	}
	if reply := string(messages[1].Blocks[0]); !strings.Contains(reply, "exit code 3") || !strings.Contains(reply, "it is all on fire") {
		t.Errorf("the reply is %s", reply)
	}
	resolved := strings.NewReplacer("STATUS", "resolved", "ENDS", time.Now().UTC().Format(time.RFC3339)).Replace(alert)
	if a := m.post(resolved); a.Status != 200 {
		t.Fatalf("answer %+v\n%s", a, m.log.String())
	}
	for len(pagerDuty.Open()) > 0 {
		<-told
	}
	if wrong := append(slack.Wrong(), pagerDuty.Wrong()...); len(wrong) > 0 {
		t.Errorf("refused: %q", wrong)
	}
}
