package report

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/history"
	"github.com/amx-lambda/amx/internal/queue"
)

// A Reporter puts an event on the queue if a destination wants it. An event that no
// destination wants costs no call.
type Reporter struct {
	Queue interface {
		Put(ctx context.Context, it queue.Item) error
	}
	Config func() *amx.Config // the configuration in use
	Now    func() time.Time
}

// Notification reports alerts themselves (`on: alert`). It returns an error if an
// event that somebody wants could not be put on the queue.
func (r *Reporter) Notification(ctx context.Context, m *amx.Message) error {
	c := r.Config()
	if len(c.Reports) == 0 {
		return nil
	}
	at := m.SentAt
	if at.IsZero() {
		at = r.Now()
	}
	var errs []error
	for _, part := range Split(m) {
		e := FromMessage(part, at)
		if takesRoutingKey(c) {
			e.RoutingKey = m.RoutingKey
		}
		errs = append(errs, r.put(ctx, c, &e))
	}
	return errors.Join(errs...)
}

func takesRoutingKey(c *amx.Config) bool {
	for _, d := range c.Reports {
		if d.PagerDuty != nil && d.PagerDuty.FromMessage {
			return true
		}
	}
	return false
}

// Record reports a record that was written to the history.
func (r *Reporter) Record(ctx context.Context, rec history.Record) error {
	c := r.Config()
	if len(c.Reports) == 0 {
		return nil
	}
	e, ok := FromRecord(rec)
	if !ok {
		return nil
	}
	return r.put(ctx, c, &e)
}

// Opened reports that a command's breaker has opened.
func (r *Reporter) Opened(ctx context.Context, command string, failures int, opens time.Time) error {
	c := r.Config()
	if len(c.Reports) == 0 {
		return nil
	}
	e := FromBreaker(command, failures, opens, r.Now())
	return r.put(ctx, c, &e)
}

func (r *Reporter) put(ctx context.Context, c *amx.Config, e *Event) error {
	if len(Destinations(c, e)) == 0 {
		return nil
	}
	it, err := e.Item()
	if e.withoutNodes() {
		it.Due = r.Now().Add(forNodes)
	}
	if err == nil {
		err = r.Queue.Put(ctx, it)
	}
	for n := len(e.Alerts()); errors.Is(err, queue.ErrTooLarge) && e.Message != nil && n > 0; n /= 2 {
		small := shrunk(e, n)
		if it, err = small.Item(); err == nil {
			err = r.Queue.Put(ctx, it)
		}
	}
	if err != nil {
		return fmt.Errorf("putting the report %q on the queue: %w", e.Key(), err)
	}
	return nil
}

// forNodes is how long a report of an end waits whose teller did not see the nodes. An
// end may be told twice at once, and the history has the nodes when the other has told it.
const forNodes = 5 * time.Second

// withoutNodes reports whether the event is the end of a run without a word of its nodes.
func (e *Event) withoutNodes() bool {
	r := e.Record
	return r != nil && history.IsRun(r.Run) && !r.Ended.IsZero() && r.State != history.Observed && len(r.Nodes) == 0
}

// shrunk is the event with at most n alerts, the firing ones first, so that it still
// shows whether any alert fires. Its alerts keep only the annotations that reports
// show.
func shrunk(e *Event, n int) *Event {
	m := *e.Message
	alerts := slices.Concat(m.Alerts.Firing(), m.Alerts.Resolved())
	alerts = alerts[:min(n, len(alerts))]
	for i := range alerts {
		a := &alerts[i]
		kept := amx.KV{}
		for _, name := range []string{"summary", "description", "runbook_url", "dashboard_url", "amx_query"} {
			if text := []rune(a.Annotations[name]); len(text) > 0 {
				kept[name] = string(text[:min(len(text), 1000)])
			}
		}
		a.Annotations = kept
	}
	m.Data = m.Narrow(alerts)
	small := *e
	small.Message = &m
	return &small
}
