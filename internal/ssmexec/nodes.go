package ssmexec

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/awserr"
	"github.com/amx-lambda/amx/internal/ledger"
)

const (
	// KeyAddress is the key of a target that names nodes by an IP address, a
	// host name or an `instance` label, with or without a port.
	KeyAddress = amx.KeyAddress

	// nodesGood is for how long a list of the nodes is good; nodesFresh is the
	// age under which an address that it lacks is not looked for again.
	nodesGood  = time.Minute
	nodesFresh = 5 * time.Second
	// nodesPartly is for how long a list that was not read to its end is gone on
	// with.
	nodesPartly = 5 * time.Minute
)

// ErrNodes says that SSM did not answer which nodes it has; trying later may help.
var ErrNodes = errors.New("the managed nodes are not known")

// nodes is the managed nodes as SSM listed them last.
type nodes struct {
	mu     sync.Mutex
	list   []types.InstanceInformation
	listed time.Time

	partly []types.InstanceInformation // a list that was begun and not ended
	next   *string                     // its next page
	begun  time.Time
}

// Resolve answers rendered targets in SSM's own form: for an Address it looks
// the nodes up among the managed ones. An address that none has, or several
// have, is an error; [ErrNodes] is one that may be gone the next time.
func (x *Executor) Resolve(ctx context.Context, targets []amx.Target) ([]amx.Target, error) {
	var resolved []amx.Target
	for _, t := range targets {
		if t.Key != KeyAddress {
			resolved = append(resolved, amx.Target{Key: t.Key, Values: t.Values})
			continue
		}
		ids := map[string]bool{}
		for _, address := range t.Values {
			id, err := x.node(ctx, address)
			if err != nil {
				return nil, err
			}
			ids[id] = true
		}
		resolved = append(resolved, amx.Target{Key: KeyInstanceIDs, Values: slices.Sorted(maps.Keys(ids))})
	}
	return resolved, nil
}

// node is the ID of the node that has an address.
func (x *Executor) node(ctx context.Context, address string) (string, error) {
	host := hostOf(address)
	for _, good := range []time.Duration{nodesGood, nodesFresh} {
		list, err := x.listNodes(ctx, good)
		if err != nil {
			return "", fmt.Errorf("target Address %q: %w: %w", address, ErrNodes, err)
		}
		switch ids := having(list, host); {
		case len(ids) == 1:
			return ids[0], nil
		case len(ids) > 1:
			return "", fmt.Errorf("target Address %q: %d managed nodes have it (%s): name the one with InstanceIds", address, len(ids), strings.Join(ids, ", "))
		}
	}
	return "", fmt.Errorf("target Address %q: no managed node has it: is its SSM agent running?", address)
}

// hostOf is an address without its port, in lower case, and without the dot at
// the end of an absolute name.
func hostOf(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		address = host
	}
	address = strings.TrimSuffix(strings.TrimPrefix(address, "["), "]")
	return strings.ToLower(strings.TrimSuffix(address, "."))
}

// having is the IDs of the nodes with an address. If several have it, only
// those online count: SSM lists a terminated node for a while, and another node may
// have its address by now.
func having(list []types.InstanceInformation, host string) []string {
	if host == "" {
		return nil // many nodes have no name
	}
	for _, has := range []func(types.InstanceInformation, string) bool{hasAddress, hasShortName} {
		var all, online []string
		for _, n := range list {
			if has(n, host) {
				all = append(all, aws.ToString(n.InstanceId))
				if n.PingStatus == types.PingStatusOnline {
					online = append(online, aws.ToString(n.InstanceId))
				}
			}
		}
		if len(online) > 0 {
			all = online
		}
		if len(all) > 0 {
			slices.Sort(all)
			return all
		}
	}
	return nil
}

func hasAddress(n types.InstanceInformation, host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		own, err := netip.ParseAddr(aws.ToString(n.IPAddress))
		return err == nil && own.Unmap() == ip.Unmap()
	}
	return slices.ContainsFunc([]*string{n.ComputerName, n.Name, n.InstanceId}, func(name *string) bool {
		return hostOf(aws.ToString(name)) == host
	})
}

// hasShortName says that one of two names is the other without its domain.
func hasShortName(n types.InstanceInformation, host string) bool {
	name := hostOf(aws.ToString(n.ComputerName))
	short, _, long := strings.Cut(host, ".")
	nameShort, _, nameLong := strings.Cut(name, ".")
	return short == nameShort && long != nameLong && short != "" && net.ParseIP(host) == nil
}

// listNodes is the managed nodes, from a list that is no older than good. There
// is no filter on an address, so all of them are read. Where the time ends before
// the list does, whoever comes next goes on where it stopped.
func (x *Executor) listNodes(ctx context.Context, good time.Duration) ([]types.InstanceInformation, error) {
	now := time.Now
	if x.Now != nil {
		now = x.Now
	}
	if x.Nodes == nil {
		return nil, errors.New("there is nobody to ask")
	}
	n := &x.nodes
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.listed.IsZero() && now().Sub(n.listed) < good {
		return n.list, nil
	}
	if n.next == nil || now().Sub(n.begun) > nodesPartly {
		n.partly, n.next, n.begun = nil, nil, now()
	}
	for {
		page, err := x.Nodes.DescribeInstanceInformation(ctx, &ssm.DescribeInstanceInformationInput{
			MaxResults: aws.Int32(50), NextToken: n.next,
		})
		switch {
		case err != nil && ctx.Err() != nil:
			return nil, fmt.Errorf("no time left to read on after %d of them: the next try goes on from there", len(n.partly))
		case err != nil:
			return nil, fmt.Errorf("DescribeInstanceInformation: %w", awserr.Plain(err))
		}
		n.partly = append(n.partly, page.InstanceInformationList...)
		if n.next = page.NextToken; aws.ToString(n.next) == "" {
			n.list, n.listed, n.partly, n.next = n.partly, n.begun, nil, nil
			return n.list, nil
		}
	}
}

func (x *Executor) describe(ctx context.Context, filters []types.InstanceInformationStringFilter) ([]types.InstanceInformation, error) {
	if x.Nodes == nil {
		return nil, errors.New("there is nobody to ask")
	}
	var list []types.InstanceInformation
	pages := ssm.NewDescribeInstanceInformationPaginator(x.Nodes, &ssm.DescribeInstanceInformationInput{
		Filters: filters, MaxResults: aws.Int32(50),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("DescribeInstanceInformation: %w", awserr.Plain(err))
		}
		list = append(list, page.InstanceInformationList...)
	}
	return list, nil
}

// Count is how many nodes the targets select: those that they name, or those that
// SSM manages under their tags, counted up to a limit. Nobody can count a resource
// group's: it answers 0. [ErrNodes] is an error that may be gone the next time.
func (x *Executor) Count(ctx context.Context, targets []amx.Target, limit int) (int, error) {
	if ledger.ByInstance(targets) {
		return len(targets[0].Values), nil
	}
	var filters []types.InstanceInformationStringFilter
	for _, t := range targets {
		if !strings.HasPrefix(t.Key, "tag:") {
			return 0, nil
		}
		filters = append(filters, types.InstanceInformationStringFilter{Key: &t.Key, Values: t.Values})
	}
	if x.Nodes == nil || len(filters) == 0 {
		return 0, nil
	}
	n := 0
	pages := ssm.NewDescribeInstanceInformationPaginator(x.Nodes, &ssm.DescribeInstanceInformationInput{
		Filters: filters, MaxResults: aws.Int32(min(50, max(5, int32(limit)))), //nolint:gosec // max_targets has a limit
	})
	for pages.HasMorePages() && n < limit {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return 0, fmt.Errorf("counting the nodes behind %s: %w: DescribeInstanceInformation: %w", targets[0].Key, ErrNodes, awserr.Plain(err))
		}
		n += len(page.InstanceInformationList)
	}
	return n, nil
}
