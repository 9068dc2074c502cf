// Package send sends the events that internal/report put on the queue to Slack,
// PagerDuty and webhooks.
//
// The queue delivers an event at least once, and the answer of a service may be lost.
// So each destination has a record in the ledger's store for each subject (a run, a
// group of alerts, an incident): which events it got, and where its message is. A
// delivery claims that record before it sends. If an event is sent again after a lost
// answer, PagerDuty's dedup_key and Slack's client_msg_id make one message of the two. A
// webhook gets the event's key, so that it can do the same.
package send

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/history"
	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/queue"
	"github.com/amx-lambda/amx/internal/report"
	"github.com/amx-lambda/amx/internal/report/graph"
	"github.com/amx-lambda/amx/internal/sleep"
)

const (
	// giveUp is how long amx tries a destination that is down, from the event on.
	giveUp = 6 * time.Hour
	// perDestination bounds one try of one destination, its graph included.
	perDestination = 30 * time.Second
)

// A Sender sends events to the destinations of a configuration. All fields are required
// unless they say otherwise.
type Sender struct {
	Config  func() *amx.Config
	Store   Store
	Queue   Queue
	Secrets *Secrets
	Client  *http.Client
	Now     func() time.Time
	Random  func() float64 // in [0, 1)
	Log     *slog.Logger

	// History completes an event with later writes to its record; nil: no history.
	History interface {
		Get(ctx context.Context, run string) (history.Record, error)
	}
	// Sign signs a query to a Prometheus with sigv4; nil: such a one cannot be asked.
	Sign func(ctx context.Context, r *http.Request, body []byte) error
	// Wait pauses; nil waits for real.
	Wait func(ctx context.Context, d time.Duration) error
	// RunURL is the page of a run; nil or "": no link.
	RunURL func(rec *history.Record) string
	// Lost counts a report that was given up; nil counts nothing.
	Lost func(ctx context.Context, destination string)

	SlackURL     string // of Slack's API; "" for Slack's own
	PagerDutyURL string // of the Events API; "" for PagerDuty's own
}

// Store is the ledger's store.
type Store interface {
	Get(ctx context.Context, keys ...string) ([]ledger.Record, error)
	Put(ctx context.Context, r ledger.Record) error
}

// Queue takes an event that is to be sent later.
type Queue interface {
	Put(ctx context.Context, it queue.Item) error
}

// HandleItem sends the event of an item. It returns nil when each destination has the
// event, was given up, or waits on the queue in a new item. The item is done then. After
// an error the item has to be delivered again.
func (s *Sender) HandleItem(ctx context.Context, it queue.Item) error {
	e, err := report.Decode(it)
	if err != nil {
		return err
	}
	c := s.Config()
	s.complete(ctx, &e)
	later := s.sendAll(ctx, c, &e, it)
	if later == nil {
		return nil
	}
	now := s.Now()
	it.Due = now.Add(max(queue.Backoff(it.Tries, s.Random()), later.after))
	it.Tries++
	it.Reason = later.Error()
	if err := s.Queue.Put(ctx, it); err != nil {
		return fmt.Errorf("putting off the report %q: %w", it.Key, err)
	}
	s.Log.WarnContext(ctx, "report put off", "report", it.Key, "until", it.Due, "tries", it.Tries, "error", later.Error())
	return nil
}

// complete adds later writes of the history to the event. If they cannot be read, the
// event goes out as it is.
func (s *Sender) complete(ctx context.Context, e *report.Event) {
	if s.History == nil || e.Record == nil {
		return
	}
	rec, err := s.History.Get(ctx, e.Record.Run)
	if err != nil {
		if !errors.Is(err, history.ErrNotFound) {
			s.Log.WarnContext(ctx, "reading the history for a report", "report", e.Key(), "error", err.Error())
		}
		return
	}
	whole := history.Merge(*e.Record, rec)
	if later, ok := report.FromRecord(whole); ok && later.Kind == e.Kind {
		e.Record = &whole
	}
}

// sendAll sends to the destinations side by side, so that no slow one holds up the
// others. It returns the longest delay that any of them asks for, or nil.
func (s *Sender) sendAll(ctx context.Context, c *amx.Config, e *report.Event, it queue.Item) *temporary {
	destinations := report.Destinations(c, e)
	errs := make([][]error, len(destinations))
	var wg sync.WaitGroup
	for i, d := range destinations {
		wg.Go(func() {
			errs[i] = s.tell(ctx, c, d, e)
		})
	}
	wg.Wait()
	var later *temporary
	for i, d := range destinations {
		for _, err := range errs[i] {
			t, again := errors.AsType[*temporary](err)
			switch {
			case err == nil:
			case again && s.Now().Sub(it.Arrived) < giveUp:
				if later == nil || t.after > later.after {
					later = &temporary{after: t.after, err: fmt.Errorf("reports %q: %w", d.Name, err)}
				}
			default:
				s.giveUp(ctx, d, e, it.Tries+1, err)
			}
		}
	}
	return later
}

func (s *Sender) giveUp(ctx context.Context, d *amx.Report, e *report.Event, tries int, err error) {
	s.Log.ErrorContext(ctx, "report given up", "report", e.Key(), "destination", d.Name, "tries", tries, "error", err.Error())
	if s.Lost != nil {
		s.Lost(ctx, d.Name)
	}
}

// tell sends the event to one destination. It returns the errors; nils do not count.
func (s *Sender) tell(ctx context.Context, c *amx.Config, d *amx.Report, e *report.Event) []error {
	ctx, cancel := context.WithTimeout(ctx, perDestination)
	defer cancel()
	e = narrowed(d, e)
	o := outgoing{s: s, c: c, d: d, e: e}
	v := newView(e)
	v.Retrying = !e.Final(c)
	text, err := amx.RenderReport(c.Templates, s.Now(), v)
	if err != nil {
		// A report with amx's own text is better than none.
		s.Log.ErrorContext(ctx, "rendering the text of a report", "report", e.Key(), "error", err.Error())
		if text, err = amx.RenderReport(nil, s.Now(), v); err != nil {
			return []error{err}
		}
	}
	o.view, o.title, o.text = v, titleOf(text, v), restOf(text)
	switch {
	case d.Slack != nil:
		return []error{o.toSlack(ctx)}
	case d.PagerDuty != nil:
		return o.toPagerDuty(ctx)
	case d.Webhook != nil:
		return []error{o.toWebhook(ctx)}
	}
	return []error{fmt.Errorf("reports %q: it has neither slack, pagerduty nor webhook", d.Name)}
}

// narrowed returns the event for one destination. For a group of alerts it keeps those
// that satisfy the destination's matchers.
func narrowed(d *amx.Report, e *report.Event) *report.Event {
	if e.Message == nil || len(d.Matchers) == 0 {
		return e
	}
	own := amx.Alerts{}
	for i := range e.Message.Alerts {
		if d.Matches(&e.Message.Alerts[i]) {
			own = append(own, e.Message.Alerts[i])
		}
	}
	m := *e.Message
	m.Data = e.Message.Narrow(own)
	narrow := *e
	narrow.Message = &m
	return &narrow
}

// outgoing is one event on its way to one destination.
type outgoing struct {
	s *Sender
	c *amx.Config
	d *amx.Report
	e *report.Event

	view  *View
	title string // the first line of the text
	text  string // the rest
}

func (s *Sender) prometheus(c *amx.Config) *graph.Prometheus {
	if c.Prometheus == nil {
		return nil
	}
	p := &graph.Prometheus{URL: c.Prometheus.URL, Client: s.Client}
	if c.Prometheus.SigV4 {
		p.Sign = s.Sign
		if p.Sign == nil {
			p.Sign = func(context.Context, *http.Request, []byte) error {
				return errors.New("prometheus: sigv4: no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
			}
		}
	}
	return p
}

func (s *Sender) wait(ctx context.Context, d time.Duration) error {
	if s.Wait != nil {
		return s.Wait(ctx, d)
	}
	return sleep.For(ctx, d)
}
