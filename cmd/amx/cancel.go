package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/amx-lambda/amx/internal/history"
	"github.com/amx-lambda/amx/internal/operate"
)

type cancelCmd struct {
	RunID   string        `arg:"" optional:"" name:"run" help:"The run's ID, as amx runs shows it."`
	Command string        `placeholder:"NAME" help:"Cancel all runs of this command, and drop its alerts that wait."`
	Why     string        `required:"" placeholder:"TEXT" help:"The reason; amx keeps it in the record."`
	Wait    time.Duration `default:"30s" help:"How long to wait until the runs have ended."`
	Output  string        `enum:"table,json" default:"table" help:"table, or json: one line for each cancelled run."`
	Where   where         `embed:""`
}

// Run asks that runs be cancelled, says what was asked, and then what became of it.
func (c *cancelCmd) Run(ctx context.Context, std stdio) error {
	if (c.RunID == "") == (c.Command == "") {
		return usageError{errors.New("name either a run or, with --command, a command")}
	}
	o, err := c.Where.operator(ctx, std)
	if err != nil {
		return err
	}
	out, err := o.Cancel(ctx, operate.CancelRequest{Run: c.RunID, Command: c.Command, Why: c.Why})
	if err != nil {
		return asCall(err)
	}
	failed := false
	var follow []string
	for _, r := range out.Runs {
		failed = failed || r.Error != ""
		switch {
		case c.Output == "json":
			if err := printJSON(std.out, r); err != nil {
				return err
			}
		case r.Error != "":
			fmt.Fprintf(std.err, "amx: run %s of %q: %s\n", r.Run, r.Command, clean(r.Error))
			continue
		case r.State == history.Waiting:
			fmt.Fprintf(std.out, "dropped the waiting alerts of %q\n", r.Command)
			continue
		default:
			fmt.Fprintf(std.out, "asked to cancel run %s of %q\n", r.Run, r.Command)
		}
		if history.IsRun(r.Run) {
			follow = append(follow, r.Run)
		}
	}
	if c.Output == "table" {
		err = c.follow(ctx, std, o, follow)
	}
	if err == nil && failed {
		err = errNo
	}
	return err
}

// follow shows how the runs end, node by node, as long as it may wait.
func (c *cancelCmd) follow(ctx context.Context, std stdio, o operate.Operator, runs []string) error {
	ctx, cancel := context.WithTimeout(ctx, c.Wait)
	defer cancel()
	shown := map[string]bool{}
	for wait := 200 * time.Millisecond; len(runs) > 0; wait = min(2*wait, 2*time.Second) {
		if !pause(ctx, wait) {
			for _, run := range runs {
				fmt.Fprintf(std.out, "run %s has not ended yet: amx show %s\n", run, run)
			}
			return nil
		}
		var left []string
		for _, run := range runs {
			d, err := o.Run(ctx, run)
			if ctx.Err() != nil {
				left = append(left, run)
				continue
			}
			if err != nil {
				return asCall(err)
			}
			c.progress(std, &d.Record, shown)
			if !d.Over() {
				left = append(left, run)
			}
		}
		runs = left
	}
	return nil
}

// progress prints what has become known of a run since it was printed last.
func (c *cancelCmd) progress(std stdio, r *history.Record, shown map[string]bool) {
	line := func(text string) {
		if !shown[text] {
			shown[text] = true
			fmt.Fprintln(std.out, text)
		}
	}
	for _, n := range r.Nodes {
		if n.Status == "" || n.Order() == 1 {
			continue
		}
		code := ""
		if n.ExitCode != nil {
			code = fmt.Sprintf(", exit code %d", *n.ExitCode)
		}
		line(fmt.Sprintf("run %s on %s: %s%s", r.Run, clean(n.Node), n.Status, code))
	}
	if r.Over() {
		line(fmt.Sprintf("run %s: %s", r.Run, r.State))
	}
}
