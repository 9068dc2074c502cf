package report

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/history"
	"github.com/amx-lambda/amx/internal/queue"
)

// A Reporter puts on the queue what some destination wants to hear, and nothing
// else: what nobody wants costs no call.
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

// Record reports what a record says that was written to the history.
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

func (r *Reporter) put(ctx context.Context, c *amx.Config, e *Event) error {
	if len(Destinations(c, e)) == 0 {
		return nil
	}
	it, err := e.Item()
	if err == nil {
		err = r.Queue.Put(ctx, it)
	}
	if err != nil {
		return fmt.Errorf("putting the report %q on the queue: %w", e.Key(), err)
	}
	return nil
}

// History is a history of which people hear: each record that is written is also
// reported.
type History struct {
	// Next keeps the records; nil keeps none.
	Next interface {
		Put(ctx context.Context, rec history.Record) error
	}
	Reporter *Reporter
}

// Put writes the record and reports it. Neither keeps the other from being done.
func (h *History) Put(ctx context.Context, rec history.Record) error {
	err := h.Reporter.Record(ctx, rec)
	if h.Next != nil {
		err = errors.Join(h.Next.Put(ctx, rec), err)
	}
	return err
}
