package ledger

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// foundAtOnce is how long after a run's end amx finds it out at the most, if nothing was
// lost.
const foundAtOnce = time.Minute

// know asks SSM whether a run is over, because a decision depends on it.
func (s *step) know(c Case) {
	r := s.entry.run(c.Run)
	switch {
	case r == nil || r.over():
		s.proceed(c)
	case r.unknown() && s.looked != r.ID:
		s.do(Look{c, r.Claimed, r.Lease})
	case r.unknown() && len(r.commands()) == 0:
		s.putOff(c, fmt.Errorf("asking for run %s: %w", c.Run, errMaybeSent))
	default:
		s.do(s.ask(r, c))
	}
}

// check finds out whether a run is over, for a full gate or after an event of SSM. If
// the run may have been sent, it keeps its slot.
func (s *step) check(c Case) {
	r := s.entry.run(c.Run)
	switch {
	case r == nil:
	case r.over() && s.told == r.ID: // each time that an end is told costs writes and reports
	case r.over() && c.ended:
		s.finished(r, c, true)
	case c.ended && (r.live(s.Now, s.Process) || s.asked == r.ID || r.unknown() && s.Now.Before(r.Lease.Add(s.Window))):
		s.putOff(c, fmt.Errorf("asking for run %s: %w", c.Run, errGoesOn))
	case r.over() || r.live(s.Now, s.Process) || s.asked == r.ID:
	case r.unknown() && s.looked == r.ID && len(r.commands()) == 0:
	default:
		s.know(c)
	}
}

var errGoesOn = errors.New("SSM does not show its end yet")

func (s *step) ask(r *run, c Case) Ask {
	return Ask{Case: c, Commands: r.asked(), Forget: s.timeIsUp(r)}
}

// timeIsUp reports whether a command that SSM has forgotten is over for certain. SSM
// keeps commands for 30 days.
func (s *step) timeIsUp(r *run) bool { return s.Now.After(r.Until.Add(s.Window)) }

func (ev Asked) apply(s *step) {
	r := s.entry.run(ev.Run)
	switch {
	case ev.Err != nil && ev.aim == toStop:
		s.putOff(ev.Case, fmt.Errorf("cancelling run %s: %w", ev.Run, ev.Err))
		return
	case ev.Err != nil:
		s.putOff(ev.Case, fmt.Errorf("asking for run %s: %w", ev.Run, ev.Err))
		return
	case r == nil:
	case s.owners(r, ev.Ask, &ev.State):
		// The guard let another command run in the place of one of these. So this is
		// not the run's state, and SSM is asked again.
		s.looked = ev.Run
		s.proceed(ev.Case)
		return
	case ev.State.Over && !r.complete():
		r.done(r.commands()) // the parts that were sent are over; the others still have to be sent
	case ev.State.Over && (ev.aim != toStop || !r.unknown()):
		s.finish(r, &ev.State, ev.Case)
	}
	s.asked, s.state = ev.Run, &ev.State
	s.looked = ev.Run // if the list was needed, it has been read before
	s.proceed(ev.Case)
}

// Awaited enters the outcome of a run only if a later decision depends on it, because
// that costs a write. If the run succeeded, SSM can be asked again.
func (ev Awaited) apply(s *step) {
	r := s.entry.run(ev.Run)
	result := Settle{Verb: VerbRun, Reason: ev.Reason, Run: ev.Run, Alerts: ev.fingerprints()}
	if r == nil {
		s.putOff(ev.Case, fmt.Errorf("run %s has left the ledger", ev.Run))
		return
	}
	result.Commands = r.commands()
	if st := ev.State; st != nil {
		if st.Over && s.owners(r, ev.Ask, st) {
			s.do(Await{Ask{Case: ev.Case, Commands: r.asked()}})
			return
		}
		if st.Over && (st.Failed || s.Policy.RepeatAfter > 0 || r.Slot) {
			s.finish(r, st, ev.Case)
		}
		result.Status = st.Status
		result.Ill = st.Over && (st.Failed || st.Status == "Cancelled") && !r.CancelAsked
	}
	result.GoesOn = ev.State == nil || !ev.State.Over || result.Ill && r.Attempt <= s.Policy.Retries
	s.do(result)
}

// Unrecorded returns the result of a run whose outcome could not be entered.
func (ev Awaited) Unrecorded() Settle {
	result := Settle{Verb: VerbRun, Reason: ev.Reason, Run: ev.Run, Alerts: ev.fingerprints(), GoesOn: true}
	for _, c := range ev.Commands {
		result.Commands = append(result.Commands, c.ID)
	}
	if ev.State != nil && !ev.elsewhere(ev.State) {
		result.Status = ev.State.Status
	}
	return result
}

// elsewhere says that the run goes on in a command that SSM was not asked about: the
// state is not the run's.
func (a Ask) elsewhere(state *State) bool {
	for _, owner := range state.Owners {
		if !slices.ContainsFunc(a.Commands, func(c Command) bool { return c.ID == owner }) {
			return true
		}
	}
	return false
}

// owners enters the commands that own the run on a node in the place of those that SSM
// was asked about, as the guard reports them. It says whether the state is not the
// run's for that: somebody else may have entered such a command meanwhile.
func (s *step) owners(r *run, a Ask, state *State) bool {
	for i := range r.Parts {
		for _, c := range slices.Clone(r.Parts[i].Commands) {
			if owner := state.Owners[c.ID]; owner != "" && !slices.Contains(r.commands(), owner) {
				r.merge(i, owner, c.Nodes)
			}
		}
	}
	return a.elsewhere(state)
}

// finish enters how a run ended, and reports it.
func (s *step) finish(r *run, state *State, c Case) {
	was := r.Outcome != nil
	if r.finish(s.outcome(r, state)); !was && r.over() {
		s.finished(r, c, false)
	}
}

func (s *step) finished(r *run, c Case, again bool) {
	c.Reason, s.told = "", r.ID
	last := !r.Outcome.Failed || r.Attempt > s.Policy.Retries || r.CancelAsked || s.entry.allEnded(r.ID) && !s.entry.retried(r.ID)
	s.do(Finished{Run: s.view(r, c), Slot: r.Slot, Last: last, Again: again})
}

// retried says that a retry of the run was claimed, which has its episodes now.
func (e *Entry) retried(id string) bool {
	return slices.ContainsFunc(e.runs, func(r *run) bool { return r.Prev == id && r.Attempt > 1 })
}

// outcome is how the run ended. If SSM's event was lost, its end is found out hours
// later: then the nodes' clocks say when it was. They may be wrong, so they do not count
// for what is found out at once.
func (s *step) outcome(r *run, state *State) outcome {
	o := outcome{Status: state.Status, Failed: state.Failed, Found: s.Now}
	if at := state.Ended; at.After(r.Claimed) && at.Before(s.Now.Add(-foundAtOnce)) {
		o.Ended = at
	}
	if o.Failed {
		o.Succeeded, o.Remaining = state.Succeeded, state.Other
	}
	return o
}
