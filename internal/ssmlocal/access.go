package ssmlocal

import (
	"fmt"
	"slices"
)

// Access is the sender's policy, if it has a condition on the nodes' tags
// (ssm:resourceTag/NAME). The zero value allows every node.
type Access struct {
	Tag, Value string // what a node must carry

	// AWS does not document what happens if one node lacks the tag. With PerNode
	// only that node's invocation ends, as AccessDenied. Otherwise SendCommand is
	// refused as a whole, with an error that names the node's ARN. Named is for
	// nodes given by their IDs, Tagged for nodes that a target selects.
	Named, Tagged Denial
}

// Denial says what happens to a call if one of its nodes is denied.
type Denial int

// The denials. PerCall is the default.
const (
	PerCall Denial = iota
	PerNode
)

const accountID = "000000000000" // of this Run Command

// denied returns the nodes whose invocations end as AccessDenied, or an error that
// refuses the call. A node that is terminated or does not exist has no tag.
func (s *Server) denied(nodes []string, denial Denial) ([]string, error) {
	a := s.o.Access
	if a.Tag == "" {
		return nil, nil
	}
	var without []string
	for _, id := range nodes {
		if n := s.node(id); n == nil || !n.hasTag(a.Tag, []string{a.Value}) {
			without = append(without, id)
		}
	}
	if len(without) == 0 || denial == PerNode {
		return without, nil
	}
	return nil, &apiError{"AccessDeniedException", fmt.Sprintf(
		"User: arn:aws:sts::%s:assumed-role/amx/amx is not authorized to perform: ssm:SendCommand on resource: %s because no identity-based policy allows the ssm:SendCommand action",
		accountID, nodeARN(accountID, s.o.Region, without[0]))}
}

// node returns the node with this ID, or nil.
func (s *Server) node(id string) *Node {
	i := slices.IndexFunc(s.o.Nodes, func(n Node) bool { return n.ID == id })
	if i < 0 {
		return nil
	}
	return &s.o.Nodes[i]
}
