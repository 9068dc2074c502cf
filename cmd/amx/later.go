package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/amx-lambda/amx/internal/ledger/bolt"
	"github.com/amx-lambda/amx/internal/queue"
	queuebolt "github.com/amx-lambda/amx/internal/queue/bolt"
	"github.com/amx-lambda/amx/internal/runner"
	"github.com/amx-lambda/amx/internal/ssmexec"
)

// openQueue is the queue in the ledger's file.
func openQueue(ctx context.Context, store *bolt.Store, log *slog.Logger) (*queuebolt.Store, error) {
	return queuebolt.Open(ctx, store, queuebolt.Options{Log: log})
}

// work delivers what was put off, until ctx ends; what an earlier process left
// comes first. It answers when all that it began is done.
func (h *host) work(ctx context.Context) {
	err := h.queue.Run(ctx, func(ctx context.Context, it queue.Item) error {
		ctx, cancel := context.WithTimeout(ctx, runner.Budget)
		defer cancel()
		err := h.runner.HandleItem(ctx, it)
		if errors.Is(err, queue.ErrGivenUp) {
			h.log.Error("an item is given up", "item", it.Subject(), "reason", it.Reason, "tries", it.Tries)
		}
		return err
	})
	if err != nil {
		h.log.Error("what is put off is not delivered until the next start", "error", fmt.Errorf("reading the queue: %w", err).Error())
	}
}

// told tells the ledger that a command has ended, if it is one of a run's.
func (h *host) told(commandID string) {
	t, ok := ssmexec.ParseToken(aws.ToString(h.names.find(commandID).Comment))
	if !ok || h.runner == nil {
		return
	}
	h.working.Go(func() { h.runEnded(string(t.Entry), t.Run, t.Command) })
}

// runEnded tells the ledger that a command of a run has ended.
func (h *host) runEnded(entry, run, command string) {
	ctx, cancel := context.WithTimeout(context.Background(), runner.Budget)
	defer cancel()
	if err := h.runner.Ended(ctx, entry, run, command); err != nil {
		h.log.Error("the end of a run is not entered", "command", command, "run_id", run, "error", err.Error())
	}
}
