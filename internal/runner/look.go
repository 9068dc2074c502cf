package runner

import (
	"context"
	"time"

	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/ssmexec"
)

// A look is a run that waits for the delivery's reading of SSM's list.
type look struct {
	task *task
	ledger.Look
}

// look reads SSM's list for a run. One reading serves all runs that the delivery
// reconciles, so the runs wait for each other. The check of a gate reads the list at
// once.
func (t *task) look(ctx context.Context, a ledger.Look) ledger.Event {
	if !t.checking {
		t.delivery.mu.Lock()
		defer t.delivery.mu.Unlock()
		t.looks = append(t.looks, look{t, a})
		return nil
	}
	begun := t.now()
	found, err := t.Exec.List(ctx, a.Claimed, a.Lease)
	return t.seen(ctx, a, begun, found, err)
}

// rounds acts, then reads SSM's list for the runs to reconcile, and repeats this until
// there are none.
func (d *delivery) rounds(ctx context.Context, act func()) {
	for act(); ; {
		d.mu.Lock()
		looks := d.looks
		d.looks = nil
		d.mu.Unlock()
		if len(looks) == 0 {
			return
		}
		from, to := looks[0].Claimed, looks[0].Lease
		for _, l := range looks {
			if l.Claimed.Before(from) {
				from = l.Claimed
			}
			if l.Lease.After(to) {
				to = l.Lease
			}
		}
		begun := d.now()
		found, err := d.Exec.List(ctx, from, to)
		parallel(looks, func(l look) { l.task.feed(ctx, l.task.seen(ctx, l.Look, begun, found, err)) })
	}
}

// seen is the event with the commands that the list shows for a run. The entry is read
// again first, because it may have changed since the list was read.
func (t *task) seen(ctx context.Context, a ledger.Look, begun time.Time, found []ssmexec.Found, err error) ledger.Event {
	seen := ledger.Looked{Look: a, Begun: begun, Found: map[int][]ledger.Command{}, Err: err}
	for _, f := range found {
		if f.Token.Entry == t.entry && f.Token.Run == a.Run {
			seen.Found[f.Token.Chunk] = append(seen.Found[f.Token.Chunk], ledger.Command{ID: f.CommandID, Nodes: f.Nodes})
		}
	}
	if err == nil {
		seen.Err = t.reread(ctx, t.record)
	}
	return seen
}

// ask asks SSM for the state of commands.
func (t *task) ask(ctx context.Context, a ledger.Ask) ledger.Event {
	answer := ledger.Asked{Ask: a}
	state, err := t.state(ctx, a.Commands, a.Forget)
	if answer.Err = err; err == nil {
		t.keep(a.Run, state)
		answer.State = stateOf(state)
	}
	return answer
}

// keep keeps SSM's last answer about a run, for the history.
func (t *task) keep(run string, state *ssmexec.State) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.states[run] = state
}

// state returns the state of commands. With forget, their time is up, and commands that
// SSM has forgotten are over.
func (t *task) state(ctx context.Context, commands []ledger.Command, forget bool) (*ssmexec.State, error) {
	state, err := t.Exec.State(ctx, asked(commands))
	if err != nil || !forget || state.Over || len(state.Invocations) > 0 {
		return state, err
	}
	ids := make([]string, len(commands))
	for i, c := range commands {
		ids[i] = c.ID
	}
	forgotten, err := t.Exec.Forgotten(ctx, ids...)
	if forgotten {
		state.Over, state.Status = true, ""
	}
	return state, err
}

func asked(commands []ledger.Command) []ssmexec.Asked {
	all := make([]ssmexec.Asked, len(commands))
	for i, c := range commands {
		all[i] = ssmexec.Asked{CommandID: c.ID, Nodes: c.Nodes}
	}
	return all
}

// stateOf is SSM's state in the ledger's terms.
func stateOf(s *ssmexec.State) ledger.State {
	state := ledger.State{Over: s.Over, Status: s.Status, Failed: s.Failed(), Ended: s.Ended(), Owners: s.Owners}
	state.Succeeded, state.Other = s.Nodes()
	for _, i := range s.Invocations {
		state.Nodes = append(state.Nodes, ledger.NodeState{
			Command: i.CommandID, Node: i.Node, Over: ssmexec.Terminal(i.Status), Elsewhere: i.Owner != "",
		})
	}
	return state
}
