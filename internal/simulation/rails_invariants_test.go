package simulation

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/cloudtest"
	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/runner"
)

// clocks is by how much the clocks of two processes differ at the most.
const clocks = time.Second

// theRailsHold: what SSM took kept to every limit.
func (s *schedule) theRailsHold() {
	g := &s.shape.rails
	runs := s.runs()
	byCommand := map[string][]*run{}
	for _, r := range runs {
		if len(r.commands) > 0 {
			byCommand[r.command()] = append(byCommand[r.command()], r)
		}
	}
	s.neverMore(runs, g.all.Max, "of all commands")
	s.neverOftener(runs, "", g.all.RateLimit)
	for _, c := range []string{"fix", "second"} {
		s.neverMore(byCommand[c], s.shape.max, "of "+c)
		s.neverOftener(byCommand[c], c, g.windows)
		s.oneValueAtATime(byCommand[c])
		s.cools(byCommand[c])
		s.nothingBeginsWhileOpen(c, byCommand[c])
		s.opensForFailures(c, byCommand[c])
	}
	s.nothingBeginsWhilePaused()
	s.nothingHoldsBackAResolve()
	s.observedSendsNothing()
}

func (r *run) command() string { return r.commands[0].Token.Command }

// activeAt says that SSM had a command of the run that was not over.
func (r *run) activeAt(t time.Time) bool {
	return slices.ContainsFunc(r.commands, func(c *cloudtest.Command) bool { return c.ActiveAt(t) })
}

// neverMore: of the runs that SSM has taken, never more than max are not over.
func (s *schedule) neverMore(runs []*run, most int, of string) {
	if most == 0 {
		return
	}
	for _, r := range runs {
		for _, c := range r.commands {
			n := 0
			for _, o := range runs {
				n += btoi(o.activeAt(c.Sent))
			}
			if n > most {
				s.violation("at %v %d runs %s go on, over max: %d", s.since(c.Sent), n, of, most)
			}
		}
	}
}

// neverOftener: of the runs that SSM took, no more begin in any window than
// rate_limit says. A run begins when it takes its slot, shortly before its claim.
func (s *schedule) neverOftener(runs []*run, command string, windows []amx.Window) {
	if len(windows) == 0 {
		return
	}
	var starts []time.Time
	for _, r := range runs {
		took := time.Time{}
		for _, t := range s.books.gate(command).taken[r.id] {
			if t.landed.After(r.commands[0].Sent) {
				break
			}
			if took = t.at; took.Before(t.landed.Add(-timeout-10*time.Second)) || took.After(t.landed.Add(clocks)) {
				s.violation("%s took its slot at %v, and says that it was at %v", r.id, s.since(t.landed), s.since(took))
			}
		}
		if took.IsZero() {
			s.violation("%s was sent at %v without a slot of the gate of %q", r.id, s.since(r.commands[0].Sent), command)
		}
		starts = append(starts, took)
	}
	slices.SortFunc(starts, time.Time.Compare)
	for _, w := range windows {
		for i := range max(0, len(starts)-w.Runs) {
			if d := starts[i+w.Runs].Sub(starts[i]); d < w.Per-clocks {
				s.violation("%d runs of %q begin from %v on in %v, over %d per %v", w.Runs+1, command, s.since(starts[i]), d, w.Runs, w.Per)
			}
		}
	}
}

// cools: between the starts of two runs for one alert is the cooldown.
func (s *schedule) cools(runs []*run) {
	if s.shape.rails.cooldown == 0 {
		return
	}
	last := map[string]*run{}
	for _, r := range slices.SortedFunc(slices.Values(runs), func(a, b *run) int { return a.claimed.Compare(b.claimed) }) {
		for _, a := range r.alerts {
			if was := last[a.Fingerprint]; was != nil && was != r && r.claimed.Sub(was.claimed) < s.shape.rails.cooldown-clocks {
				s.violation("%s begins for %s at %v, only %v after %s", r.id, a.Fingerprint, s.since(r.claimed), r.claimed.Sub(was.claimed), was.id)
			}
			last[a.Fingerprint] = r
		}
	}
}

// oneValueAtATime: runs go on for one value of spread_by at a time.
func (s *schedule) oneValueAtATime(runs []*run) {
	if !s.shape.rails.spread {
		return
	}
	for _, r := range runs {
		for _, c := range r.commands {
			for _, o := range runs {
				if mine, other := s.zones(r), s.zones(o); o != r && o.activeAt(c.Sent) && mine != other {
					s.violation("at %v %s is sent for %s, and %s goes on for %s", s.since(c.Sent), r.id, mine, o.id, other)
				}
			}
		}
	}
}

// zones is the value of spread_by for a run.
func (s *schedule) zones(r *run) string {
	var all []string
	for _, a := range r.alerts {
		for _, h := range s.alerts {
			if h.name == a.Fingerprint {
				all = append(all, h.labels["zone"])
			}
		}
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), ",")
}

// nothingBeginsWhilePaused: but for who had read the ledger before.
func (s *schedule) nothingBeginsWhilePaused() {
	began := map[string]time.Time{}
	for _, a := range s.attempts {
		began[a.process] = a.begun
	}
	for _, r := range s.runs() {
		for _, p := range s.paused {
			if !p.holds(r.command()) {
				continue
			}
			to := p.to.Add(-clocks)
			if r.claimed.After(p.from.Add(timeout)) && r.claimed.Before(to) {
				s.violation("%s was claimed at %v, while the command was paused", r.id, s.since(r.claimed))
			}
			for _, c := range r.commands {
				// amx serve is one process for many deliveries.
				read := began[c.By]
				if s.shape.serve {
					read = c.Sent.Add(-runner.Budget)
				}
				if read.After(p.from) && c.Sent.Before(to) {
					s.violation("%s of %s was sent at %v, while the command was paused", c.ID, r.id, s.since(c.Sent))
				}
			}
		}
	}
}

// at is the breaker as it was written by then.
func (g *gateBook) at(t time.Time) (b breakerAt) {
	for _, is := range g.breakers {
		if !is.landed.After(t) {
			b = is
		}
	}
	return b
}

// nothingBeginsWhileOpen: while the breaker is open, but for who had read the ledger
// before; and when its time is up, one run at a time tries.
func (s *schedule) nothingBeginsWhileOpen(command string, runs []*run) {
	g := s.books.gate(command)
	trials := map[string]time.Time{} // :: run → until when no other may try
	for _, b := range g.breakers {
		if b.trial != "" {
			trials[b.trial] = b.trialUntil
		}
	}
	for _, r := range runs {
		// Whoever claims has read the gate at most so long before: as it was at any
		// moment since.
		from, to := r.claimed.Add(-timeout), r.claimed.Add(clocks)
		before, now := g.at(from), g.at(to)
		closed := slices.ContainsFunc(g.breakers, func(b breakerAt) bool {
			return b.until.IsZero() && b.landed.After(from) && !b.landed.After(to)
		})
		switch _, tries := trials[r.id]; {
		case before.until.IsZero() || now.until.IsZero() || closed:
			continue
		case before.until.After(r.claimed.Add(clocks)) && now.until.After(r.claimed.Add(clocks)):
			s.violation("%s was claimed at %v, while the breaker was open until %v", r.id, s.since(r.claimed), s.since(now.until))
		case !tries:
			s.violation("%s was claimed at %v beside the one run that tries", r.id, s.since(r.claimed))
		}
		for _, o := range runs {
			if until, tries := trials[o.id]; tries && o != r && o.claimed.Before(r.claimed) && o.activeAt(r.claimed) && r.claimed.Before(until.Add(-clocks)) {
				s.violation("%s tries at %v, and so does %s", r.id, s.since(r.claimed), o.id)
			}
		}
	}
}

// opensForFailures: the breaker opens for as many runs as it says, each of which
// failed, however often their ends were told.
func (s *schedule) opensForFailures(command string, runs []*run) {
	limit := cmp.Or(s.shape.rails.breaker.Failures, 3) // which is the default
	for _, b := range s.books.gate(command).breakers {
		failed := 0
		for _, r := range runs {
			if slices.ContainsFunc(r.commands, func(c *cloudtest.Command) bool { return c.Failed() && c.Over.Before(b.landed) }) {
				failed++
			}
		}
		if !b.until.IsZero() && failed < limit {
			s.violation("the breaker of %s opens at %v after %d runs that failed, not %d", command, s.since(b.landed), failed, limit)
		}
	}
}

// nothingHoldsBackAResolve: no limit, no pause and no open breaker.
func (s *schedule) nothingHoldsBackAResolve() {
	for _, a := range s.attempts {
		for _, r := range a.answer.Results {
			held := ledger.Reason(r.Reason).Holds() != "other" || strings.HasPrefix(r.Reason, "breaker: ")
			if held && slices.ContainsFunc(a.alerts, func(f amx.Alert) bool {
				return f.Status == amx.Resolved && slices.Contains(r.Alerts, f.Fingerprint)
			}) {
				s.violation("%s holds back a resolve: %s", a.name, says(a.answer))
			}
		}
	}
}

// observedSendsNothing: and every firing that was settled has been entered.
func (s *schedule) observedSendsNothing() {
	if !s.shape.rails.observe {
		return
	}
	for _, c := range s.cloud.Commands {
		if !c.Foreign {
			s.violation("%s was sent at %v, and its command is observed", c.ID, s.since(c.Sent))
		}
	}
	for _, a := range s.attempts {
		for _, r := range a.answer.Results {
			if _, known := s.books.covers[r.RunID]; r.Action == runner.ActionObserve && !known {
				s.violation("%s says that %s is observed, and the ledger does not have it", a.name, r.RunID)
			}
		}
	}
}
