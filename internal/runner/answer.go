package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/ledger"
)

// An Answer is the outcome of a delivery.
type Answer struct {
	Results []Result
	Matched []string // the commands that match an alert of the message, in the order of the configuration
	// Err is not nil if an action could be neither settled nor put off, so that the
	// source should send again; or if a run of a command with notify_on_failure failed.
	Err error
}

// A Result is one run affected, or one command skipped, refused or put off.
type Result struct {
	Command    string   `json:"command"`
	Action     string   `json:"action"` // run, cancel, skip, refuse, later, observe
	Reason     string   `json:"reason"`
	RunID      string   `json:"run_id"`
	CommandIDs []string `json:"command_ids"`
	Alerts     []string `json:"alerts"` // fingerprints
	Status     string   `json:"status"` // SSM's StatusDetails without spaces, or ""
	Error      string   `json:"error,omitempty"`
}

// The actions of a [Result].
const (
	ActionRun     = string(ledger.VerbRun)
	ActionCancel  = string(ledger.VerbCancel)
	ActionSkip    = string(ledger.VerbSkip)
	ActionRefuse  = string(ledger.VerbRefuse)
	ActionLater   = string(ledger.VerbLater)
	ActionObserve = string(ledger.VerbObserve)
)

// settled enters a result. A failed run is an error for the caller that waits, if the
// command has notify_on_failure and no other run of the message goes on.
func (t *task) settled(ctx context.Context, s ledger.Settle) {
	if t.quiet && s.Verb == ledger.VerbSkip {
		return // the command does not match; this only looked whether it has a run
	}
	r := Result{
		Command: t.command.Name, Action: string(s.Verb), Reason: string(s.Reason), RunID: s.Run,
		CommandIDs: s.Commands, Alerts: s.Alerts, Status: s.Status,
	}
	if s.Verb == ledger.VerbRefuse {
		t.enterRefused(ctx, s)
	}
	if s.Ill {
		t.mu.Lock()
		state := t.states[s.Run]
		t.mu.Unlock()
		err := t.failure(ctx, s.Run, state)
		r.Error = err.Error()
		if t.command.NotifyOnFailure {
			t.delivery.mu.Lock()
			t.failures = append(t.failures, fmt.Errorf("command %q: %w", t.command.Name, err))
			t.delivery.mu.Unlock()
		}
	}
	if s.GoesOn {
		t.goesOn.Store(true)
	}
	t.settle(r)
}

func (d *delivery) settle(r Result) {
	if r.CommandIDs == nil {
		r.CommandIDs = []string{}
	}
	if r.Alerts == nil {
		r.Alerts = []string{}
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

// joins reports whether two skips make one result: a repeat of many alerts is one skip
// of the command. The same holds for two that were put off.
func (r Result) joins(o Result) bool {
	return r.Action == o.Action && (r.Action == ActionSkip || r.Action == ActionLater) && r.Command == o.Command && r.Reason == o.Reason
}

// unsettled notes an error after which the source should send again.
func (d *delivery) unsettled(command string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.errs = append(d.errs, fmt.Errorf("command %q: %w", command, err))
}

// answer logs every decision. Their order does not depend on which call was faster.
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
	later := false
	for _, r := range d.results {
		d.logResult(ctx, r)
		later = later || r.Action == ActionLater
	}
	slices.SortFunc(d.errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	d.errs = slices.CompactFunc(d.errs, func(a, b error) bool { return a.Error() == b.Error() }) // a thousand runs may have the same error
	for _, err := range d.errs {
		d.Log.ErrorContext(ctx, "unsettled", "error", err.Error(), "receiver", d.message.Receiver)
	}
	if d.results == nil {
		d.results = []Result{}
	}
	// The source gets a failure only if no run of this message goes on: a source that
	// does not get 2xx sends no resolve.
	errs := d.errs
	if !later && !d.goesOn.Load() {
		errs = append(errs, d.failures...)
	}
	return Answer{Results: d.results, Err: errors.Join(errs...)}
}

// logResult logs one line for a decision. If the result is about one alert, the line
// has the alert's name and instance.
func (d *delivery) logResult(ctx context.Context, r Result) {
	log := d.Log.InfoContext
	if r.Action == ActionSkip && r.Reason == string(ledger.SkipRan) {
		log = d.Log.DebugContext // a repeat that changes nothing
	}
	fields := []any{
		"action", r.Action, "command", r.Command, "reason", r.Reason, "run_id", r.RunID, "command_ids", r.CommandIDs,
		"alerts", r.Alerts, "status", r.Status, "receiver", d.message.Receiver,
	}
	if len(r.Alerts) > 0 {
		i := slices.IndexFunc(d.message.Alerts, func(a amx.Alert) bool { return a.Fingerprint == r.Alerts[0] })
		for _, name := range []string{"alertname", "instance"} {
			if i < 0 {
				break
			}
			if v := d.message.Alerts[i].Labels[name]; v != "" {
				fields = append(fields, name, v)
			}
		}
	}
	log(ctx, "settled", fields...)
}

func fingerprints(alerts amx.Alerts) []string {
	fps := make([]string, len(alerts))
	for i := range alerts {
		fps[i] = alerts[i].Fingerprint
	}
	return fps
}
