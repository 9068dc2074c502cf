package runner

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/amx-lambda/amx/internal/ledger"
)

// gates is the locks of the commands' gates in this process: its own deliveries
// take turns, and only those of other processes can meet in the store.
type gates struct {
	mu    sync.Mutex
	locks map[string]turn
}

func (g *gates) lock(command string) (unlock func()) {
	g.mu.Lock()
	if g.locks == nil {
		g.locks = map[string]turn{}
	}
	l := g.locks[command]
	if l == nil {
		l = newTurn()
		g.locks[command] = l
	}
	g.mu.Unlock()
	l.Lock()
	return l.Unlock
}

// A gate is a command's, for one delivery.
type gate struct {
	*record
	full    bool  // it had no room, when all who hold it had been asked: that holds for all runs of the delivery
	unknown error // some of them could not be told of
}

// take takes a slot of the command's gate for a run that is about to be claimed,
// or claimed again. Where there is none, those who hold the gate are asked once
// whether they still run.
func (t *task) take(ctx context.Context, a ledger.Take) ledger.Event {
	answer := ledger.Taken{Prepared: a.Prepared}
	defer t.gates.lock(t.command.Name)()
	read := false
	for {
		action, err := t.stepGate(ctx, ledger.SlotWanted{
			Run: a.Run, Entry: t.entry, Max: t.command.Max, Refreshed: t.gate.full, Unknown: t.gate.unknown,
		})
		switch got := action.(type) {
		case ledger.SlotTaken:
			answer.OK, answer.Err = err == nil, err
			return answer
		case ledger.SlotRefused:
			answer.Reason, answer.Err = got.Reason, cmp.Or(err, got.Err)
			return answer
		case ledger.Refresh:
			switch {
			case err != nil:
			case !read: // it may have changed since the delivery began
				read, err = true, t.reread(ctx, t.gate.record)
			default:
				err = t.refresh(ctx, got)
			}
		}
		if err != nil {
			answer.Err = err
			return answer
		}
	}
}

func (t *task) stepGate(ctx context.Context, events ...ledger.GateEvent) (action ledger.GateAction, err error) {
	err = t.change(ctx, t.gate.record, func(value []byte) ([]byte, time.Time, error) {
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

// refresh finds out which runs that hold a full gate still run. It takes half of
// the time that is left for claims: one that SSM is slow to tell of keeps nobody
// from the slots of the others.
func (t *task) refresh(ctx context.Context, a ledger.Refresh) error {
	asks, cancel := context.WithTimeout(ctx, t.claims.Sub(t.now())/2)
	defer cancel()
	holders := make([]*task, len(a.Holders))
	records := make([]*record, len(a.Holders))
	for i, h := range a.Holders {
		holders[i] = t.task(t.command, h.Entry, nil)
		holders[i].checking = true
		records[i] = holders[i].record
	}
	if err := t.get(asks, records...); err != nil {
		return fmt.Errorf("reading the runs that count against max: %w", err)
	}
	at := make([]int, len(a.Holders))
	for i := range at {
		at[i] = i
	}
	parallel(at, func(i int) { holders[i].feed(asks, ledger.Check{Run: a.Holders[i].Run}) })
	var free []string
	var unknown error
	for i, h := range a.Holders {
		entry, err := ledger.Decode(holders[i].record.Value)
		switch err = cmp.Or(append(holders[i].failed, err)...); {
		case err == nil && h.Free(entry, t.now(), t.Process):
			free = append(free, h.Run)
		case err != nil:
			unknown = cmp.Or(unknown, fmt.Errorf("asking whether run %s still counts against max: %w", h.Run, err))
		}
	}
	if len(free) == 0 {
		t.gate.full, t.gate.unknown = true, unknown
		return nil
	}
	_, err := t.stepGate(ctx, ledger.SlotsFree{Runs: free})
	return err
}

// release gives up the slots of runs that were not sent after all.
func (t *task) release(ctx context.Context, a ledger.Release) {
	if t.gate == nil {
		return
	}
	defer t.gates.lock(t.command.Name)()
	if _, err := t.stepGate(ctx, ledger.SlotsFree{Runs: a.Runs}); err != nil {
		t.Log.WarnContext(ctx, "a slot is free only when its lease has ended", "command", t.command.Name, "run_ids", a.Runs, "error", err.Error())
	}
}
