package runner

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/history"
	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/queue"
	"github.com/amx-lambda/amx/internal/ssmexec"
)

// A History keeps the records of runs. Its failures stop nothing: a record that it does
// not take goes on the queue.
type History interface {
	Put(context.Context, history.Record) error
}

func (t *task) enter(ctx context.Context, r history.Record) {
	r.Command, r.Entry, r.Updated = t.command.Name, string(t.entry), t.now()
	if t.Told != nil {
		t.Told(ctx, r)
	}
	if t.History == nil {
		return
	}
	if err := t.History.Put(ctx, r); err != nil {
		t.Log.WarnContext(ctx, "the history could not be written", "command", t.command.Name, "run_id", r.Run, "error", err.Error())
		t.enterLater(ctx, r, err)
	}
}

// recordFor is how long a record is tried that the history does not take.
const recordFor = 4 * 24 * time.Hour

// enterLater puts a record on the queue. Only the message told of its alerts: the
// ledger does not keep their labels.
func (t *task) enterLater(ctx context.Context, r history.Record, because error) {
	text, err := json.Marshal(history.Cut(r))
	if err == nil {
		err = t.enqueue(ctx, queue.Item{
			Kind: queue.Record, Command: r.Command, Run: r.Run, Record: text, SentAt: t.sentAt(), Arrived: t.now(),
			Reason: because.Error(), Due: t.now().Add(queue.Backoff(0, t.fraction())),
		})
	}
	if err != nil {
		t.Log.ErrorContext(ctx, "a record is lost", "command", t.command.Name, "run_id", r.Run, "error", err.Error())
	}
	if t.Unwritten != nil {
		t.Unwritten(ctx, err == nil)
	}
}

// writeRecord writes the record of an item. It is put off where the history still
// does not take it.
func (r *Runner) writeRecord(ctx context.Context, it queue.Item) error {
	if r.History == nil {
		return nil
	}
	var record history.Record
	if err := json.Unmarshal(it.Record, &record); err != nil {
		return fmt.Errorf("%w: decoding the %s: %w", queue.ErrGivenUp, it.Subject(), err)
	}
	err := r.History.Put(ctx, record)
	if err == nil {
		return nil
	}
	now := r.now()
	if now.Sub(it.Arrived) > recordFor {
		return fmt.Errorf("%w: %w", queue.ErrGivenUp, err)
	}
	it.Tries, it.Reason = it.Tries+1, err.Error()
	it.Due = now.Add(queue.Backoff(it.Tries, r.fraction()))
	return r.Queue.Put(ctx, it)
}

func (t *task) sourceRecord() history.Source {
	return history.Source{
		Receiver: t.message.Receiver, ExternalURL: t.message.ExternalURL, Topic: t.source.Topic, Token: t.source.Token,
	}
}

// note writes a run to the history: it was sent, or a cancel was asked.
func (t *task) note(ctx context.Context, r ledger.Run) {
	out := t.runRecord(r)
	out.State, out.Sent = history.Running, t.now()
	t.enter(ctx, out)
}

// finished tells the gates and the history how a run ended. During a check of a gate's
// runs the gate is locked, so the gates are told after it.
func (t *task) finished(ctx context.Context, f ledger.Finished) {
	if t.checking {
		t.delivery.mu.Lock()
		t.endings = append(t.endings, func(ctx context.Context) { t.tellGates(ctx, f) })
		t.delivery.mu.Unlock()
	} else {
		t.tellGates(ctx, f)
	}
	out := t.runRecord(f.Run)
	out.State, out.Ended, out.Status = stateOfRun(&f.Run), f.Ended, f.Status
	t.mu.Lock()
	state := t.states[f.ID]
	t.mu.Unlock()
	if state != nil {
		out.Nodes = nodesOf(state)
	}
	if !f.Again {
		t.logEnd(ctx, &out)
	}
	t.enter(ctx, out)
}

func (t *task) tellGates(ctx context.Context, f ledger.Finished) {
	for _, g := range t.gates {
		if !t.configures(t.command) { // a delivery that knows its limits counts the end
			t.tellGate(ctx, g, ledger.SlotsFree{Over: []string{f.ID}})
			continue
		}
		opened := t.tellGate(ctx, g, ledger.RunEnded{
			Run: f.ID, Ended: f.Ended, Failed: (f.Failed || f.Status == "" && !f.Observed) && !f.CancelAsked, Last: f.Last, Limits: g.limits,
		})
		if b, ok := opened.(ledger.BreakerOpened); ok {
			t.Log.ErrorContext(ctx, "the breaker is open", "command", t.command.Name, "failures", b.Failures, "until", b.Until)
			if t.Opened != nil {
				t.Opened(ctx, t.command.Name, b)
			}
		}
	}
}

func stateOfRun(r *ledger.Run) history.State {
	switch {
	case r.Observed:
		return history.Observed
	case r.Status == "Success":
		return history.Succeeded
	case r.Status == "Cancelled" || r.CancelAsked:
		return history.Cancelled
	case r.Failed:
		return history.Failed
	}
	return history.Unknown
}

// logEnd logs how a run ended, at level WARN if it did not succeed.
func (t *task) logEnd(ctx context.Context, r *history.Record) {
	took, _ := r.Took()
	log := t.Log.InfoContext
	if r.State == history.Failed || r.State == history.Unknown {
		log = t.Log.WarnContext
	}
	log(ctx, "run ended", "command", r.Command, "run_id", r.Run, "state", string(r.State), "status", r.Status, "took", took)
	for _, n := range r.Nodes {
		if n.ExitCode != nil && *n.ExitCode != 0 {
			log(ctx, "node ended", "command", r.Command, "run_id", r.Run, "node", n.Node, "status", n.Status, "exit_code", *n.ExitCode)
		}
	}
}

func (t *task) runRecord(r ledger.Run) history.Record {
	out := history.Record{
		Run: r.ID, Command: t.command.Name, Reason: string(r.Reason), Alerts: history.Alerts(r.Alerts), Source: t.sourceRecord(),
		CommandIDs: r.Commands, Attempt: r.Attempt, Claimed: r.Claimed,
	}
	if r.Attempt > 1 {
		out.RetryOf = r.Prev
	}
	for _, target := range r.Targets {
		out.Targets = append(out.Targets, history.Target{Key: target.Key, Values: target.Values})
	}
	switch {
	case r.StoppedBy != "":
		out.CancelledBy = &history.CancelledBy{Who: r.StoppedBy, Why: r.StoppedWhy, At: t.now()}
	case r.CancelAsked:
		out.CancelledBy = &history.CancelledBy{Who: history.ByResolve, At: t.now()}
	}
	return out
}

func nodesOf(s *ssmexec.State) []history.Node {
	var nodes []history.Node
	for _, i := range s.Invocations {
		if i.Owner != "" {
			continue // another command owns the run there
		}
		n := history.Node{Node: i.Node, CommandID: i.CommandID, Status: i.Status, Output: i.Output, Started: i.Started, Ended: i.Ended}
		if ssmexec.Terminal(i.Status) {
			code := int(i.ExitCode)
			n.ExitCode = &code
		}
		nodes = append(nodes, n)
	}
	return nodes
}

// enterRefused enters alerts that were refused into the history.
func (t *task) enterRefused(ctx context.Context, s ledger.Settle) {
	if len(s.Of.Alerts) == 0 {
		return // only a part of the run was refused: the alerts have the rest of it
	}
	t.enter(ctx, history.Record{
		Run: history.RefusedID(string(t.entry), string(s.Reason), s.Alerts...), State: history.Refused, Reason: string(s.Reason),
		Alerts: history.Alerts(s.Of.Alerts), Source: t.sourceRecord(), Claimed: t.now(), Ended: t.now(),
	})
}

// enterWaiting enters alerts that wait for their run.
func (t *task) enterWaiting(ctx context.Context, a ledger.Defer) {
	if firing := a.Alerts.Firing(); len(firing) > 0 && a.As() == ledger.AsNotification {
		t.enterWait(ctx, t.waitingRecord(firing, a.Err.Error()))
	}
}

func (t *task) enterWait(ctx context.Context, r history.Record) {
	t.mu.Lock()
	t.waiting = r.Run
	t.mu.Unlock()
	t.enter(ctx, r)
}

// enterWaited enters that the alerts of an item no longer wait: they have their run, or
// need none.
func (t *task) enterWaited(ctx context.Context) {
	firing := t.alerts.Firing()
	if len(firing) == 0 {
		return
	}
	r := t.waitingRecord(firing, "it waits no longer")
	t.mu.Lock()
	waits := t.waiting == r.Run
	t.mu.Unlock()
	if r.Ended = t.now(); !waits {
		t.enter(ctx, r)
	}
}

// enterExpired enters alerts that have waited too long.
func (t *task) enterExpired(ctx context.Context, c ledger.Case) {
	if firing := c.Alerts.Firing(); len(firing) > 0 {
		r := t.waitingRecord(firing, t.item.Reason)
		r.State, r.Ended = history.Expired, t.now()
		t.enterWait(ctx, r)
	}
}

func (t *task) waitingRecord(alerts amx.Alerts, reason string) history.Record {
	return history.Record{
		Run: history.WaitingID(string(t.entry), fingerprints(alerts)...), State: history.Waiting, Reason: reason,
		Alerts: history.Alerts(alerts), Source: t.sourceRecord(), Claimed: t.arrivedFirst(),
	}
}
