package runner

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/ledger"
)

// gates has the locks of the gates in this process. Its deliveries take turns, so only
// deliveries of different processes can conflict in the store.
type gates struct {
	mu    sync.Mutex
	locks map[string]turn
}

func (g *gates) lock(key string) (unlock func()) {
	g.mu.Lock()
	if g.locks == nil {
		g.locks = map[string]turn{}
	}
	l := g.locks[key]
	if l == nil {
		l = newTurn()
		g.locks[key] = l
	}
	g.mu.Unlock()
	l.Lock()
	return l.Unlock
}

// A gate is a gate of the store, for one delivery.
type gate struct {
	*record
	all     bool // it is the gate of all commands
	limits  ledger.Limits
	unknown error // this delivery asked SSM whether the gate's runs go on, and got no answer for some
}

// gatesOf returns the gates that a command's runs pass. The gate of all commands comes
// first.
func (d *delivery) gatesOf(c *amx.Command) []*gate {
	var passed []*gate
	if all := limitsOf(d.config); all.Counts() {
		passed = append(passed, d.gate("", all))
	}
	return append(passed, d.gate(c.Name, ledger.Limits{
		Max: max(0, c.Max), Windows: c.RateLimit, Breaker: c.Breaker, Spread: c.SpreadBy != "",
	}))
}

func limitsOf(c *amx.Config) ledger.Limits {
	return ledger.Limits{Max: max(0, c.Limits.Max), Windows: c.Limits.RateLimit}
}

func (d *delivery) gate(command string, limits ledger.Limits) *gate {
	d.mu.Lock()
	defer d.mu.Unlock()
	g := d.passed[command]
	if g == nil {
		g = &gate{record: newRecord(ledger.GateKey(command)), all: command == "", limits: limits}
		d.passed[command] = g
	}
	return g
}

// take takes a slot in each gate for a run that is about to be claimed, or claimed
// again, unless its command is paused.
func (t *task) take(ctx context.Context, a ledger.Take) ledger.Event {
	answer := ledger.Taken{Prepared: a.Prepared}
	defer t.tellEndings(ctx)
	defer func() { t.tellHeld(ctx, answer.Reason) }()
	if pause, ok := t.paused(); ok {
		answer.Reason = ledger.PausedReason(pause)
		return answer
	}
	for i, g := range t.gates {
		action, err := t.pass(ctx, g, a)
		switch got := action.(type) {
		case ledger.SlotTaken:
			answer.Slot = answer.Slot || got.Slot
		case ledger.SlotRefused:
			answer.Reason, answer.Final = got.Reason, got.Final
			err = cmp.Or(err, got.Err)
		}
		if answer.Err = err; err != nil || answer.Reason != "" {
			if answer.Slot && i > 0 && !a.TakenOver {
				t.release(ctx, ledger.Release{Run: a.Run})
			}
			return answer
		}
	}
	if !a.TakenOver {
		answer.Err = t.begins(ctx, a.Run, a.Alerts)
	}
	if answer.Err == nil && a.Remind {
		answer.Err = t.remind(ctx, a.Run, a.Alerts, t.lease)
	}
	if answer.Err != nil {
		if answer.Slot && !a.TakenOver {
			t.release(ctx, ledger.Release{Run: a.Run})
		}
		return answer
	}
	answer.OK = true
	return answer
}

// tellHeld tells what holds the command back, if something does.
func (t *task) tellHeld(ctx context.Context, why ledger.Reason) {
	if why == "" || t.Held == nil {
		return
	}
	what := t.command.Name + " " + why.Holds()
	t.delivery.mu.Lock()
	told := t.held[what]
	t.held[what] = true
	t.delivery.mu.Unlock()
	if !told {
		t.Held(ctx, t.command.Name, why)
	}
}

// tellEndings tells the gates which runs have ended that were found while a gate was
// locked. By then nobody asks for the gate's runs any more.
func (d *delivery) tellEndings(ctx context.Context) {
	d.mu.Lock()
	endings := d.endings
	d.endings = nil
	d.mu.Unlock()
	for _, tell := range endings {
		tell(ctx)
	}
}

// pass passes one gate. If the gate is full, pass asks SSM once whether its runs still
// go on.
func (t *task) pass(ctx context.Context, g *gate, a ledger.Take) (ledger.GateAction, error) {
	defer t.Runner.gates.lock(g.key)()
	for read := false; ; {
		action, err := t.stepGate(ctx, g, ledger.SlotWanted{
			Run: a.Run, Command: t.command.Name, All: g.all, Entry: t.entry, Spread: a.Spread, Limits: g.limits,
			Asked: g.unknown != nil, Unknown: g.unknown,
		})
		refresh, ok := action.(ledger.Refresh)
		if err != nil || !ok {
			return action, err
		}
		if !read { // it may have changed since the delivery began
			read, err = true, t.reread(ctx, g.record)
		} else {
			err = t.refresh(ctx, g, refresh)
		}
		if err != nil {
			return nil, err
		}
	}
}

func (t *task) stepGate(ctx context.Context, g *gate, events ...ledger.GateEvent) (action ledger.GateAction, err error) {
	err = t.change(ctx, g.record, func(value []byte) ([]byte, time.Time, error) {
		gate, err := ledger.DecodeGate(value)
		if err != nil {
			return nil, time.Time{}, err
		}
		action = gate.Step(t.actor(), events...)
		after, expires := gate.Encode()
		return after, expires, nil
	})
	return action, err
}

// refresh finds out which runs of a full gate still go on. It takes at most half of the
// time that is left for claims. So if SSM is slow to answer for one run, the slots of
// the others can still be taken.
func (t *task) refresh(ctx context.Context, g *gate, a ledger.Refresh) error {
	asks, cancel := context.WithTimeout(ctx, t.claims.Sub(t.now())/2)
	defer cancel()
	holders := make([]*task, len(a.Holders))
	records := make([]*record, len(a.Holders))
	for i, h := range a.Holders {
		holders[i] = t.task(t.commandNamed(cmp.Or(h.Command, t.command.Name)), h.Entry)
		holders[i].checking = true
		records[i] = holders[i].record
	}
	if err := t.get(asks, records...); err != nil {
		return fmt.Errorf("reading the runs that count against a limit: %w", err)
	}
	at := make([]int, len(a.Holders))
	for i := range at {
		at[i] = i
	}
	parallel(at, func(i int) { holders[i].feed(asks, ledger.Check{Run: a.Holders[i].Run}) })
	free := ledger.SlotsFree{Asked: true}
	var unknown error
	for i, h := range a.Holders {
		entry, err := ledger.Decode(holders[i].record.value)
		if err = cmp.Or(append(holders[i].failed, err)...); err != nil {
			unknown = cmp.Or(unknown, fmt.Errorf("asking whether run %s still counts against a limit: %w", h.Run, err))
			continue
		}
		switch {
		case !h.Free(entry, t.now(), t.Process):
		case holders[i].released == h.Run:
			free.Unsent = append(free.Unsent, h.Run)
		default:
			free.Over = append(free.Over, h.Run)
		}
	}
	if len(free.Over)+len(free.Unsent) == 0 {
		g.unknown = unknown
		free.Asked = unknown == nil // otherwise another delivery may ask at once
	}
	_, err := t.stepGate(ctx, g, free)
	return err
}

// release gives up the slots of a run that was not sent after all.
func (t *task) release(ctx context.Context, a ledger.Release) {
	if t.checking {
		t.released = a.Run // the check itself tells the gate
		return
	}
	for _, g := range t.gates {
		t.tellGate(ctx, g, ledger.SlotsFree{Unsent: []string{a.Run}})
	}
}

// tellGate tells a gate the outcome of a run. If that fails, the slot is free when its
// lease has ended, or when SSM is asked whether the gate's runs still go on.
func (t *task) tellGate(ctx context.Context, g *gate, ev ledger.GateEvent) ledger.GateAction {
	defer t.Runner.gates.lock(g.key)()
	action, err := t.stepGate(ctx, g, ev)
	if err != nil {
		t.Log.WarnContext(ctx, "a gate could not be updated: the slot is free when its lease has ended", "command", t.command.Name, "error", err.Error())
	}
	return action
}

// paused returns the pause that holds the command back, if there is one.
func (t *task) paused() (ledger.Pause, bool) {
	pauses, err := ledger.DecodePauses(t.pauses.value)
	if err != nil {
		return ledger.Pause{Who: "nobody", Why: err.Error(), Until: t.now().Add(time.Hour)}, true
	}
	return pauses.Paused(t.command.Name, t.now())
}
