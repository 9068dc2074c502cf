// Package runner is the loop around the ledger: it reads an entry, steps it, writes it,
// does the actions, and gives their results to the next step, until no action is left.
// The ledger has every rule; the runner reads no field of an entry.
// task.go has the loop; each kind of action has a file.
package runner

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/history"
	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/queue"
	"github.com/amx-lambda/amx/internal/ssmexec"
)

const (
	// leaseAfter is the time from the invocation's deadline to the end of its claims.
	// By then Lambda has killed the process.
	leaseAfter = 2 * time.Second
	// actsEnd is how long before the deadline acting ends at the latest: no send
	// is under way after it.
	actsEnd = time.Second
	// recordTime is the time after that for recording results, and putTime the time
	// for putting off the rest. The invocation has to answer before Lambda freezes
	// the process: a frozen call would go on later.
	recordTime = 300 * time.Millisecond
	putTime    = 500 * time.Millisecond
	// claimTime is the time of acting that a claim needs.
	claimTime = 2 * time.Second
	// Budget is the deadline of a delivery if the caller has none.
	Budget = 30 * time.Second
	// sideBySide is how many entries of one message are handled at a time.
	sideBySide = 16
)

// Within is how long after the arrival of a webhook acting may go on. Alertmanager
// tries one notification for as long as group_interval, 10 s at least, and sends a
// resolve only for firings that were answered 2xx in that time.
const Within = 8 * time.Second

// A Runner handles deliveries. All fields but the marked ones are required.
type Runner struct {
	Config   func() *amx.Config // returns the current configuration
	Store    ledger.Store
	Queue    Queue   // nil: nothing can be put off, and the source gets an error instead
	History  History // optional
	Exec     *ssmexec.Executor
	Log      *slog.Logger
	Process  string           // optional: owns the ledger alone under this name (amx serve)
	Window   time.Duration    // how long a sent command may be missing from SSM's list
	MaxEntry int              // optional: the size up to which an entry of the ledger takes new runs
	Now      func() time.Time // optional: time.Now
	Random   io.Reader        // optional: crypto/rand.Reader

	// Told is called with each record that the history gets; Opened for a breaker that
	// has opened; Held, once in a delivery, for each thing that holds a command's runs
	// back; Unwritten for a record that the history did not take. Optional.
	Told      func(context.Context, history.Record)
	Opened    func(context.Context, string, ledger.BreakerOpened)
	Held      func(ctx context.Context, command string, why ledger.Reason)
	Unwritten func(ctx context.Context, queued bool)

	gates gates
}

// A Source says where a message came from, and whether its sender waits.
type Source struct {
	queue.Source
	Waits  bool          // for the outcome of its commands, as a webhook's does and SNS does not
	Within time.Duration // how long acting may go on after arrival; 0: until shortly before the deadline
}

// A delivery is one call of Handle.
type delivery struct {
	*Runner
	config  *amx.Config // read once, and used to the end
	message *amx.Message
	item    *queue.Item // if the message comes from the queue
	source  Source
	id      string // part of the holder of its claims
	arrived time.Time
	lease   time.Time // of the claims it makes
	claims  time.Time // after it no claim is made
	sends   time.Time // after it no send is under way
	acted   atomic.Bool
	goesOn  atomic.Bool // a run of the message goes on
	sentBy  time.Time   // all is sent, and the waiting begins
	pauses  *record
	passed  map[string]*gate // :: command → its gate

	acts, waits context.Context // in which it acts, and waits for outcomes
	cancel      context.CancelFunc

	mu        sync.Mutex
	results   []Result
	errs      []error
	failures  []error
	lost      []error // alerts that were given up
	looks     []look
	deferrals []deferral
	away      map[string]bool         // :: alert of an entry → an item has it
	held      map[string]bool         // :: command and what holds it back → it is told
	endings   []func(context.Context) // for runs that turned out to be over while a gate was locked
	last      []func(context.Context) // calls that wait for the ends of runs
}

func (r *Runner) delivery(ctx context.Context, src Source) (*delivery, error) {
	d := &delivery{
		Runner: r, config: r.Config(), source: src, arrived: r.now(), message: &amx.Message{},
		pauses: newRecord(ledger.PauseKey), passed: map[string]*gate{}, away: map[string]bool{}, held: map[string]bool{},
	}
	deadline, given := ctx.Deadline()
	if !given {
		deadline = d.arrived.Add(Budget)
	}
	d.lease, d.sends = deadline.Add(leaseAfter), deadline.Add(-actsEnd)
	if end := d.arrived.Add(src.Within); src.Within > 0 && end.Before(d.sends) {
		d.sends = end
	}
	d.claims = d.sends.Add(-claimTime)
	var err error
	if d.id, err = r.random(8); err != nil {
		return nil, err
	}
	var stop context.CancelFunc
	d.acts, stop = context.WithDeadline(ctx, d.sends.Add(recordTime))
	d.waits, d.cancel = ctx, stop
	if given {
		var stopWaiting context.CancelFunc
		d.waits, stopWaiting = context.WithDeadline(ctx, deadline.Add(-putTime))
		d.cancel = func() { stop(); stopWaiting() }
	}
	return d, nil
}

// Handle acts on a message. It returns when every call that it made has returned. The
// deadline of ctx is the invocation's own.
func (r *Runner) Handle(ctx context.Context, m *amx.Message, src Source) Answer {
	d, err := r.delivery(ctx, src)
	if err != nil {
		return Answer{Err: err}
	}
	defer d.cancel()
	d.message = m
	return d.handle(ctx, d.tasks())
}

func (d *delivery) handle(ctx context.Context, tasks []*task) Answer {
	if len(tasks) == 0 {
		d.Log.InfoContext(ctx, "no command matches", "receiver", d.message.Receiver, "alerts", len(d.message.Alerts))
		return Answer{Results: []Result{}}
	}
	var matched []string
	for _, t := range tasks {
		if !t.quiet {
			matched = append(matched, t.command.Name)
		}
	}
	if err := d.read(d.acts, tasks); err != nil {
		for _, t := range tasks {
			t.deferred(d.acts, ledger.Defer{Case: ledger.Case{Alerts: t.alerts}, Err: err})
		}
	} else {
		d.act(d.acts, tasks)
	}
	a := d.end(ctx)
	a.Matched = slices.Compact(matched)
	return a
}

// end waits for the outcomes that the caller waits for, and answers.
func (d *delivery) end(ctx context.Context) Answer {
	d.putOff(d.acts)
	d.sentBy = time.Now()
	d.acted.Store(true)
	parallel(d.last, func(wait func(context.Context)) { wait(d.waits) })
	d.putOff(d.waits)
	return d.answer(ctx)
}

// act gives the alerts to their entries: first all resolves, over all commands, then the
// firings. If cancellations hang, new runs begin after half of the time all the same.
func (d *delivery) act(ctx context.Context, tasks []*task) {
	var stops, starts []*task
	for _, t := range tasks {
		if len(t.alerts.Resolved()) > 0 {
			stops = append(stops, t)
		}
		if len(t.alerts.Firing()) > 0 {
			starts = append(starts, t)
		}
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		d.rounds(ctx, func() {
			parallel(stops, func(t *task) { t.feed(ctx, ledger.Delivered{Alerts: t.alerts.Resolved()}) })
		})
	}()
	defer d.putOffEarly(ctx)()
	half := time.NewTimer(d.claims.Sub(d.now()) / 2)
	defer half.Stop()
	select {
	case <-stopped:
	case <-half.C:
	}
	d.rounds(ctx, func() {
		parallel(starts, func(t *task) {
			t.feed(ctx, ledger.Delivered{Alerts: t.alerts.Firing(), More: slices.Contains(stops, t)})
		})
	})
	<-stopped
}

// read gets the entries of all tasks, their commands' gates, the last starts for their
// alerts and the pauses, in one trip.
func (d *delivery) read(ctx context.Context, tasks []*task) error {
	into := []*record{d.pauses}
	for _, t := range tasks {
		for _, g := range t.gates {
			if !slices.Contains(into, g.record) {
				into = append(into, g.record)
			}
		}
		into = append(append(into, t.record), t.startsOf()...)
	}
	if err := d.get(ctx, into...); err != nil {
		return err
	}
	return d.cooling(ctx, tasks)
}

func (d *delivery) sentAt() time.Time {
	if d.item != nil && !d.item.SentAt.IsZero() {
		return d.item.SentAt
	}
	if !d.message.SentAt.IsZero() {
		return d.message.SentAt
	}
	return d.arrived
}

// arrivedFirst is when the message arrived, before it was put off.
func (d *delivery) arrivedFirst() time.Time {
	if d.item != nil && !d.item.Arrived.IsZero() {
		return d.item.Arrived
	}
	return d.arrived
}

// fraction is a random number in [0, 1).
func (r *Runner) fraction() float64 {
	var b [1]byte
	if _, err := r.randomness().Read(b[:]); err != nil {
		return 0.5
	}
	return float64(b[0]) / 256
}

func (r *Runner) now() time.Time {
	if r.Now != nil {
		return r.Now()
	}
	return time.Now()
}

func (r *Runner) random(n int) (string, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(r.randomness(), b); err != nil {
		return "", fmt.Errorf("reading randomness: %w", err)
	}
	return hex.EncodeToString(b), nil
}

func (r *Runner) randomness() io.Reader {
	if r.Random != nil {
		return r.Random
	}
	return rand.Reader
}

// parallel calls f for each element, several at a time, and returns when all
// calls have.
func parallel[T any](all []T, f func(T)) {
	if len(all) == 1 {
		f(all[0])
		return
	}
	var wg sync.WaitGroup
	free := make(chan struct{}, sideBySide)
	for _, x := range all {
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			f(x)
		})
	}
	wg.Wait()
}
