package ledger

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/amx-lambda/amx/internal/amx"
)

// stop ends a run whose episodes have all ended. It is settled only when one read of
// the entry, after the last reading of SSM's list, shows three things: nobody is
// sending the run, it is not in doubt, and every command of it is over or its
// cancellation was accepted.
func (s *step) stop(c Case) {
	r := s.entry.run(c.Run)
	switch {
	case r == nil:
		s.skip(SkipWasCancelled, c.Run, c.fingerprints()...)
	case r.over() && c.acted && (s.signalOf(r) != "" || r.Outcome.Status == "Cancelled"):
		s.do(Settle{
			Verb: VerbCancel, Reason: s.how(r, c, r.Outcome.Status == "Cancelled"), Run: r.ID, Alerts: c.fingerprints(),
			Commands: r.commands(), Status: r.Outcome.Status,
		})
	case r.over():
		s.do(Settle{Verb: VerbSkip, Reason: SkipEnded, Run: r.ID, Alerts: c.fingerprints(), Commands: r.commands(), Status: r.Outcome.Status})
	case s.live(r):
		s.wait(c)
	case r.unknown() && s.looked != r.ID && c.because == nil:
		s.do(Look{c, r.Claimed, r.Lease})
	case len(r.uncancelled()) > 0 && s.signalOf(r) != "" && s.asked != r.ID:
		s.do(s.ask(r, c))
	case len(r.uncancelled()) > 0 && s.signalOf(r) != "":
		s.signal(r, c)
	case len(r.uncancelled()) > 0:
		s.do(Cancel{Case: c, Commands: bare(r.uncancelled()), Forget: s.timeIsUp(r)})
	case c.because != nil:
		s.putOff(c, fmt.Errorf("cancelling run %s: %w", c.Run, c.because))
	case r.unknown():
		s.putOff(c, fmt.Errorf("cancelling run %s: %w", c.Run, errMaybeSent))
	default:
		s.do(Confirm{Ask{Case: c, Commands: r.asked()}})
	}
}

func bare(ids []string) []Command {
	var commands []Command
	for _, id := range ids {
		commands = append(commands, Command{ID: id})
	}
	return commands
}

func (ev Cancelled) apply(s *step) {
	if r := s.entry.run(ev.Run); r != nil {
		r.done(ev.Done)
	}
	switch {
	case ev.aim == toKill && ev.Err == nil:
		s.do(Settle{Verb: VerbCancel, Reason: ev.Reason, Run: ev.Run, Commands: ev.Done})
	case ev.aim != toStop && ev.aim != toKill: // the run had left the entry
	case ev.Err != nil:
		s.putOff(ev.Case, fmt.Errorf("cancelling run %s: %w", ev.Run, errors.Join(ev.because, ev.Err)))
	default:
		if r := s.entry.run(ev.Run); r != nil {
			r.done(ev.settles)
		}
		s.looked = ev.Run // the list has been read before
		ev.acted = true
		s.stop(ev.Case)
	}
}

// signalOf is the signal that ends the run, or "" for a cancellation. If a person stops
// the run, it is cancelled at once, whatever resolved_signal says.
func (s *step) signalOf(r *run) string {
	if r.StoppedBy != "" {
		return ""
	}
	return s.Policy.Signal
}

// how says how a run was stopped.
func (s *step) how(r *run, c Case, gone bool) Reason {
	switch signal := s.signalOf(r); {
	case signal != "":
		return c.Reason + ": " + Reason(signal) + " sent"
	case gone:
		return c.Reason + ": cancelled"
	}
	return c.Reason + ": cancel requested"
}

// signal signals a run's process on each node where it may still run or begin.
func (s *step) signal(r *run, c Case) {
	if s.state.Over { // its known commands are over; a node may be gone
		r.done(r.uncancelled())
		s.looked = r.ID
		s.stop(c)
		return
	}
	sig := Signal{Case: c, Targets: signalled(r, s.state), state: *s.state}
	if s.Policy.KillAfter > 0 {
		sig.KillAt = s.Now.Add(s.Policy.KillAfter)
	}
	if len(sig.Targets) == 0 {
		s.putOff(c, fmt.Errorf("cancelling run %s: SSM does not list its nodes yet", c.Run))
		return
	}
	if len(r.Targets) > 0 && r.Targets[0].Key != amx.KeyInstanceIDs && sig.Targets[0].Key == amx.KeyInstanceIDs {
		// SSM lists only the nodes of a tag that max_concurrency let begin. The signal
		// also goes to the others, so that they do not begin.
		sig.Others = r.Targets
	}
	s.do(sig)
}

// signalled returns the nodes that a run's commands were sent to. If they are not
// named, it returns those that SSM lists. It leaves out nodes on which the run is over.
func signalled(r *run, state *State) []amx.Target {
	var nodes []string
	for _, c := range r.asked() {
		nodes = append(nodes, c.Nodes...)
	}
	over := map[string]bool{}
	for _, n := range state.Nodes {
		nodes = append(nodes, n.Node)
		if n.Elsewhere {
			continue
		}
		seen, known := over[n.Node]
		over[n.Node] = (seen || !known) && n.Over
	}
	nodes = slices.DeleteFunc(nodes, func(node string) bool { return over[node] })
	if len(nodes) == 0 {
		return r.Targets
	}
	slices.Sort(nodes)
	return []amx.Target{{Key: amx.KeyInstanceIDs, Values: slices.Compact(nodes)}}
}

// Signalled cancels the run's commands on nodes that are offline: SSM sends no signal
// there, but delivers the cancellation when the node comes back.
func (ev Signalled) apply(s *step) {
	r := s.entry.run(ev.Run)
	if r == nil {
		s.stop(ev.Case)
		return
	}
	err := ev.Err
	lost, left := lostCommands(r, ev)
	if len(left) > 0 {
		err = errors.Join(err, fmt.Errorf("SSM has lost node %s, and lists nothing there to cancel", strings.Join(left, ", node ")))
	}
	switch {
	case err != nil:
		s.putOff(ev.Case, fmt.Errorf("cancelling run %s: %w", ev.Run, err))
		if len(lost) > 0 {
			s.do(Cancel{Case: Case{Run: "", aim: toDecide}, Commands: lost})
		}
	case len(lost) > 0:
		s.do(Cancel{Case: ev.Case, Commands: lost, settles: r.uncancelled()})
	default:
		r.done(r.uncancelled())
		s.looked, ev.acted = ev.Run, true
		s.stop(ev.Case)
	}
}

// lostCommands returns the commands to cancel on nodes that could not be signalled. A
// command is cancelled as a whole if no other node of it goes on. left has the nodes
// without a known command.
func lostCommands(r *run, ev Signalled) (commands []Command, left []string) {
	left = slices.Clone(ev.Lost)
	for _, id := range r.uncancelled() {
		var goesOn, lost []string
		for _, n := range ev.state.Nodes {
			if n.Command == id && !n.Over {
				goesOn = append(goesOn, n.Node)
				if slices.Contains(ev.Lost, n.Node) {
					lost = append(lost, n.Node)
				}
			}
		}
		switch {
		case len(lost) == 0:
		case len(lost) == len(goesOn):
			commands = append(commands, Command{ID: id})
		default:
			commands = append(commands, Command{ID: id, Nodes: lost})
		}
		left = less(left, lost)
	}
	return commands, left
}

// Confirmed reports a run that was stopped, with the state that SSM shows by now if
// the caller waited for it.
func (ev Confirmed) apply(s *step) {
	r := s.entry.run(ev.Run)
	if r == nil {
		s.stop(ev.Case)
		return
	}
	if s.owners(r, ev.Ask, &ev.State) {
		s.stop(ev.Case) // another command owns the run on a node, and has to be stopped too
		return
	}
	cancelled := ev.State.Over && ev.State.Status == "Cancelled"
	if ev.State.Over && (!cancelled || r.Slot) {
		// It had ended by itself, or ended by itself after a signal. Or it has a slot,
		// which its known end frees.
		s.finish(r, &ev.State, ev.Case)
	} else {
		s.do(Note{Run: s.view(r, ev.Case)})
	}
	result := Settle{Verb: VerbCancel, Run: r.ID, Commands: r.commands(), Alerts: ev.fingerprints(), Status: ev.State.Status}
	switch {
	case s.signalOf(r) == "" && ev.State.Over && !cancelled:
		result.Verb, result.Reason = VerbSkip, SkipEnded
	default:
		result.Reason = s.how(r, ev.Case, cancelled)
	}
	s.do(result)
}
