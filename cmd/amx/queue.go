package main

import (
	"context"
	"errors"
	"time"

	"github.com/amx-lambda/amx/internal/operate"
	"github.com/amx-lambda/amx/internal/queue"
	queuebolt "github.com/amx-lambda/amx/internal/queue/bolt"
	"github.com/amx-lambda/amx/internal/runner"
)

// openQueue opens the queue of what is put off, in the ledger's file.
func (h *host) openQueue(ctx context.Context) (err error) {
	h.queue, err = queuebolt.Open(ctx, h.store, queuebolt.Options{Log: h.log})
	return err
}

// workQueue handles what is due, what an earlier process has left included,
// until ctx ends. stop waits for what is under way then.
func (h *host) workQueue(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := h.queue.Run(ctx, h.handleItem); err != nil {
			h.log.ErrorContext(ctx, "what is put off is not handled any more: start amx again", "error", err.Error())
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

func (h *host) handleItem(ctx context.Context, it queue.Item) error {
	ctx, cancel := context.WithTimeout(ctx, runner.Budget)
	defer cancel()
	handle := h.runner.HandleItem
	if it.Kind == queue.Report {
		handle = h.sender.HandleItem
	}
	err := handle(ctx, it)
	switch {
	case errors.Is(err, queue.ErrGivenUp):
		h.metrics.items.WithLabelValues("given_up").Inc()
	case err != nil:
		h.metrics.items.WithLabelValues("again").Inc()
	default:
		h.metrics.items.WithLabelValues("done").Inc()
	}
	return err
}

// queueStatus is what amx status shows. Nothing keeps what was given up.
func (h *host) queueStatus(context.Context) (operate.Queue, error) {
	n, oldest, err := h.queue.Len()
	q := operate.Queue{Items: n}
	if !oldest.IsZero() {
		oldest = oldest.UTC().Truncate(time.Second)
		q.Oldest = &oldest
	}
	return q, err
}

// oldestDue is since when the item has been due that is due longest; zero where none
// is due.
func (h *host) oldestDue() (time.Time, error) { return h.queue.OldestDue() }
