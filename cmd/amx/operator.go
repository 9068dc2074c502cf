package main

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/amx-lambda/amx/internal/history"
	historybolt "github.com/amx-lambda/amx/internal/history/bolt"
	"github.com/amx-lambda/amx/internal/operate"
	"github.com/amx-lambda/amx/internal/operate/desk"
	"github.com/amx-lambda/amx/internal/runner"
)

// newDesk makes the desk of this process.
func (h *host) newDesk() *operate.Desk {
	h.history = &historybolt.Store{
		File: h.store, Keep: history.Default, Now: time.Now,
		News: func(_ context.Context, r history.Record) { h.metrics.runs.told(r) },
	}
	return &operate.Desk{
		History: h.history, Ledger: h.store, Outputs: localClient(h.ssm), Log: h.log, Now: time.Now,
		Stopper: desk.Stopper{Runner: func() *runner.Runner { return h.runner }},
		Gates:   &operate.Gates{Ledger: h.store, Limits: h.limits, Now: time.Now},
		Queue:   h.queueStatus,
	}
}

// limits is the commands as they are configured.
func (h *host) limits(context.Context) ([]operate.Limit, error) {
	return desk.LimitsOf(h.current.Load()), nil
}

// stopped is a history in which the runs that amx ended when it stopped say so,
// also where only the next process finds out: that of a run of an earlier one.
type stopped struct {
	runner.History
	stopping *atomic.Bool
	started  time.Time // this process
}

func (s stopped) Put(ctx context.Context, r history.Record) error {
	stopped := s.stopping.Load() || r.Claimed.Before(s.started)
	if stopped && r.State == history.Cancelled && r.CancelledBy == nil && history.IsRun(r.Run) {
		r.CancelledBy = &history.CancelledBy{Who: history.ByStop, At: r.Ended}
	}
	return s.History.Put(ctx, r)
}
