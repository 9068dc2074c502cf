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
	File    string `short:"f" default:"amx.yaml" help:"Configuration file."`
	Payload string `arg:"" help:"File with the body of a notification; - for standard input."`
}

// Run shows, for each command, which alerts of the notification match it, and
// the variables that a first run for them would have. Nothing is run. It
// answers no where nothing matches.
func (c *explainCmd) Run(std stdio) error {
	cfg, err := loadConfig(c.File)
	if err != nil {
		return err
	}
	body, err := c.read(std.in)
	if err != nil {
		return fmt.Errorf("reading the notification: %w", err)
	}
	m, err := amx.Decode(body, time.Now())
	if err != nil {
		return err
	}
	matched := false
	for _, cmd := range cfg.Commands {
		var firing, resolved amx.Alerts
		for _, a := range m.Alerts {
			switch {
			case !cmd.Matches(&a):
			case a.Status == amx.Firing:
				firing = append(firing, a)
			default:
				resolved = append(resolved, a)
			}
		}
		matched = matched || len(firing)+len(resolved) > 0
		explain(std.out, m, cmd, firing, resolved)
	}
	if !matched {
		fmt.Fprintln(std.err, "amx: no command matches an alert of this notification")
		return errNo
	}
	return nil
}

func (c *explainCmd) read(in io.Reader) ([]byte, error) {
	if c.Payload == "-" {
		return io.ReadAll(in)
	}
	return os.ReadFile(c.Payload)
}

func explain(out io.Writer, m *amx.Message, cmd *amx.Command, firing, resolved amx.Alerts) {
	fmt.Fprintf(out, "%s: %d firing, %d resolved of %d alerts match\n", cmd.Name, len(firing), len(resolved), len(m.Alerts))
	for _, a := range resolved {
		fmt.Fprintf(out, "  resolved %s: ends the run for it\n", a.Fingerprint)
	}
	if len(firing) == 0 {
		return
	}
	runs := []amx.Alerts{firing}
	if cmd.Scope == amx.ScopeAlert {
		runs = nil
		for i := range firing {
			runs = append(runs, firing[i:i+1])
		}
	}
	for _, alerts := range runs {
		explainRun(out, m.Narrow(alerts).At(time.Now()), cmd, alerts)
	}
}

// explainRun shows one run, or why it would be refused.
func explainRun(out io.Writer, data amx.Data, cmd *amx.Command, alerts amx.Alerts) {
	targets, err := cmd.ExpandTargets(data, alerts)
	if err == nil {
		err = refusal(cmd, data, targets)
	}
	var args []string
	if err == nil {
		args, err = cmd.ExpandArgs(data)
	}
	var parameters map[string][]string
	if err == nil {
		parameters, err = cmd.ExpandParameters(data)
	}
	if err != nil {
		fmt.Fprintf(out, "  refuse: %v\n", err)
		return
	}
	what := append([]string{cmd.Cmd + cmd.Script + cmd.Document}, args...)
	fmt.Fprintf(out, "  run of %d %s: %q", len(alerts), plural(len(alerts), "alert"), what)
	for _, t := range targets {
		fmt.Fprintf(out, " on %s %q", t.Key, t.Values)
	}
	fmt.Fprintln(out)
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		fmt.Fprintf(out, "    %s=%q\n", name, parameters[name])
	}
	if cmd.Document != "" {
		return // it is given no variables
	}
	vars, _ := amx.Variables(data, len(alerts), cmd.Name, "")
	for _, v := range vars {
		fmt.Fprintf(out, "    %s=%q\n", v.Name, v.Value)
	}
}

// refusal is why a run for these targets would be refused before it is sent: it
// is rendered as if it were. Which node an Address is, and what a command
// without targets runs on, is not known here.
func refusal(cmd *amx.Command, data amx.Data, targets []amx.Target) error {
	somewhere := amx.Target{Key: ssmexec.KeyInstanceIDs, Values: []string{ssmlocal.LocalNode}}
	var resolved []amx.Target
	for _, t := range targets {
		switch {
		case t.Key == ssmexec.KeyAddress:
			resolved = append(resolved, somewhere)
		case t.Key == ssmexec.KeyInstanceIDs && len(t.Values) > cmd.MaxTargets:
			return fmt.Errorf("%d targets, over max_targets: %d", len(t.Values), cmd.MaxTargets)
		default:
			resolved = append(resolved, amx.Target{Key: t.Key, Values: t.Values})
		}
	}
	if len(resolved) == 0 {
		resolved = []amx.Target{somewhere}
	}
	_, _, err := ssmexec.Render(ssmexec.Job{
		Command: cmd, Data: data, Targets: resolved,
		Entry: ledger.AlertID(cmd.Name, ""), Run: strings.Repeat("0", 26), // of their form: their size counts
	})
	return err
}
