package runner

import (
	"context"

	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/ssmexec"
)

// look reads SSM's list for a run, and then the entry again: what the list shows
// counts for the entry as it is by then.
func (t *task) look(ctx context.Context, a ledger.Look) ledger.Event {
	seen := ledger.Looked{Look: a, Begun: t.now()}
	if seen.Found, seen.Err = t.Exec.Look(ctx, t.entry, a.Run, a.Claimed, a.Lease); seen.Err == nil {
		seen.Err = t.reread(ctx, t.record)
	}
	return seen
}

// ask asks SSM where commands stand.
func (t *task) ask(ctx context.Context, a ledger.Ask) ledger.Event {
	answer := ledger.Asked{Ask: a}
	state, err := t.state(ctx, a.Commands, a.Forget)
	if answer.Err = err; err == nil {
		answer.State = stateOf(state)
	}
	return answer
}

// state is where commands stand. Those that SSM has forgotten are over, where
// their time is up.
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

// stateOf is what SSM says, in the ledger's terms.
func stateOf(s *ssmexec.State) ledger.State {
	state := ledger.State{Over: s.Over, Status: s.Status, Failed: s.Failed(), Owners: s.Owners}
	state.Succeeded, state.Other = s.Nodes()
	for _, i := range s.Invocations {
		state.Nodes = append(state.Nodes, ledger.NodeState{
			Command: i.CommandID, Node: i.Node, Over: ssmexec.Terminal(i.Status), Elsewhere: i.Owner != "",
		})
	}
	return state
}
