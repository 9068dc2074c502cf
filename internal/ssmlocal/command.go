package ssmlocal

import (
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// The statuses that occur here. StatusDetails has more exact words.
const (
	statusPending    = "Pending"
	statusInProgress = "InProgress"
	statusSuccess    = "Success"
	statusFailed     = "Failed"
	statusCancelled  = "Cancelled"
	statusTimedOut   = "TimedOut"
	statusCancelling = "Cancelling"

	detailsExecutionTimedOut = "ExecutionTimedOut"
	detailsDeliveryTimedOut  = "DeliveryTimedOut"
	detailsIncomplete        = "Incomplete"
	detailsNoInstancesInTag  = "NoInstancesInTag"
	detailsTerminated        = "Terminated"
	detailsAccessDenied      = "AccessDenied"
)

// command is one SendCommand. Server.mu guards it and its invocations.
type command struct {
	id          string
	seq         uint64 // order of arrival; kept across restarts, because list tokens carry it
	requested   time.Time
	request     *sendCommandRequest
	invocations []*invocation
	triggered   []string    // alarms that stopped it
	expiry      *time.Timer // ends invocations that agents leave open; nil without agents
}

// invocation is a command on one node.
type invocation struct {
	command           *command
	node              string
	status, details   string
	code              int
	started, finished time.Time
	note              string // what the agent adds to standard error

	delivered   bool            // SSM has sent it to its node
	verdict     *outcome        // how an agent ends the pass that it was asked to stop
	passes      int             // how often the document was started
	run         *pass           // the process that runs now; nil: none
	rebootAfter string          // ended with 194 in the boot with this ID, and waits for another
	gaveFolder  bool            // another invocation may have its folder by now
	told        [2]atomic.Int64 // bytes of stdout and stderr that Options.Output got
}

func newCommand(id string, seq uint64, requested time.Time, req *sendCommandRequest, nodes []string) *command {
	c := &command{id: id, seq: seq, requested: requested, request: req}
	for _, n := range nodes {
		c.invocations = append(c.invocations, &invocation{
			command: c, node: n, status: statusPending, details: statusPending, code: -1,
		})
	}
	return c
}

func (inv *invocation) over() bool {
	return inv.status != statusPending && inv.status != statusInProgress && inv.status != statusCancelling
}

func (c *command) invocation(node string) *invocation {
	for _, inv := range c.invocations {
		if inv.node == node {
			return inv
		}
	}
	return nil
}

// counts are a command's figures as ListCommands shows them.
type counts struct {
	pending, cancelling, completed                                                   int
	failed, executionTimedOut, deliveryTimedOut, cancelled, terminated, accessDenied int
}

func (c *command) count() (n counts) {
	for _, inv := range c.invocations {
		if inv.over() {
			n.completed++
		}
		switch inv.details {
		case statusPending:
			n.pending++
		case statusCancelling:
			n.cancelling++
		case statusFailed:
			n.failed++
		case detailsTerminated:
			n.terminated++
		case detailsAccessDenied:
			n.accessDenied++
		case detailsExecutionTimedOut:
			n.executionTimedOut++
		case detailsDeliveryTimedOut:
			n.deliveryTimedOut++
		case statusCancelled:
			n.cancelled++
		}
	}
	return n
}

func (c *command) over() bool { return c.count().completed == len(c.invocations) }

// finished is when the last invocation ended.
func (c *command) finished() time.Time {
	t := c.requested
	for _, inv := range c.invocations {
		if inv.finished.After(t) {
			t = inv.finished
		}
	}
	return t
}

// status derives the command's status from its invocations, as
// https://docs.aws.amazon.com/systems-manager/latest/userguide/monitor-commands.html
// describes it. The Status for NoInstancesInTag and Incomplete is not
// documented; StatusDetails tells them apart.
func (c *command) status() (status, details string) {
	total := len(c.invocations)
	if total == 0 {
		return statusFailed, detailsNoInstancesInTag
	}
	n := c.count()
	errorsAllowed := max(1, c.maxErrors(total))
	switch {
	case n.pending == total:
		return statusPending, statusPending
	case n.cancelling > 0:
		return statusCancelling, statusCancelling
	case n.completed < total:
		return statusInProgress, statusInProgress
	case n.cancelled > 0:
		return statusCancelled, statusCancelled
	case n.failed >= errorsAllowed:
		return statusFailed, statusFailed
	case n.executionTimedOut >= errorsAllowed:
		return statusTimedOut, detailsExecutionTimedOut
	case n.deliveryTimedOut >= errorsAllowed:
		return statusTimedOut, detailsDeliveryTimedOut
	case n.accessDenied == total:
		return statusFailed, detailsAccessDenied
	case n.failed+n.executionTimedOut+n.deliveryTimedOut+n.terminated+n.accessDenied > 0:
		return statusFailed, detailsIncomplete
	}
	return statusSuccess, statusSuccess
}

func (c *command) maxErrors(targets int) int {
	n, percent := strings.CutSuffix(deref(c.request.MaxErrors), "%")
	v, _ := strconv.Atoi(n) // validated; not given is 0
	if percent {
		return v * targets / 100
	}
	return v
}

// maxConcurrency is the number of nodes on which the command may run at once: 50, or the
// number of the request. A percentage makes at least one.
func (c *command) maxConcurrency() int {
	n, percent := strings.CutSuffix(deref(c.request.MaxConcurrency), "%")
	v, err := strconv.Atoi(n)
	switch {
	case err != nil:
		return 50
	case percent:
		return max(1, v*len(c.invocations)/100)
	}
	return v
}

// expiresAfter is when SSM gives up invocations that have not ended: after their time for
// delivery plus their time for execution.
func (c *command) expiresAfter() time.Time {
	delivery := time.Duration(c.request.deliverySeconds()) * time.Second
	return c.requested.Add(delivery + executionTimeout(c.request.Parameters))
}
