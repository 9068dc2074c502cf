package ssmexec

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/amx-lambda/amx/internal/awserr"
)

// A Sent is what became of a request, or of a part of it, as [Judge] has it.
type Sent struct {
	Nodes     []string // that it names
	CommandID string
	Err       error
}

// invalidNode is SSM's word on a node that it does not manage, or has lost.
const invalidNode = "InvalidInstanceId"

// SendToAll sends a request as [Executor.Send] does. Where SSM refuses it for
// one of its nodes, which costs the call for all of them, that node is found,
// and the request sent to the rest: the answer is then a Sent for each part.
func (x *Executor) SendToAll(ctx context.Context, in *ssm.SendCommandInput) []Sent {
	id, err := x.Send(ctx, in)
	if err == nil || len(in.InstanceIds) == 0 || awserr.Code(err) != invalidNode {
		return []Sent{{in.InstanceIds, id, err}}
	}
	if len(in.InstanceIds) == 1 {
		return []Sent{{Nodes: in.InstanceIds, Err: fmt.Errorf("node %s: %w", in.InstanceIds[0], err)}}
	}
	var sent []Sent
	for _, ids := range x.parts(ctx, in.InstanceIds) {
		if len(ids) > 0 {
			part := *in
			part.InstanceIds = ids
			sent = append(sent, x.SendToAll(ctx, &part)...)
		}
	}
	return sent
}

// parts cuts nodes of which one or more are refused: into those that SSM does
// not list, one by one, and the rest, which may be none; or into halves where it
// lists them all.
func (x *Executor) parts(ctx context.Context, ids []string) [][]string {
	known, err := x.describe(ctx, []types.InstanceInformationStringFilter{{Key: aws.String(KeyInstanceIDs), Values: ids}})
	var parts [][]string
	if err == nil {
		rest := slices.DeleteFunc(slices.Clone(ids), func(id string) bool {
			listed := slices.ContainsFunc(known, func(n types.InstanceInformation) bool { return aws.ToString(n.InstanceId) == id })
			if !listed {
				parts = append(parts, []string{id})
			}
			return !listed
		})
		if len(parts) > 0 {
			return append(parts, rest)
		}
	}
	return [][]string{ids[:len(ids)/2], ids[len(ids)/2:]}
}
