package runner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/ledger"
)

// task is one entry of a message: a command, and the alerts that the entry is
// about.
type task struct {
	*delivery
	command *amx.Command
	entry   ledger.ID
	alerts  amx.Alerts
	sent    []*sending // runs of which this delivery sent something

	gate   *ledger.Record // of the command, where it has a limit
	unused []string       // run IDs that have a slot of the gate and no claim

	updates turn // held while record is read, changed and written
	record  ledger.Record
}

// tasks matches the alerts of the message, each by itself, with the commands.
func (d *delivery) tasks() []*task {
	var tasks []*task
	for _, c := range d.Config().Commands {
		var gate *ledger.Record
		if c.Max > 0 {
			gate = &ledger.Record{Key: ledger.GateKey(c.Name)}
		}
		known := map[ledger.ID]*task{}
		for _, a := range d.message.Alerts {
			if !c.Matches(&a) {
				continue
			}
			id := d.entryID(c, &a)
			t := known[id]
			if t == nil {
				t = &task{delivery: d, command: c, entry: id, gate: gate, updates: newTurn(), record: ledger.Record{Key: ledger.EntryKey(c.Name, id)}}
				known[id] = t
				tasks = append(tasks, t)
			}
			t.alerts = append(t.alerts, a)
		}
	}
	return tasks
}

func (d *delivery) entryID(c *amx.Command, a *amx.Alert) ledger.ID {
	switch m := d.message; {
	case m.DedupKey != "":
		return ledger.DedupID(c.Name, m.DedupKey)
	case c.Scope == amx.ScopeAlert:
		return ledger.AlertID(c.Name, a.Fingerprint)
	case m.Ungrouped:
		return ledger.GroupID(c.Name, a.Labels)
	default:
		return ledger.GroupID(c.Name, m.GroupLabels)
	}
}

func (d *delivery) sentAt() time.Time {
	if !d.message.SentAt.IsZero() {
		return d.message.SentAt
	}
	return d.arrived
}

func (t *task) input(alerts amx.Alerts, asked map[string]bool) ledger.Input {
	return ledger.Input{
		Now: t.now(), SentAt: t.sentAt(), Alerts: alerts,
		Holder: t.holder, Process: t.Process, Asked: asked,
		Policy: ledger.Policy{
			Retries:        t.command.Retries,
			RepeatAfter:    t.command.RepeatAfter,
			IgnoreResolved: t.command.IgnoreResolved,
		},
	}
}

// act decides and acts until every alert of the task is settled, or is known
// not to be.
func (t *task) act(ctx context.Context) {
	defer func() { t.giveUp(ctx, t.unused...) }()
	pending := t.alerts
	asked := map[string]bool{}
	patience := t.now().Add(leaseAfter)
	for conflicts := 0; len(pending) > 0; {
		entry, plan, claimed, err := t.decide(ctx, pending, asked)
		if errors.Is(err, ledger.ErrConflict) && conflicts < tries {
			conflicts++
			if err = t.reread(ctx, conflicts); err == nil {
				t.unclaimed(claimed)
				continue
			}
		}
		if err != nil {
			t.withoutLedger(ctx, pending, err)
			return
		}
		for _, s := range plan.Skips {
			t.skip(s.Reason, s.Run, s.Alerts)
		}
		cancelled := make(chan struct{})
		go func() {
			defer close(cancelled)
			parallel(plan.Cancels, func(s ledger.Step) { t.cancel(ctx, s, fingerprints(s.Alerts)) })
		}()
		// What is resolved ends before what fires begins; but a cancellation that
		// hangs does not keep a claim from being sent.
		_ = sleep(ctx, cancelsFirst, cancelled)
		parallel(claimed, func(s *sending) { t.send(ctx, s) })
		<-cancelled
		pending = t.waitFor(ctx, plan.Waits, patience)
		for _, s := range plan.Adopts {
			pending = append(pending, t.adopt(ctx, entry, s)...)
		}
		for _, s := range plan.Asks {
			asked[s.Run] = true
			if t.ask(ctx, s.Run) {
				pending = append(pending, s.Alerts...)
			}
		}
		if len(pending) > 0 {
			if err := t.reread(ctx, 0); err != nil {
				t.withoutLedger(ctx, pending, err)
				return
			}
		}
	}
}

// unclaimed keeps the IDs of runs whose claim met another write, and is not in
// the entry as it was read since. (An attempt of the SDK's may have entered it
// before the one that met.) The slot of a run whose claim may yet be found
// and sent stays taken.
func (t *task) unclaimed(claimed []*sending) {
	entry, err := t.current()
	if err != nil {
		return
	}
	for _, s := range claimed {
		if entry.Run(s.run) == nil {
			t.unused = append(t.unused, s.run)
		}
	}
}

// decide decides on the entry as it was read, and writes what was decided: the
// claims are made by that write, and nothing may be done before it.
func (t *task) decide(ctx context.Context, alerts amx.Alerts, asked map[string]bool) (*ledger.Entry, ledger.Plan, []*sending, error) {
	entry, err := ledger.Decode(t.record.Value)
	if err != nil {
		return nil, ledger.Plan{}, nil, err
	}
	plan := entry.Decide(t.input(alerts, asked))
	c := t.claim(ctx, entry, plan.Due)
	if plan.Changed || len(c.runs) > 0 {
		if err := t.put(ctx, entry); err != nil {
			return nil, ledger.Plan{}, c.runs, err
		}
	}
	for _, r := range c.settled {
		t.settle(r)
	}
	for _, err := range c.errs {
		t.unsettled(t.command.Name, err)
	}
	return entry, plan, c.runs, nil
}

// put writes the entry over the version that the task read last.
func (t *task) put(ctx context.Context, e *ledger.Entry) error {
	r, err := t.write(ctx, t.record, e)
	if err == nil {
		t.record = r
	}
	return err
}

// keepEmpty is how long a record that says nothing any more is kept.
const keepEmpty = 24 * time.Hour

// write writes the entry over the version r that was read. A write whose answer
// was lost, or that an attempt of the SDK's met in its own earlier attempt, is
// found by reading again.
func (t *task) write(ctx context.Context, r ledger.Record, e *ledger.Entry) (ledger.Record, error) {
	if r.Value, r.Expires = e.Encode(); r.Expires.IsZero() {
		r.Expires = t.now().Add(keepEmpty)
	}
	err := t.Store.Put(ctx, r)
	if err == nil {
		r.Version++
		return r, nil
	}
	if errors.Is(err, ledger.ErrTooLarge) {
		return r, fmt.Errorf("writing the ledger: %w: %s", err, narrower)
	}
	now, readErr := t.Store.Get(ctx, r.Key)
	if readErr != nil {
		return r, fmt.Errorf("writing the ledger: %w", errors.Join(err, readErr))
	}
	if now[0].Version > r.Version && bytes.Equal(now[0].Value, r.Value) {
		return now[0], nil
	}
	if !errors.Is(err, ledger.ErrConflict) {
		return r, fmt.Errorf("writing the ledger: %w", err)
	}
	return r, err
}

// reread reads the entry again, after a pause that grows with the number of
// conflicts and is jittered, so that two deliveries do not keep meeting.
func (t *task) reread(ctx context.Context, conflicts int) error {
	if conflicts > 0 {
		if err := sleep(ctx, t.jitter(time.Duration(conflicts)*20*time.Millisecond), nil); err != nil {
			return fmt.Errorf("reading the ledger again: %w", err)
		}
	}
	records, err := t.Store.Get(ctx, t.record.Key)
	if err != nil {
		return fmt.Errorf("reading the ledger again: %w", err)
	}
	t.record = records[0]
	return nil
}

// update changes the entry as it is now, whatever others wrote meanwhile, and
// answers the entry as it then is. Nothing is written where nothing changes.
func (t *task) update(ctx context.Context, change func(*ledger.Entry)) (*ledger.Entry, error) {
	t.updates.Lock()
	defer t.updates.Unlock()
	for conflicts := 0; ; conflicts++ {
		entry, err := ledger.Decode(t.record.Value)
		if err != nil {
			return nil, err
		}
		before, _ := entry.Encode()
		change(entry)
		if after, _ := entry.Encode(); bytes.Equal(before, after) {
			return entry, nil
		}
		err = t.put(ctx, entry)
		if err == nil {
			return entry, nil
		}
		if !errors.Is(err, ledger.ErrConflict) || conflicts == tries {
			return nil, err
		}
		if err := t.reread(ctx, conflicts+1); err != nil {
			return nil, err
		}
	}
}

func (t *task) skip(reason ledger.Reason, run string, alerts []string) {
	t.settle(Result{Command: t.command.Name, Action: ActionSkip, Reason: string(reason), RunID: run, Alerts: alerts})
}

func (t *task) jitter(d time.Duration) time.Duration {
	var b [1]byte
	if _, err := t.randomness().Read(b[:]); err != nil {
		return d
	}
	return d/2 + d*time.Duration(b[0])/256
}

func fingerprints(alerts amx.Alerts) []string {
	fps := make([]string, len(alerts))
	for i := range alerts {
		fps[i] = alerts[i].Fingerprint
	}
	return fps
}

// A turn is a lock that is held over calls to the ledger. A sync.Mutex would do,
// were it not for tests under fake time, which stands still while one is waited
// for (https://pkg.go.dev/testing/synctest).
type turn chan struct{}

func newTurn() turn    { return make(turn, 1) }
func (t turn) Lock()   { t <- struct{}{} }
func (t turn) Unlock() { <-t }

// sleep waits, or says that ctx ended first. What is closed on wake ends it early.
func sleep(ctx context.Context, d time.Duration, wake <-chan struct{}) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-wake:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
