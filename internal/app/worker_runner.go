package app

import (
	"context"
	"fmt"

	"github.com/amx-lambda/amx/internal/queue"
	"github.com/amx-lambda/amx/internal/runner"
)

// A RunnerWork is the runner as the worker and `amx serve` see it.
type RunnerWork struct{ Runner *runner.Runner }

// HandleItem handles a notification that was put off as any other.
func (w RunnerWork) HandleItem(ctx context.Context, it queue.Item) error {
	if it.Kind != queue.Notification || it.Message == nil {
		return fmt.Errorf("the %s: want a notification", it.Subject())
	}
	return w.Runner.Handle(ctx, it.Message, false).Err
}

// Ended only logs: the runner asks SSM when the next notification comes.
func (w RunnerWork) Ended(ctx context.Context, entry, run, command string) error {
	w.Runner.Log.InfoContext(ctx, "a command has ended", "entry", entry, "run_id", run, "command", command)
	return nil
}
