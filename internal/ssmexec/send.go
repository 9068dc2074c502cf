package ssmexec

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/awserr"
	"github.com/amx-lambda/amx/internal/ledger"
)

// Send sends one request, once. Only if SSM answers that it throttles, and so has
// done nothing, is the request sent again, until ctx ends. [Judge] says what an error
// proves.
func (x *Executor) Send(ctx context.Context, in *ssm.SendCommandInput) (commandID string, err error) {
	if ctx.Err() != nil {
		return "", fmt.Errorf("SendCommand: %w", errNotSent{ctx.Err()})
	}
	for pause := x.pauses(10 * time.Second); ; {
		out, err := x.Client.SendCommand(ctx, in, sendOnce)
		switch {
		case err == nil && (out.Command == nil || aws.ToString(out.Command.CommandId) == ""):
			return "", errors.New("SendCommand: the answer has no command ID")
		case err == nil:
			return *out.Command.CommandId, nil
		case Judge(err) != Throttled:
			return "", fmt.Errorf("SendCommand: %w", awserr.Plain(err))
		}
		if sleep(ctx, pause(), nil) != nil {
			return "", fmt.Errorf("SendCommand: %w", awserr.Plain(err))
		}
	}
}

// pauses answers the pauses after calls that SSM throttles. They double, up to the
// longest.
func (x *Executor) pauses(longest time.Duration) func() time.Duration {
	wait := x.Backoff
	if wait == 0 {
		wait = 250 * time.Millisecond
	}
	return func() time.Duration {
		pause := wait
		if x.Jitter != nil {
			pause = wait/2 + time.Duration(x.Jitter()*float64(wait))
		}
		wait = min(2*wait, longest)
		return pause
	}
}

// Cancel asks SSM to cancel a command on these nodes, or on all of its own. The
// agent then kills the command's process group at once.
func (x *Executor) Cancel(ctx context.Context, commandID string, nodes ...string) error {
	if len(nodes) == 0 {
		return x.cancel(ctx, &ssm.CancelCommandInput{CommandId: &commandID})
	}
	for part := range slices.Chunk(nodes, maxCancelled) {
		if err := x.cancel(ctx, &ssm.CancelCommandInput{CommandId: &commandID, InstanceIds: part}); err != nil {
			return err
		}
	}
	return nil
}

// maxCancelled is how many InstanceIds one CancelCommand takes.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_CancelCommand.html
const maxCancelled = 50

// cancel sends one request again for as long as SSM throttles it, until ctx ends. Its
// pauses stay short: a few such requests at a time are to use all that SSM takes.
func (x *Executor) cancel(ctx context.Context, in *ssm.CancelCommandInput) error {
	for pause := x.pauses(2 * time.Second); ; {
		_, err := x.Client.CancelCommand(ctx, in)
		if err == nil {
			return nil
		}
		if Judge(err) != Throttled || sleep(ctx, pause(), nil) != nil {
			return fmt.Errorf("CancelCommand %q: %w", *in.CommandId, awserr.Plain(err))
		}
	}
}

// A Signal is a signal to the process of a run, on the run's own nodes.
type Signal struct {
	Command *amx.Command // its ResolvedSignal is sent
	Entry   ledger.ID
	Run     string
	Targets []amx.Target // as they were recorded, never rendered again
}

// Signal sends the commands that signal a run's process, one for each part. A
// node that has not begun the run will not begin it, and a node that was
// signalled is not signalled again, so that this may be called again after an
// error. It answers the nodes that SSM would not send to.
func (x *Executor) Signal(ctx context.Context, s Signal) (refused []string, err error) {
	token := Token{Entry: s.Entry, Run: s.Run, Command: s.Command.Name}
	text := signaller(token, s.Command.ResolvedSignal[len("SIG"):])
	for _, targets := range ledger.Parts(s.Targets) {
		in := input(s.Command, token.signal(s.Command.ResolvedSignal), targets, map[string][]string{
			"commands": scriptOf(s.Command, text)["commands"], "executionTimeout": {"60"},
		})
		// A node that cannot be signalled must not spare the others, nor keep them
		// waiting.
		in.MaxConcurrency, in.MaxErrors, in.AlarmConfiguration = aws.String("100%"), aws.String("100%"), nil
		for _, part := range x.SendToAll(ctx, in) {
			switch {
			case part.Err == nil:
			case part.Unavailable:
				refused = append(refused, part.Nodes...)
			default:
				err = errors.Join(err, fmt.Errorf("sending %s: %w", s.Command.ResolvedSignal, part.Err))
			}
		}
	}
	return refused, err
}
