package ledger

import (
	"slices"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
)

// A plan is what the alerts of a case come to, run by run.
type plan struct {
	starts []Start // to be begun
	stops  []Case
	sends  []Case // runs whose sender is gone
	waits  []Case
	asks   []Case
}

// decide decides on alerts: on a delivery's, or on those of which something else
// was to be known first.
//
// Resolves go before firings. An alert that is absent proves nothing, and
// neither does the message's own status: Alertmanager cuts messages
// (truncatedAlerts) and computes the status after the cut.
func (s *step) decide(c Case) {
	p := plan{}
	for i := range c.Alerts {
		if a := &c.Alerts[i]; a.Status == amx.Resolved {
			s.changed = s.entry.end(a, s.SentAt) || s.changed
		}
	}
	for i := range c.Alerts {
		if a := &c.Alerts[i]; a.Status == amx.Resolved {
			s.resolved(&p, a)
		}
	}
	stale := s.Now.Sub(s.SentAt) > Stale
	for i := range c.Alerts {
		switch a := &c.Alerts[i]; {
		case a.Status == amx.Resolved:
		case stale:
			s.skip(SkipStale, "", a.Fingerprint)
		default:
			s.firing(&p, a)
		}
	}
	for _, stop := range p.stops {
		stop.patient = c.patient
		s.stop(stop)
	}
	for _, wait := range p.waits {
		wait.patient = c.patient
		s.wait(wait)
	}
	for _, send := range p.sends {
		s.takeOver(send)
	}
	for _, ask := range p.asks {
		s.know(ask)
	}
	for _, start := range p.starts {
		s.do(Prepare{start})
	}
}

// resolved decides on a resolve: each run that it ends is stopped once all of its
// episodes have ended.
func (s *step) resolved(p *plan, a *amx.Alert) {
	runs, goesOn := s.entry.endedBy(a, s.SentAt)
	// Runs that are long stopped are not worth a word beside one that is not.
	if len(runs) > 1 {
		last := runs[len(runs)-1]
		runs = slices.DeleteFunc(runs, func(id string) bool { return id != last && s.stoppedBefore(id) })
	}
	switch {
	case len(runs) == 0 && goesOn:
		s.skip(SkipLaterFiring, "", a.Fingerprint)
	case len(runs) == 0:
		s.skip(SkipNothing, "", a.Fingerprint)
	}
	for _, id := range runs {
		r := s.entry.run(id)
		switch {
		case r == nil || r.over():
			s.skip(SkipEnded, id, a.Fingerprint)
		case s.Policy.IgnoreResolved:
			s.skip(SkipIgnored, id, a.Fingerprint)
		case !s.entry.allEnded(id):
			s.skip(SkipStillFiring, id, a.Fingerprint)
		case s.stoppedBefore(id):
			s.skip(SkipStopped, id, a.Fingerprint)
		default:
			s.changed = s.changed || !r.CancelAsked
			r.CancelAsked = true
			p.stops = join(p.stops, Case{Run: id, Reason: CancelEnded, aim: toStop}, a)
		}
	}
}

// stoppedBefore says that a run is over, or was stopped by an earlier resolve.
func (s *step) stoppedBefore(id string) bool {
	r := s.entry.run(id)
	return r == nil || r.over() || r.CancelAsked && r.stopped(s.Now, s.Process)
}

// firing decides on a firing: it opens an episode, or belongs to one.
func (s *step) firing(p *plan, a *amx.Alert) {
	ep, opens, against := s.entry.place(a, s.SentAt)
	switch {
	case against != "":
		s.skip(against, "", a.Fingerprint)
		return
	case ep == nil:
		p.due(Start{Case: Case{Reason: RunFiring}, Attempt: 1}, a, opens)
		return
	}
	// In a form without times too: a resolve stamped before this firing, and
	// overtaken by it, is not the end of what fires now.
	if start := startOf(a, s.SentAt); start.After(ep.StartsAt) {
		ep.StartsAt, s.changed = start, true
	}
	if s.Now.Sub(ep.Seen) > touch {
		ep.Seen, s.changed = s.Now, true
	}
	r := s.entry.run(ep.Run)
	switch {
	case r == nil:
		s.skip(SkipRan, ep.Run, a.Fingerprint)
	case r.over():
		s.again(p, r, a)
	case s.live(r):
		p.waits = join(p.waits, Case{Run: r.ID, Reason: SkipRunning}, a)
	case !r.complete():
		p.sends = join(p.sends, Case{Run: r.ID, Reason: RunTakenOver, aim: toSend}, a)
	case s.asked == r.ID:
		s.skip(SkipRunning, r.ID, a.Fingerprint)
	case s.mustAsk(r):
		p.asks = join(p.asks, Case{Run: r.ID, Reason: SkipRunning}, a)
	default:
		s.skip(SkipRan, r.ID, a.Fingerprint)
	}
}

// again decides on an alert that fires on while its run is over.
func (s *step) again(p *plan, r *run, a *amx.Alert) {
	switch {
	case s.repeats(r):
		p.due(Start{Case: Case{Reason: RunRepeat}, Prev: r.ID, Attempt: 1}, a, time.Time{})
	case !r.Outcome.Failed:
		s.skip(SkipRan, r.ID, a.Fingerprint)
	case r.Attempt <= s.Policy.Retries:
		p.due(Start{Case: Case{Reason: RunRetry}, Prev: r.ID, Attempt: r.Attempt + 1, prev: r.Outcome}, a, time.Time{})
	default:
		s.skip(SkipFailed, r.ID, a.Fingerprint)
	}
}

// repeats says that repeat_after has passed. 95 % of it counts, because
// Alertmanager's repeat_interval is only looked at every group_interval and
// the two would else beat against each other.
func (s *step) repeats(r *run) bool {
	d := s.Policy.RepeatAfter
	return d > 0 && s.Now.Sub(r.Claimed) >= d/100*95
}

// mustAsk says that the decision depends on whether the run is over, which the
// entry does not know. No run is over by the clock alone.
func (s *step) mustAsk(r *run) bool {
	return r.InDoubt && len(r.commands()) == 0 || s.Policy.Retries > 0 || s.repeats(r) || s.Now.After(r.Until)
}

// due adds the alert to the run that it shares with others: alerts without a
// run have one together, and those of a failed run have its retry together.
func (p *plan) due(d Start, a *amx.Alert, opens time.Time) {
	i := slices.IndexFunc(p.starts, func(o Start) bool { return o.Prev == d.Prev && o.Reason == d.Reason })
	if i < 0 {
		d.opens = map[string]time.Time{}
		p.starts = append(p.starts, d)
		i = len(p.starts) - 1
	}
	q := &p.starts[i]
	if _, twice := q.opens[a.Fingerprint]; twice {
		return // the same alert twice in one message
	}
	q.opens[a.Fingerprint] = opens
	q.Alerts = append(q.Alerts, *a)
}
