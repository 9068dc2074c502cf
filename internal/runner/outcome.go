package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/ssmexec"
)

// showOutput is of how many nodes an answer shows what they wrote.
const showOutput = 10

// report settles a run that this delivery sent: at once, or when the caller has
// waited for its outcome.
func (t *task) report(ctx context.Context, s *sending) {
	r, err := t.run(s.run)
	if err != nil || r == nil {
		t.unsettled(t.command.Name, errors.Join(err, fmt.Errorf("run %s has left the ledger", s.run)))
		return
	}
	result := Result{
		Command: t.command.Name, Action: ActionRun, Reason: string(s.reason), RunID: s.run,
		CommandIDs: r.Commands(), Alerts: fingerprints(s.alerts),
	}
	state, err := t.await(ctx, s.run)
	if err != nil {
		// The run is sent and recorded; only its outcome is not known.
		t.Log.WarnContext(ctx, "the outcome is not known", "command", t.command.Name, "run_id", s.run, "error", err.Error())
	}
	if state != nil {
		result.Status = state.Status
		ill := state.Failed() || state.Status == "Cancelled"
		if t.command.NotifyOnFailure && ill && !t.cancelAsked(ctx, s.run) {
			t.unsettled(t.command.Name, t.failure(ctx, s.run, state))
		}
	}
	t.settle(result)
}

// cancelAsked says that a run's resolve has come: it was ended by that, and not by
// somebody in SSM's console, or because amx serve was stopped. It is not run again either
// way; but in the other case whoever sent the alert must hear that it had no
// effect.
func (t *task) cancelAsked(ctx context.Context, run string) bool {
	t.updates.Lock()
	err := t.reread(ctx, 0)
	t.updates.Unlock()
	r, runErr := t.run(run)
	return err == nil && runErr == nil && r != nil && r.CancelAsked
}

// await waits for the end of a run, as long as the command's caller waits. The
// outcome is entered where a later decision depends on it.
func (t *task) await(ctx context.Context, run string) (*ssmexec.State, error) {
	wait := t.Wait
	if t.command.Wait != nil {
		wait = *t.command.Wait
	}
	if !t.waits || wait == 0 {
		return nil, nil
	}
	if wait > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, t.sentBy.Add(wait))
		defer cancel()
	}
	for {
		r, err := t.run(run)
		if err != nil || r == nil || len(r.Missing()) > 0 {
			return nil, err // part of it is still to be sent: it cannot be over
		}
		state, err := t.Exec.Await(ctx, ask(r))
		if err != nil || !state.Over {
			return state, err
		}
		keep := state.Failed() || t.command.RepeatAfter > 0 || r.Slot
		switch known, err := t.finish(ctx, r, state, keep); {
		case known:
			return state, err
		case err != nil:
			return nil, err // another command runs in the place of one: this is not the run's outcome
		}
	}
}

// finish is for a run that is over. Where it turns out that another command runs
// in the place of one, that is entered, and the outcome is not known yet. keep
// enters the outcome: it costs a write, and a run that went well can be asked for
// again.
func (t *task) finish(ctx context.Context, r *ledger.Run, state *ssmexec.State, keep bool) (known bool, err error) {
	if owners := unknownOwners(r, state); len(owners) > 0 {
		_, err := t.update(ctx, merge(r.ID, owners))
		return false, err
	}
	if !keep {
		return true, nil
	}
	o := ledger.Outcome{Status: state.Status, Failed: state.Failed(), Ended: t.now()}
	if o.Failed {
		o.Succeeded, o.Remaining = state.Nodes()
	}
	_, err = t.update(ctx, func(e *ledger.Entry) { e.Finish(r.ID, o) })
	return true, err
}

// unknownOwners is the commands that turned out to run in the place of the ones
// that were asked, by chunk.
func unknownOwners(r *ledger.Run, state *ssmexec.State) map[int][]ledger.Found {
	owners := map[int][]ledger.Found{}
	for i, c := range r.Chunks {
		for _, cmd := range c.Commands {
			if owner := state.Owners[cmd.ID]; owner != "" && !slices.Contains(r.Commands(), owner) {
				owners[i] = append(owners[i], ledger.Found{ID: owner, Nodes: cmd.Nodes})
			}
		}
	}
	return owners
}

func merge(run string, owners map[int][]ledger.Found) func(*ledger.Entry) {
	return func(e *ledger.Entry) {
		for chunk, commands := range owners {
			for _, c := range commands {
				e.Merge(run, chunk, c)
			}
		}
	}
}

// ask is the commands of a run, with the nodes of each.
func ask(r *ledger.Run) []ssmexec.Asked {
	var asked []ssmexec.Asked
	for i, c := range r.Chunks {
		for _, cmd := range c.Commands {
			nodes := cmd.Nodes
			if nodes == nil {
				nodes = r.Nodes(i)
			}
			asked = append(asked, ssmexec.Asked{CommandID: cmd.ID, Nodes: nodes})
		}
	}
	return asked
}

// failure is the error of a run that failed, with the first lines that its nodes
// wrote.
func (t *task) failure(ctx context.Context, run string, state *ssmexec.State) error {
	var b strings.Builder
	fmt.Fprintf(&b, "run %s ended %s", run, state.Status)
	shown := 0
	for _, i := range state.Invocations {
		if i.Status == "Success" {
			continue
		}
		fmt.Fprintf(&b, "; node %s: %s, exit %d", i.Node, i.Status, i.ExitCode)
		if shown++; shown > showOutput {
			continue
		}
		if text := firstLines(t.Exec.Written(ctx, i)); text != "" {
			fmt.Fprintf(&b, ": %q", text)
		}
	}
	return errors.New(b.String())
}

// firstLines is what an answer shows of a node's output: three lines.
func firstLines(output string) string {
	lines := strings.SplitN(strings.TrimSpace(output), "\n", 4)
	text := strings.Join(lines[:min(3, len(lines))], "\n")
	return strings.ToValidUTF8(text[:min(len(text), 300)], "")
}

// withoutLedger is for alerts of which nothing can be read or written in the
// ledger. Nothing new runs. What a resolve ends is cancelled by token, where the
// entry is about one alert and nothing else can need it: only runs that began
// before the resolve, since a later one belongs to the alert's next firing.
func (t *task) withoutLedger(ctx context.Context, alerts amx.Alerts, down error) {
	t.unsettled(t.command.Name, down)
	if t.command.Scope != amx.ScopeAlert || t.message.DedupKey != "" || t.command.IgnoreResolved {
		return
	}
	for _, a := range alerts.Resolved() {
		// A run that was claimed after the resolve was sent is of a later
		// episode, whatever a clock that runs ahead says of the end.
		ends := t.sentAt()
		if !a.EndsAt.IsZero() && a.EndsAt.Before(ends) {
			ends = a.EndsAt
		}
		found, err := t.Exec.LookAll(ctx, t.entry, ends, t.command.DeliveryTimeout+t.command.Timeout)
		if err != nil {
			t.unsettled(t.command.Name, err)
		}
		for _, f := range found {
			how, err := t.stopFound(ctx, f)
			if err != nil {
				t.unsettled(t.command.Name, err)
				continue
			}
			t.settle(Result{
				Command: t.command.Name, Action: ActionCancel, Reason: "resolved, while the ledger is unavailable: " + how,
				RunID: f.Token.Run, CommandIDs: []string{f.CommandID}, Alerts: []string{a.Fingerprint},
			})
		}
	}
}

// stopFound cancels or signals a command of which only its token is known.
func (t *task) stopFound(ctx context.Context, f ssmexec.Found) (how string, err error) {
	if t.command.ResolvedSignal == sigkill {
		return "cancel requested", t.Exec.Cancel(ctx, f.CommandID)
	}
	r := &ledger.Run{ID: f.Token.Run, Chunks: []ledger.Chunk{{Commands: []ledger.SSMCommand{{ID: f.CommandID}}}}}
	if len(f.Nodes) > 0 {
		r.Targets = []ledger.Target{{Key: amx.KeyInstanceIDs, Values: f.Nodes}}
	}
	state, err := t.Exec.State(ctx, ask(r))
	if err != nil || state.Over {
		return "its run is over", err
	}
	return t.command.ResolvedSignal + " sent", t.signal(ctx, r, state)
}
