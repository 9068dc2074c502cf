// Package simulation tests the real runner and the real state machine against
// a model of what surrounds them: SSM, the nodes, and the ledger's table. Calls
// are slow, fail, lose their answer or land after their caller has gone, and
// processes die between any two of them. Time is fake, so that hours pass in
// no time and every schedule can be played again.
package simulation

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/amx-lambda/amx/internal/ledger"
)

// A cloud is what amx cannot see into: the table, SSM, the nodes.
type cloud struct {
	lag    time.Duration                                      // by how much SSM's lists lag a send
	lags   func(c *command) time.Duration                     // the same for each command by itself
	shows  func(c *command) time.Duration                     // by how much the list of invocations lags it; nil: not
	reach  func(c *command) time.Duration                     // from a send to its nodes; nil: a moment
	lasts  func(c *command, node string) (time.Duration, int) // how long a command runs, and its exit code; nil: a second, and well
	obeys  func(c *command) time.Duration                     // from an accepted cancellation to the nodes; nil: a moment
	fails  func(node string) bool                             // the command fails there
	refuse func(r *request) error                             // what SSM will not have

	ids  string // the form of SSM's command IDs, which are all of one length
	page int    // how many commands a list has on a page

	mu       sync.Mutex
	records  map[string]ledger.Record
	commands []*command
	guards   map[string]*pass     // :: node and run → the pass that has it
	passes   []*pass              // those that ran the command, in the order of their start
	covers   map[string][]alertOf // :: run → the episodes that it was claimed for
	before   map[string]string    // :: run → the run that it retries
	claimed  map[string]time.Time // :: run → when it was claimed
	refused  map[string]bool      // :: run → SSM refused a part of it
	trace    []string
	gone     chan struct{} // closed at the end of the world
}

func newCloud() *cloud {
	return &cloud{ids: "c%d", page: 3, records: map[string]ledger.Record{}, guards: map[string]*pass{}, covers: map[string][]alertOf{}, before: map[string]string{}, claimed: map[string]time.Time{}, refused: map[string]bool{}, gone: make(chan struct{})}
}

// A call is one request of a process to the cloud.
type call struct {
	process string
	op      string // SendCommand, CancelCommand, ListCommands, ListCommandInvocations, Get, Put
	about   string // what it is about, the same in every replay
	nth     int    // from 1, of the calls of this process with this op and about
}

// A fate is what becomes of a call.
type fate struct {
	takes   time.Duration // before it has its effect
	answers time.Duration // from the effect to the answer
	err     error         // it has no effect, and this is the answer
	lost    error         // it has its effect, and this is the answer
	hangs   bool          // no answer comes before the caller gives up
	lands   time.Duration // of a call that hangs: its effect, so long after that; 0: it has none
	dies    string        // the process dies "before" or "after" its effect
}

var errDead = errors.New("the process is dead")

// A process is a sandbox of Lambda, or amx serve. All that it does to the cloud
// goes through here.
type process struct {
	name  string
	cloud *cloud
	fate  func(call) fate

	mu     sync.Mutex
	dead   chan struct{}
	calls  map[string]*counted
	active int // calls that have not returned
}

type counted struct {
	n  int
	at time.Time
}

func (c *cloud) process(name string, f func(call) fate) *process {
	return &process{name: name, cloud: c, fate: f, dead: make(chan struct{}), calls: map[string]*counted{}}
}

func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.dead:
	default:
		close(p.dead)
	}
}

func (p *process) now() time.Time { return time.Now() }

func (p *process) isDead() bool {
	select {
	case <-p.dead:
		return true
	default:
		return false
	}
}

// do takes a call to its end. Calls of one process that say the same at the same
// instant cannot be told apart, and share their fate: which goroutine came first
// must not matter.
func (p *process) do(ctx context.Context, op, about string, effect func() error) error {
	if p.isDead() {
		return errDead
	}
	p.mu.Lock()
	k := p.calls[op+" "+about]
	if k == nil {
		k = &counted{}
		p.calls[op+" "+about] = k
	}
	if now := time.Now(); !k.at.Equal(now) {
		k.n, k.at = k.n+1, now
	}
	c := call{p.name, op, about, k.n}
	p.active++
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		p.active--
		p.mu.Unlock()
	}()
	return p.suffer(ctx, c, p.fate(c), effect)
}

func (p *process) suffer(ctx context.Context, c call, f fate, effect func() error) error {
	land := func() error {
		p.cloud.mu.Lock()
		defer p.cloud.mu.Unlock()
		err := effect()
		p.cloud.note("%s %s %s #%d: %v", c.process, c.op, c.about, c.nth, err)
		return err
	}
	if f.hangs {
		err := p.wait(ctx, -1)
		// A read that comes late reads for nobody.
		if changes := c.op == "Put" || c.op == "SendCommand" || c.op == "CancelCommand"; changes && f.lands > 0 {
			go func() {
				time.Sleep(f.lands)
				_ = land()
			}()
		}
		return err
	}
	if err := p.wait(ctx, f.takes); err != nil {
		return err
	}
	if f.dies == "before" {
		p.kill()
		return errDead
	}
	if f.err != nil {
		return f.err
	}
	err := land()
	if f.dies == "after" {
		p.kill()
		return errDead
	}
	if waited := p.wait(ctx, f.answers); waited != nil {
		return waited
	}
	if f.lost != nil {
		return f.lost
	}
	return err
}

// wait is for a time, or for ever (-1), or until the caller gives up or is dead.
func (p *process) wait(ctx context.Context, d time.Duration) error {
	var over <-chan time.Time
	if d >= 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-over:
		return nil
	case <-p.dead:
		return errDead
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *cloud) note(format string, args ...any) {
	c.trace = append(c.trace, time.Now().UTC().Format("15:04:05.000000000 ")+fmt.Sprintf(format, args...))
}

// A table is the process's way to the ledger.
type table struct{ *process }

func (t table) Get(ctx context.Context, keys ...string) (records []ledger.Record, err error) {
	err = t.do(ctx, "Get", fmt.Sprint(keys), func() error {
		records = nil
		for _, k := range keys {
			r := t.cloud.records[k]
			r.Key = k
			records = append(records, r)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("the table: %w", err)
	}
	return records, nil
}

func (t table) Put(ctx context.Context, r ledger.Record) error {
	err := t.do(ctx, "Put", r.Key, func() error {
		if t.cloud.records[r.Key].Version != r.Version {
			return ledger.ErrConflict
		}
		r := r
		r.Version++
		t.cloud.records[r.Key] = r
		t.cloud.claims(r)
		return nil
	})
	if err != nil {
		return fmt.Errorf("the table: %w", err)
	}
	return nil
}

// claims notes for which episodes a run is claimed. A command that is sent for
// it may carry fewer of them.
func (c *cloud) claims(r ledger.Record) {
	if !strings.HasPrefix(r.Key, "entry/") {
		return
	}
	e, err := ledger.Decode(r.Value)
	if err != nil {
		return
	}
	for _, run := range e.Runs {
		for _, chunk := range run.Chunks {
			c.refused[run.ID] = c.refused[run.ID] || chunk.Refused
		}
		if _, known := c.covers[run.ID]; known {
			continue
		}
		c.covers[run.ID], c.before[run.ID], c.claimed[run.ID] = []alertOf{}, run.Prev, run.Claimed
		for _, p := range e.Episodes {
			if p.Run == run.ID {
				c.covers[run.ID] = append(c.covers[run.ID], alertOf{p.Fingerprint, strconv.FormatInt(p.StartsAt.Unix(), 10)})
			}
		}
	}
}
