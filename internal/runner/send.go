package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/ssmexec"
)

// sending is a run that this delivery claims and sends.
type sending struct {
	task   *task
	run    string
	reason ledger.Reason
	alerts amx.Alerts
	inputs []*ssm.SendCommandInput // by chunk; nil: to be rendered if they are needed
	errs   []error                 // of the last sends
	before []error                 // what SSM refused in sends before those
}

// claims is the runs that are claimed for what is due, and what became of the rest
// of it.
type claims struct {
	runs    []*sending
	settled []Result // skipped or refused
	errs    []error  // for which the source is to send again
}

// claim renders the runs that are due and enters them in the entry. What cannot
// be rendered is refused, before anything is claimed.
func (t *task) claim(ctx context.Context, entry *ledger.Entry, due []ledger.Due) (c claims) {
	for _, d := range due {
		if t.now().After(t.claims) {
			c.errs = append(c.errs, errNoTime)
			break
		}
		s, run, err := t.render(ctx, entry, d)
		switch {
		case errors.Is(err, ssmexec.ErrNodes):
			c.errs = append(c.errs, err)
			continue
		case errors.Is(err, errAllSucceeded):
			c.settled = append(c.settled, Result{
				Command: t.command.Name, Action: ActionSkip, Reason: string(ledger.SkipRan), RunID: d.Prev, Alerts: fingerprints(d.Alerts),
			})
			continue
		case err != nil:
			c.settled = append(c.settled, Result{
				Command: t.command.Name, Action: ActionRefuse, Reason: err.Error(), Alerts: fingerprints(d.Alerts),
			})
			continue
		case t.MaxEntry > 0 && !entry.Holds(d, run, t.now(), t.MaxEntry):
			t.unused = append(t.unused, s.run)
			c.errs = append(c.errs, errFull)
			continue
		}
		taken, err := t.take(ctx, s.run)
		switch {
		case err != nil:
			c.errs = append(c.errs, err)
			continue
		case !taken:
			c.settled = append(c.settled, Result{
				Command: t.command.Name, Action: ActionSkip, Reason: string(ledger.SkipMax), Alerts: fingerprints(d.Alerts),
			})
			continue
		case t.now().After(t.claims): // SSM took its time to list its nodes, or who holds the gate
			t.unused = append(t.unused, s.run)
			c.errs = append(c.errs, errNoTime)
			continue
		}
		entry.Claim(d, run, t.now())
		c.runs = append(c.runs, s)
	}
	return c
}

func (t *task) render(ctx context.Context, entry *ledger.Entry, d ledger.Due) (*sending, ledger.Run, error) {
	now := t.now()
	id, err := t.runID(now)
	if err != nil {
		return nil, ledger.Run{}, err
	}
	data := t.message.Narrow(d.Alerts).At(t.arrived)
	targets, err := t.targets(ctx, entry, d, data)
	if err != nil {
		return nil, ledger.Run{}, err
	}
	inputs, err := t.inputs(id, data, targets)
	if err != nil {
		return nil, ledger.Run{}, err
	}
	run := ledger.Run{
		ID: id, Holder: t.holder, Lease: t.lease, Targets: targets, Chunks: make([]ledger.Chunk, len(inputs)),
		Until: t.until(), Slot: t.command.Max > 0,
	}
	return &sending{task: t, run: id, reason: d.Reason, alerts: d.Alerts, inputs: inputs}, run, nil
}

// until is when what is sent now is over at the latest, as far as SSM can tell.
func (t *task) until() time.Time { return t.sends.Add(t.command.DeliveryTimeout + t.command.Timeout) }

// runID makes a run ID, or takes one that has its slot of the gate already.
func (t *task) runID(now time.Time) (string, error) {
	if n := len(t.unused); n > 0 {
		id := t.unused[n-1]
		t.unused = t.unused[:n-1]
		return id, nil
	}
	return ssmexec.NewRunID(now, t.randomness())
}

// errAllSucceeded is that a run that failed did not fail where its retry would go.
var errAllSucceeded = errors.New("it succeeded on every node of these alerts")

// targets renders the targets of a run. A retry goes to the nodes on which the
// run before it did not succeed, and nowhere else.
func (t *task) targets(ctx context.Context, entry *ledger.Entry, d ledger.Due, data amx.Data) ([]ledger.Target, error) {
	expanded, err := t.command.ExpandTargets(data, d.Alerts)
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
	if prev := entry.Run(d.Prev); prev != nil && d.Reason == ledger.RunRetry && prev.Outcome != nil {
		return remaining(prev.Outcome, targets)
	}
	return targets, nil
}

// remaining is those of the targets on which a run did not succeed. Of nodes that
// are named, that is also those for which SSM lists no invocation, because
// max_errors ended the command before it reached them, or because they were
// refused. Which nodes a tag selects only the run before can tell.
func remaining(o *ledger.Outcome, targets []ledger.Target) ([]ledger.Target, error) {
	nodes := o.Remaining
	switch {
	case ledger.ByInstance(targets):
		nodes = slices.DeleteFunc(slices.Clone(targets[0].Values), func(node string) bool { return slices.Contains(o.Succeeded, node) })
		if len(nodes) == 0 {
			return nil, errAllSucceeded
		}
	case len(nodes) == 0:
		return targets, nil // it reached none
	}
	return []ledger.Target{{Key: amx.KeyInstanceIDs, Values: nodes}}, nil
}

func (t *task) inputs(run string, data amx.Data, targets []ledger.Target) ([]*ssm.SendCommandInput, error) {
	inputs, notes, err := ssmexec.Render(ssmexec.Job{
		Command: t.command, Entry: t.entry, Run: run, Data: data, Targets: targets,
	})
	for _, note := range notes {
		t.Log.Warn("variables", "command", t.command.Name, "run_id", run, "note", note)
	}
	return inputs, err
}

// send sends a claimed run and records what SSM answered. Where an answer was
// lost, it looks, and sends what is missing.
func (t *task) send(ctx context.Context, s *sending) {
	parts := make([]part, len(s.inputs))
	for i := range parts {
		parts[i].chunk = i
	}
	if r := t.sendParts(ctx, s, parts); r != nil && r.NeedsLook() && t.resume(ctx, s) {
		t.unsettled(t.command.Name, fmt.Errorf("run %s is not this delivery's to send any more", s.run))
	}
}

// A part is what is to be sent of a chunk: to these nodes, or to all of it.
type part struct {
	chunk int
	nodes []string
}

func missing(r *ledger.Run) []part {
	var parts []part
	for _, chunk := range r.Missing() {
		nodes, _ := r.Rest(chunk)
		parts = append(parts, part{chunk, nodes})
	}
	return parts
}

// sendParts sends these parts of a run that this delivery holds the claim of,
// side by side, and records them. It answers the run as recorded, nil where
// there is nothing more to do about it.
func (t *task) sendParts(ctx context.Context, s *sending, parts []part) *ledger.Run {
	var sent []ledger.Sent
	s.next()
	var mu sync.Mutex
	sends, cancel := context.WithDeadline(ctx, t.sends)
	defer cancel()
	parallel(parts, func(p part) {
		in := s.inputs[p.chunk]
		if p.nodes != nil {
			narrowed := *in
			narrowed.InstanceIds = p.nodes
			in = &narrowed
		}
		answers := t.Exec.SendToAll(sends, in)
		mu.Lock()
		defer mu.Unlock()
		for _, a := range answers {
			verdict := ssmexec.Unknown
			if a.Err != nil {
				verdict = ssmexec.Judge(a.Err)
				s.errs = append(s.errs, a.Err)
			}
			sent = append(sent, ledger.Sent{
				Chunk: p.chunk, Nodes: a.Nodes, Command: a.CommandID,
				Unsent: a.Err != nil && verdict != ssmexec.Unknown, Refused: a.Err != nil && verdict == ssmexec.Refused,
			})
		}
	})
	var run *ledger.Run
	entry, err := t.update(ctx, func(e *ledger.Entry) { run = e.Record(s.run, t.holder, sent) })
	if err != nil {
		// The claim stands without its commands: the next delivery looks.
		t.unsettled(t.command.Name, fmt.Errorf("recording run %s: %w", s.run, err))
		return nil
	}
	return t.recorded(ctx, s, entry, run, sent)
}

// recorded settles what can be settled once the answers of SSM are in the
// ledger.
func (t *task) recorded(ctx context.Context, s *sending, entry *ledger.Entry, run *ledger.Run, sent []ledger.Sent) *ledger.Run {
	failed := errors.Join(s.errs...)
	if run == nil {
		t.giveUp(ctx, s.run)
	}
	switch commands := commandsOf(sent); {
	case run == nil && (failed == nil || len(commands) > 0):
		// Somebody has declared the run never sent, which only happens past
		// its lease. It must not go on beside what was begun in its place.
		for _, id := range commands {
			failed = errors.Join(failed, t.Exec.Cancel(ctx, id))
		}
		t.unsettled(t.command.Name, errors.Join(fmt.Errorf("run %s was recorded after its claim had run out", s.run), failed))
		return nil
	case run == nil && refused(s.errs):
		t.settle(Result{Command: t.command.Name, Action: ActionRefuse, Reason: failed.Error(), RunID: s.run, Alerts: fingerprints(s.alerts)})
		return nil
	case run == nil:
		t.unsettled(t.command.Name, failed)
		return nil
	case run.CancelAsked:
		t.cancel(ctx, ledger.Step{Run: s.run, Reason: ledger.CancelEnded}, entry.Covers(s.run))
		return nil
	case run.NeedsLook():
		return run
	}
	if len(run.Commands()) == 0 { // SSM refuses it by now, and an unknown send before that may show yet
		t.unsettled(t.command.Name, errors.Join(errMaybeSent, failed))
		return run
	}
	if failed != nil {
		t.Log.WarnContext(ctx, "part of the run was not sent", "command", t.command.Name, "run_id", s.run, "error", failed.Error())
		if len(run.Missing()) > 0 {
			t.unsettled(t.command.Name, failed)
		}
	}
	if reason := partly(s, run); reason != "" {
		t.settle(Result{
			Command: t.command.Name, Action: ActionRefuse, Reason: reason, RunID: s.run, Alerts: fingerprints(s.alerts),
		})
	}
	t.Log.InfoContext(ctx, "sent", "command", t.command.Name, "reason", string(s.reason), "run_id", s.run,
		"command_ids", run.Commands(), "alerts", fingerprints(s.alerts))
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sent = append(t.sent, s)
	return run
}

// partly says why a part of the run is not run, where SSM refused it: in this
// delivery, or in one whose answer nobody has.
func partly(s *sending, run *ledger.Run) string {
	if errs := append(slices.Clone(s.before), refusals(s.errs)...); len(errs) > 0 {
		return "part of the run: " + errors.Join(errs...).Error()
	}
	var without []string
	for _, c := range run.Chunks {
		if c.Refused {
			return "part of the run: SSM refused it before"
		}
		without = append(without, c.Without...)
	}
	if len(without) > 0 {
		return "part of the run: SSM refused before: node " + strings.Join(without, ", node ")
	}
	return ""
}

// next makes room for the errors of the next sends, and keeps what was refused.
func (s *sending) next() { s.before, s.errs = append(s.before, refusals(s.errs)...), nil }

func commandsOf(sent []ledger.Sent) []string {
	var ids []string
	for _, s := range sent {
		if s.Command != "" {
			ids = append(ids, s.Command)
		}
	}
	return ids
}

func refused(errs []error) bool { return len(refusals(errs)) == len(errs) }

func refusals(errs []error) []error {
	return slices.DeleteFunc(slices.Clone(errs), func(err error) bool { return ssmexec.Judge(err) != ssmexec.Refused })
}
