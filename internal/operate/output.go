package operate

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/amx-lambda/amx/internal/history"
)

// Outputs is the part of SSM that keeps the output of commands.
type Outputs interface {
	GetCommandInvocation(context.Context, *ssm.GetCommandInvocationInput, ...func(*ssm.Options)) (*ssm.GetCommandInvocationOutput, error)
}

// sideBySide is for how many nodes SSM is asked at a time.
const sideBySide = 5

// streams asks for the output of up to [history.MaxOutputs] nodes. Failed nodes come
// first.
func streams(ctx context.Context, o Outputs, r *history.Record) []Stream {
	nodes := slices.Clone(r.Nodes)
	slices.SortStableFunc(nodes, func(a, b history.Node) int { return a.Order() - b.Order() })
	nodes = nodes[:min(len(nodes), history.MaxOutputs)]
	out := make([]Stream, len(nodes))
	var wg sync.WaitGroup
	slots := make(chan struct{}, sideBySide)
	for i, n := range nodes {
		commands := r.CommandIDs
		if n.CommandID != "" {
			commands = []string{n.CommandID}
		}
		slots <- struct{}{}
		wg.Go(func() {
			out[i] = stream(ctx, o, n.Node, commands)
			<-slots
		})
	}
	wg.Wait()
	return out
}

// stream asks which of the commands the node has, and for the output of that command.
func stream(ctx context.Context, o Outputs, node string, commands []string) Stream {
	s := Stream{Node: node, Error: "SSM does not keep the output any more"}
	for _, id := range commands {
		out, err := o.GetCommandInvocation(ctx, &ssm.GetCommandInvocationInput{CommandId: &id, InstanceId: &node})
		switch {
		case errors.As(err, new(*types.InvocationDoesNotExist)), errors.As(err, new(*types.InvalidCommandId)):
		case err != nil:
			s.Error = "GetCommandInvocation: " + err.Error()
		default:
			return Stream{Node: node, Stdout: aws.ToString(out.StandardOutputContent), Stderr: aws.ToString(out.StandardErrorContent)}
		}
	}
	return s
}
