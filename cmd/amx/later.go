package main

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/amx-lambda/amx/internal/runner"
	"github.com/amx-lambda/amx/internal/ssmexec"
)

// told tells the ledger that a command has ended, if it is one of a run's.
func (h *host) told(commandID string) {
	t, ok := ssmexec.ParseToken(aws.ToString(h.names.find(commandID).Comment))
	if !ok {
		return
	}
	h.closing.Lock()
	defer h.closing.Unlock()
	if h.closed {
		return // whoever closes has told of every command that ran
	}
	h.working.Go(func() {
		<-h.ready // a command of an earlier process may end before
		h.runEnded(string(t.Entry), t.Run, t.Command)
	})
}

// runEnded tells the ledger that a command of a run has ended.
func (h *host) runEnded(entry, run, command string) {
	ctx, cancel := context.WithTimeout(context.Background(), runner.Budget)
	defer cancel()
	if err := h.runner.Ended(ctx, entry, run, command); err != nil {
		h.log.Error("the end of a run is not entered", "command", command, "run_id", run, "error", err.Error())
	}
}
