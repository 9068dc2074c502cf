// Package runner is the way of an alert: match, decide, claim, act, record. It
// puts the pure rules of internal/ledger and the calls of internal/ssmexec into
// their order, and adds no rule of its own.
package runner

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
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
	// tries is how often a write that met another is decided anew: five writes
	// in all.
	tries = 4
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

// An Answer is what became of a delivery.
type Answer struct {
	Results []Result
	Matched []string // the commands that match an alert of the message, in the order of the configuration
	// Err is not nil where at least one action is unsettled and sending again
	// is right.
	Err error
}

// A Result is one run affected, or one command skipped or refused.
type Result struct {
	Command    string   `json:"command"`
	Action     string   `json:"action"` // run, cancel, skip, refuse
	Reason     string   `json:"reason"`
	RunID      string   `json:"run_id"`
	CommandIDs []string `json:"command_ids"`
	Alerts     []string `json:"alerts"` // fingerprints
	Status     string   `json:"status"` // SSM's StatusDetails without spaces, or ""
}

// The actions of a [Result].
const (
	ActionRun    = "run"
	ActionCancel = "cancel"
	ActionSkip   = "skip"
	ActionRefuse = "refuse"
)

// delivery is one call of Handle.
type delivery struct {
	*Runner
	message *amx.Message
	holder  string
	arrived time.Time
	lease   time.Time // of the claims it makes
	claims  time.Time // none is made after it
	sends   time.Time // none is under way after it
	waits   bool      // the caller wants to know how its commands end
	sentBy  time.Time // all is sent, and the waiting begins

	mu      sync.Mutex
	results []Result
	errs    []error
	full    map[string]error // :: command whose gate was full when all who hold it had been asked → who could not be told of
}

// Handle acts on a message, and answers once every call that it made has
// returned. The deadline of ctx is the invocation's own. waits says that the
// caller waits for the outcome of its commands, as a webhook does and SNS does
// not.
func (r *Runner) Handle(ctx context.Context, m *amx.Message, waits bool) Answer {
	d := &delivery{Runner: r, message: m, arrived: r.now(), waits: waits}
	deadline, given := ctx.Deadline()
	if !given {
		deadline = d.arrived.Add(budget)
	}
	d.lease, d.claims, d.sends = deadline.Add(leaseAfter), deadline.Add(-claimTime), deadline.Add(-sendsEnd)
	id, err := r.random(8)
	if err != nil {
		return Answer{Err: err}
	}
	d.holder = r.Process + "/" + id

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
		parallel(tasks, func(t *task) { t.withoutLedger(acts, t.alerts, err) })
	} else {
		parallel(tasks, func(t *task) { t.act(acts) })
	}
	outcomes := acts
	if !given {
		// The command's end may be hours away. What is claimed is recorded.
		outcomes = ctx
	}
	d.sentBy = time.Now()
	var runs []*sending
	for _, t := range tasks {
		runs = append(runs, t.sent...)
	}
	parallel(runs, func(s *sending) { s.task.report(outcomes, s) })
	a := d.answer(ctx)
	a.Matched = slices.Compact(matched)
	return a
}

// read gets the entries of all tasks, and their commands' gates, in one trip.
func (d *delivery) read(ctx context.Context, tasks []*task) error {
	var into []*ledger.Record
	for _, t := range tasks {
		if t.gate != nil && !slices.Contains(into, t.gate) {
			into = append(into, t.gate)
		}
		into = append(into, &t.record)
	}
	keys := make([]string, len(into))
	for i, r := range into {
		keys[i] = r.Key
	}
	records, err := d.Store.Get(ctx, keys...)
	if err != nil {
		return fmt.Errorf("reading the ledger: %w", err)
	}
	for i, r := range records {
		*into[i] = r
	}
	return nil
}

func (d *delivery) settle(r Result) {
	if r.CommandIDs == nil {
		r.CommandIDs = []string{}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if i := slices.IndexFunc(d.results, r.joins); i >= 0 {
		d.results[i].Alerts = append(d.results[i].Alerts, r.Alerts...)
		d.results[i].CommandIDs = append(d.results[i].CommandIDs, r.CommandIDs...)
		if d.results[i].RunID != r.RunID {
			d.results[i].RunID = ""
		}
		return
	}
	d.results = append(d.results, r)
}

// joins says that two skips are one: a repeat of many alerts is one skip of the
// command.
func (r Result) joins(o Result) bool {
	return r.Action == ActionSkip && o.Action == ActionSkip && r.Command == o.Command && r.Reason == o.Reason
}

// unsettled notes an error after which the source should send again.
func (d *delivery) unsettled(command string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.errs = append(d.errs, fmt.Errorf("command %q: %w", command, err))
}

// answer logs every decision, in an order that does not depend on which call
// was faster.
func (d *delivery) answer(ctx context.Context) Answer {
	place := map[string]int{}
	for i, c := range d.Config().Commands {
		place[c.Name] = i
	}
	for i := range d.results {
		slices.Sort(d.results[i].Alerts)
		d.results[i].Alerts = slices.Compact(d.results[i].Alerts)
	}
	slices.SortStableFunc(d.results, func(a, b Result) int {
		if a.Command != b.Command {
			return place[a.Command] - place[b.Command]
		}
		if c := slices.Compare(a.Alerts, b.Alerts); c != 0 {
			return c
		}
		return strings.Compare(a.Action+a.Reason+a.RunID, b.Action+b.Reason+b.RunID)
	})
	for _, r := range d.results {
		d.Log.InfoContext(ctx, "settled", "action", r.Action, "command", r.Command, "reason", r.Reason, "run_id", r.RunID,
			"command_ids", r.CommandIDs, "alerts", r.Alerts, "status", r.Status, "receiver", d.message.Receiver)
	}
	slices.SortFunc(d.errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	d.errs = slices.CompactFunc(d.errs, func(a, b error) bool { return a.Error() == b.Error() }) // a thousand runs may have one reason
	for _, err := range d.errs {
		d.Log.ErrorContext(ctx, "unsettled", "error", err.Error(), "receiver", d.message.Receiver)
	}
	if d.results == nil {
		d.results = []Result{}
	}
	return Answer{Results: d.results, Err: errors.Join(d.errs...)}
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
