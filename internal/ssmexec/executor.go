// Package ssmexec runs commands through AWS Systems Manager Run Command: it
// renders the script, sends it, finds again what was sent, cancels, signals and
// reads the outcome. It decides nothing; what may be sent when is the ledger's.
package ssmexec

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

// Client is the part of SSM that amx uses, in the SDK's own shape.
type Client interface {
	SendCommand(context.Context, *ssm.SendCommandInput, ...func(*ssm.Options)) (*ssm.SendCommandOutput, error)
	CancelCommand(context.Context, *ssm.CancelCommandInput, ...func(*ssm.Options)) (*ssm.CancelCommandOutput, error)
	ListCommands(context.Context, *ssm.ListCommandsInput, ...func(*ssm.Options)) (*ssm.ListCommandsOutput, error)
	ListCommandInvocations(context.Context, *ssm.ListCommandInvocationsInput, ...func(*ssm.Options)) (*ssm.ListCommandInvocationsOutput, error)
}

// A NodeLister is the part of SSM that knows its managed nodes.
type NodeLister interface {
	DescribeInstanceInformation(context.Context, *ssm.DescribeInstanceInformationInput, ...func(*ssm.Options)) (*ssm.DescribeInstanceInformationOutput, error)
}

// An OutputReader is the part of SSM that keeps what a command wrote.
type OutputReader interface {
	GetCommandInvocation(context.Context, *ssm.GetCommandInvocationInput, ...func(*ssm.Options)) (*ssm.GetCommandInvocationOutput, error)
}

// An Executor runs commands through a [Client]. It is safe for concurrent use.
type Executor struct {
	Client Client

	// Nodes knows the managed nodes. nil: nobody does, and targets by Address
	// are refused.
	Nodes NodeLister

	// Outputs has more of what a failed command wrote than the lists do. nil:
	// nobody has.
	Outputs OutputReader

	// Poll is the wait before the state of a command is asked the second time;
	// it doubles up to ten times itself. 0: 200 ms.
	Poll time.Duration

	// Backoff is the wait before a throttled call is tried again; it doubles
	// each time, with jitter. 0: 250 ms.
	Backoff time.Duration

	// Ended answers a channel that is closed when the command ends, and a
	// function that lets go of it, where somebody can tell: then the waiting is
	// over sooner than the next poll. nil: nobody can.
	Ended func(commandID string) (ended <-chan struct{}, release func())

	// Jitter answers a number in [0, 1). nil: none is added.
	Jitter func() float64

	// Now is the time, for how long a list of nodes is good. nil: time.Now.
	Now func() time.Time

	nodes nodes
}

// sendOnce takes the SDK's retries off a call. SendCommand has no client token:
// an attempt whose answer was lost may have run, and the SDK would send it
// again.
func sendOnce(o *ssm.Options) { o.Retryer = aws.NopRetryer{} }

// sleep waits, or says that ctx ended first. A value on wake, or its
// end, ends the wait early; a nil channel never does.
func sleep(ctx context.Context, d time.Duration, wake <-chan struct{}) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-wake:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
