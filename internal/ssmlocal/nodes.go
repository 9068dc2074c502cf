package ssmlocal

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// Node is a managed node that stands for this machine. Only ID is required.
type Node struct {
	ID   string            // i- and 8 or 17 characters, or mi- and 17
	Tags map[string]string // for targets of the form tag:NAME and tag-key
	// Address and Name are the IP address and the host name that
	// DescribeInstanceInformation shows. Default: 127.0.0.1 and localhost.
	Address, Name string
	// Terminated: the instance is gone. SSM still lists it, with a lost connection.
	// It has no tags, and no command can be sent to it.
	Terminated bool
}

// IsInstanceID reports whether id has the form of a managed node's ID.
func IsInstanceID(id string) bool { return instanceIDPattern.MatchString(id) }

// checkNodes returns the nodes with their defaults.
func checkNodes(nodes []Node) ([]Node, error) {
	if len(nodes) == 0 {
		nodes = []Node{{ID: LocalNode}}
	}
	nodes = slices.Clone(nodes)
	for i := range nodes {
		n := &nodes[i]
		if !instanceIDPattern.MatchString(n.ID) {
			return nil, fmt.Errorf("starting ssmlocal: node %q is not an instance ID: use i- or mi- and 17 characters", n.ID)
		}
		if slices.ContainsFunc(nodes[:i], func(o Node) bool { return o.ID == n.ID }) {
			return nil, fmt.Errorf("starting ssmlocal: node %q is named twice: give it all its tags at once", n.ID)
		}
		n.Tags = maps.Clone(n.Tags)
		if n.Terminated {
			n.Tags = nil
		}
		if n.Address == "" {
			n.Address = "127.0.0.1"
		}
		if n.Name == "" {
			n.Name = "localhost"
		}
	}
	return nodes, nil
}

// resolve returns the nodes that the request names, and those that its sender has no
// right to.
func (s *Server) resolve(req *sendCommandRequest) (nodes, denied []string, err error) {
	switch {
	case len(req.InstanceIds) == 0 && len(req.Targets) == 0:
		return nil, nil, &apiError{"ValidationException", "Either InstanceIds or Targets must be given."}
	case len(req.InstanceIds) > 0 && len(req.Targets) > 0:
		return nil, nil, &apiError{"ValidationException", "InstanceIds and Targets can't be given together."}
	case len(req.InstanceIds) > 0:
		if denied, err = s.denied(req.InstanceIds, s.o.Access.Named); err == nil {
			nodes, err = s.known(req.InstanceIds, denied...)
		}
		return nodes, denied, err
	}
	if nodes, err = s.selected(req); err == nil {
		denied, err = s.denied(nodes, s.o.Access.Tagged)
	}
	return nodes, denied, err
}

// selected returns the nodes that satisfy all targets, in the order of Options.Nodes.
// Several values of one target are an OR. No node is in a resource group.
func (s *Server) selected(req *sendCommandRequest) ([]string, error) {
	nodes := slices.DeleteFunc(slices.Clone(s.o.Nodes), func(n Node) bool { return n.Terminated })
	for _, t := range req.Targets {
		key := deref(t.Key)
		tag, isTag := strings.CutPrefix(key, "tag:")
		var matches func(Node) bool
		switch {
		case len(t.Values) == 0 && key != "tag-key":
			return nil, &apiError{"ValidationException", fmt.Sprintf("Target %q has no values.", key)}
		case key == "InstanceIds":
			if _, err := s.known(t.Values); err != nil {
				return nil, err
			}
			matches = func(n Node) bool { return slices.Contains(t.Values, n.ID) }
		case isTag && len(t.Values) > 5:
			return nil, &apiError{"ValidationException", fmt.Sprintf("Target %q has more than 5 values.", key)}
		case isTag:
			matches = func(n Node) bool { return n.hasTag(tag, t.Values) }
		case key == "tag-key":
			matches = func(n Node) bool { return n.hasTagKey(t.Values) }
		case strings.HasPrefix(key, "resource-groups:"):
			matches = func(Node) bool { return false }
		default:
			return nil, &apiError{"ValidationException", fmt.Sprintf("Target key %q is not valid.", key)}
		}
		nodes = slices.DeleteFunc(nodes, func(n Node) bool { return !matches(n) })
	}
	ids := make([]string, len(nodes))
	for i, n := range nodes {
		ids[i] = n.ID
	}
	return ids, nil
}

func (n Node) hasTag(name string, values []string) bool {
	value, ok := n.Tags[name]
	return ok && slices.Contains(values, value)
}

func (n Node) hasTagKey(names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool { _, ok := n.Tags[name]; return ok })
}

// known returns ids, or an error if an ID is unknown or comes twice: one bad ID fails the
// whole call. It does not check IDs that are denied anyway.
func (s *Server) known(ids []string, denied ...string) ([]string, error) {
	for i, id := range ids {
		if n := s.node(id); (n == nil || n.Terminated) && !slices.Contains(denied, id) {
			return nil, &apiError{"InvalidInstanceId", fmt.Sprintf("Instance %s is not a managed node here.", id)}
		}
		if slices.Contains(ids[:i], id) {
			return nil, &apiError{"DuplicateInstanceId", fmt.Sprintf("Instance %s is given twice.", id)}
		}
	}
	return slices.Clone(ids), nil
}

// stateDir is a node's directory for AMX_STATE_DIR, or "" for none. The guard
// in the scripts lets a run pass once per state directory, so each node has its own. It
// depends only on the ID. So a command that an earlier process took finds the guard of its
// node, even if that node is no longer configured.
func (s *Server) stateDir(node string) string {
	if s.o.StateDir == "" || node == LocalNode {
		return s.o.StateDir
	}
	return filepath.Join(s.o.StateDir, node)
}
