package ledger

import (
	"slices"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
)

// A plan sorts the alerts of a case by run and by action.
type plan struct {
	starts []Start // to be begun
	stops  []Case
	sends  []Case // runs whose sender is gone
	waits  []Case
	asks   []Case
	late   []Case // to be given up
}

// decide decides on alerts: those of a delivery, or those that had to wait for an
// answer of SSM.
//
// Resolves go before firings. decide does not take an alert for resolved because the
// message lacks it, or because of the message's own status: Alertmanager cuts
// messages (truncatedAlerts) and computes the status after the cut.
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
	if s.first {
		s.first = false
		s.unfinished(&p, c)
	}
	stale := s.Now.Sub(s.SentAt) > Stale
	for i := range c.Alerts {
		switch a := &c.Alerts[i]; {
		case a.Status == amx.Resolved:
		case s.superseded(a.ID()):
			s.skip(SkipSuperseded, "", a.Fingerprint)
		case stale && s.Queued:
			s.tooOld(&p, a)
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
	for _, late := range p.late {
		s.do(GiveUp{late})
	}
	for _, start := range p.starts {
		s.begin(start)
	}
}

// begin prepares a run for the alerts that the command's cooldown does not hold
// back.
func (s *step) begin(start Start) {
	ready := start
	ready.Alerts = nil
	for _, a := range start.Alerts {
		until := s.cooling(&a)
		if !until.After(s.Now) {
			ready.Alerts = append(ready.Alerts, a)
			continue
		}
		c := start.Case
		c.Alerts = amx.Alerts{a}
		s.limited(c, limitCooldown(until), false, false)
	}
	if len(ready.Alerts) > 0 {
		s.do(Prepare{ready})
	}
}

// resolved decides on a resolve. It stops each run of which this resolve ended the
// last open episode.
func (s *step) resolved(p *plan, a *amx.Alert) {
	s.entry.waitsNoMore(a.ID())
	runs, goesOn := s.entry.runsEndedBy(a, s.SentAt)
	// Do not report runs that were stopped before beside one that was not.
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
		case r == nil || r.over() && !r.CancelAsked:
			s.skip(SkipEnded, id, a.Fingerprint)
		case r.over():
			s.skip(r.stoppedBefore(), id, a.Fingerprint)
		case s.Policy.IgnoreResolved:
			s.skip(SkipIgnored, id, a.Fingerprint)
		case !s.entry.allEnded(id):
			s.goesOn(SkipStillFiring, r, a)
		case s.stoppedBefore(id):
			s.skip(r.stoppedBefore(), id, a.Fingerprint)
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

// unfinished finishes cancels that were asked before. Every delivery that reads the
// entry does so, of whatever kind.
func (s *step) unfinished(p *plan, c Case) {
	for _, r := range s.entry.runs {
		if !r.toStop() || s.live(r) || slices.ContainsFunc(p.stops, func(o Case) bool { return o.Run == r.ID }) {
			continue
		}
		p.stops = append(p.stops, Case{Run: r.ID, Reason: CancelEnded, Alerts: c.Alerts, shown: s.entry.covers(r.ID), aim: toStop})
	}
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
	s.changed = ep.joins(a, s.SentAt) || s.changed
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
		s.goesOn(SkipRunning, r, a)
	case s.mustAsk(r):
		p.asks = join(p.asks, Case{Run: r.ID, Reason: SkipRunning}, a)
	default:
		s.goesOn(SkipRan, r, a)
	}
}

// again decides on an alert that still fires after its run is over. Only a reminder
// begins a retry, never a delivery of the source.
func (s *step) again(p *plan, r *run, a *amx.Alert) {
	switch {
	case s.repeats(r):
		p.due(Start{Case: Case{Reason: RunRepeat}, Prev: r.ID, Attempt: 1}, a, episode{})
	case !r.Outcome.Failed:
		s.skip(SkipRan, r.ID, a.Fingerprint)
	case r.Attempt <= s.Policy.Retries:
		s.goesOn(SkipRetryPending, r, a)
	default:
		s.skip(SkipFailed, r.ID, a.Fingerprint)
	}
}

// repeats reports whether repeat_after has passed. 95 % of it is enough: Alertmanager
// repeats only at a group_interval, and may come some seconds before the full time.
func (s *step) repeats(r *run) bool {
	d := s.Policy.RepeatAfter
	return d > 0 && s.Now.Sub(r.Claimed) >= d/100*95
}

// mustAsk reports whether SSM has to be asked if the run is over: the decision
// depends on it, and the entry does not have it. No run is over by the clock alone.
func (s *step) mustAsk(r *run) bool {
	return r.InDoubt && len(r.commands()) == 0 || s.repeats(r) || s.Now.After(r.Until)
}

// tooOld gives up a firing that waited until it was stale. Parts of its run that SSM
// has not taken count as refused from now on, so that the run can end.
func (s *step) tooOld(p *plan, a *amx.Alert) {
	ep, _, against := s.entry.place(a, s.SentAt)
	s.entry.waitsNoMore(a.ID())
	s.changed = true
	c := Case{}
	if ep == nil && against != "" {
		s.skip(against, "", a.Fingerprint)
		return
	}
	if ep != nil {
		r := s.entry.run(ep.Run)
		if r == nil || r.complete() {
			s.skip(SkipRan, ep.Run, a.Fingerprint)
			return
		}
		if r.needsLook() && s.looked != r.ID && !s.live(r) {
			p.asks = join(p.asks, Case{Run: r.ID, Reason: SkipRunning}, a) // then its open part is known
			return
		}
		if r.giveUp(); s.entry.drop(r) == nil {
			s.do(Release{ep.Run})
		}
		c.Run = ep.Run
	}
	p.late = join(p.late, c, a)
}

// due adds the alert to a run that it shares with others: all alerts without a run
// share one, and so do the alerts of a run that is repeated.
func (p *plan) due(d Start, a *amx.Alert, opens episode) {
	i := slices.IndexFunc(p.starts, func(o Start) bool { return o.Prev == d.Prev && o.Reason == d.Reason })
	if i < 0 {
		d.opens = map[string]episode{}
		p.starts = append(p.starts, d)
		i = len(p.starts) - 1
	}
	q := &p.starts[i]
	if _, twice := q.opens[a.ID()]; twice {
		return // the same alert twice in one message
	}
	q.opens[a.ID()] = opens
	q.Alerts = append(q.Alerts, *a)
}

// cooling returns until when the command's cooldown holds the alert back.
func (s *step) cooling(a *amx.Alert) (until time.Time) {
	until = s.Cooling[a.ID()]
	for _, b := range s.entry.begun {
		if s.Policy.Cooldown > 0 && b.Alert == a.ID() {
			until = later(until, b.At.Add(s.Policy.Cooldown))
		}
	}
	return until
}
