package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/amx-lambda/amx/internal/ledger"
)

// An Answer is what became of a delivery.
type Answer struct {
	Results []Result
	Matched []string // the commands that match an alert of the message, in the order of the configuration
	// Err is not nil where at least one action is unsettled and sending again
	// is right.
	Err error
}

// A Result is one run affected, or one command skipped or refused.
type Result struct {
	Command    string   `json:"command"`
	Action     string   `json:"action"` // run, cancel, skip, refuse
	Reason     string   `json:"reason"`
	RunID      string   `json:"run_id"`
	CommandIDs []string `json:"command_ids"`
	Alerts     []string `json:"alerts"` // fingerprints
	Status     string   `json:"status"` // SSM's StatusDetails without spaces, or ""
}

// The actions of a [Result].
const (
	ActionRun    = "run"
	ActionCancel = "cancel"
	ActionSkip   = "skip"
	ActionRefuse = "refuse"
)

// settled enters a result. A run that failed is an error for who waits, where the
// command says so.
func (t *task) settled(ctx context.Context, s ledger.Settle) {
	t.settle(Result{
		Command: t.command.Name, Action: string(s.Verb), Reason: string(s.Reason), RunID: s.Run,
		CommandIDs: s.Commands, Alerts: s.Alerts, Status: s.Status,
	})
	if !s.Ill || !t.command.NotifyOnFailure {
		return
	}
	t.mu.Lock()
	state := t.ended[s.Run]
	t.mu.Unlock()
	t.unsettled(t.command.Name, t.failure(ctx, s.Run, state))
}

func (d *delivery) settle(r Result) {
	if r.CommandIDs == nil {
		r.CommandIDs = []string{}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if i := slices.IndexFunc(d.results, r.joins); i >= 0 {
		d.results[i].Alerts = append(d.results[i].Alerts, r.Alerts...)
		d.results[i].CommandIDs = append(d.results[i].CommandIDs, r.CommandIDs...)
		if d.results[i].RunID != r.RunID {
			d.results[i].RunID = ""
		}
		return
	}
	d.results = append(d.results, r)
}

// joins says that two skips are one: a repeat of many alerts is one skip of the
// command.
func (r Result) joins(o Result) bool {
	return r.Action == ActionSkip && o.Action == ActionSkip && r.Command == o.Command && r.Reason == o.Reason
}

// unsettled notes an error after which the source should send again.
func (d *delivery) unsettled(command string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.errs = append(d.errs, fmt.Errorf("command %q: %w", command, err))
}

// answer logs every decision, in an order that does not depend on which call
// was faster.
func (d *delivery) answer(ctx context.Context) Answer {
	place := map[string]int{}
	for i, c := range d.config.Commands {
		place[c.Name] = i
	}
	for i := range d.results {
		slices.Sort(d.results[i].Alerts)
		d.results[i].Alerts = slices.Compact(d.results[i].Alerts)
	}
	slices.SortStableFunc(d.results, func(a, b Result) int {
		if a.Command != b.Command {
			return place[a.Command] - place[b.Command]
		}
		if c := slices.Compare(a.Alerts, b.Alerts); c != 0 {
			return c
		}
		return strings.Compare(a.Action+a.Reason+a.RunID, b.Action+b.Reason+b.RunID)
	})
	for _, r := range d.results {
		d.Log.InfoContext(ctx, "settled", "action", r.Action, "command", r.Command, "reason", r.Reason, "run_id", r.RunID,
			"command_ids", r.CommandIDs, "alerts", r.Alerts, "status", r.Status, "receiver", d.message.Receiver)
	}
	slices.SortFunc(d.errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	d.errs = slices.CompactFunc(d.errs, func(a, b error) bool { return a.Error() == b.Error() }) // a thousand runs may have one reason
	for _, err := range d.errs {
		d.Log.ErrorContext(ctx, "unsettled", "error", err.Error(), "receiver", d.message.Receiver)
	}
	if d.results == nil {
		d.results = []Result{}
	}
	return Answer{Results: d.results, Err: errors.Join(d.errs...)}
}
