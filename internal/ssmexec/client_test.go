package ssmexec

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"
)

// fake is an SSM that answers what a test gives it, and keeps what it was sent.
type fake struct {
	mu sync.Mutex

	sends     []*ssm.SendCommandInput
	sendErrs  []error // one for each SendCommand; then none
	cancelled []string

	commands    []types.Command
	invocations map[string][][]types.CommandInvocation // :: command ID → what it has at each asking
	asked       int
	lists       []*ssm.ListCommandsInput

	nodes     []types.InstanceInformation
	describes int
	nodesErr  error
}

func apiError(code string) error {
	return &smithy.OperationError{ServiceID: "SSM", OperationName: "X", Err: &smithy.GenericAPIError{Code: code, Message: "says SSM"}}
}

func (f *fake) SendCommand(_ context.Context, in *ssm.SendCommandInput, opts ...func(*ssm.Options)) (*ssm.SendCommandOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	o := ssm.Options{}
	for _, opt := range opts {
		opt(&o)
	}
	if o.Retryer == nil || o.Retryer.MaxAttempts() != 1 {
		panic("the SDK would send it again")
	}
	f.sends = append(f.sends, in)
	if n := len(f.sends) - 1; n < len(f.sendErrs) && f.sendErrs[n] != nil {
		return nil, f.sendErrs[n]
	}
	return &ssm.SendCommandOutput{Command: &types.Command{CommandId: aws.String(fmt.Sprintf("c%d", len(f.sends)-1))}}, nil
}

func (f *fake) CancelCommand(_ context.Context, in *ssm.CancelCommandInput, _ ...func(*ssm.Options)) (*ssm.CancelCommandOutput, error) {
	f.cancelled = append(f.cancelled, *in.CommandId)
	return &ssm.CancelCommandOutput{}, nil
}

// ListCommands has two commands to a page.
func (f *fake) ListCommands(_ context.Context, in *ssm.ListCommandsInput, _ ...func(*ssm.Options)) (*ssm.ListCommandsOutput, error) {
	f.lists = append(f.lists, in)
	var found []types.Command
	for _, c := range f.commands {
		if in.CommandId == nil || *in.CommandId == *c.CommandId {
			found = append(found, c)
		}
	}
	page, next := cut(found, in.NextToken, 2)
	return &ssm.ListCommandsOutput{Commands: page, NextToken: next}, nil
}

func (f *fake) ListCommandInvocations(_ context.Context, in *ssm.ListCommandInvocationsInput, _ ...func(*ssm.Options)) (*ssm.ListCommandInvocationsOutput, error) {
	if !in.Details {
		panic("without details there is no output")
	}
	f.asked++
	states := f.invocations[*in.CommandId]
	if len(states) > 1 {
		f.invocations[*in.CommandId] = states[1:]
	}
	if len(states) == 0 {
		return &ssm.ListCommandInvocationsOutput{}, nil
	}
	return &ssm.ListCommandInvocationsOutput{CommandInvocations: states[0]}, nil
}

// DescribeInstanceInformation has two nodes to a page.
func (f *fake) DescribeInstanceInformation(_ context.Context, in *ssm.DescribeInstanceInformationInput, _ ...func(*ssm.Options)) (*ssm.DescribeInstanceInformationOutput, error) {
	f.describes++
	if f.nodesErr != nil {
		return nil, f.nodesErr
	}
	found := slices.Clone(f.nodes)
	for _, filter := range in.Filters {
		found = slices.DeleteFunc(found, func(n types.InstanceInformation) bool { return !slices.Contains(filter.Values, *n.InstanceId) })
	}
	page, next := cut(found, in.NextToken, 2)
	return &ssm.DescribeInstanceInformationOutput{InstanceInformationList: page, NextToken: next}, nil
}

func cut[T any](all []T, token *string, size int) (page []T, next *string) {
	from := 0
	_, _ = fmt.Sscan(aws.ToString(token), &from)
	if from+size < len(all) {
		return all[from : from+size], aws.String(fmt.Sprint(from + size))
	}
	return all[from:], nil
}

// on is a command on a node, as it is listed.
func on(node, details string, code int32, output string) types.CommandInvocation {
	return types.CommandInvocation{
		InstanceId: aws.String(node), StatusDetails: aws.String(details),
		CommandPlugins: []types.CommandPlugin{{Output: aws.String(output), ResponseCode: code}},
	}
}

var noon = time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC)
