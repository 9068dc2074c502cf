package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/ssmexec"
	"github.com/amx-lambda/amx/internal/ssmlocal"
)

type explainCmd struct {
	File    string   `short:"f" default:"amx.yaml" help:"Configuration file."`
	Subject string   `help:"Subject of an SNS message, such as \"[FIRING:1] x\". The block in PagerDuty's shape needs it."`
	Lambda  bool     `help:"Read the file as the Lambda functions do: every command needs targets."`
	Script  bool     `help:"Show the whole script that amx would send."`
	Payload []string `arg:"" name:"payload" help:"A file with a notification in any form that amx takes, or - for standard input. Or label=value for each label of a firing alert."`
}

// Run shows, for each command, which alerts of the notification match it and why
// the others do not, and what a first delivery would send for them. Nothing is run.
// It answers no where nothing matches.
func (c *explainCmd) Run(std stdio) error {
	cfg, err := loadConfig(c.File)
	if err == nil && c.Lambda {
		err = cfg.ForLambda()
	}
	if err != nil {
		return err
	}
	messages, err := c.messages(std.in, time.Now())
	if err != nil {
		return err
	}
	matched := false
	for _, m := range messages {
		for _, warning := range m.Warnings() {
			fmt.Fprintln(std.err, "amx: warning:", warning)
		}
		for _, cmd := range cfg.Commands {
			e := explanation{out: std.out, message: m, command: cmd, script: c.Script}
			matched = e.write() || matched
		}
	}
	if !matched {
		fmt.Fprintln(std.err, "amx: no command matches an alert of this notification")
		return errNo
	}
	return nil
}

func (c *explainCmd) read(in io.Reader) ([]byte, error) {
	if c.Payload[0] == "-" {
		return io.ReadAll(in)
	}
	return os.ReadFile(c.Payload[0])
}

// explanation is what is said of one command.
type explanation struct {
	out     io.Writer
	message *amx.Message
	command *amx.Command
	script  bool
}

// write says which alerts match, what is done for them, and why the others do not.
// It answers whether any matches.
func (e *explanation) write() bool {
	var firing, resolved amx.Alerts
	var others []string
	for i := range e.message.Alerts {
		switch a := &e.message.Alerts[i]; {
		case !e.command.Matches(a):
			others = append(others, fmt.Sprintf("  no match %s: %s", a.Fingerprint, e.command.Mismatch(a)))
		case a.Status == amx.Firing:
			firing = append(firing, *a)
		default:
			resolved = append(resolved, *a)
		}
	}
	fmt.Fprintf(e.out, "%s: %d firing, %d resolved of %d alerts match\n", e.command.Name, len(firing), len(resolved), len(e.message.Alerts))
	for _, a := range resolved {
		what := "ends the run for it"
		if e.command.IgnoreResolved {
			what = "nothing: ignore_resolved is set"
		} else if e.command.ResolvedSignal != amx.SIGKILL {
			what += ", with " + e.command.ResolvedSignal
		}
		fmt.Fprintf(e.out, "  resolved %s: %s\n", a.Fingerprint, what)
	}
	runs := []amx.Alerts{firing}
	if e.command.Scope == amx.ScopeAlert || e.message.Ungrouped {
		runs = nil
		for i := range firing {
			runs = append(runs, firing[i:i+1])
		}
	}
	for _, alerts := range runs {
		if len(alerts) > 0 {
			e.run(e.message.Narrow(alerts).At(time.Now()), alerts)
		}
	}
	for _, line := range others {
		fmt.Fprintln(e.out, line)
	}
	return len(firing)+len(resolved) > 0
}

// run shows one run as it would be sent, or why it would be refused.
func (e *explanation) run(data amx.Data, alerts amx.Alerts) {
	cmd := e.command
	targets, err := cmd.ExpandTargets(data, alerts)
	var sent *ssmexec.Request
	if err == nil {
		sent, err = e.render(data, targets)
	}
	if err != nil {
		fmt.Fprintf(e.out, "  refuse: %v\n", err)
		return
	}
	if cmd.Mode == amx.ModeObserve {
		fmt.Fprintln(e.out, "  observe: amx sends nothing; without mode: observe it would send this")
	}
	what := append([]string{cmd.Cmd + cmd.Script + cmd.Document}, sent.Args...)
	fmt.Fprintf(e.out, "  run of %d %s: %q", len(alerts), plural(len(alerts), "alert"), what)
	for _, t := range targets {
		fmt.Fprintf(e.out, " on %s %q", t.Key, t.Values)
	}
	fmt.Fprintln(e.out)
	if cmd.Document != "" { // it is given no variables
		for _, name := range slices.Sorted(maps.Keys(sent.Parameters)) {
			fmt.Fprintf(e.out, "    %s=%q\n", name, sent.Parameters[name])
		}
		return
	}
	for _, v := range sent.Variables {
		fmt.Fprintf(e.out, "    %s=%q\n", v.Name, shown(v))
	}
	for _, note := range sent.Notes {
		fmt.Fprintf(e.out, "    note: %s\n", note)
	}
	if sent.Packed {
		fmt.Fprintln(e.out, "    note: amx sends the variables compressed, because they would not fit otherwise")
	}
	if e.script {
		fmt.Fprintf(e.out, "  %s, %d bytes:\n", sent.Document, sent.Size)
		for _, line := range sent.Parameters["commands"] {
			fmt.Fprintf(e.out, "    | %s\n", line)
		}
	}
}

// runID stands for the one that a run would get. Its size counts.
var runID = strings.Repeat("0", 26)

// shown is a variable's value; there is no run, and so no ID of one.
func shown(v amx.Pair) string {
	if v.Name == "AMX_RUN_ID" && v.Value == runID {
		return ""
	}
	return v.Value
}

// render makes the request of a run for these targets as the sender does, with all
// of its limits. Which node an Address is, and what a command without targets runs
// on, is not known here.
func (e *explanation) render(data amx.Data, targets []amx.Target) (*ssmexec.Request, error) {
	somewhere := amx.Target{Key: ssmexec.KeyInstanceIDs, Values: []string{ssmlocal.LocalNode}}
	var resolved []amx.Target
	for _, t := range targets {
		switch {
		case t.Key == ssmexec.KeyAddress:
			resolved = append(resolved, somewhere)
		case t.Key == ssmexec.KeyInstanceIDs && len(t.Values) > e.command.MaxTargets:
			return nil, fmt.Errorf("%d targets, over max_targets: %d", len(t.Values), e.command.MaxTargets)
		default:
			resolved = append(resolved, t)
		}
	}
	if len(resolved) == 0 {
		resolved = []amx.Target{somewhere}
	}
	return ssmexec.Explain(ssmexec.Job{
		Command: e.command, Data: data, Targets: resolved,
		Entry: ledger.AlertID(e.command.Name, ""), Run: runID,
	})
}
