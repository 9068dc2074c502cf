package simulation

import (
	"context"
	"log/slog"
	"sync"

	"github.com/amx-lambda/amx/internal/runner"
)

// decisions are what the log said of an invocation: who works on the queue is not
// answered.
type decisions struct {
	mu  sync.Mutex
	all []runner.Result
}

type decisionsKey struct{}

func (d *decisions) of(ctx context.Context) context.Context {
	return context.WithValue(ctx, decisionsKey{}, d)
}

// toDecisions hands the lines that say what became of a command's alerts to the
// decisions of their invocation.
type toDecisions struct{}

func (toDecisions) Enabled(context.Context, slog.Level) bool { return true }
func (h toDecisions) WithAttrs([]slog.Attr) slog.Handler     { return h }
func (h toDecisions) WithGroup(string) slog.Handler          { return h }

// Handle keeps a line.
func (toDecisions) Handle(ctx context.Context, line slog.Record) error {
	d, _ := ctx.Value(decisionsKey{}).(*decisions)
	if d == nil || line.Message != "settled" {
		return nil
	}
	var r runner.Result
	line.Attrs(func(a slog.Attr) bool {
		switch v := a.Value.Any(); a.Key {
		case "action":
			r.Action = a.Value.String()
		case "command":
			r.Command = a.Value.String()
		case "reason":
			r.Reason = a.Value.String()
		case "run_id":
			r.RunID = a.Value.String()
		case "status":
			r.Status = a.Value.String()
		case "command_ids":
			r.CommandIDs, _ = v.([]string)
		case "alerts":
			r.Alerts, _ = v.([]string)
		}
		return true
	})
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all = append(d.all, r)
	return nil
}

func (d *decisions) results() []runner.Result {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.all
}

func (d *decisions) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all = nil
}
