package cloudtest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"

	"github.com/amx-lambda/amx/internal/ssmexec"
)

// An SSM is a process's way to Run Command.
type SSM struct{ *Process }

// SSM is the process's way to Run Command.
func (p *Process) SSM() SSM { return SSM{p} }

// APIError is an error that SSM answers, by its code.
func APIError(code string) error {
	return &smithy.GenericAPIError{Code: code, Message: "said the model"}
}

// SendCommand sends a command to its nodes.
func (a SSM) SendCommand(ctx context.Context, in *ssm.SendCommandInput, _ ...func(*ssm.Options)) (*ssm.SendCommandOutput, error) {
	r := Parse(in)
	var id string
	err := a.do(ctx, "SendCommand", fmt.Sprintf("%s %d %s%v", r.Token.Entry, r.Token.Chunk, r.Signal, r.Nodes[:min(1, len(r.Nodes))]), func() error {
		if a.Cloud.Refuse != nil {
			if err := a.Cloud.Refuse(r); err != nil {
				return err
			}
		}
		nodes, err := a.Cloud.resolve(in)
		if err != nil {
			return err
		}
		r.Nodes = nodes
		id = a.Cloud.send(r, aws.ToString(in.Comment), a.Name)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ssm.SendCommandOutput{Command: &types.Command{CommandId: &id}}, nil
}

// CancelCommand cancels a command, or its invocations on the named nodes.
func (a SSM) CancelCommand(ctx context.Context, in *ssm.CancelCommandInput, _ ...func(*ssm.Options)) (*ssm.CancelCommandOutput, error) {
	err := a.do(ctx, "CancelCommand", *in.CommandId, func() error {
		cmd := a.Cloud.Find(*in.CommandId)
		switch {
		case cmd == nil:
			return APIError("InvalidCommandId")
		case cmd.over():
			return APIError("InvalidCommandId") // which of the two SSM does is not documented
		case len(in.InstanceIds) == 0:
			cmd.Cancelled, cmd.CancelledBy = true, a.Name
		}
		for _, inv := range cmd.invocations {
			// A node that is gone may hear of it when it comes back.
			if inv.cancelled || len(in.InstanceIds) > 0 && (!slices.Contains(in.InstanceIds, inv.node) || a.Cloud.Refuse != nil) {
				continue
			}
			inv.cancelled = true
			obeys := time.Millisecond
			if a.Cloud.Obeys != nil {
				obeys = a.Cloud.Obeys(cmd)
			}
			time.AfterFunc(obeys, func() { close(inv.cancel) })
		}
		return nil
	})
	return &ssm.CancelCommandOutput{}, err
}

// ListCommands lists what was sent, by time or ID, a page at a time, and as late as the cloud says.
func (a SSM) ListCommands(ctx context.Context, in *ssm.ListCommandsInput, _ ...func(*ssm.Options)) (*ssm.ListCommandsOutput, error) {
	times := map[types.CommandFilterKey]time.Time{}
	about := []string{aws.ToString(in.CommandId)}
	for _, f := range in.Filters {
		times[f.Key], _ = time.Parse(time.RFC3339, aws.ToString(f.Value))
		about = append(about, aws.ToString(f.Value))
	}
	after, before := times[types.CommandFilterKeyInvokedAfter], times[types.CommandFilterKeyInvokedBefore]
	out := &ssm.ListCommandsOutput{}
	err := a.do(ctx, "ListCommands", strings.Join(about, "")+" "+aws.ToString(in.NextToken), func() error {
		out = &ssm.ListCommandsOutput{}
		from, n := 0, 0
		if in.NextToken != nil {
			_, _ = fmt.Sscan(*in.NextToken, &from)
		}
		for _, cmd := range a.Cloud.Commands[from:] {
			from++
			if time.Now().Before(cmd.Listed) || cmd.Sent.Before(after) || !before.IsZero() && cmd.Sent.After(before) || in.CommandId != nil && *in.CommandId != cmd.ID {
				continue
			}
			out.Commands = append(out.Commands, types.Command{
				CommandId: aws.String(cmd.ID), Comment: aws.String(cmd.Comment), StatusDetails: aws.String(cmd.status()), InstanceIds: cmd.Nodes,
			})
			if n++; n == a.Cloud.Page {
				out.NextToken = aws.String(fmt.Sprint(from))
				break
			}
		}
		return nil
	})
	return out, err
}

// ListCommandInvocations lists the invocations of a command.
func (a SSM) ListCommandInvocations(ctx context.Context, in *ssm.ListCommandInvocationsInput, _ ...func(*ssm.Options)) (*ssm.ListCommandInvocationsOutput, error) {
	out := &ssm.ListCommandInvocationsOutput{}
	err := a.do(ctx, "ListCommandInvocations", *in.CommandId, func() error {
		out = &ssm.ListCommandInvocationsOutput{}
		cmd := a.Cloud.Find(*in.CommandId)
		if cmd == nil || time.Now().Before(cmd.shown) { // this list may lag too
			return nil
		}
		for _, i := range cmd.invocations {
			plugin := types.CommandPlugin{Output: aws.String(i.output), ResponseCode: int32(i.code)}
			if !i.ended.IsZero() {
				plugin.ResponseFinishDateTime = aws.Time(i.ended)
			}
			out.CommandInvocations = append(out.CommandInvocations, types.CommandInvocation{
				CommandId: aws.String(cmd.ID), InstanceId: aws.String(i.node), StatusDetails: aws.String(i.status),
				CommandPlugins: []types.CommandPlugin{plugin},
			})
		}
		return nil
	})
	return out, err
}

// SendForeign has somebody else send a command, which goes on for that long.
func (c *Cloud) SendForeign(comment string, lasts time.Duration) {
	c.Mu.Lock()
	defer c.Mu.Unlock()
	r := &Request{}
	r.Token, _ = ssmexec.ParseToken(comment)
	now := time.Now()
	inv := &invocation{node: "i-somebodys", status: "InProgress", cancel: make(chan struct{})}
	cmd := &Command{
		Request: r, ID: fmt.Sprintf(c.IDs, len(c.Commands)), Comment: comment, By: "somebody", Sent: now, Listed: now, Foreign: true,
		invocations: []*invocation{inv},
	}
	c.Commands = append(c.Commands, cmd)
	time.AfterFunc(lasts, func() {
		c.Mu.Lock()
		defer c.Mu.Unlock()
		c.ends(cmd, inv, "Success")
	})
}

// Find is the command of this ID, or nil. The caller holds Mu.
func (c *Cloud) Find(id string) *Command {
	for _, cmd := range c.Commands {
		if cmd.ID == id {
			return cmd
		}
	}
	return nil
}

func (cmd *Command) over() bool {
	return !slices.ContainsFunc(cmd.invocations, func(i *invocation) bool { return !ssmexec.Terminal(i.status) })
}

func (cmd *Command) status() string {
	for _, i := range cmd.invocations {
		if !ssmexec.Terminal(i.status) {
			return "InProgress"
		}
	}
	for _, i := range cmd.invocations {
		if i.status != "Success" {
			return i.status
		}
	}
	return "Success"
}
