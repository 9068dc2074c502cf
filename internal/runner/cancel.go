package runner

import (
	"context"
	"errors"
	"slices"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/queue"
	"github.com/amx-lambda/amx/internal/ssmexec"
)

// cancel cancels commands. SSM refuses to cancel a command that is over, so after an
// error cancel asks SSM whether it is.
func (t *task) cancel(ctx context.Context, a ledger.Cancel) ledger.Event {
	answer := ledger.Cancelled{Cancel: a}
	errs := make([]error, len(a.Commands)) // in the order of the commands, whichever call was faster
	at := make([]int, len(a.Commands))
	for i := range at {
		at[i] = i
	}
	parallel(at, func(i int) {
		c := a.Commands[i]
		if errs[i] = t.Exec.Cancel(ctx, c.ID, c.Nodes...); errs[i] == nil {
			return
		}
		if state, err := t.state(ctx, []ledger.Command{c}, a.Forget); err == nil && state.Over {
			errs[i] = nil
		}
	})
	for i, c := range a.Commands {
		if errs[i] == nil {
			answer.Done = append(answer.Done, c.ID)
		}
	}
	answer.Err = errors.Join(errs...)
	slices.Sort(answer.Done)
	return answer
}

// killAt puts an item on the queue that cancels the run if the signal has not ended it
// by then. The item is on the queue before the signal is sent, so it is there even if
// this process dies in between.
func (t *task) killAt(ctx context.Context, a ledger.Signal) error {
	return t.enqueue(ctx, queue.Item{
		Kind: queue.Stop, Command: t.command.Name, SentAt: t.sentAt(), Arrived: t.arrived,
		Entry: string(t.entry), Run: a.Run, Due: a.KillAt, Source: t.source.Source,
	})
}

// signal sends the command's resolved_signal.
func (t *task) signal(ctx context.Context, a ledger.Signal) ledger.Event {
	answer := ledger.Signalled{Signal: a}
	if !a.KillAt.IsZero() {
		if answer.Err = t.killAt(ctx, a); answer.Err != nil {
			return answer
		}
	}
	send := func(targets []amx.Target) ([]string, error) {
		return t.Exec.Signal(ctx, ssmexec.Signal{Command: t.command, Entry: t.entry, Run: a.Run, Targets: targets})
	}
	answer.Lost, answer.Err = send(a.Targets)
	if len(a.Others) > 0 {
		if _, err := send(a.Others); err != nil && ssmexec.Judge(err) != ssmexec.Refused {
			answer.Err = errors.Join(answer.Err, err)
		}
	}
	return answer
}
