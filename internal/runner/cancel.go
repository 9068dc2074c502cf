package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/ssmexec"
)

// pollLedger is the pause between two reads of an entry that another delivery
// is about to write.
const pollLedger = 100 * time.Millisecond

// cancelsFirst is how long the sends of a message wait for its cancellations.
const cancelsFirst = 2 * time.Second

// settleCancel is how long a cancellation's caller waits to hear that the
// command is gone, and not only asked to go.
const settleCancel = time.Second

// sigkill is the resolved_signal that SSM itself sends, when a command is
// cancelled. Any other is sent by a command of its own.
const sigkill = "SIGKILL"

// narrower is the way out where a group is too large for an entry of the ledger.
const narrower = "group by more labels in Alertmanager, or set scope: alert"

var (
	errNoTime    = errors.New("no time left for a claim: raise the function's timeout, or send again")
	errFull      = errors.New("the group's entry in the ledger is full, so that nothing new runs for it: " + narrower)
	errMaybeSent = errors.New("it may have been sent, and SSM does not list it yet")
)

// cancel ends a run of which every episode has ended. It is settled only when,
// in one read of the entry after its last look, nobody is sending the run,
// nothing of it can be unknown, and every command of it is over or its
// cancellation was accepted.
func (t *task) cancel(ctx context.Context, step ledger.Step, alerts []string) {
	patience := t.now().Add(leaseAfter)
	for {
		r, again, err := t.tryCancel(ctx, step.Run)
		switch {
		case err != nil:
			t.unsettled(t.command.Name, fmt.Errorf("cancelling run %s: %w", step.Run, err))
			return
		case !again && r == nil:
			t.skip(ledger.SkipWasCancelled, step.Run, alerts)
			return
		case !again && t.cancelled(ctx, r, step.Reason, alerts):
			return
		case t.now().After(patience):
			t.unsettled(t.command.Name, fmt.Errorf("cancelling run %s: it is being sent by another delivery", step.Run))
			return
		default:
			err := sleep(ctx, pollLedger, nil)
			if err == nil {
				t.updates.Lock()
				err = t.reread(ctx, 0)
				t.updates.Unlock()
			}
			if err != nil {
				t.unsettled(t.command.Name, fmt.Errorf("cancelling run %s: %w", step.Run, err))
				return
			}
		}
	}
}

// tryCancel goes once through a run that is to be cancelled. again says that
// somebody is sending it now.
func (t *task) tryCancel(ctx context.Context, run string) (r *ledger.Run, again bool, err error) {
	if r, err = t.run(run); err != nil || r == nil || r.Over() {
		return r, false, err
	}
	if r.Live(t.now(), t.Process, t.holder) {
		return r, true, nil
	}
	var unseen error // and what is known is stopped all the same
	if r.NeedsLook() || r.Unsure {
		looked, err := t.look(ctx, r)
		switch {
		case err != nil:
			unseen = err
		case looked == nil:
			return nil, false, nil
		default:
			r = looked
		}
	}
	done, over, err := t.stop(ctx, r)
	if over != nil {
		known, err := t.finish(ctx, r, over, true)
		if err == nil {
			r, err = t.run(run)
		}
		return r, !known, err
	}
	entry, recordErr := t.update(ctx, func(e *ledger.Entry) { e.Done(run, done) })
	if err = errors.Join(unseen, err, recordErr); err != nil {
		return nil, false, err
	}
	switch r = entry.Run(run); {
	case r == nil || r.Stopped(t.now(), t.Process):
		return r, false, nil
	case r.Unsure || r.NeedsLook():
		return nil, false, errMaybeSent
	default:
		return r, true, nil // a command was recorded meanwhile
	}
}

// current is the entry as it was last read or written.
func (t *task) current() (*ledger.Entry, error) {
	t.updates.Lock()
	defer t.updates.Unlock()
	return ledger.Decode(t.record.Value)
}

func (t *task) run(id string) (*ledger.Run, error) {
	entry, err := t.current()
	if err != nil {
		return nil, err
	}
	return entry.Run(id), nil
}

// stop cancels or signals what is known of the run, and answers the commands
// for which that was accepted; or its state, where it turns out to be over and is
// not signalled, because its node may be gone.
func (t *task) stop(ctx context.Context, r *ledger.Run) (done []string, over *ssmexec.State, err error) {
	ids := r.Uncancelled()
	if len(ids) == 0 {
		return nil, nil, nil
	}
	if t.command.ResolvedSignal != sigkill {
		state, err := t.state(ctx, r, ask(r))
		switch {
		case err != nil:
			return nil, nil, err
		case !state.Over:
			if err := t.signal(ctx, r, state); err != nil {
				return nil, nil, err
			}
		case !r.Unsure && !r.NeedsLook():
			return nil, state, nil
		}
		return ids, nil, nil
	}
	for _, id := range ids {
		if cancelErr := t.Exec.Cancel(ctx, id); cancelErr != nil {
			// A command that is over cannot be cancelled, and need not be.
			state, stateErr := t.state(ctx, r, slices.DeleteFunc(ask(r), func(a ssmexec.Asked) bool { return a.CommandID != id }))
			if stateErr != nil || !state.Over {
				err = errors.Join(err, cancelErr)
				continue
			}
		}
		done = append(done, id)
	}
	return done, nil, err
}

// signal signals a run's process wherever it may still run or begin. SSM sends
// nothing to a node that it has lost; there the run's commands are cancelled, for
// when it comes back.
func (t *task) signal(ctx context.Context, r *ledger.Run, state *ssmexec.State) error {
	targets := signalled(r, state)
	if len(targets) == 0 {
		return errors.New("SSM does not say yet where it runs")
	}
	send := func(targets []ledger.Target) ([]string, error) {
		return t.Exec.Signal(ctx, ssmexec.Signal{Command: t.command, Entry: t.entry, Run: r.ID, Targets: targets})
	}
	refused, err := send(targets)
	if len(r.Targets) > 0 && r.Targets[0].Key != amx.KeyInstanceIDs && targets[0].Key == amx.KeyInstanceIDs {
		// Of a tag's nodes SSM lists those that max_concurrency has let begin;
		// the others are not to begin.
		if _, tagErr := send(r.Targets); tagErr != nil && ssmexec.Judge(tagErr) != ssmexec.Refused {
			err = errors.Join(err, tagErr)
		}
	}
	if len(refused) == 0 {
		return err
	}
	// A command is cancelled as a whole where it has no other node that goes on.
	left := slices.Clone(refused)
	for _, id := range r.Uncancelled() {
		var goesOn []string
		for _, i := range state.Invocations {
			if i.CommandID == id && !ssmexec.Terminal(i.Status) {
				goesOn = append(goesOn, i.Node)
			}
		}
		lost := slices.DeleteFunc(slices.Clone(goesOn), func(node string) bool { return !slices.Contains(refused, node) })
		switch {
		case len(lost) == 0:
		case len(lost) == len(goesOn):
			err = errors.Join(err, t.Exec.Cancel(ctx, id))
		default:
			err = errors.Join(err, t.Exec.Cancel(ctx, id, lost...))
		}
		left = slices.DeleteFunc(left, func(node string) bool { return slices.Contains(lost, node) })
	}
	if len(left) > 0 {
		err = errors.Join(err, fmt.Errorf("SSM has lost node %s, and lists nothing there to cancel", strings.Join(left, ", node ")))
	}
	return err
}

// signalled is the nodes that a run's commands were sent to, or those that SSM
// lists for them where they are not named, without those on which it is over.
func signalled(r *ledger.Run, state *ssmexec.State) []ledger.Target {
	var nodes []string
	for _, a := range ask(r) {
		nodes = append(nodes, a.Nodes...)
	}
	over := map[string]bool{}
	for _, i := range state.Invocations {
		nodes = append(nodes, i.Node)
		if i.Owner != "" {
			continue // another command runs there
		}
		seen, known := over[i.Node]
		over[i.Node] = (seen || !known) && ssmexec.Terminal(i.Status)
	}
	nodes = slices.DeleteFunc(nodes, func(node string) bool { return over[node] })
	if len(nodes) == 0 {
		return r.Targets
	}
	slices.Sort(nodes)
	return []ledger.Target{{Key: amx.KeyInstanceIDs, Values: slices.Compact(nodes)}}
}

// cancelled reports a run that is stopped: what SSM says of it by now, where the
// caller waits to hear it. It is false where another command turns out to run in
// the place of one, and is to be stopped too.
func (t *task) cancelled(ctx context.Context, r *ledger.Run, reason ledger.Reason, alerts []string) bool {
	result := Result{
		Command: t.command.Name, Action: ActionCancel, RunID: r.ID, CommandIDs: r.Commands(), Alerts: alerts,
	}
	if r.Over() {
		result.Action, result.Reason, result.Status = ActionSkip, string(ledger.SkipEnded), r.Outcome.Status
		t.settle(result)
		return true
	}
	state := &ssmexec.State{}
	if t.waits {
		wait, cancel := context.WithTimeout(ctx, settleCancel)
		defer cancel()
		if s, err := t.Exec.Await(wait, ask(r)); err == nil {
			state = s
		}
	}
	if state.Over && state.Status != "Cancelled" {
		// It had ended by itself, or in its own way after a signal.
		known, err := t.finish(ctx, r, state, true)
		switch {
		case err != nil:
			t.Log.WarnContext(ctx, "the outcome is not recorded", "command", t.command.Name, "run_id", r.ID, "error", err.Error())
		case !known:
			return false
		}
	}
	result.Status = state.Status
	switch {
	case t.command.ResolvedSignal != sigkill:
		result.Reason = fmt.Sprintf("%s: %s sent", reason, t.command.ResolvedSignal)
	case state.Over && state.Status == "Cancelled":
		result.Reason = fmt.Sprintf("%s: cancelled", reason)
	case state.Over:
		result.Action, result.Reason = ActionSkip, string(ledger.SkipEnded)
	default:
		result.Reason = fmt.Sprintf("%s: cancel requested", reason)
	}
	t.settle(result)
	return true
}
