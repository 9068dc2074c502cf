package runner

import (
	"cmp"
	"context"
	"errors"
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

// take takes a slot of the command's gate for a run that is about to be claimed,
// or claimed again. A full gate is first asked whether all who hold it still run;
// then the answer is no, for all runs of the delivery. It is an error where that
// could not be told of all who hold it: the source is to send again, and not when
// its repeat_interval has passed.
func (t *task) take(ctx context.Context, run string) (taken bool, err error) {
	if t.command.Max <= 0 {
		return true, nil
	}
	defer t.gates.lock(t.command.Name)()
	record := t.gate
	slot := ledger.Slot{Run: run, Entry: t.entry, Holder: t.holder, Lease: t.lease}
	refreshed := false
	var unknown error
	for conflicts := 0; ; {
		gate, err := ledger.DecodeGate(record.Value)
		if err != nil {
			return false, err
		}
		if full, why := t.isFull(); full && !gate.Has(run) {
			return false, why
		}
		switch {
		case gate.Take(slot, t.command.Max):
			err = t.Store.Put(ctx, t.encodeGate(*record, gate))
			if err == nil {
				record.Version++
				record.Value, record.Expires = gate.Encode()
				return true, nil
			}
			if conflicts++; !errors.Is(err, ledger.ErrConflict) || conflicts > tries {
				return false, fmt.Errorf("writing the gate of max: %w", err)
			}
			if err := sleep(ctx, t.jitter(time.Duration(conflicts)*20*time.Millisecond), nil); err != nil {
				return false, fmt.Errorf("writing the gate of max: %w", err)
			}
		case refreshed:
			t.setFull(unknown)
			return false, unknown
		}
		if err := t.readGate(ctx, record); err != nil {
			return false, err
		}
		if gate, err = ledger.DecodeGate(record.Value); err != nil {
			return false, err
		}
		if len(gate.Slots) >= t.command.Max {
			refreshed = true
			var free []string
			if free, unknown, err = t.freeSlots(ctx, gate); err != nil {
				return false, err
			}
			gate.Free(free...)
			record.Value, record.Expires = gate.Encode()
		}
	}
}

// isFull says that the gate was full before in this delivery, and what kept that
// from being known for sure.
func (t *task) isFull() (full bool, unknown error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	unknown, full = t.full[t.command.Name]
	return full, unknown
}

func (t *task) setFull(unknown error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.full == nil {
		t.full = map[string]error{}
	}
	t.full[t.command.Name] = unknown
}

func (t *task) encodeGate(r ledger.Record, g *ledger.Gate) ledger.Record {
	if r.Value, r.Expires = g.Encode(); r.Expires.IsZero() {
		r.Expires = t.now().Add(keepEmpty)
	}
	return r
}

func (t *task) readGate(ctx context.Context, record *ledger.Record) error {
	records, err := t.Store.Get(ctx, record.Key)
	if err != nil {
		return fmt.Errorf("reading the gate of max: %w", err)
	}
	*record = records[0]
	return nil
}

// freeSlots asks for each run that holds a slot whether it is over, and answers
// those whose slot is free. It takes half of the time that is left for claims:
// one that SSM is slow to tell of keeps nobody from the slots of the others.
func (t *task) freeSlots(ctx context.Context, gate *ledger.Gate) (free []string, unknown, err error) {
	keys := make([]string, len(gate.Slots))
	for i, s := range gate.Slots {
		keys[i] = ledger.EntryKey(t.command.Name, s.Entry)
	}
	records, err := t.Store.Get(ctx, keys...)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the runs that count against max: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, t.claims.Sub(t.now())/2)
	defer cancel()
	is, errs := make([]bool, len(gate.Slots)), make([]error, len(gate.Slots))
	var asks []func()
	for i, s := range gate.Slots {
		holder := &task{delivery: t.delivery, command: t.command, entry: s.Entry, updates: newTurn(), record: records[i]}
		asks = append(asks, func() {
			if is[i], errs[i] = holder.slotFree(ctx, s); errs[i] != nil {
				errs[i] = fmt.Errorf("asking whether run %s still counts against max: %w", s.Run, errs[i])
			}
		})
	}
	parallel(asks, func(ask func()) { ask() })
	for i, s := range gate.Slots {
		if is[i] {
			free = append(free, s.Run)
		}
	}
	return free, cmp.Or(errs...), nil // all of them may be too much to read
}

func (t *task) slotFree(ctx context.Context, s ledger.Slot) (bool, error) {
	r, err := t.run(s.Run)
	if err != nil {
		return false, err
	}
	if r != nil && !r.Over() && !r.Live(t.now(), t.Process, "") {
		// A run that may have been sent keeps its slot, and that is known.
		if err := t.refresh(ctx, r); err != nil && !errors.Is(err, errMaybeSent) {
			return false, err
		}
	}
	entry, err := t.current()
	if err != nil {
		return false, err
	}
	return s.Free(entry, t.now(), t.Process), nil
}

// giveUp frees the slots of runs that were not sent after all. Where that fails
// they are free when their lease has ended.
func (t *task) giveUp(ctx context.Context, runs ...string) {
	if t.command.Max <= 0 || len(runs) == 0 {
		return
	}
	defer t.gates.lock(t.command.Name)()
	for range tries {
		if t.readGate(ctx, t.gate) != nil {
			return
		}
		gate, err := ledger.DecodeGate(t.gate.Value)
		if err != nil {
			return
		}
		held := len(gate.Slots)
		gate.Free(runs...)
		if len(gate.Slots) == held {
			return
		}
		if err := t.Store.Put(ctx, t.encodeGate(*t.gate, gate)); !errors.Is(err, ledger.ErrConflict) {
			return
		}
	}
}
