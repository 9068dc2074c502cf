package send

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/history"
	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/report"
	"github.com/amx-lambda/amx/internal/reporttest"
)

const pagerDutyConfig = `
reports:
  - name: page
    pagerduty: {routing_key: "env:KEY"}
    on: [failed, alert]
commands: [{name: restart-nginx, cmd: systemctl, matchers: [alertname="HighCPU"]}]
`

func onFailed(yaml string) string { return strings.Replace(yaml, "[failed, alert]", "failed", 1) }

// told is the actions and keys that PagerDuty has accepted.
func (w *world) told() []string {
	told := []string{}
	for _, e := range w.pagerDuty.Events() {
		told = append(told, e.Action+" "+e.DedupKey)
	}
	return told
}

func (w *world) expect(want ...string) {
	w.t.Helper()
	if got := w.told(); !slices.Equal(got, want) {
		w.t.Errorf("PagerDuty was told\n%q, want\n%q\n%s", got, want, w.log.String())
	}
}

// amp decodes a message as AMP's alert manager publishes it.
func amp(t *testing.T, subject, body string, at time.Time) *amx.Message {
	t.Helper()
	m, err := amx.DecodeSNS(amx.SNS{Subject: subject, Body: body, SentAt: at})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

const ampYAML = `
receiver: "default"
status: "STATUS"
groupLabels:
  "alertname": "HighCPU"
commonLabels:
  "alertname": "HighCPU"
commonAnnotations: {}
externalURL: "https://aps.example/workspaces/ws-1/alertmanager"
alerts:
- status: "STATUS"
  labels:
    "alertname": "HighCPU"
    "instance": "web-1"
    "severity": "page"
  annotations:
    "summary": "web-1 is at 97 % CPU"
  startsAt: "2026-11-28T11:10:00Z"
  endsAt: "ENDS"
  generatorURL: "https://aps.example/graph?g0.expr=cpu+%3E+0.9"
`

func TestAMPsYAMLThroughSNSTriggersAndResolves(t *testing.T) {
	w := newWorld(t, pagerDutyConfig)
	w.message(amp(t, "[FIRING:1] HighCPU", replaced(ampYAML, "STATUS", "firing", "ENDS", "0001-01-01T00:00:00Z"), noon))
	w.deliver()
	open := w.pagerDuty.Open()
	if len(open) != 1 || !strings.HasPrefix(open[0], "amx/alert/") {
		t.Fatalf("open incidents: %q\n%s", open, w.log.String())
	}
	e := w.pagerDuty.Events()[0]
	if p := e.Payload; p.Summary != "HighCPU is firing" || p.Severity != "critical" || p.Source != "web-1" || p.Timestamp != "2026-11-28T12:00:00.000Z" {
		t.Errorf("the payload is %+v", p)
	}
	if e.Client != "Alertmanager" || e.ClientURL != "https://aps.example/workspaces/ws-1/alertmanager" || len(e.Links) != 2 || e.Links[0].Href != "https://aps.example/graph?g0.expr=cpu+%3E+0.9" {
		t.Errorf("client %q %q, links %+v", e.Client, e.ClientURL, e.Links)
	}
	var details struct {
		Labels, Annotations map[string]string
		Firing              int
	}
	if err := json.Unmarshal(e.Payload.Details, &details); err != nil || details.Labels["instance"] != "web-1" || details.Annotations["summary"] != "web-1 is at 97 % CPU" || details.Firing != 1 {
		t.Errorf("the details are %s, %v", e.Payload.Details, err)
	}
	w.pass(10 * time.Minute)
	w.message(amp(t, "[RESOLVED] HighCPU", replaced(ampYAML, "STATUS", "resolved", "ENDS", "2026-11-28T12:09:00Z"), w.time()))
	w.deliver()
	w.expect("trigger "+open[0], "resolve "+open[0])
}

func TestAlertsInEveryFormArePassedOn(t *testing.T) {
	w := newWorld(t, strings.Replace(pagerDutyConfig, "[failed, alert]", "alert", 1))
	bodies := map[string]string{
		"the block":    "routing_key: another\ndedup_key: HighCPU/web\nseverity: critical\ndescription: CPU\ndetails: {alertname: HighCPU}\n",
		"default text": "Alerts Firing:\nLabels:\n - alertname = HighCPU\n - instance = web-1\nAnnotations:\n - summary = x\nSource: https://p.example/graph\n",
	}
	for _, body := range bodies {
		w.message(amp(t, "[FIRING:1] HighCPU", body, noon))
	}
	w.message(notification("firing", alert()))
	w.deliver()
	if open := w.pagerDuty.Open(); len(open) != 3 || open[0] != "HighCPU/web" {
		t.Errorf("open incidents: %q\n%s", open, w.log.String())
	}
	for _, e := range w.pagerDuty.Events() {
		if e.RoutingKey != reporttest.RoutingKey {
			t.Errorf("forwarded under another key: %+v", e)
		}
	}
}

func TestARoutingKeyInAMessageIsUsedOnlyWhereTheConfigurationSaysSo(t *testing.T) {
	block := "routing_key: " + reporttest.RoutingKey + "\ndedup_key: k\nseverity: info\ndetails: {alertname: HighCPU}\n"
	from := strings.Replace(pagerDutyConfig, `"env:KEY"`, "from_message", 1)

	w := newWorld(t, from)
	w.message(amp(t, "[FIRING:1]", block, noon))
	w.message(notification("firing", alert())) // has no key of its own
	w.record(run(1, history.Failed))           // neither has a run
	w.deliver()
	w.expect("trigger k")
	if s := w.pagerDuty.Events()[0].Payload.Severity; s != "info" {
		t.Errorf("severity %q", s)
	}

	w = newWorld(t, strings.Replace(pagerDutyConfig, "env:KEY", "env:NONE", 1))
	w.message(amp(t, "[FIRING:1]", block, noon))
	for _, it := range w.items {
		text, err := it.Encode()
		if err != nil || strings.Contains(string(text), reporttest.RoutingKey) {
			t.Errorf("the routing key is on the queue: %s, %v", text, err)
		}
	}
}

func TestARunThatFailedIsAnIncidentUntilALaterOneSucceeds(t *testing.T) {
	w := newWorld(t, onFailed(pagerDutyConfig))
	w.record(run(1, history.Succeeded)) // nothing is open
	w.deliver()
	w.pass(time.Minute)
	w.record(run(2, history.Failed))
	w.record(run(2, history.Failed)) // the event comes twice
	w.deliver()
	w.pass(time.Minute)
	w.record(run(3, history.Succeeded))
	w.deliver()
	key := "amx/restart-nginx/0123456789abcdef"
	w.expect("trigger "+key, "resolve "+key)
	p := w.pagerDuty.Events()[0].Payload
	if p.Summary != "restart-nginx failed on 1 of 2 nodes for HighCPU" || !strings.Contains(string(p.Details), "Address already in use") {
		t.Errorf("the payload is %+v %s", p, p.Details)
	}
}

func TestARunThatFailedIsResolvedWithItsAlert(t *testing.T) {
	w := newWorld(t, onFailed(pagerDutyConfig))
	m := notification("resolved", alert())
	rec := run(1, history.Failed)
	rec.Entry = string(ledger.GroupID("restart-nginx", m.GroupLabels))
	w.record(rec)
	w.deliver()
	w.pass(time.Minute)
	w.message(notification("firing", alert())) // nobody wants it
	w.message(m)
	w.deliver()
	w.expect("trigger amx/restart-nginx/"+rec.Entry, "resolve amx/restart-nginx/"+rec.Entry)

	// A failure that is heard of only after the resolve needs nobody.
	late := run(2, history.Failed)
	late.Entry = rec.Entry
	w.pass(-30 * time.Second)
	w.record(late)
	w.pass(30 * time.Second)
	w.deliver()
	if open := w.pagerDuty.Open(); len(open) > 0 {
		t.Errorf("open incidents: %q", open)
	}
}

// An incident is found again by whatever names the alert's entry in the ledger: the
// fingerprint that the sender made, the labels of a text that names no group, or a
// dedup_key whose alert matches the command no more.
func TestTheIncidentOfARunIsFoundAgainInEveryForm(t *testing.T) {
	const text = "Alerts %s:\nLabels:\n - alertname = HighCPU\n - instance = web-1\nAnnotations:\nSource: https://prometheus.example/graph\n"
	forms := map[string]func(status string) (*amx.Message, error){
		"a fingerprint of its own": func(status string) (*amx.Message, error) {
			return amx.Decode(fmt.Appendf(nil, `{"alerts":[{"status":%q,"fingerprint":"00c0ffee00c0ff0a","labels":{"alertname":"HighCPU","instance":"web-1"}}]}`, status), noon)
		},
		"a text without groups": func(status string) (*amx.Message, error) {
			title := strings.ToUpper(status[:1]) + status[1:]
			return amx.DecodeSNS(amx.SNS{Body: fmt.Sprintf(text, title), SentAt: noon})
		},
		"a dedup_key": func(status string) (*amx.Message, error) {
			severity := map[string]string{"firing": "HighCPU", "resolved": ""}[status]
			return amx.DecodeSNS(amx.SNS{
				Subject: "[" + strings.ToUpper(status) + "] x", SentAt: noon,
				Body: "dedup_key: k\ndetails:\n  alertname: " + severity + "\n",
			})
		},
	}
	for name, form := range forms {
		for _, scope := range []string{"alert", "notification"} {
			config := strings.Replace(onFailed(pagerDutyConfig), "cmd: systemctl", "cmd: systemctl, match_labels: {alertname: HighCPU}, scope: "+scope, 1)
			w := newWorld(t, config)
			fires, err := form("firing")
			if err != nil {
				t.Fatal(err)
			}
			rec := run(1, history.Failed)
			rec.Entry = string(ledger.EntryOf(w.config.Commands[0], fires, &fires.Alerts[0]))
			rec.Alerts = history.Alerts(fires.Alerts)
			w.record(rec)
			w.deliver()
			w.pass(time.Minute)
			ends, err := form("resolved")
			if err != nil {
				t.Fatal(err)
			}
			w.message(ends)
			w.deliver()
			if len(w.pagerDuty.Events()) == 0 || len(w.pagerDuty.Open()) > 0 {
				t.Errorf("%s, scope %s: events %+v, open %q", name, scope, w.pagerDuty.Events(), w.pagerDuty.Open())
			}
		}
	}
}

func TestARetryComesBeforeThePager(t *testing.T) {
	w := newWorld(t, strings.Replace(onFailed(pagerDutyConfig), "cmd: systemctl", "cmd: systemctl, retries: 1", 1))
	w.record(run(1, history.Failed))
	w.deliver()
	w.expect()
	last := run(2, history.Failed)
	last.Attempt = 2
	w.record(last)
	w.deliver()
	w.expect("trigger amx/restart-nginx/0123456789abcdef")
}

func TestOneIncidentWhateverGoesWrong(t *testing.T) {
	tests := []struct {
		name   string
		faults []reporttest.Fault
	}{
		{"down", []reporttest.Fault{{Down: true}, {Down: true}, {Down: true}}},
		{"429", []reporttest.Fault{{Status: 429, RetryAfter: 61}, {Status: 429}}},
		{"5xx", []reporttest.Fault{{Status: 500}, {Status: 502}}},
		{"a lost answer", []reporttest.Fault{{LoseAnswer: true}, {LoseAnswer: true}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, onFailed(pagerDutyConfig))
			w.pagerDuty.Add("/v2/enqueue", tt.faults...)
			w.record(run(1, history.Failed))
			w.deliver()
			key := "amx/restart-nginx/0123456789abcdef"
			if w.pagerDuty.Opened(key) != 1 || len(w.lost) > 0 {
				t.Errorf("%d incidents, lost %q", w.pagerDuty.Opened(key), w.lost)
			}
			w.pass(time.Minute)
			w.pagerDuty.Add("/v2/enqueue", tt.faults...)
			w.record(run(2, history.Succeeded))
			w.deliver()
			if open := w.pagerDuty.Open(); len(open) > 0 {
				t.Errorf("still open: %q", open)
			}
		})
	}
}

func TestRetryAfterIsKept(t *testing.T) {
	w := newWorld(t, onFailed(pagerDutyConfig))
	w.pagerDuty.Add("/v2/enqueue", reporttest.Fault{Status: 429, RetryAfter: 90})
	w.record(run(1, history.Failed))
	it := w.items[0]
	w.items = nil
	if err := w.sender().HandleItem(t.Context(), it); err != nil {
		t.Fatal(err)
	}
	if len(w.items) != 1 || w.items[0].Due.Sub(noon) != 90*time.Second || w.items[0].Tries != 1 {
		t.Errorf("put off as %+v", w.items)
	}
}

func TestWhatPagerDutyRefusesIsGivenUp(t *testing.T) {
	w := newWorld(t, onFailed(pagerDutyConfig))
	w.secrets["env:KEY"] = "not-a-key"
	w.record(run(1, history.Failed))
	w.deliver()
	if len(w.lost) != 1 || !strings.Contains(w.log.String(), "PagerDuty answers 400 Bad Request") || !strings.Contains(w.log.String(), "'routing_key' is invalid") {
		t.Errorf("lost %q, log\n%s", w.lost, w.log.String())
	}
	if wrong := w.pagerDuty.Wrong(); len(wrong) != 1 {
		t.Errorf("refused %q", wrong)
	}
	w.pagerDuty, _ = reporttest.NewPagerDuty() // its refusal is what this test is about
}

func TestWhatResolvesIsNotJudgedByAlertsThatWereCutOff(t *testing.T) {
	w := newWorld(t, strings.Replace(pagerDutyConfig, "[failed, alert]", "alert", 1))
	w.message(notification("firing", alert()))
	w.deliver()
	cut := notification("resolved", alert())
	cut.TruncatedAlerts = 3
	w.pass(time.Minute)
	w.message(cut)
	w.deliver()
	if open := w.pagerDuty.Open(); len(open) != 1 {
		t.Errorf("open incidents: %q", open)
	}
}

func TestMatchersOfADestinationNarrowTheGroup(t *testing.T) {
	w := newWorld(t, strings.Replace(pagerDutyConfig, "on: [failed, alert]", `on: alert
    matchers: [severity="page"]`, 1))
	other := alert()
	other.Labels = amx.KV{"alertname": "HighCPU", "instance": "web-2", "severity": "info"}
	other.Fingerprint = "other"
	w.message(notification("firing", other))
	if len(w.items) != 0 {
		t.Errorf("on the queue: %+v", w.items)
	}
	w.message(notification("firing", alert(), other))
	w.deliver()
	if e := w.pagerDuty.Events(); len(e) != 1 || e[0].Payload.Summary != "HighCPU is firing" || e[0].Payload.Source != "web-1" {
		t.Errorf("got %+v", e)
	}
}

func TestAnIncidentWaitsForAllAlertsOfItsRun(t *testing.T) {
	w := newWorld(t, onFailed(pagerDutyConfig))
	first, second := alert(), alert()
	second.Fingerprint = "second"
	labels := notification("firing", first).GroupLabels
	rec := run(1, history.Failed)
	rec.Entry = string(ledger.GroupID("restart-nginx", labels))
	rec.Alerts = history.Alerts(amx.Alerts{first, second})
	w.record(rec)
	w.deliver()
	key := "amx/restart-nginx/" + rec.Entry
	for i, status := range []string{"firing", "resolved"} {
		w.pass(time.Minute)
		m := notification("resolved", first, second)
		m.Alerts[1].Status = status
		w.message(m)
		w.deliver()
		if open := len(w.pagerDuty.Open()); open != 1-i {
			t.Errorf("the second alert is %s: %d open incidents", status, open)
		}
	}
	w.expect("trigger "+key, "resolve "+key)
}

func TestWhatResolvesInOneRouteStaysOpenInAnother(t *testing.T) {
	w := newWorld(t, strings.Replace(pagerDutyConfig, "[failed, alert]", "alert", 1))
	database, web := notification("firing", alert()), notification("resolved", alert())
	database.GroupKey, web.GroupKey = `{}/{team="dba"}:{}`, `{}/{team="web"}:{}`
	w.message(database)
	w.pass(time.Minute)
	w.message(web)
	w.deliver()
	if open := w.pagerDuty.Open(); len(open) != 1 {
		t.Errorf("open incidents: %q", open)
	}
}

// failedFor is a run that failed for an alert of the group that notification makes.
func failedFor(id int, alerts ...amx.Alert) history.Record {
	rec := run(id, history.Failed)
	rec.Entry = string(ledger.GroupID("restart-nginx", notification("firing", alerts...).GroupLabels))
	rec.Alerts = history.Alerts(alerts)
	return rec
}

func TestAResolveOfAnEarlierTimeThatComesLateResolvesNothing(t *testing.T) {
	w := newWorld(t, onFailed(pagerDutyConfig))
	rec := failedFor(1, alert())
	w.record(rec)
	w.deliver()
	for _, tt := range []struct {
		ends time.Time
		open int
	}{{highCPU.StartsAt.Add(-time.Hour), 1}, {noon.Add(time.Minute), 0}} {
		ended := alert()
		ended.EndsAt = tt.ends
		w.pass(time.Minute)
		w.message(notification("resolved", ended))
		w.deliver()
		if open := w.pagerDuty.Open(); len(open) != tt.open {
			t.Errorf("resolved at %s: open incidents %q, want %d", tt.ends, open, tt.open)
		}
	}
}

func TestARunWhoseAlertResolvedBeforeItsEndIsKnownNeedsNobody(t *testing.T) {
	w := newWorld(t, onFailed(pagerDutyConfig))
	w.pass(-10 * time.Second) // the run has begun, and not ended
	w.message(notification("resolved", alert()))
	w.deliver()
	w.pass(time.Minute)
	w.record(failedFor(1, alert()))
	w.deliver()
	w.expect()
	// The alert fires again, and its run fails too.
	again := failedFor(2, alert())
	again.Claimed = w.time()
	w.pass(time.Minute)
	w.record(again)
	w.deliver()
	w.expect("trigger amx/restart-nginx/" + again.Entry)
}

func TestAnIncidentWhoseAnswerWasLostIsResolvedAllTheSame(t *testing.T) {
	w := newWorld(t, onFailed(pagerDutyConfig))
	w.pagerDuty.Add("/v2/enqueue", reporttest.Fault{LoseAnswer: true}, reporttest.Fault{LoseAnswer: true})
	rec := failedFor(1, alert())
	w.record(rec)
	w.message(notification("resolved", alert())) // is delivered before the failure is tried again
	w.deliver()
	if key := "amx/restart-nginx/" + rec.Entry; w.pagerDuty.Opened(key) != 1 || len(w.pagerDuty.Open()) != 0 {
		t.Errorf("%d incidents, open are %q\n%s", w.pagerDuty.Opened(key), w.pagerDuty.Open(), w.log.String())
	}
}

func TestABreakerIsOneIncidentUntilItsCommandSucceeds(t *testing.T) {
	w := newWorld(t, strings.Replace(pagerDutyConfig, "[failed, alert]", "breaker", 1))
	until := noon.Add(time.Hour)
	if err := w.reporter().Opened(t.Context(), "restart-nginx", 3, until); err != nil {
		t.Fatal(err)
	}
	for i, entry := range []string{"0123456789abcdef", "fedcba9876543210"} { // of two groups of alerts
		refused := run(i, history.Refused)
		refused.Entry, refused.Reason = entry, "breaker: 3 runs in a row failed, until "+until.Format(time.RFC3339)
		refused.Run, refused.Nodes = history.RefusedID(entry, refused.Reason), nil
		w.record(refused)
	}
	w.deliver()
	w.expect("trigger amx/restart-nginx/breaker")
	w.pass(2 * time.Hour)
	w.record(run(3, history.Succeeded))
	w.deliver()
	w.expect("trigger amx/restart-nginx/breaker", "resolve amx/restart-nginx/breaker")
}

func TestWhatPagerDutyRefusesIsNotHiddenByWhatIsPutOff(t *testing.T) {
	w := newWorld(t, pagerDutyConfig)
	w.record(failedFor(1, alert()))
	w.message(notification("firing", alert()))
	w.deliver()
	w.pass(time.Minute)
	w.pagerDuty.Add("/v2/enqueue", reporttest.Fault{Status: 400}, reporttest.Fault{Status: 503}) // the run's incident, and the alert's
	w.message(notification("resolved", alert()))
	w.deliver()
	if open := w.pagerDuty.Open(); len(w.lost) != 1 || len(open) != 1 || !strings.HasPrefix(open[0], "amx/restart-nginx/") {
		t.Errorf("lost %q, open %q", w.lost, open)
	}
}

// Everything at its longest, in characters of four bytes. The stand-in refuses what
// is over 512 KB.
func TestAnEventStaysWithinPagerDutysLimits(t *testing.T) {
	w := newWorld(t, pagerDutyConfig)
	long := strings.Repeat("💥", 1100)
	var many amx.Alerts
	for i := range 12 {
		a := alert()
		a.Fingerprint, a.GeneratorURL = fmt.Sprint(i), "https://p.example/?g0.expr="+strings.Repeat("x", 4000)
		a.Labels, a.Annotations = amx.KV{"alertname": long, "instance": long, "severity": long}, amx.KV{"summary": long}
		for j := range 60 {
			a.Labels[fmt.Sprint("l", i, "-", j)], a.Labels[fmt.Sprint("c", j)], a.Annotations[fmt.Sprint("a", j)] = long, long, long
		}
		many = append(many, a)
	}
	m := notification("firing", many...)
	m.DedupKey = long
	if err := w.send(report.FromMessage(m, noon)); err != nil {
		t.Fatal(err)
	}
	rec := run(1, history.Failed)
	rec.Command, rec.Reason, rec.Alerts, rec.Nodes = "restart-nginx", long, history.Alerts(many), nil
	for range 60 {
		rec.Nodes = append(rec.Nodes, history.Node{Node: long, Status: long, Output: long})
	}
	if err := w.send(report.Event{Version: report.Version, Kind: amx.OnFailed, At: noon, Record: &rec}); err != nil {
		t.Fatal(err)
	}
	if events := w.pagerDuty.Events(); len(events) != 2 || len(w.lost) > 0 {
		t.Errorf("%d events, lost %q", len(events), w.lost)
	}
}

// send delivers an event that no queue carries: it is too large.
func (w *world) send(e report.Event) error {
	it, err := e.Item()
	if err != nil {
		return err
	}
	return w.sender().HandleItem(w.t.Context(), it)
}
