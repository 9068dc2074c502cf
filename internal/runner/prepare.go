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

// prepare renders a run: its targets and its scripts. A run that is taken over keeps its
// recorded targets.
func (t *task) prepare(ctx context.Context, a ledger.Prepare) ledger.Event {
	p := ledger.Prepared{Start: a.Start}
	if !p.TakenOver {
		if p.Run, p.Err = ssmexec.NewRunID(t.now(), t.randomness()); p.Err != nil {
			return p
		}
		// No claim is made later than that, and why there is none has still to be
		// entered.
		asks, cancel := context.WithTimeout(ctx, t.claims.Sub(t.now()))
		defer cancel()
		var targets []amx.Target
		if targets, p.Alerts, p.Without, p.Err = t.targets(asks, a.Alerts); p.Err != nil || len(p.Alerts) == 0 {
			p.Again = errors.Is(p.Err, ssmexec.ErrNodes)
			return p
		}
		var ok bool
		if p.Targets, ok = a.Narrow(targets); !ok {
			p.NoNodes = true
			return p
		}
	}
	data := t.message.Narrow(p.Alerts).At(t.arrivedFirst())
	if p.Spread, p.Err = t.spread(p.Alerts, data); p.Err != nil {
		return p
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

// targets renders the targets of a run, and finds the nodes that they name by address.
// If the targets of an alert cannot be rendered or found, it leaves that alert out, and
// the command runs for the others. It asks SSM once for alerts with the same targets.
func (t *task) targets(ctx context.Context, alerts amx.Alerts) (targets []amx.Target, placed amx.Alerts, without []ledger.Unplaced, err error) {
	known := map[string]place{}
	resolve := func(alerts amx.Alerts) ([]amx.Target, error) {
		rendered, err := t.command.ExpandTargets(t.message.Narrow(alerts).At(t.arrivedFirst()), alerts)
		if err != nil {
			return nil, err
		}
		text := fmt.Sprintf("%q", rendered)
		p, ok := known[text]
		if !ok {
			p.targets, p.err = t.resolve(ctx, rendered)
			known[text] = p
		}
		return p.targets, p.err
	}
	targets, err = resolve(alerts)
	if err == nil || len(alerts) == 1 || len(t.command.Targets) == 0 {
		return targets, alerts, nil, err
	}
	for _, a := range alerts {
		if _, err := resolve(amx.Alerts{a}); err != nil {
			without = append(without, ledger.Unplaced{Alert: a, Err: err, Again: errors.Is(err, ssmexec.ErrNodes)})
			continue
		}
		placed = append(placed, a)
	}
	if len(without) == 0 || len(placed) == 0 {
		return nil, placed, without, err // the error concerns all alerts together
	}
	targets, err = resolve(placed)
	return targets, placed, without, err
}

// A place has rendered targets in SSM's form, or the reason why a run cannot go there.
type place struct {
	targets []amx.Target
	err     error
}

func (t *task) resolve(ctx context.Context, rendered []amx.Target) ([]amx.Target, error) {
	targets, err := t.Exec.Resolve(ctx, rendered)
	if err != nil {
		return nil, err
	}
	return targets, t.radius(ctx, targets)
}

// radius returns an error if a run has more nodes than max_targets. It counts the nodes
// behind tags.
func (t *task) radius(ctx context.Context, targets []amx.Target) error {
	nodes, err := t.Exec.Count(ctx, targets, t.command.MaxTargets+1)
	if err == nil && nodes > t.command.MaxTargets {
		if !ledger.ByInstance(targets) {
			return fmt.Errorf("more than %d nodes, over max_targets: %d", t.command.MaxTargets, t.command.MaxTargets)
		}
		return fmt.Errorf("%d targets, over max_targets: %d", nodes, t.command.MaxTargets)
	}
	return err
}

// spread is the value of spread_by. If the alerts of the run have different values, it
// has all of them, sorted.
func (t *task) spread(alerts amx.Alerts, data amx.Data) (string, error) {
	if t.command.SpreadBy == "" {
		return "", nil
	}
	var values []string
	for _, a := range alerts {
		v, err := t.command.ExpandSpread(data, a)
		if err != nil {
			return "", err
		}
		values = append(values, v)
	}
	slices.Sort(values)
	return strings.Join(slices.Compact(values), ","), nil
}
