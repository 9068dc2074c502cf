package runner

import (
	"context"
	"errors"
	"fmt"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/ssmexec"
)

// prepare renders a run: where it goes, and what is sent there. A run that is
// taken over goes where it was to go.
func (t *task) prepare(ctx context.Context, a ledger.Prepare) ledger.Event {
	p := ledger.Prepared{Start: a.Start}
	data := t.message.Narrow(a.Alerts).At(t.arrived)
	if !p.TakenOver {
		if p.Run, p.Err = ssmexec.NewRunID(t.now(), t.randomness()); p.Err != nil {
			return p
		}
		targets, err := t.targets(ctx, data, a.Alerts)
		if err != nil {
			p.Err, p.Again = err, errors.Is(err, ssmexec.ErrNodes)
			return p
		}
		var ok bool
		if p.Targets, ok = a.Narrow(targets); !ok {
			p.NoNodes = true
			return p
		}
	}
	inputs, notes, err := ssmexec.Render(ssmexec.Job{
		Command: t.command, Entry: t.entry, Run: p.Run, Prev: p.Prev, Data: data, Targets: p.Targets,
	})
	for _, note := range notes {
		t.Log.WarnContext(ctx, "variables", "command", t.command.Name, "run_id", p.Run, "note", note)
	}
	p.Err, p.Parts = err, len(inputs)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.inputs[p.Run] = inputs
	return p
}

// targets renders the targets of a run and finds the nodes that they name by
// their address.
func (t *task) targets(ctx context.Context, data amx.Data, alerts amx.Alerts) ([]amx.Target, error) {
	expanded, err := t.command.ExpandTargets(data, alerts)
	if err != nil {
		return nil, err
	}
	targets, err := t.Exec.Resolve(ctx, expanded)
	if err != nil {
		return nil, err
	}
	for _, x := range targets {
		if x.Key == amx.KeyInstanceIDs && len(x.Values) > t.command.MaxTargets {
			return nil, fmt.Errorf("%d targets, over max_targets: %d", len(x.Values), t.command.MaxTargets)
		}
	}
	return targets, nil
}
