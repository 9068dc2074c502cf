package cloudtest

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// A Node is a managed node.
type Node struct {
	ID            string // such as i-00000000000000001
	Address, Name string // its IP address and its host name
	Tags          map[string]string
}

// resolve answers the IDs of the nodes that a request names. The caller holds Mu.
func (c *Cloud) resolve(in *ssm.SendCommandInput) ([]string, error) {
	if c.Nodes == nil {
		return in.InstanceIds, nil
	}
	for _, id := range in.InstanceIds {
		if !slices.ContainsFunc(c.Nodes, func(n Node) bool { return n.ID == id }) {
			return nil, APIError("InvalidInstanceId")
		}
	}
	ids := slices.Clone(in.InstanceIds)
	for _, n := range c.Nodes {
		if len(in.Targets) > 0 && !slices.ContainsFunc(in.Targets, func(t types.Target) bool { return !n.is(t) }) {
			ids = append(ids, n.ID)
		}
	}
	return ids, nil
}

// is says whether a target, which is a tag, has the node.
func (n Node) is(t types.Target) bool {
	tag, _ := strings.CutPrefix(aws.ToString(t.Key), "tag:")
	value, there := n.Tags[tag]
	return there && slices.Contains(t.Values, value)
}

// passes says whether a filter on tags or IDs keeps the node.
func (n Node) passes(f types.InstanceInformationStringFilter) bool {
	if key := aws.ToString(f.Key); strings.HasPrefix(key, "tag:") {
		return n.is(types.Target{Key: f.Key, Values: f.Values})
	}
	return slices.Contains(f.Values, n.ID)
}

// DescribeInstanceInformation lists the managed nodes, or those of filters on their
// tags or IDs, a page at a time. It is denied where the cloud does not know them.
func (a SSM) DescribeInstanceInformation(ctx context.Context, in *ssm.DescribeInstanceInformationInput, _ ...func(*ssm.Options)) (*ssm.DescribeInstanceInformationOutput, error) {
	if a.Cloud.Nodes == nil {
		return nil, APIError("AccessDeniedException")
	}
	out := &ssm.DescribeInstanceInformationOutput{}
	err := a.do(ctx, "DescribeInstanceInformation", aws.ToString(in.NextToken), func() error {
		out = &ssm.DescribeInstanceInformationOutput{}
		from, _ := strconv.Atoi(aws.ToString(in.NextToken))
		for i, n := range a.Cloud.Nodes[from:] {
			if slices.ContainsFunc(in.Filters, func(f types.InstanceInformationStringFilter) bool { return !n.passes(f) }) {
				continue
			}
			if len(out.InstanceInformationList) == int(aws.ToInt32(in.MaxResults)) {
				out.NextToken = aws.String(strconv.Itoa(from + i))
				break
			}
			out.InstanceInformationList = append(out.InstanceInformationList, types.InstanceInformation{
				InstanceId: aws.String(n.ID), IPAddress: aws.String(n.Address), ComputerName: aws.String(n.Name), PingStatus: types.PingStatusOnline,
			})
		}
		return nil
	})
	return out, err
}
