package report

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/history"
	"github.com/amx-lambda/amx/internal/queue"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

const everybody = `
reports:
  - {name: slack, slack: {channel: "#a", token: "env:T"}, on: [started, failed]}
  - {name: quiet, slack: {channel: "#b", token: "env:T"}, on: failed}
  - {name: hook, slack: {webhook_url: "env:H"}, on: started}
  - {name: page, pagerduty: {routing_key: "env:K"}, on: failed, matchers: [severity="page"]}
  - {name: open, pagerduty: {routing_key: "env:K"}, on: breaker}
  - {name: block, pagerduty: {routing_key: from_message}, on: all}
  - {name: alerts, webhook: {url: "https://example.net"}, on: alert}
  - {name: all, webhook: {url: "https://example.net"}, on: all}
commands:
  - {name: a, cmd: a}
  - {name: b, cmd: b, report: [quiet], retries: 1}
  - {name: c, cmd: c, report: [], matchers: [team="db"]}
  - {name: d, cmd: d, retries: 1}
`

func config(t *testing.T, yaml string) *amx.Config {
	t.Helper()
	c, err := amx.ParseConfig("amx.yaml", []byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func record(command string, state history.State) history.Record {
	return history.Record{
		Run: "01KAZ3ZQ8Q0000000000000001", Command: command, State: state, Attempt: 1, Sent: noon, Updated: noon,
		Alerts: []history.Alert{{Fingerprint: "1", Labels: amx.KV{"severity": "page"}}},
	}
}

func message(status string) *amx.Message {
	m := &amx.Message{Version: "4"}
	m.Data = amx.Data{Status: status, GroupLabels: amx.KV{"alertname": "x"}, Alerts: amx.Alerts{{Status: status, Fingerprint: "1", Labels: amx.KV{"severity": "page", "team": "web"}}}}
	return m
}

func TestWhoHearsOfWhat(t *testing.T) {
	c := config(t, everybody)
	of := func(rec history.Record) Event {
		e, ok := FromRecord(rec)
		if !ok {
			t.Fatalf("no event of %+v", rec)
		}
		return e
	}
	again := record("b", history.Failed)
	again.Attempt = 2
	unpaged := record("a", history.Failed)
	unpaged.Alerts[0].Labels = amx.KV{"severity": "info"}
	breaker := record("a", history.Refused)
	breaker.Reason = "breaker: 3 runs in a row failed, until 13:00"
	withKey := FromMessage(message(amx.Firing), noon)
	withKey.RoutingKey = "k"
	tests := []struct {
		name  string
		event Event
		want  string
	}{
		{"a start", of(record("a", history.Running)), "slack hook all"},
		{"a success, where the message of the start is", of(record("a", history.Succeeded)), "slack page open all"},
		{"a failure", of(record("a", history.Failed)), "slack quiet page all"},
		{"an end that nobody knows", of(record("a", history.Unknown)), "slack quiet page all"},
		{"a failure of another severity", of(unpaged), "slack quiet all"},
		{"a cancel", of(record("a", history.Cancelled)), "slack all"},
		{"a refusal", of(record("a", history.Refused)), "all"},
		{"an open breaker", of(breaker), "open all"},
		{"a failure that is tried again", of(record("b", history.Failed)), ""},
		{"a failure that is tried again, where the message of the start is", of(record("d", history.Failed)), "slack"},
		{"the last attempt", of(again), "quiet"},
		{"a command that reports to nobody", of(record("c", history.Failed)), ""},
		{"a command that is no longer configured", of(record("gone", history.Failed)), "slack quiet page all"},
		{"an alert", FromMessage(message(amx.Firing), noon), "alerts all"},
		{"a resolve, which may end an incident", FromMessage(message(amx.Resolved), noon), "page alerts all"},
		{"a block with a routing key", withKey, "block alerts all"},
	}
	for _, tt := range tests {
		var names []string
		for _, d := range Destinations(c, &tt.event) {
			names = append(names, d.Name)
		}
		if got := strings.Join(names, " "); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestWhatNoReportIsAbout(t *testing.T) {
	unsent := record("a", history.Running)
	unsent.Sent = time.Time{}
	for _, rec := range []history.Record{record("a", history.Waiting), record("a", history.Observed), unsent, {}} {
		if e, ok := FromRecord(rec); ok {
			t.Errorf("%s: got %+v", rec.State, e)
		}
	}
}

func TestAnEventSurvivesTheQueue(t *testing.T) {
	started, _ := FromRecord(record("a", history.Running))
	alert := FromMessage(message(amx.Firing), noon)
	alert.RoutingKey = "k"
	for _, e := range []Event{started, alert} {
		it, err := e.Item()
		if err != nil {
			t.Fatal(err)
		}
		text, err := it.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if it, err = queue.Decode(text); err != nil {
			t.Fatal(err)
		}
		got, err := Decode(it)
		if err != nil || got.Key() != e.Key() || got.Subject() != e.Subject() || got.RoutingKey != e.RoutingKey || it.Key != e.Key() || it.Kind != queue.Report {
			t.Errorf("got %+v, %v, want %+v", got, err, e)
		}
	}
}

func TestItemsThatAreNoReport(t *testing.T) {
	tests := []struct{ report, want string }{
		{`{"v":2,"kind":"new"}`, `report "k" of version 2, this release reads 1: written by a newer release of amx`},
		{`{"v":1,"kind":"alert"}`, `decoding the report "k": kind "alert": want a message for an alert, and a record for any other kind`},
		{`{"v":1,"kind":"failed","message":{}}`, `decoding the report "k": kind "failed": want a message for an alert, and a record for any other kind`},
		{``, `decoding the report "k": unexpected end of JSON input`},
	}
	for _, tt := range tests {
		if _, err := Decode(queue.Item{Key: "k", Report: []byte(tt.report)}); err == nil || err.Error() != tt.want {
			t.Errorf("%s: got %v, want %s", tt.report, err, tt.want)
		}
	}
}

type recorder struct {
	items []queue.Item
	fails error
	most  int // bytes of a report; 0: any
}

func (r *recorder) Put(_ context.Context, it queue.Item) error {
	if r.most > 0 && len(it.Report) > r.most {
		return fmt.Errorf("putting it: %w", queue.ErrTooLarge)
	}
	r.items = append(r.items, it)
	return r.fails
}

func TestRecordsOfWhichPeopleHear(t *testing.T) {
	c := config(t, everybody)
	q := &recorder{}
	r := &Reporter{Queue: q, Config: func() *amx.Config { return c }, Now: func() time.Time { return noon }}
	for _, state := range []history.State{history.Running, history.Waiting, history.Failed} {
		if err := r.Record(t.Context(), record("a", state)); err != nil {
			t.Error(err)
		}
	}
	keys := []string{}
	for _, it := range q.items {
		keys = append(keys, it.Key)
	}
	if want := []string{"started/01KAZ3ZQ8Q0000000000000001", "failed/01KAZ3ZQ8Q0000000000000001"}; !slices.Equal(keys, want) {
		t.Errorf("reports %q", keys)
	}
	q.fails = errors.New("queue on fire")
	err := r.Record(t.Context(), record("a", history.Failed))
	if want := "putting the report \"failed/01KAZ3ZQ8Q0000000000000001\" on the queue: queue on fire"; err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

func TestABreakerThatOpensAndWhatItRefusesAreOneReport(t *testing.T) {
	c := config(t, everybody)
	q := &recorder{}
	r := &Reporter{Queue: q, Config: func() *amx.Config { return c }, Now: func() time.Time { return noon }}
	if err := r.Opened(t.Context(), "a", 3, noon.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	refused := record("a", history.Refused)
	for _, reason := range []string{
		"breaker: 3 runs in a row failed, until 2026-11-28T13:00:00Z",
		"breaker: 3 runs in a row failed, and run 01KAZ3ZQ8Q0000000000000001 tries whether it still does",
		"breaker: 3 runs in a row failed, until 2026-11-28T14:00:00Z",
	} {
		refused.Reason = reason
		if err := r.Record(t.Context(), refused); err != nil {
			t.Fatal(err)
		}
	}
	if len(q.items) != 3 || q.items[0].Key != q.items[1].Key || q.items[2].Key == q.items[0].Key {
		t.Errorf("got %+v", q.items)
	}
}

func TestAnUnmatchedAlertCostsOnePut(t *testing.T) {
	c := config(t, everybody)
	q := &recorder{}
	r := &Reporter{Queue: q, Config: func() *amx.Config { return c }, Now: func() time.Time { return noon }}
	m := message(amx.Firing)
	m.Alerts = append(m.Alerts, amx.Alert{Status: amx.Firing, Fingerprint: "2", Labels: amx.KV{"a": "b"}})
	if err := r.Notification(t.Context(), m); err != nil || len(q.items) != 1 {
		t.Errorf("%d items, %v", len(q.items), err)
	}
	// A form that does not name its group has a group for each alert.
	m.Ungrouped, q.items = true, nil
	if err := r.Notification(t.Context(), m); err != nil || len(q.items) != 2 || q.items[0].Key == q.items[1].Key {
		t.Errorf("%+v, %v", q.items, err)
	}
	c.Reports, q.items = nil, nil
	if err := r.Notification(t.Context(), m); err != nil || len(q.items) != 0 {
		t.Errorf("nobody is to be told: %+v, %v", q.items, err)
	}
}

func TestANotificationThatIsTooLargeIsReportedWithFewerAlerts(t *testing.T) {
	c := config(t, everybody)
	q := &recorder{most: 20_000}
	r := &Reporter{Queue: q, Config: func() *amx.Config { return c }, Now: func() time.Time { return noon }}
	m := message(amx.Resolved)
	for i := range 500 {
		m.Alerts = append(m.Alerts, amx.Alert{
			Status: amx.Resolved, Fingerprint: fmt.Sprint(i), Labels: amx.KV{"alertname": "x"},
			Annotations: amx.KV{"summary": "s", "log": strings.Repeat("y", 9000)},
		})
	}
	m.Alerts[400].Status = amx.Firing
	if err := r.Notification(t.Context(), m); err != nil || len(q.items) != 1 {
		t.Fatalf("%d items, %v", len(q.items), err)
	}
	e, err := Decode(q.items[0])
	if err != nil || len(e.Message.Alerts) < 30 || e.Message.Status != amx.Firing || e.Message.Alerts[0].Annotations["summary"] != "s" || len(e.Message.Alerts[0].Annotations) != 1 {
		t.Errorf("%v: %d alerts, %s, the first %+v", err, len(e.Message.Alerts), e.Message.Status, e.Message.Alerts[0])
	}
	q.most = 10
	if err := r.Notification(t.Context(), m); !errors.Is(err, queue.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
}

// An end may be told twice at once. Who did not see the nodes reports it later, so that
// the one who did is first: the report shows what they wrote.
func TestAnEndWithoutItsNodesIsReportedLater(t *testing.T) {
	c := config(t, everybody)
	q := &recorder{}
	r := &Reporter{Queue: q, Config: func() *amx.Config { return c }, Now: func() time.Time { return noon }}
	bare, seen := record("a", history.Failed), record("a", history.Failed)
	bare.Ended, bare.Nodes = noon, nil
	seen.Ended, seen.Nodes = noon, []history.Node{{Node: "i-1", Status: "Failed"}}
	for _, rec := range []history.Record{bare, seen} {
		if err := r.Record(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
	}
	if late, soon := q.items[0].Due, q.items[1].Due; !late.Equal(noon.Add(forNodes)) || soon.After(noon) {
		t.Errorf("due %v without the nodes, %v with them", late, soon)
	}
}
