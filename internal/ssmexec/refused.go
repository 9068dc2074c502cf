package ssmexec

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"sync"

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
	// Unavailable: SSM refuses these nodes, and not the request. It may take
	// them later: a node may come back, or get its tag.
	Unavailable bool
}

// invalidNode is SSM's word on a node that it does not manage, or has lost.
const invalidNode = "InvalidInstanceId"

// SendToAll sends a request as [Executor.Send] does. Where SSM refuses it for
// one of its nodes, which costs the call for all of them, that node is found,
// and the request sent to the rest: the answer is then a Sent for each part.
func (x *Executor) SendToAll(ctx context.Context, in *ssm.SendCommandInput) []Sent {
	id, err := x.Send(ctx, in)
	denied := deniedNode(err, in.InstanceIds)
	switch {
	case err == nil || len(in.InstanceIds) == 0 || awserr.Code(err) != invalidNode && denied == "":
		return []Sent{{Nodes: in.InstanceIds, CommandID: id, Err: err}}
	case len(in.InstanceIds) == 1:
		return []Sent{{Nodes: in.InstanceIds, Err: fmt.Errorf("node %s: %w", in.InstanceIds[0], err), Unavailable: true}}
	}
	var sent []Sent
	parts := [][]string{{denied}, without(in.InstanceIds, denied)}
	if denied == "" {
		parts = x.parts(ctx, in.InstanceIds)
	} else {
		sent = append(sent, Sent{Nodes: parts[0], Err: fmt.Errorf("node %s: %w", denied, err), Unavailable: true})
		parts = parts[1:]
	}
	for _, ids := range parts {
		if len(ids) > 0 {
			part := *in
			part.InstanceIds = ids
			sent = append(sent, x.SendToAll(ctx, &part)...)
		}
	}
	return sent
}

// nodeARN is how an AccessDenied names a node without the tag of the policy's
// condition, or one that was terminated: `… on resource:
// arn:aws:ec2:eu-central-1:123456789012:instance/i-0a1b2c3d`. Whether one such
// node refuses the whole call is not documented.
var nodeARN = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`:(?:instance|managed-instance)/((?:i|mi)-[0-9a-zA-Z]+)`)
})

// deniedNode is the one of these nodes that an AccessDenied names; "" for none.
func deniedNode(err error, nodes []string) string {
	if awserr.Code(err) != "AccessDeniedException" {
		return ""
	}
	if m := nodeARN().FindStringSubmatch(awserr.Message(err)); m != nil && slices.Contains(nodes, m[1]) {
		return m[1]
	}
	return ""
}

func without(nodes []string, node string) []string {
	return slices.DeleteFunc(slices.Clone(nodes), func(n string) bool { return n == node })
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
