package main

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/amx-lambda/amx/internal/operate"
)

type pauseCmd struct {
	Command string `placeholder:"NAME" help:"Pause this command only (default: all commands)."`
	For     string `default:"24h" placeholder:"DURATION" help:"How long the pause lasts, such as 30m or 7d (default: 24h)."`
	Why     string `required:"" placeholder:"TEXT" help:"The reason; amx gives it for each alert that waits."`
	Output  string `enum:"table,json" default:"table" help:"table, or json: one line for each pause."`
	Where   where  `embed:""`
}

// Run holds new runs back. Runs that have begun go on, and resolves still stop them.
func (c *pauseCmd) Run(ctx context.Context, std stdio) error {
	length, err := operate.ParseDuration(c.For)
	if err != nil {
		return usageError{fmt.Errorf("--for: %w", err)}
	}
	o, err := c.Where.operator(ctx, std)
	if err != nil {
		return err
	}
	paused, err := o.Pause(ctx, operate.PauseRequest{Command: c.Command, For: length, Why: c.Why})
	return showPaused(std, c.Output, paused, err)
}

type resumeCmd struct {
	Command string `placeholder:"NAME" help:"End the pause of this command, and close its breaker (default: end the pause of everything)."`
	Output  string `enum:"table,json" default:"table" help:"table, or json: one line for each pause that is left."`
	Where   where  `embed:""`
}

// Run lifts a pause.
func (c *resumeCmd) Run(ctx context.Context, std stdio) error {
	o, err := c.Where.operator(ctx, std)
	if err != nil {
		return err
	}
	paused, err := o.Resume(ctx, operate.ResumeRequest{Command: c.Command})
	return showPaused(std, c.Output, paused, err)
}

func showPaused(std stdio, output string, paused []operate.Pause, err error) error {
	if err != nil {
		return asCall(err)
	}
	if output == "json" {
		return printJSON(std.out, paused...)
	}
	newView(std, time.Now()).paused(paused)
	return nil
}

// paused is one line for each pause, or one that says that there is none.
func (v view) paused(paused []operate.Pause) {
	if len(paused) == 0 {
		fmt.Fprintln(v.out, "nothing is paused")
	}
	for _, p := range paused {
		fmt.Fprintf(v.out, "paused: %s, until %s, by %s%s\n", clean(cmp.Or(p.Command, "everything")), v.at(p.Until), clean(p.Who), prefixed(": ", clean(p.Why)))
	}
}

type statusCmd struct {
	Output string `enum:"table,json" default:"table" help:"table, or json: everything in one line."`
	Where  where  `embed:""`
}

// Run shows what holds runs back, and what waits.
func (c *statusCmd) Run(ctx context.Context, std stdio) error {
	o, err := c.Where.operator(ctx, std)
	if err != nil {
		return err
	}
	s, err := o.Status(ctx)
	if err != nil {
		return asCall(err)
	}
	if c.Output == "json" {
		return printJSON(std.out, s)
	}
	newView(std, time.Now()).status(&s)
	return nil
}

func (v view) status(s *operate.Status) {
	v.paused(s.Paused)
	for _, c := range s.Commands {
		limit := ""
		if c.Max > 0 {
			limit = fmt.Sprintf(" of %d", c.Max)
		}
		fmt.Fprintf(v.out, "limits: %s, %d%s running\n", clean(c.Command), c.Running, limit)
		if c.Breaker != nil {
			fmt.Fprintf(v.out, "breaker: %s, open until %s: %d runs in a row failed\n", clean(c.Command), v.at(*c.Breaker), c.Failed)
		}
	}
	for _, w := range s.Waiting {
		fmt.Fprintf(v.out, "waiting: %s, %d for %s: %s\n", clean(w.Command), w.Count, took(max(0, v.now.Sub(w.Since))), clean(w.Reason))
	}
	count := func(n int) string {
		if n < 0 {
			return "not known"
		}
		return fmt.Sprint(n)
	}
	oldest := ""
	if s.Queue.Oldest != nil {
		oldest = ", the oldest since " + v.at(*s.Queue.Oldest)
	}
	fmt.Fprintf(v.out, "queue: %s%s; dead letters: %s\n", count(s.Queue.Items), oldest, count(s.Queue.DeadLetters))
}
