package page

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/operate"
)

// commandsModel has the configured commands, with statistics of their runs.
type commandsModel struct {
	Commands []commandModel
	Gone     []string // they have runs, but are not configured any more
	Known    bool     // the configuration is known
	Cut      bool     // the numbers are of the last 5,000 runs
}

type commandModel struct {
	Name     string
	What     string // cmd, script or document
	Text     string
	Matchers []string
	Targets  []string
	Facts    []string // limits, and keys that are not at their default
	Stats    *commandStats
	Pause    *operate.Pause
	Gate     *operate.Command
	Paused   bool // by its own pause, or by the pause of everything
}

func (p *Page) loadCommands(ctx context.Context, in request) (any, error) {
	m := commandsModel{}
	stats, cut, err := p.statistics(ctx, in.now)
	if err != nil {
		return nil, err
	}
	m.Cut = cut
	status, err := p.Operator.Status(ctx)
	if err != nil {
		return nil, err
	}
	c, known, err := p.configuration(ctx)
	if err != nil {
		return nil, err
	}
	m.Known = known
	gone := maps.Clone(stats)
	if known {
		for _, cmd := range c.Commands {
			delete(gone, cmd.Name)
			m.Commands = append(m.Commands, newCommandModel(cmd, c.Config, stats[cmd.Name], &status))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(gone)) {
		if known {
			m.Gone = append(m.Gone, name)
			continue
		}
		m.Commands = append(m.Commands, newCommandModel(&amx.Command{Name: name}, nil, stats[name], &status))
	}
	return m, nil
}

func newCommandModel(c *amx.Command, of *amx.Config, stats *commandStats, status *operate.Status) commandModel {
	m := commandModel{Name: c.Name, Stats: stats}
	switch {
	case c.Cmd != "":
		m.What, m.Text = "cmd", strings.Join(append([]string{c.Cmd}, c.Args...), " ")
	case c.Script != "":
		m.What, m.Text = "script", c.Script
	case c.Document != "":
		m.What, m.Text = "document", c.Document
	}
	for _, name := range slices.Sorted(maps.Keys(c.MatchLabels)) {
		m.Matchers = append(m.Matchers, fmt.Sprintf("%s=%q", name, c.MatchLabels[name]))
	}
	m.Matchers = append(m.Matchers, c.Matchers...)
	targets := c.Targets
	if len(targets) == 0 && of != nil {
		targets = of.Targets
	}
	for _, t := range targets {
		m.Targets = append(m.Targets, t.Key+" "+strings.Join(t.Values, ", "))
	}
	if of != nil {
		m.Facts = facts(c)
	}
	for _, one := range status.Paused {
		if one.Command == c.Name {
			m.Pause = &one
		}
		m.Paused = m.Paused || one.Command == c.Name || one.Command == ""
	}
	for _, one := range status.Commands {
		if one.Command == c.Name {
			m.Gate = &one
		}
	}
	return m
}

// facts returns a command's limits, and other keys that decide when it runs.
func facts(c *amx.Command) (out []string) {
	add := func(when bool, format string, args ...any) {
		if when {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	add(c.Mode == amx.ModeObserve, "observe: nothing is sent")
	add(c.Scope == amx.ScopeAlert, "a run for each alert")
	add(c.Max > 0, "at most %s at once", plural(c.Max, "run"))
	for _, w := range c.RateLimit {
		add(true, "at most %s per %s", plural(w.Runs, "run"), amx.ShortDuration(w.Per))
	}
	add(c.Cooldown > 0, "cooldown %s", amx.ShortDuration(c.Cooldown))
	add(c.Breaker.Failures > 0, "breaker after %s in a row, for %s", plural(c.Breaker.Failures, "failure"), amx.ShortDuration(c.Breaker.For))
	add(c.Retries > 0, "retried up to %s", plural(c.Retries, "time"))
	add(c.RepeatAfter > 0, "repeated after %s", amx.ShortDuration(c.RepeatAfter))
	add(c.Timeout > 0, "timeout %s", amx.ShortDuration(c.Timeout))
	add(c.IgnoreResolved, "goes on when its alerts resolve")
	add(!c.IgnoreResolved && cmp.Or(c.ResolvedSignal, amx.SIGKILL) != amx.SIGKILL, "stopped with %s", c.ResolvedSignal)
	return out
}
