package cloudtest

import (
	"context"
	"errors"
	"sync"
	"time"
)

// A Call is one request of a process to the cloud.
type Call struct {
	Process string
	Op      string // SendCommand, CancelCommand, ListCommands, ListCommandInvocations, Get, Put, Enqueue
	About   string // what it is about, the same in every replay
	Nth     int    // from 1, of the calls of this process with this op and about
}

// A Fate is what becomes of a call.
type Fate struct {
	Takes   time.Duration // before it has its effect
	Answers time.Duration // from the effect to the answer
	Err     error         // it has no effect, and this is the answer
	Lost    error         // it has its effect, and this is the answer
	Hangs   bool          // no answer comes before the caller gives up
	Lands   time.Duration // of a call that hangs: its effect, so long after that; 0: it has none
	Dies    string        // the process dies "before" or "after" its effect
}

var errDead = errors.New("the process is dead")

// A Process is a sandbox of Lambda, or amx serve. All that it does to the cloud
// goes through here.
type Process struct {
	Name  string
	Cloud *Cloud
	fate  func(Call) Fate

	mu     sync.Mutex
	dead   chan struct{}
	calls  map[string]*counted
	active int // calls that have not returned
}

type counted struct {
	n  int
	at time.Time
}

// Process begins a process. The fate of each of its calls is what f says; f is
// called from many goroutines.
func (c *Cloud) Process(name string, f func(Call) Fate) *Process {
	return &Process{Name: name, Cloud: c, fate: f, dead: make(chan struct{}), calls: map[string]*counted{}}
}

// Kill ends the process: its calls return, and have no effect from then on.
func (p *Process) Kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.dead:
	default:
		close(p.dead)
	}
}

// Died is closed when the process is killed.
func (p *Process) Died() <-chan struct{} { return p.dead }

// Dead says whether the process was killed.
func (p *Process) Dead() bool {
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
func (p *Process) do(ctx context.Context, op, about string, effect func() error) error {
	if p.Dead() {
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
	c := Call{p.Name, op, about, k.n}
	p.active++
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		p.active--
		p.mu.Unlock()
	}()
	return p.suffer(ctx, c, p.fate(c), effect)
}

func (p *Process) suffer(ctx context.Context, c Call, f Fate, effect func() error) error {
	land := func() error {
		p.Cloud.Mu.Lock()
		defer p.Cloud.Mu.Unlock()
		err := effect()
		p.Cloud.Note("%s %s %s #%d: %v", c.Process, c.Op, c.About, c.Nth, err)
		return err
	}
	if f.Hangs {
		err := p.wait(ctx, -1)
		// A read that comes late reads for nobody.
		if changes := c.Op == "Put" || c.Op == "SendCommand" || c.Op == "CancelCommand" || c.Op == "Enqueue"; changes && f.Lands > 0 {
			go func() {
				time.Sleep(f.Lands)
				_ = land()
			}()
		}
		return err
	}
	if err := p.wait(ctx, f.Takes); err != nil {
		return err
	}
	if f.Dies == "before" {
		p.Kill()
		return errDead
	}
	if f.Err != nil {
		return f.Err
	}
	err := land()
	if f.Dies == "after" {
		p.Kill()
		return errDead
	}
	if waited := p.wait(ctx, f.Answers); waited != nil {
		return waited
	}
	if f.Lost != nil {
		return f.Lost
	}
	return err
}

// wait is for a time, or for ever (-1), or until the caller gives up or is dead.
func (p *Process) wait(ctx context.Context, d time.Duration) error {
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

// Open counts the calls that have not returned.
func (p *Process) Open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.active
}
