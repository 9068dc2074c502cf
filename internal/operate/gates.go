package operate

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/sleep"
)

// A Limit says how many runs of a command may go on at once.
type Limit struct {
	Command string
	Max     int // 0: no limit, or unknown here
}

// Gates is a [Gatekeeper] that reads the ledger's gates.
type Gates struct {
	Ledger ledger.Store
	Limits func(context.Context) ([]Limit, error) // of all commands
	Now    func() time.Time
}

// Gates returns the commands that have a run with a slot, or failed runs in a row.
func (g *Gates) Gates(ctx context.Context) ([]Command, error) {
	limits, err := g.Limits(ctx)
	if err != nil {
		return nil, err
	}
	var keys []string
	for _, l := range limits {
		keys = append(keys, ledger.GateKey(l.Command))
	}
	records, err := g.Ledger.Get(ctx, keys...)
	if err != nil {
		return nil, err
	}
	out := []Command{}
	for i, r := range records {
		gate, err := ledger.DecodeGate(r.Value)
		if err != nil {
			return nil, fmt.Errorf("command %q: %w", limits[i].Command, err)
		}
		state := gate.State()
		c := Command{Command: limits[i].Command, Running: len(state.Running), Max: limits[i].Max, Failed: len(state.Failures)}
		if state.OpenUntil.After(g.Now()) {
			c.Breaker = &state.OpenUntil
		}
		if c.Running > 0 || c.Failed > 0 || c.Breaker != nil {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b Command) int { return strings.Compare(a.Command, b.Command) })
	return out, nil
}

// CloseBreaker lets runs of the command start again.
func (g *Gates) CloseBreaker(ctx context.Context, command string) (bool, error) {
	for try := 1; ; try++ {
		records, err := g.Ledger.Get(ctx, ledger.GateKey(command))
		if err != nil {
			return false, err
		}
		gate, err := ledger.DecodeGate(records[0].Value)
		if err != nil {
			return false, err
		}
		closed, _ := gate.Step(ledger.Actor{Now: g.Now()}, ledger.CloseBreaker{}).(ledger.BreakerClosed)
		if !closed.Was {
			return false, nil
		}
		r := records[0]
		r.Value, r.Expires = gate.Encode()
		if err = g.Ledger.Put(ctx, r); err == nil {
			return true, nil
		}
		if !errors.Is(err, ledger.ErrConflict) || try == 5 {
			return false, err
		}
		if err := rest(ctx); err != nil {
			return false, err
		}
	}
}

// rest waits a moment, so that two writers do not conflict again.
func rest(ctx context.Context) error { return sleep.For(ctx, rand.N(100*time.Millisecond)) }
