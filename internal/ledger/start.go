package ledger

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
)

var (
	errNoTime    = errors.New("no time left for a claim")
	errFull      = errors.New("the group's entry in the ledger is full, so that nothing new runs for it: " + Narrower)
	errMaybeSent = errors.New("it may have been sent, and SSM does not list it yet")
)

// Narrower says what to do if a group is too large for an entry of the ledger.
const Narrower = "group by more labels in Alertmanager, or set scope: alert"

func errSending(c Case) error {
	if c.aim == toStop {
		return fmt.Errorf("cancelling run %s: it is being sent by another delivery", c.Run)
	}
	return fmt.Errorf("run %s is being sent by another delivery", c.Run)
}

// Narrow makes the targets of a run from its rendered targets. A retry goes only to
// nodes on which the run before it did not succeed. If the targets name their nodes,
// these include nodes without an invocation: max_errors ended the command before it
// reached them, or SSM refused them. If the target is a tag, the retry goes to the
// nodes that the run before had. ok is false if every node that the retry would target
// has succeeded.
func (s *Start) Narrow(targets []amx.Target) (narrowed []amx.Target, ok bool) {
	if s.prev == nil {
		return targets, true
	}
	nodes := s.prev.Remaining
	switch {
	case ByInstance(targets):
		nodes = less(slices.Clone(targets[0].Values), s.prev.Succeeded)
		if len(nodes) == 0 {
			return nil, false
		}
	case len(nodes) == 0:
		return targets, true // the run before reached no node
	}
	return []amx.Target{{Key: amx.KeyInstanceIDs, Values: nodes}}, true
}

// The claim is made here, once the gate has a place for it, if the alerts are
// still due: somebody else may have written meanwhile.
func (ev Prepared) apply(s *step) {
	if ev.TakenOver {
		s.prepared(ev)
		return
	}
	if own := s.entry.run(ev.Run); own != nil {
		s.sendOwn(own, ev) // an earlier attempt of this write succeeded: the claim is there
		return
	}
	for _, u := range ev.Without {
		s.unplaced(ev.Case, u)
	}
	switch {
	case len(ev.Alerts) == 0 || !s.stillDue(&ev.Start):
	case ev.Err != nil && ev.Again:
		s.putOff(ev.Case, ev.Err)
	case ev.Err != nil:
		s.refuse(ev.Case, Reason(ev.Err.Error()))
	case ev.NoNodes:
		s.skip(SkipRan, ev.Prev, ev.fingerprints()...)
	case s.full(ev):
		s.putOff(ev.Case, errFull)
	case s.Now.After(s.ClaimBy):
		s.putOff(ev.Case, errNoTime)
	default:
		s.do(s.take(ev))
	}
}

// take takes a slot in the gates. A run that may be retried gets its reminder before
// its claim.
func (s *step) take(ev Prepared) Take {
	ev.Without = nil // they are settled
	return Take{ev, (ev.Attempt <= s.Policy.Retries || s.Policy.Rerun) && !ev.TakenOver}
}

// unplaced refuses one alert, or puts it off. So one alert never keeps the command from
// running for the others of its group.
func (s *step) unplaced(c Case, u Unplaced) {
	c.Alerts, c.shown = amx.Alerts{u.Alert}, nil
	if u.Again {
		s.putOff(c, u.Err)
		return
	}
	s.refuse(c, Reason(u.Err.Error()))
}

func (s *step) refuse(c Case, why Reason) {
	for _, a := range c.Alerts {
		s.entry.waitsNoMore(a.ID())
	}
	s.do(Settle{Verb: VerbRefuse, Reason: why, Alerts: c.fingerprints(), Of: c})
	s.retryLater(c, c.retries)
}

// limited handles a run that a limit or a pause holds back. The run waits. With
// when_limited: skip it is skipped, and with final it is refused. A retry always waits,
// and so does the rest of a run that has begun.
func (s *step) limited(c Case, why Reason, final, begun bool) {
	switch {
	case begun || c.retries != "" || !final && !s.Policy.Skips:
		s.hold(Defer{Case: c, Err: errors.New(string(why)), Held: true})
	case final:
		s.refuse(c, why)
	default:
		s.skip(why, "", c.fingerprints()...)
	}
}

func (ev Taken) apply(s *step) {
	own := s.entry.run(ev.Run)
	switch {
	case own != nil && !ev.TakenOver:
		s.sendOwn(own, ev.Prepared)
	case ev.Err != nil:
		s.putOff(ev.Case, ev.Err)
	case !ev.OK:
		s.limited(ev.Case, ev.Reason, ev.Final, ev.TakenOver)
	case s.Now.After(s.ClaimBy):
		s.release(ev)
		s.putOff(ev.Case, errNoTime)
	case ev.TakenOver:
		if r := s.ready(ev.Prepared); r != nil {
			r.Slot = r.Slot || ev.Slot
			s.renew(r, ev.Prepared)
		}
	case s.stillDue(&ev.Start):
		s.claim(ev)
	default:
		s.release(ev)
	}
}

// release gives up the slot of a run that is not sent now. A run that was to be taken
// over keeps its slot, because another delivery may send it.
func (s *step) release(ev Taken) {
	if ev.Slot && !ev.TakenOver {
		s.do(Release{ev.Run})
	}
}

// stillDue decides on the alerts of a start once more. If the decision has
// changed, the new one stands.
func (s *step) stillDue(start *Start) bool {
	if start.retries != "" {
		start.Alerts = s.entry.openOf(start.Prev, start.Alerts)
		return len(start.Alerts) > 0
	}
	again := &step{Actor: s.Actor, entry: s.entry, asked: start.Prev}
	again.decide(Case{Alerts: start.Alerts})
	s.changed = s.changed || again.changed
	if len(again.actions) == 1 {
		if p, ok := again.actions[0].(Prepare); ok && p.Prev == start.Prev && p.Reason == start.Reason && len(p.Alerts) == len(start.Alerts) {
			start.opens = p.opens
			return true
		}
	}
	s.actions = append(s.actions, again.actions...)
	return false
}

// full reports whether the entry is too full for this new run.
func (s *step) full(ev Prepared) bool {
	value, _ := s.entry.Encode()
	if s.MaxEntry == 0 || len(value)+1000*len(ev.Alerts) < s.MaxEntry/2 {
		return false
	}
	e, err := Decode(value) // a copy that shares nothing with the entry
	if err != nil {
		return true
	}
	e.resolves = nil // makeRoom would drop them
	with := &step{Actor: s.Actor, entry: e}
	with.claim(Taken{Prepared: ev})
	e.prune(s.Now)
	value, _ = e.Encode()
	return len(value) > s.MaxEntry
}

// claim enters a run for the alerts that are due, before it is sent.
func (s *step) claim(ev Taken) {
	r := &run{
		ID: ev.Run, Prev: ev.Prev, Attempt: ev.Attempt, Claimed: s.Now, Until: s.Until, Sends: s.Policy.Sends,
		Holder: s.holder(), Lease: s.Lease, Slot: ev.Slot, Targets: ev.Targets,
	}
	for range ev.Parts {
		r.Parts = append(r.Parts, part{State: claimed})
	}
	if ev.prev != nil {
		r.Before = ev.prev.Succeeded
	}
	e := s.entry
	for _, a := range ev.Alerts {
		id := a.ID()
		e.waitsNoMore(id)
		if s.Policy.Cooldown > 0 {
			e.begun = slices.DeleteFunc(e.begun, func(b began) bool { return b.Alert == id })
			e.begun = append(e.begun, began{id, r.ID, s.Now, s.Now.Add(s.Policy.Cooldown)})
		}
		if ev.Prev == "" {
			p := ev.opens[id]
			p.Seen, p.Run = s.Now, r.ID
			e.episodes = append(e.episodes, p)
			continue
		}
		for i := range e.episodes {
			if p := &e.episodes[i]; p.Alert == id && p.Run == ev.Prev && p.EndsAt.IsZero() {
				p.Run = r.ID
			}
		}
	}
	e.runs = append(e.runs, r)
	s.changed = true
	if s.Policy.Observe {
		s.observe(r, ev.Case)
		return
	}
	s.do(Send{ev.Start, r.missing()})
}

// observe ends a run at once, without sending it.
func (s *step) observe(r *run, c Case) {
	r.Observed, r.Holder, r.Parts = true, "", nil
	r.Outcome = &outcome{Found: s.Now}
	s.observed(r, c)
}

func (s *step) observed(r *run, c Case) {
	c.Run = r.ID
	s.do(Settle{Verb: VerbObserve, Reason: c.Reason, Run: r.ID, Alerts: c.fingerprints()})
	s.do(Finished{Run: s.view(r, c), Slot: r.Slot, Last: true})
}

// view returns the run as the history shows it.
func (s *step) view(r *run, c Case) Run {
	v := Run{
		ID: r.ID, Prev: r.Prev, Attempt: r.Attempt, Reason: c.Reason, Alerts: c.Alerts, Targets: r.Targets, Commands: r.commands(),
		Claimed: r.Claimed, Observed: r.Observed, CancelAsked: r.CancelAsked, StoppedBy: r.StoppedBy, StoppedWhy: r.StoppedWhy,
	}
	if r.over() {
		v.Ended, v.Status, v.Failed = r.Outcome.Found, r.Outcome.Status, r.Outcome.Failed
		if !r.Outcome.Ended.IsZero() {
			v.Ended = r.Outcome.Ended
		}
	}
	return v
}

// takeOver continues a run whose sender is gone: it reconciles the run with SSM's
// list, and then sends the missing parts.
func (s *step) takeOver(c Case) {
	r := s.entry.run(c.Run)
	switch {
	case r == nil:
		s.decide(c)
	case r.CancelAsked:
		s.stop(s.ended(c))
	case s.live(r):
		s.wait(c)
	case r.complete():
		s.begun(r, c)
	case r.unknown() && s.looked != r.ID:
		s.do(Look{c, r.Claimed, r.Lease})
	case r.needsLook() && (s.Policy.Unguarded || r.Sends != s.Policy.Sends):
		s.putOff(c, maybeSent(c)) // without a guard the command could run twice
	case r.Sends != s.Policy.Sends:
		r.giveUp()
		refusal := Settle{Verb: VerbRefuse, Reason: RefuseChanged, Run: r.ID, Alerts: c.fingerprints()}
		dropped := s.entry.drop(r) == nil
		if dropped {
			refusal.Of = c
			s.do(Release{c.Run})
		}
		s.do(refusal)
		if dropped {
			s.retryLater(c, retried(r.Prev, r.Attempt))
		}
	default:
		s.do(Prepare{Start{Case: c, Targets: r.Targets, TakenOver: true, Prev: r.Prev, Attempt: r.Attempt, lease: r.Lease}})
	}
}

// ended makes the case that stops a run, because its alerts resolved while it was
// sent.
func (s *step) ended(c Case) Case {
	c.aim, c.Reason, c.shown, c.because = toStop, CancelEnded, s.entry.covers(c.Run), nil
	return c
}

func maybeSent(c Case) error {
	return fmt.Errorf("run %s may not have been sent: %w", c.Run, errors.Join(c.because, errMaybeSent))
}

// ready returns the run that was prepared to be taken over. It returns nil if somebody
// has renewed or recorded it, or asked a cancel, since the list was read.
func (s *step) ready(ev Prepared) *run {
	r := s.entry.run(ev.Run)
	if r == nil || r.CancelAsked || s.live(r) || r.complete() || r.Lease.After(ev.lease) {
		s.takeOver(ev.Case)
		return nil
	}
	return r
}

func (s *step) prepared(ev Prepared) {
	r := s.ready(ev)
	switch {
	case r == nil:
	case ev.Err != nil:
		s.putOff(ev.Case, fmt.Errorf("run %s may not have been sent: %w", ev.Run, errors.Join(ev.because, ev.Err)))
	case s.Now.After(s.ClaimBy):
		s.putOff(ev.Case, fmt.Errorf("run %s may not have been sent: %w", ev.Run, errors.Join(ev.because, errNoTime)))
	default:
		s.do(s.take(ev))
	}
}

func (s *step) renew(r *run, ev Prepared) {
	r.renew(&s.Actor)
	s.do(Send{ev.Start, r.missing()})
}

// sendOwn sends a run whose claim this delivery has made, although the write seemed to
// fail.
func (s *step) sendOwn(r *run, ev Prepared) {
	switch {
	case r.Observed:
		s.observed(r, ev.Case)
	case r.CancelAsked:
		s.stop(s.ended(ev.Case))
	case r.Holder == s.holder():
		s.do(Send{ev.Start, r.missing()})
	}
}

// Sent enters SSM's answers, and settles the alerts that they decide.
func (ev Sent) apply(s *step) {
	r := s.entry.record(ev.Run, s.holder(), ev.Answers)
	var failed []error
	var commands []Command
	for _, a := range ev.Answers {
		if a.Err != nil {
			failed = append(failed, a.Err)
		}
		if a.Command != "" {
			commands = append(commands, Command{ID: a.Command})
		}
	}
	c := ev.Case
	c.aim = toSend
	c.because = errors.Join(failed...)
	refusals := refusalsOf(ev.Answers)
	c.refused = append(c.refused, refusals...)
	switch {
	case r != nil && r.CancelAsked:
		s.stop(s.ended(c))
		return
	case r != nil && r.needsLook():
		s.takeOver(c)
		return
	case r != nil:
		s.begun(r, c)
		return
	}
	s.do(Release{ev.Run})
	if retries := retried(ev.Prev, ev.Attempt); retries != "" {
		c.aim, c.retries = toDecide, retries // what is put off is its reminder
	}
	switch {
	case len(failed) == 0 || len(commands) > 0:
		// Another delivery has found that the run was never sent, which only happens
		// after its lease. It may have begun another run, so this one must not go on.
		s.do(Cancel{Case: Case{Run: ev.Run, aim: toDecide}, Commands: commands})
		s.putOff(c, errors.Join(fmt.Errorf("run %s was recorded after its claim had run out", ev.Run), c.because))
	case len(refusals) == len(failed):
		s.do(Settle{Verb: VerbRefuse, Reason: Reason(c.because.Error()), Run: ev.Run, Alerts: ev.fingerprints(), Of: c})
		s.retryLater(c, c.retries)
	default:
		s.putOff(c, c.because)
	}
}

func refusalsOf(answers []Answer) (errs []error) {
	for _, a := range answers {
		if a.Verdict == Refused {
			errs = append(errs, a.Err)
		}
	}
	return errs
}

// begun reports a run whose sent parts are all known.
func (s *step) begun(r *run, c Case) {
	if len(r.commands()) == 0 { // SSM refuses it now, but an earlier send without an answer may still show up
		s.putOff(c, errors.Join(errMaybeSent, c.because))
		return
	}
	if c.because != nil && !r.complete() {
		s.putOff(c, c.because)
	}
	if reason := partly(r, c); reason != "" {
		s.do(Settle{Verb: VerbRefuse, Reason: Reason(reason), Run: r.ID, Alerts: c.fingerprints()})
	}
	wait := Await{Ask{Case: c}}
	if r.complete() { // otherwise it cannot be over
		wait.Commands = r.asked()
	}
	s.do(wait)
	s.do(Note{Run: s.view(r, c), Beside: true})
}

// partly says why SSM refused a part of the run: in this delivery, or in one whose
// answer nobody got.
func partly(r *run, c Case) string {
	if len(c.refused) > 0 {
		return "part of the run: " + errors.Join(c.refused...).Error()
	}
	var without []string
	for _, p := range r.Parts {
		if p.State == refused && len(p.Without) == 0 {
			return "part of the run: SSM refused it before"
		}
		without = append(without, p.Without...)
	}
	if len(without) > 0 {
		return "part of the run: SSM refused before: node " + strings.Join(without, ", node ")
	}
	return ""
}

// Looked enters what SSM's list shows. The list is proof only if nobody renewed
// the claim meanwhile: it may end before the sends of that claim.
func (ev Looked) apply(s *step) {
	r := s.entry.run(ev.Run)
	if r != nil {
		retries := retried(r.Prev, r.Attempt)
		switch {
		case ev.Err != nil:
		case r.Lease.After(ev.Lease):
			s.entry.looked(r, ev.Found, time.Time{}, &s.Actor)
		default:
			s.looked = ev.Run
			r = s.entry.looked(r, ev.Found, ev.Begun, &s.Actor)
		}
		if r == nil {
			s.do(Release{ev.Run})
			s.retryLater(ev.Case, retries)
		}
	}
	switch c := ev.Case; {
	case ev.Err == nil:
		s.proceed(c)
	case c.aim == toStop: // stop at least the commands that are known
		s.looked, c.because = ev.Run, errors.Join(c.because, ev.Err)
		s.stop(c)
	case c.aim == toSend:
		s.putOff(c, fmt.Errorf("run %s may not have been sent: %w", c.Run, errors.Join(c.because, ev.Err)))
	default:
		s.putOff(c, fmt.Errorf("asking for run %s: %w", c.Run, ev.Err))
	}
}
