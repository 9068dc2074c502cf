package runner

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/ssmexec"
)

const (
	// settleCancel is how long the caller of a cancellation waits until SSM shows that
	// the command has ended.
	settleCancel = time.Second
	// showOutput is the number of nodes whose output an answer shows.
	showOutput = 10
)

// outcome waits for the end of a run, when everything else is done.
func (t *task) outcome(ctx context.Context, action ledger.Action) ledger.Event {
	if !t.acted.Load() {
		t.delivery.mu.Lock()
		defer t.delivery.mu.Unlock()
		t.last = append(t.last, func(ctx context.Context) { t.feed(ctx, t.outcome(ctx, action)) })
		return nil
	}
	if a, ok := action.(ledger.Confirm); ok {
		return t.confirm(ctx, a)
	}
	return t.await(ctx, action.(ledger.Await))
}

func (t *task) confirm(ctx context.Context, a ledger.Confirm) ledger.Event {
	seen := ledger.Confirmed{Confirm: a}
	if t.source.Waits {
		wait, cancel := context.WithDeadline(ctx, t.sentBy.Add(settleCancel))
		defer cancel()
		if state, err := t.Exec.Await(wait, asked(a.Commands)); err == nil {
			t.keep(a.Run, state)
			seen.State = stateOf(state)
		}
	}
	return seen
}

// await waits for the end of a run, as long as the command's caller waits.
func (t *task) await(ctx context.Context, a ledger.Await) ledger.Event {
	seen := ledger.Awaited{Await: a}
	if !t.source.Waits || t.command.Wait == nil || *t.command.Wait == 0 || len(a.Commands) == 0 {
		return seen
	}
	wait, polls := *t.command.Wait, ctx
	if wait > 0 {
		var cancel context.CancelFunc
		polls, cancel = context.WithDeadline(ctx, t.sentBy.Add(wait))
		defer cancel()
	}
	state, err := t.Exec.Await(polls, asked(a.Commands))
	if err != nil {
		// The run is sent and recorded; only its outcome is unknown.
		t.Log.WarnContext(ctx, "the outcome is unknown", "command", t.command.Name, "run_id", a.Run, "error", err.Error())
		return seen
	}
	known := stateOf(state)
	seen.State = &known
	t.keep(a.Run, state)
	if state.Failed() || state.Status == "Cancelled" {
		if err := t.reread(ctx, t.record); err != nil { // the resolve may have come meanwhile
			t.Log.WarnContext(ctx, "the ledger cannot be read again", "command", t.command.Name, "run_id", a.Run, "error", err.Error())
		}
	}
	return seen
}

// failure is the error of a failed run, with the first lines of its nodes' output.
func (t *task) failure(ctx context.Context, run string, state *ssmexec.State) error {
	var b strings.Builder
	fmt.Fprintf(&b, "run %s ended %s", run, state.Status)
	shown := 0
	for _, i := range state.Invocations {
		if i.Status == "Success" {
			continue
		}
		fmt.Fprintf(&b, "; node %s: %s, exit %d", i.Node, i.Status, i.ExitCode)
		if shown++; shown > showOutput {
			continue
		}
		if text := firstLines(t.Exec.Written(ctx, i)); text != "" {
			fmt.Fprintf(&b, ": %q", text)
		}
	}
	return errors.New(b.String())
}

// firstLines returns the lines of a node's output that an answer shows: three.
func firstLines(output string) string {
	lines := strings.SplitN(strings.TrimSpace(output), "\n", 4)
	text := strings.Join(lines[:min(3, len(lines))], "\n")
	return strings.ToValidUTF8(text[:min(len(text), 300)], "")
}
