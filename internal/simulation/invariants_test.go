package simulation

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/cloudtest"
	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/runner"
	"github.com/amx-lambda/amx/internal/ssmexec"
)

// refusal is SSM's word for what it will not have, now or later.
const refusal = "InvalidDocument"

// obeyed is how long after an accepted cancellation, or a signal that was sent,
// a node may still run the command.
const obeyed = 5 * time.Second

// check looks at what has happened, with the eyes of somebody who sees all.
func (s *schedule) check() []string {
	s.onePassEach()
	s.nothingAfterItsResolve()
	s.everyAcknowledgedFiringRan()
	s.everyRunRan()
	s.truth()
	s.theRailsHold()
	s.nobodyElsesIsTouched()
	s.settledInTheEnd()
	return s.violations
}

func (s *schedule) violation(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.violations = append(s.violations, fmt.Sprintf(format, args...))
}

func (s *schedule) since(t time.Time) time.Duration { return t.Sub(s.origin).Round(time.Millisecond) }

// A run is what the nodes and SSM show of one.
type run struct {
	id       string
	claimed  time.Time
	alerts   []cloudtest.Alert
	commands []*cloudtest.Command
	passes   []*cloudtest.Pass
}

// runs is all of them, by the run ID of their scripts, in the order of their
// first command.
func (s *schedule) runs() []*run {
	var all []*run
	known := map[string]*run{}
	for _, c := range s.cloud.Commands {
		if c.Signal != "" || c.Foreign {
			continue
		}
		r := known[c.Token.Run]
		if r == nil {
			r = &run{id: c.Token.Run}
			r.claimed, _ = ssmexec.RunTime(r.id)
			if claimed, known := s.books.claimed[r.id]; known {
				r.claimed = claimed
			}
			r.alerts = slices.Clone(s.books.covers[r.id])
			known[r.id], all = r, append(all, r)
		}
		r.commands = append(r.commands, c)
		// A delivery that adopts a run may carry an older start of its alerts:
		// what counts is what the run was claimed for.
		if len(s.books.covers[r.id]) == 0 {
			r.alerts = append(r.alerts, c.Alerts...)
		}
	}
	for _, p := range s.cloud.Passes {
		if r := known[p.Run]; r != nil {
			r.passes = append(r.passes, p)
		}
	}
	return all
}

// onePassEach: an episode has its command once on a node; more often only where
// a retry follows a failure, or repeat_after has passed.
func (s *schedule) onePassEach() {
	type place struct{ fingerprint, start, node string }
	seen := map[place][]*cloudtest.Pass{}
	claimed := map[string]time.Time{}
	for _, r := range s.runs() {
		claimed[r.id] = r.claimed
		for _, p := range r.passes {
			for _, a := range r.alerts {
				k := place{a.Fingerprint, a.Start, p.Node}
				if slices.ContainsFunc(seen[k], func(before *cloudtest.Pass) bool { return s.sameAgain(before, p) }) {
					continue
				}
				for _, before := range seen[k] {
					repeats := s.shape.repeat > 0 && r.claimed.Sub(claimed[before.Run]) >= s.shape.repeat/100*95
					if before.Run == p.Run || before.Running() || before.Code == 0 && !repeats || !before.Ended.Before(p.Started) {
						s.violation("%s of %s has %s on %s beside or after %s, which did not fail", p.Command.ID, a.Fingerprint, p.Run, p.Node, before.Command.ID)
					}
				}
				if seen[k] = append(seen[k], p); len(seen[k]) > 1+s.shape.retries && s.shape.repeat == 0 {
					s.violation("%s since %v ran %d times on %s, with %d retries", a.Fingerprint, s.since(a.At()), len(seen[k]), p.Node, s.shape.retries)
				}
			}
		}
	}
}

// resolved is the first time that a resolve of the episode was delivered, and the
// first time that one was settled; zero: never. One that was put off counts as
// later says.
func (s *schedule) resolved(fingerprint string, start time.Time, later bool) (begun, settled time.Time) {
	for _, a := range s.attempts {
		for _, r := range a.alerts {
			if r.Status != amx.Resolved || r.Fingerprint != fingerprint || r.EndsAt.Before(start) {
				continue
			}
			if begun.IsZero() || a.begun.Before(begun) {
				begun = a.begun
			}
			if a.acknowledged && !s.overtaken(a, &r) && (later || !a.putsOff(fingerprint)) && (settled.IsZero() || a.ended.Before(settled)) {
				settled = a.ended
			}
		}
	}
	return begun, settled
}

// putsOff says that the answer left something of the alert for later.
func (a *attempt) putsOff(fingerprint string) bool {
	return slices.ContainsFunc(a.answer.Results, func(r runner.Result) bool {
		return r.Command != "other" && (r.Action == runner.ActionLater || r.Reason == string(ledger.SkipSuperseded)) && slices.Contains(r.Alerts, fingerprint)
	})
}

// serves is the latest start that a firing can have and still be the run's: one
// that began before the claim was taken for the same episode.
func (s *schedule) serves(r *run, a cloudtest.Alert) time.Time {
	latest := a.At()
	for _, delivered := range s.attempts {
		for _, f := range delivered.alerts.Firing() {
			if f.Fingerprint == a.Fingerprint && f.StartsAt.After(latest) && !f.StartsAt.After(r.claimed.Add(61*time.Second)) {
				latest = f.StartsAt
			}
		}
	}
	return latest
}

// nothingAfterItsResolve: what was acknowledged as resolved does not run.
func (s *schedule) nothingAfterItsResolve() {
	if s.shape.ignore {
		return
	}
	for _, r := range s.runs() {
		var stopped time.Time
		for _, a := range r.alerts {
			_, acknowledged := s.resolved(a.Fingerprint, s.serves(r, a), false)
			if acknowledged.IsZero() {
				stopped = time.Time{}
				break
			}
			if acknowledged.After(stopped) {
				stopped = acknowledged
			}
		}
		if stopped.IsZero() {
			continue
		}
		for _, p := range r.passes {
			// A node may go on after its restart before it hears of a cancellation, also if
			// it has lost its guards.
			again := slices.ContainsFunc(r.passes, func(before *cloudtest.Pass) bool {
				return before.Command == p.Command && before.Node == p.Node && before.Started.Before(p.Started) && s.sameAgain(before, p)
			})
			if again && !p.Running() && !p.Ended.After(p.Started.Add(obeyed)) {
				continue
			}
			if p.Started.After(stopped.Add(obeyed)) {
				s.violation("%s began on %s at %v, and its resolve was acknowledged at %v", p.Command.ID, p.Node, s.since(p.Started), s.since(stopped))
			} else if p.Running() || p.Ended.After(stopped.Add(obeyed)) {
				s.violation("%s ran on %s past %v, when its resolve was acknowledged", p.Command.ID, p.Node, s.since(stopped))
			}
		}
	}
}

// everyAcknowledgedFiringRan: on every node, and not cut off before the alert
// resolved.
func (s *schedule) everyAcknowledgedFiringRan() {
	for _, h := range s.alerts {
		for _, e := range h.episodes {
			start := s.startOf(h, e)
			first, putOff := s.acknowledgedFiring(h.name, start, s.origin.Add(e.end))
			resolved, _ := s.resolved(h.name, start, true)
			soon := s.soon
			if putOff {
				soon = settles + 5*time.Minute // what was put off meets faults too
				if s.shape.document {
					soon += 2 * window // each send whose answer is lost costs one
				}
			}
			if first.IsZero() || !resolved.After(first.Add(soon)) {
				continue // it may have been resolved before it reached its nodes
			}
			if putOff && s.shape.holdsBack() || s.shape.rails.observe {
				continue // and what it was put off for may have become the limit
			}
			if s.shape.room > 0 && (putOff || s.takenForLate(h.name)) {
				continue // by a full entry, which also has alerts wait
			}
			s.ranFor(h.name, start, first.Add(soon-s.soon+time.Second), resolved)
		}
	}
}

// takenForLate says that an answer took a firing of the alert for one that its resolve
// had overtaken.
func (s *schedule) takenForLate(fingerprint string) bool {
	return slices.ContainsFunc(s.attempts, func(a *attempt) bool {
		return slices.ContainsFunc(a.answer.Results, func(r runner.Result) bool {
			return r.Reason == string(ledger.SkipLate) && slices.Contains(r.Alerts, fingerprint)
		})
	})
}

// acknowledgedFiring is when a firing was first acknowledged as run, by its
// delivery or by one before; zero: never, or SSM refused a part of it. It may be
// put off until then.
func (s *schedule) acknowledgedFiring(fingerprint string, start, end time.Time) (first time.Time, putOff bool) {
	for _, a := range s.attempts {
		if !slices.ContainsFunc(a.alerts, func(f amx.Alert) bool {
			return f.Status == amx.Firing && f.Fingerprint == fingerprint && s.isOf(&f, start, end)
		}) {
			continue
		}
		if a.answer.Err != nil && strings.Contains(a.answer.Err.Error(), refusal) {
			return time.Time{}, false
		}
		told, full := false, false
		for _, r := range a.answer.Results {
			if !slices.Contains(r.Alerts, fingerprint) || r.Command == "other" {
				continue
			}
			// Some nodes of a run may be refused.
			if r.Action == runner.ActionRefuse && (!strings.Contains(r.Reason, "node i-") || strings.Contains(r.Reason, nodeOf(fingerprint)) || strings.Contains(r.Reason, refusal)) {
				return time.Time{}, false
			}
			if r.Action == runner.ActionLater && strings.Contains(r.Reason, refusal) {
				return time.Time{}, false
			}
			told, full = true, full || ledger.Reason(r.Reason).Holds() != "other"
		}
		switch {
		case !a.acknowledged || full:
		case !told:
			s.violation("%s acknowledged %s and does not say what became of it", a.name, fingerprint)
		case first.IsZero() || a.ended.Before(first):
			first, putOff = a.ended, a.putsOff(fingerprint)
		}
	}
	return first, putOff
}

func (s *schedule) ranFor(fingerprint string, start, acknowledged, resolved time.Time) {
	nodes := map[string]bool{}
	var serving int
	for _, r := range s.runs() {
		for _, a := range r.alerts {
			if a.Fingerprint != fingerprint || s.shape.untimed == "" && start.After(s.serves(r, a)) || r.claimed.After(acknowledged) {
				continue
			}
			serving++
			if s.cancelledByToken(r) || s.books.refused[r.id] {
				return
			}
			// A retry leaves out the nodes on which the run before it succeeded.
			for id := r.id; id != ""; id = s.books.before[id] {
				for _, p := range s.cloud.Passes {
					if cut := (p.Killed || p.Stopped) && p.Ended.Before(resolved); p.Run == id && !cut {
						nodes[p.Node] = true
					}
				}
			}
		}
	}
	want := 1
	if s.shape.chunked {
		want = 50 // and those of the alerts of the run
	}
	if s.shape.lost && (fingerprint == "a" || s.shape.chunked) {
		return
	}
	if len(nodes) < want || !nodes[nodeOf(fingerprint)] {
		s.violation("%s since %v was acknowledged at %v, resolved at %v, and ran on %d nodes, not %d (of %d runs)", fingerprint, s.since(start), s.since(acknowledged), s.since(resolved), len(nodes), want, serving)
	}
}

// cancelledByToken says that a resolve could not read or write the ledger, and
// cancelled the run by its token. A later firing may have joined that run: nobody
// can know while the ledger is down. But it was there when the resolve was sent.
func (s *schedule) cancelledByToken(r *run) bool {
	by := map[string]bool{}
	for _, c := range s.cloud.Commands {
		switch {
		case c.Run == r.id && c.Signal != "":
			by[c.By] = true
		case c.Run == r.id && c.Cancelled:
			by[c.CancelledBy] = true
		}
	}
	made, _ := ssmexec.RunTime(r.id)
	return slices.ContainsFunc(s.attempts, func(a *attempt) bool {
		sent := a.sent
		if sent.IsZero() {
			sent = a.begun
		}
		// Its function's clock and the claimant's may differ. The process may
		// have died after it, and then has no answer.
		return by[a.process] && !made.After(sent.Add(time.Second)) && slices.ContainsFunc(a.alerts, func(f amx.Alert) bool {
			return f.Status == amx.Resolved && slices.ContainsFunc(r.alerts, func(c cloudtest.Alert) bool { return c.Fingerprint == f.Fingerprint })
		}) && (a.answer.Err == nil || strings.Contains(a.answer.Err.Error(), "ing the ledger"))
	})
}

// everyRunRan: a run that SSM took, and that nobody stopped, ran on each of its
// nodes.
func (s *schedule) everyRunRan() {
	for _, r := range s.runs() {
		if s.shape.term || slices.ContainsFunc(r.commands, func(c *cloudtest.Command) bool { return c.Cancelled }) {
			continue
		}
		for _, c := range r.commands {
			for _, node := range c.Nodes {
				if !slices.ContainsFunc(r.passes, func(p *cloudtest.Pass) bool { return p.Node == node }) {
					s.violation("%s never ran on %s", r.id, node)
				}
			}
		}
	}
}

// truth: what an answer says is so.
func (s *schedule) truth() {
	runs := map[string]*run{}
	for _, r := range s.runs() {
		runs[r.id] = r
	}
	for _, a := range s.attempts {
		if a.answer.Results == nil {
			continue
		}
		for _, r := range a.answer.Results {
			known := runs[r.RunID]
			switch {
			case r.Action == runner.ActionRun && (known == nil || len(r.CommandIDs) == 0):
				s.violation("%s says that it ran %s, and there is no such run", a.name, r.RunID)
			case r.Action == runner.ActionRun && r.Status == "Success" && slices.ContainsFunc(known.passes, func(p *cloudtest.Pass) bool {
				return p.Started.Before(a.ended) && (p.Running() || p.Ended.After(a.ended) || p.Code != 0 && !s.follows(known, p))
			}):
				s.violation("%s says that %s ended well, and it did not", a.name, r.RunID)
			case (r.Reason == string(ledger.SkipEnded) || r.Reason == "resolved: cancelled") && known != nil && slices.ContainsFunc(known.passes, func(p *cloudtest.Pass) bool {
				return p.Started.Before(a.begun) && (p.Running() || p.Ended.After(a.ended))
			}):
				s.violation("%s says of %s %q, and it runs", a.name, r.RunID, r.Reason)
			case r.Reason == string(ledger.SkipFailed) && known != nil && !slices.ContainsFunc(known.passes, func(p *cloudtest.Pass) bool { return p.Code != 0 }):
				s.violation("%s says that %s failed, and it did not", a.name, r.RunID)
			case r.Reason == string(ledger.SkipRan) && r.RunID != "" && known == nil && !s.shape.rails.observe:
				s.violation("%s says that %s was started, and it was not", a.name, r.RunID)
			}
			for _, id := range r.CommandIDs {
				if c := s.cloud.Find(id); c == nil || r.RunID != "" && c.Token.Run != r.RunID {
					s.violation("%s says that %s is a command of %s", a.name, id, r.RunID)
				}
			}
		}
	}
}

// settledInTheEnd: once there are no faults, every resolve is acknowledged.
func (s *schedule) settledInTheEnd() {
	for _, a := range s.attempts {
		if len(a.name) > 4 && a.name[:4] == "last" && !a.acknowledged {
			s.violation("%s was not acknowledged: %v", a.name, a.answer.Err)
		}
	}
}
