package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/amx-lambda/amx/internal/history"
	"github.com/amx-lambda/amx/internal/operate"
)

type runsCmd struct {
	Since   string   `default:"24h" placeholder:"DURATION" help:"How far back to look: a duration such as 7d, or a time such as 2026-11-28T12:00:00Z (default: 24h)."`
	Command string   `placeholder:"NAME" help:"Only runs of this command."`
	State   string   `placeholder:"STATE" help:"Only runs in this state: waiting, running, succeeded, failed, cancelled, refused, expired, observed or unknown."`
	Alert   []string `sep:"none" placeholder:"LABEL=VALUE" help:"Only runs for an alert with this label. Repeat it to require several labels."`
	Limit   int      `short:"n" default:"50" help:"Show at most this many."`
	Output  string   `enum:"table,json" default:"table" help:"table, or json: one line for each record."`
	Watch   bool     `help:"Update the list until you stop it."`
	Where   where    `embed:""`
}

// watchPause is the time between two readings of --watch.
const watchPause = 2 * time.Second

// Run lists what ran, the newest first.
func (c *runsCmd) Run(ctx context.Context, std stdio) error {
	if c.Limit < 1 {
		return usageError{fmt.Errorf("--limit=%d: want 1 or more", c.Limit)}
	}
	labels, err := operate.ParseLabels(c.Alert)
	if err != nil {
		return usageError{fmt.Errorf("--alert: %w", err)}
	}
	since, err := operate.ParseSince(c.Since, time.Now())
	if err != nil {
		return usageError{fmt.Errorf("--since: %w", err)}
	}
	q := history.Query{Since: since, Command: c.Command, State: history.State(c.State), Alert: labels}
	if _, err := q.Normal(time.Now()); err != nil {
		return usageError{fmt.Errorf("--%w", err)}
	}
	o, err := c.Where.operator(ctx, std)
	if err != nil {
		return err
	}
	if !c.Watch {
		return c.list(ctx, std, o, q)
	}
	return c.watch(ctx, std, o, q)
}

// list prints the records page by page, so that memory does not grow with them.
func (c *runsCmd) list(ctx context.Context, std stdio, o operate.Operator, q history.Query) error {
	table := runTable{view: newView(std, time.Now())}
	none := true
	err := pages(ctx, o, q, c.Limit, func(records []history.Record) error {
		none = none && len(records) == 0
		if c.Output == "json" {
			return printJSON(std.out, records...)
		}
		if len(records) > 0 {
			table.print(records)
		}
		return nil
	})
	if err == nil && none {
		fmt.Fprintf(std.err, "amx: no such run since %s\n", q.Since.Format("2006-01-02 15:04:05 MST"))
	}
	return asCall(err)
}

// pages calls f with each page, up to limit records in all.
func pages(ctx context.Context, o operate.Operator, q history.Query, limit int, f func([]history.Record) error) error {
	for left := limit; left > 0; {
		q.Limit = min(left, 200)
		page, err := o.Runs(ctx, q)
		if err != nil {
			return err
		}
		if err := f(page.Records); err != nil {
			return err
		}
		left -= len(page.Records)
		if q.Cursor = page.Next; q.Cursor == "" {
			return nil
		}
	}
	return nil
}

// watch shows the list again and again on a terminal. Elsewhere it prints each
// record that is new or has changed.
func (c *runsCmd) watch(ctx context.Context, std stdio, o operate.Operator, q history.Query) error {
	shown := map[string]string{}
	var table *runTable
	for {
		var records []history.Record
		err := pages(ctx, o, q, c.Limit, func(page []history.Record) error {
			records = append(records, page...)
			return nil
		})
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return asCall(err)
		}
		v := newView(std, time.Now())
		if v.terminal && c.Output == "table" {
			fmt.Fprint(std.out, "\x1b[H\x1b[2J")
			(&runTable{view: v}).print(records)
		} else {
			if table == nil {
				table = &runTable{view: v}
			}
			table.now = v.now
			if err := c.changed(std, table, records, shown); err != nil {
				return err
			}
		}
		if !pause(ctx, watchPause) {
			return nil
		}
	}
}

// changed prints what is not as it was shown, the oldest first.
func (c *runsCmd) changed(std stdio, table *runTable, records []history.Record, shown map[string]string) error {
	for _, r := range slices.Backward(records) {
		text, err := json.Marshal(r)
		if err != nil {
			return err
		}
		if shown[r.Run] == string(text) {
			continue
		}
		shown[r.Run] = string(text)
		if c.Output == "json" {
			fmt.Fprintf(std.out, "%s\n", text)
		} else {
			table.print([]history.Record{r})
		}
	}
	return nil
}

// pause waits, and says whether ctx still goes on.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// printJSON prints values, one a line.
func printJSON[T any](out io.Writer, values ...T) error {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	for _, v := range values {
		if err := e.Encode(v); err != nil {
			return fmt.Errorf("writing: %w", err)
		}
	}
	return nil
}

// asCall tells a wrong call from a no, and names a right that is missing.
func asCall(err error) error {
	if errors.As(err, new(operate.InvalidError)) {
		return usageError{err}
	}
	return missingRight(err)
}
