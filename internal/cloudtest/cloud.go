// Package cloudtest is a model of what amx cannot see into: SSM, its nodes, the
// ledger's table and the queue. Calls are slow, fail, lose their answer or land after their
// caller has gone, and processes die between any two of them, as a test says. It
// waits on timers alone, so that under testing/synctest hours pass in no time.
package cloudtest

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/amx-lambda/amx/internal/ledger"
)

// A Cloud is what amx cannot see into: the table, the queue, SSM, the nodes.
type Cloud struct {
	Lag     time.Duration                                      // by how much SSM's lists lag a send
	Lags    func(c *Command) time.Duration                     // the same for each command by itself
	Shows   func(c *Command) time.Duration                     // by how much the list of invocations lags it; nil: not
	Reach   func(c *Command) time.Duration                     // from a send to its nodes; nil: a moment
	Lasts   func(c *Command, node string) (time.Duration, int) // how long a command runs, and its exit code; nil: a second, and well
	Obeys   func(c *Command) time.Duration                     // from an accepted cancellation to the nodes; nil: a moment
	Fails   func(node string) bool                             // the command fails there
	Reboots func(c *Command, node string, pass int) Reboot     // what the node does in that pass of the command, from 1; nil: it stays up
	Refuse  func(r *Request) error                             // what SSM will not have
	Written func(ledger.Record)                                // sees each record that is written
	Arrived func(*Queued)                                      // sees each item that is put on the queue
	Ended   func(*Command)                                     // sees each command that has ended on all of its nodes

	Nodes []Node // nil: each node that a command names is one, and SSM may not be asked for them

	IDs  string // the form of SSM's command IDs, which are all of one length
	Page int    // how many commands a list has on a page

	Mu        sync.Mutex               // guards what follows; hooks are called under it
	Records   map[string]ledger.Record // :: key → record
	Commands  []*Command               // in the order of their sends
	Queued    []*Queued                // in the order of their puts
	Dead      []string                 // the texts of the items that the dead-letter queue got
	Passes    []*Pass                  // those that ran the command, in the order of their start
	Trace     []string                 // what happened, a line each
	guards    map[string]*Pass         // :: node and run → the pass that has it
	lost      map[string][]time.Time   // :: node → when it lost its guards
	downtimes map[string]*downtime     // :: node → its latest restart
	gone      chan struct{}            // closed at the end of the world
}

// New is a cloud in which nothing has happened. Close it before its test ends.
func New() *Cloud {
	return &Cloud{IDs: "c%d", Page: 3, Records: map[string]ledger.Record{}, guards: map[string]*Pass{}, lost: map[string][]time.Time{}, downtimes: map[string]*downtime{}, gone: make(chan struct{})}
}

// Close ends the world: its nodes do no more.
func (c *Cloud) Close() { close(c.gone) }

// Note adds a line to the trace. The caller holds Mu.
func (c *Cloud) Note(format string, args ...any) {
	c.Trace = append(c.Trace, time.Now().UTC().Format("15:04:05.000000000 ")+fmt.Sprintf(format, args...))
}

// Running lists the commands that run on nodes now, by their IDs, sorted.
func (c *Cloud) Running() []string {
	c.Mu.Lock()
	defer c.Mu.Unlock()
	var ids []string
	for _, p := range c.Passes {
		if p.Running() {
			ids = append(ids, p.Command.ID)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
