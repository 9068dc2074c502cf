// Package runner is the loop around the ledger: it reads an entry, steps it,
// writes it, does the actions that come of it, and feeds what they came to into
// the next step, until nothing is left to be done. Every rule is the ledger's; it
// reads no field of an entry. task.go has the loop; each kind of action has a
// file.
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
	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/ssmexec"
)

const (
	// leaseAfter is how long a claim outlives the invocation's own deadline: by
	// then Lambda has killed the process.
	leaseAfter = 2 * time.Second
	// callsEnd is how long before the deadline every call ends, so that the
	// invocation answers before a frozen sandbox could resume one.
	callsEnd = 500 * time.Millisecond
	// sendsEnd is how long before the deadline every send ends, so that what
	// became of it can still be recorded.
	sendsEnd = 1000 * time.Millisecond
	// claimTime is the time that must be left for a claim to be made.
	claimTime = 1500 * time.Millisecond
	// budget is the deadline of a delivery where the caller has none.
	budget = 30 * time.Second
	// cancelsFirst is how long what starts waits for what stops.
	cancelsFirst = 2 * time.Second
	// sideBySide is how many entries of one message are handled at a time.
	sideBySide = 16
)

// A Runner handles deliveries. All fields but the marked ones are required.
type Runner struct {
	Config   func() *amx.Config // as it is now
	Store    ledger.Store
	Exec     *ssmexec.Executor
	Log      *slog.Logger
	Process  string           // optional: owns the ledger alone under this name (amx serve)
	Window   time.Duration    // by how much SSM's list of commands may lag a send
	Wait     time.Duration    // for commands without `wait`: how long a caller waits; negative: to the command's end
	MaxEntry int              // optional: the size up to which an entry of the ledger takes new runs
	Now      func() time.Time // optional: time.Now
	Random   io.Reader        // optional: crypto/rand.Reader

	gates gates
}

// A delivery is one call of Handle.
type delivery struct {
	*Runner
	config  *amx.Config // read once, and used to the end
	message *amx.Message
	id      string // it signs its claims with it
	arrived time.Time
	lease   time.Time // of the claims it makes
	claims  time.Time // none is made after it
	sends   time.Time // none is under way after it
	waits   bool      // the caller wants to know how its commands end
	acted   atomic.Bool
	sentBy  time.Time // all is sent, and the waiting begins

	mu      sync.Mutex
	results []Result
	errs    []error
	last    []func(context.Context) // what waits for the end of runs
}

// Handle acts on a message, and answers once every call that it made has
// returned. The deadline of ctx is the invocation's own. waits says that the
// caller waits for the outcome of its commands, as a webhook does and SNS does
// not.
func (r *Runner) Handle(ctx context.Context, m *amx.Message, waits bool) Answer {
	d := &delivery{Runner: r, config: r.Config(), message: m, arrived: r.now(), waits: waits}
	deadline, given := ctx.Deadline()
	if !given {
		deadline = d.arrived.Add(budget)
	}
	d.lease, d.claims, d.sends = deadline.Add(leaseAfter), deadline.Add(-claimTime), deadline.Add(-sendsEnd)
	var err error
	if d.id, err = r.random(8); err != nil {
		return Answer{Err: err}
	}
	acts, cancel := context.WithDeadline(ctx, deadline.Add(-callsEnd))
	defer cancel()
	tasks := d.tasks()
	if len(tasks) == 0 {
		r.Log.InfoContext(ctx, "no command matches", "receiver", m.Receiver, "alerts", len(m.Alerts))
		return Answer{Results: []Result{}}
	}
	matched := make([]string, len(tasks))
	for i, t := range tasks {
		matched[i] = t.command.Name
	}
	if err := d.read(acts, tasks); err != nil {
		for _, t := range tasks {
			t.deferred(ledger.Defer{Case: ledger.Case{Alerts: t.alerts}, Err: err})
		}
	} else {
		d.act(acts, tasks)
	}
	outcomes := acts
	if !given {
		// The command's end may be hours away. What is claimed is recorded.
		outcomes = ctx
	}
	d.sentBy = time.Now()
	d.acted.Store(true)
	parallel(d.last, func(wait func(context.Context)) { wait(outcomes) })
	a := d.answer(ctx)
	a.Matched = slices.Compact(matched)
	return a
}

// act feeds the alerts to their entries: first what stops, across all commands,
// then what starts. A cancellation that hangs keeps nothing from starting.
func (d *delivery) act(ctx context.Context, tasks []*task) {
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		parallel(tasks, func(t *task) { t.deliver(ctx, t.alerts.Resolved()) })
	}()
	first := time.NewTimer(cancelsFirst)
	defer first.Stop()
	select {
	case <-stopped:
	case <-first.C:
	}
	parallel(tasks, func(t *task) { t.deliver(ctx, t.alerts.Firing()) })
	<-stopped
}

func (t *task) deliver(ctx context.Context, alerts amx.Alerts) {
	if len(alerts) > 0 {
		t.feed(ctx, ledger.Delivered{Alerts: alerts})
	}
}

// read gets the entries of all tasks, and their commands' gates, in one trip.
func (d *delivery) read(ctx context.Context, tasks []*task) error {
	var into []*record
	for _, t := range tasks {
		if t.gate != nil && !slices.Contains(into, t.gate.record) {
			into = append(into, t.gate.record)
		}
		into = append(into, t.record)
	}
	return d.get(ctx, into...)
}

func (d *delivery) sentAt() time.Time {
	if !d.message.SentAt.IsZero() {
		return d.message.SentAt
	}
	return d.arrived
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
