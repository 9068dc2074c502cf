package ledger

import (
	"fmt"
	"slices"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
)

// A breaker keeps a command from failing again and again. Failures are the latest
// runs that failed in a row. They have IDs, so that an end that is reported twice
// counts once. Enough failures open the breaker. When its time is up, one run may
// try, under a lease: its success closes the breaker, its failure opens it for as
// long again.
type breaker struct {
	Failures  []failure `json:"failures,omitempty"` // in the order of their ends
	OpenUntil time.Time `json:"until,omitzero"`     // zero: it is closed
	Trial     trial     `json:"trial,omitzero"`
}

type failure struct {
	Run   string    `json:"run"`
	Ended time.Time `json:"ended"`
}

type trial struct {
	Run   string    `json:"run"`
	Until time.Time `json:"until"` // after it another run may try
}

// keepFailures is how long a row of failures counts if no further run ends.
const keepFailures = 30 * 24 * time.Hour

func (b *breaker) expires() (at time.Time) {
	for _, f := range b.Failures {
		at = later(at, f.Ended.Add(keepFailures))
	}
	if !b.OpenUntil.IsZero() {
		at = later(at, b.OpenUntil.Add(keepFailures))
	}
	return at
}

// refuses returns why no run may begin, or "" if one may.
func (b *breaker) refuses(c amx.Breaker, now time.Time) Reason {
	switch {
	case c.Failures == 0 || b.OpenUntil.IsZero():
		return ""
	case now.Before(b.OpenUntil):
		return Reason(fmt.Sprintf(byBreaker+" %d runs in a row failed, until %s", len(b.Failures), b.OpenUntil.UTC().Format(time.RFC3339)))
	case b.Trial.Run != "" && now.Before(b.Trial.Until):
		return Reason(fmt.Sprintf(byBreaker+" %d runs in a row failed, and run %s tries whether it still does", len(b.Failures), b.Trial.Run))
	}
	return ""
}

// try makes this run the one that tries, if the breaker's time is up.
func (b *breaker) try(run string, c amx.Breaker, a *Actor) bool {
	if c.Failures == 0 || b.OpenUntil.IsZero() || b.Trial.Run == run {
		return false
	}
	b.Trial = trial{run, later(a.Lease, a.Until).Add(a.Window)}
	return true
}

// ended counts the end of a run. It changes the gate only for a failure, and for a
// success that ends a row of failures.
func (b *breaker) ended(e RunEnded, now time.Time) GateAction {
	limit := e.Limits.Breaker
	tried := b.Trial.Run == e.Run
	switch {
	case limit.Failures == 0:
		return nil
	case e.Failed && !e.Last:
		if tried {
			b.Trial = trial{} // its retry tries
		}
		return nil
	case !e.Failed && tried:
		*b = breaker{}
		return nil
	case !e.Failed:
		b.Failures = slices.DeleteFunc(b.Failures, func(f failure) bool { return b.OpenUntil.IsZero() && !f.Ended.After(e.Ended) })
		return nil
	case slices.ContainsFunc(b.Failures, func(f failure) bool { return f.Run == e.Run }):
		return nil
	case !tried && !b.OpenUntil.IsZero():
		return nil // it began before the breaker opened
	}
	b.Failures = append(b.Failures, failure{e.Run, e.Ended})
	slices.SortFunc(b.Failures, func(x, y failure) int { return x.Ended.Compare(y.Ended) })
	switch {
	case tried:
		b.Trial = trial{}
	case len(b.Failures) < limit.Failures:
		return nil
	}
	b.Failures = b.Failures[max(0, len(b.Failures)-limit.Failures):]
	b.OpenUntil = now.Add(limit.For)
	return BreakerOpened{len(b.Failures), b.OpenUntil}
}

// CloseBreaker lets runs begin again at once.
type CloseBreaker struct{}

// BreakerClosed answers [CloseBreaker]. Was: it was open.
type BreakerClosed struct{ Was bool }

func (BreakerClosed) gateAction() {}

func (CloseBreaker) applyTo(g *Gate, _ *Actor) GateAction {
	was := !g.breaker.OpenUntil.IsZero()
	g.breaker = breaker{}
	return BreakerClosed{was}
}

// A GateState is what people see of a gate.
type GateState struct {
	Running   []string  // runs
	Started   time.Time // of the latest run that counts
	OpenUntil time.Time // of the breaker; zero: it is closed
	Failures  []string  // the runs in a row that failed
	Trial     string    // the run that tries
}

// State is what people see of the gate.
func (g *Gate) State() (s GateState) {
	for _, slot := range g.slots {
		if s.Started = later(s.Started, slot.At); !slot.Over {
			s.Running = append(s.Running, slot.Run)
		}
	}
	for _, f := range g.breaker.Failures {
		s.Failures = append(s.Failures, f.Run)
	}
	s.OpenUntil, s.Trial = g.breaker.OpenUntil, g.breaker.Trial.Run
	return s
}
