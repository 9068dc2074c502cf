package main

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/alertmanagertest"
)

// alertmanager is a real one that sends to amx serve, each name of an alert in a
// group of its own. Its group_interval is Alertmanager's least: it tries one
// notification for as long, and sends a resolve only for what was answered 2xx in
// that time.
type alertmanager struct{ *alertmanagertest.Alertmanager }

const groupInterval = 10 * time.Second

func startAlertmanager(t *testing.T, webhook string) alertmanager {
	t.Helper()
	return alertmanager{alertmanagertest.Start(t, os.Getenv("AMX_TEST_ALERTMANAGER"), fmt.Sprintf(`
route: {receiver: amx, group_by: [alertname, name], group_wait: 0s, group_interval: %v, repeat_interval: 1h}
receivers: [{name: amx, webhook_configs: [{url: %q, send_resolved: true}]}]
`, groupInterval, webhook))}
}

// post sends it an alert; resolved has it end.
func (am alertmanager) post(name string, resolved bool) {
	am.Helper()
	alert := map[string]any{"labels": map[string]string{"alertname": "A", "name": name}, "startsAt": time.Now().Add(-time.Minute)}
	if resolved {
		alert["endsAt"] = time.Now()
	}
	am.Post(alert)
}

// An alert that resolves within its first group_interval, while its command runs:
// the answer has come by then, so that Alertmanager sends the resolve.
func TestAlertmanagerResolvesWithinTheFirstGroupInterval(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	m := &machine{t: t, dir: dir}
	p := startAMX(t, dir, "commands: [{name: long, cmd: sh, args: [-c, 'echo run >>@DIR@/runs; exec sleep 300']}]")
	am := startAlertmanager(t, p.url)
	am.post("a", false)
	m.eventually("the command has begun", func() bool { return len(m.lines("runs")) == 1 })
	am.post("a", true)
	m.eventually("the command is gone", func() bool { return len(sleepers(t, dir)) == 0 })
	if n := len(m.lines("runs")); n != 1 {
		t.Errorf("%d runs, want 1", n)
	}
}

// A command that fails beside one that goes on does not keep Alertmanager from
// sending the resolve.
func TestAlertmanagerResolvesThoughAnotherCommandFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	m := &machine{t: t, dir: dir}
	p := startAMX(t, dir, `commands:
- {name: fails, cmd: "false"}
- {name: long, cmd: sh, args: [-c, 'echo run >>@DIR@/runs; exec sleep 300']}
`)
	am := startAlertmanager(t, p.url)
	am.post("a", false)
	m.eventually("the command has begun", func() bool { return len(m.lines("runs")) == 1 })
	am.post("a", true)
	m.eventually("the command is gone", func() bool { return len(sleepers(t, dir)) == 0 })
}

// The second of two hosts has its turn when the first has ended, without a new
// notification; the third has resolved by then.
func TestAlertmanagerAndMax1(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	m := &machine{t: t, dir: dir}
	p := startAMX(t, dir, "commands: [{name: turn, max: 1, wait: 0s, cmd: sh, args: [-c, 'echo $AMX_ALERT_1_LABEL_name >>@DIR@/runs; until [ -e @DIR@/go ]; do sleep 0.05; done']}]")
	am := startAlertmanager(t, p.url)
	am.post("a", false)
	m.eventually("the first runs", func() bool { return len(m.lines("runs")) == 1 })
	for i, name := range []string{"b", "c"} {
		am.post(name, false)
		m.eventually("the others wait", func() bool {
			return p.metric(`amx_results_total{action="later",command="turn"}`) == fmt.Sprint(i+1)
		})
	}
	am.post("c", true)
	m.eventually("the resolve has come", func() bool { return p.metric(`amx_results_total{action="skip",command="turn"}`) == "1" })
	before := p.metric(`amx_http_requests_total{code="200"}`)
	m.goOn("go")
	m.eventually("the second has run, and nothing waits any more", func() bool { return len(m.lines("runs")) == 2 && p.metric("amx_queue_items") == "0" })
	if got := m.lines("runs"); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("%q ran", got)
	}
	if after := p.metric(`amx_http_requests_total{code="200"}`); after != before {
		t.Errorf("%s notifications came, %s by the time that the first ended", after, before)
	}
}
