package ssmlocal

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"
)

// Exit codes with a special meaning for the agent.
const (
	exitReboot   = 194
	exitTimedOut = 137
	exitSucceed  = 168 // success, and the last step of a document with several
	exitFail     = 169 // the same for a failure
)

// pass is one run of a document by one process, the leader of its own group.
type pass struct {
	inv     *invocation
	pid     int
	start   string // pid, boot and start together identify a process
	boot    string
	adopted bool // started by an earlier process: not our child

	limit time.Duration // how long it may run
	gate  *os.File      // closed or written to by begin
	files files
	tails []*tail
	timer *time.Timer

	pipes   []*os.File     // the agent's ends of the output, which it copies into files
	copying sync.WaitGroup // the goroutines that copy
	gone    bool           // reaped: another process may have its PID
}

// outcome is how an invocation ends.
type outcome struct {
	status, details string
	code            int
	note            string
}

func failed(code int, err error) outcome {
	return outcome{statusFailed, statusFailed, code, fmt.Sprintf("failed to run commands: %v", err)}
}

// runPass starts inv's document and follows it to its end.
func (s *Server) runPass(inv *invocation) {
	s.mu.Lock()
	over := inv.over()
	s.mu.Unlock()
	if over {
		return // cancelled before it began
	}
	p, err := s.fork(inv)
	if err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !inv.over() {
			s.end(inv, failed(1, err))
		}
		return
	}
	if !s.begin(p) {
		return
	}
	s.watch(p)
	waitExit(p.pid)
	s.drain(p)
	s.reap(p)
	s.giveBack(inv, p.files)
}

// begin records the pass and lets its shell continue. If the invocation was cancelled
// meanwhile, it ends the shell.
func (s *Server) begin(p *pass) bool {
	inv := p.inv
	s.mu.Lock()
	start := !inv.over() && !s.closed
	if start {
		now := s.o.Now()
		err := s.journal.append(event{
			Op: "started", ID: inv.command.id, T: now, Node: inv.node,
			PID: p.pid, Start: p.start, Boot: p.boot, Pass: inv.passes + 1,
		})
		if err != nil {
			s.end(inv, failed(1, fmt.Errorf("recording the start: %w", err)))
			start = false
		} else {
			inv.passes++
			inv.status, inv.details = statusInProgress, statusInProgress
			inv.started, inv.run, inv.rebootAfter = now, p, ""
			p.timer = time.AfterFunc(p.limit, func() { s.timeout(p) })
		}
	}
	s.mu.Unlock()
	if start {
		_, _ = p.gate.WriteString("\n") // it does not matter if the shell was killed and cannot read this
	}
	p.gate.Close()
	if !start {
		waitExit(p.pid)
		_, _ = reapChild(p.pid)
		s.giveBack(inv, p.files)
	}
	return start
}

// timeout ends a pass whose time is up.
func (s *Server) timeout(p *pass) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.inv.run != p || p.inv.over() {
		return
	}
	s.stop(p)
	o := outcome{status: statusTimedOut, details: detailsExecutionTimedOut, code: exitTimedOut}
	if isAgent(p.inv.node) {
		p.inv.verdict = &o // used when the process has ended
		return
	}
	s.end(p.inv, o)
}

// kill sends SIGKILL to the pass's process group. Server.mu is held. reap takes it before a
// child's PID is free, so no other process can have that PID. init reaps an adopted process
// at any time, so kill first checks that one.
func (s *Server) kill(p *pass) {
	if p == nil || p.gone || p.adopted && !s.alive(p) {
		return
	}
	if err := syscall.Kill(-p.pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		s.o.Log.Error("ssmlocal: killing a process group", "pgid", p.pid, "command_id", p.inv.command.id, "err", err)
	}
}

// reap collects the exit code of a child that has ended and, if nothing else
// ended the invocation before, ends it with that.
func (s *Server) reap(p *pass) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ws, err := reapChild(p.pid)
	p.gone = true
	p.timer.Stop()
	inv := p.inv
	inv.run = nil
	if inv.over() {
		return
	}
	if err != nil {
		s.end(inv, failed(-1, err))
		return
	}
	s.exited(inv, ws)
}

// exited ends inv with the exit of its shell, unless that asks for a reboot. Server.mu is
// held.
func (s *Server) exited(inv *invocation, ws syscall.WaitStatus) {
	code := ws.ExitStatus()
	if ws.Signaled() && !isAgent(inv.node) {
		// An agent's sh starts the script as a child, and makes this code of a signal.
		// On this host the shell reads the script itself.
		code = 128 + int(ws.Signal())
	}
	switch code {
	case -1:
		s.end(inv, failed(-1, fmt.Errorf("signal: %v", ws.Signal())))
	case 0, exitSucceed:
		s.end(inv, outcome{status: statusSuccess, details: statusSuccess, code: code})
	case exitTimedOut:
		s.end(inv, outcome{status: statusTimedOut, details: detailsExecutionTimedOut, code: code})
	case exitReboot:
		inv.rebootAfter = s.sys.boot
		if isAgent(inv.node) {
			s.agentOf(inv).reboots++
		}
		s.record(event{Op: "reboot", ID: inv.command.id, T: s.o.Now(), Node: inv.node, Boot: s.sys.boot})
	default:
		s.end(inv, failed(code, fmt.Errorf("exit status %d", code)))
	}
}

// end makes inv terminal, and dispatches its command to further nodes. Server.mu is held.
func (s *Server) end(inv *invocation, o outcome) {
	rebooting := inv.rebootAfter != "" && isAgent(inv.node)
	s.settle(inv, o)
	s.dispatch(inv.command)
	if rebooting {
		a := s.agentOf(inv)
		a.reboots--
		s.work(a)
	}
}

// settle makes inv terminal. Server.mu is held.
func (s *Server) settle(inv *invocation, o outcome) {
	inv.status, inv.details, inv.code, inv.note = o.status, o.details, o.code, o.note
	inv.finished, inv.rebootAfter = s.o.Now(), ""
	if inv.run != nil && inv.run.timer != nil {
		inv.run.timer.Stop()
	}
	s.record(endedEvent(inv))
	s.notify(inv.command, inv)
	if c := inv.command; c.over() {
		if c.expiry != nil {
			c.expiry.Stop()
		}
		s.tellEnded(c)
	}
}

// record appends an event that has happened to the journal. If that fails, it matters only
// after a restart, which then runs the document again.
func (s *Server) record(e event) {
	if err := s.journal.append(e); err != nil {
		s.o.Log.Error("ssmlocal: recording", "op", e.Op, "command_id", e.ID, "err", err)
	}
}

// tellEnded reports a command that is over. Server.mu is held.
func (s *Server) tellEnded(c *command) {
	s.notify(c, nil)
	if s.o.Ended != nil {
		go s.o.Ended(c.id) // Server.mu is held, and the callee may call back
	}
}

// reapChild waits for pid, which has ended.
func reapChild(pid int) (ws syscall.WaitStatus, err error) {
	for {
		_, err = syscall.Wait4(pid, &ws, 0, nil)
		if !errors.Is(err, syscall.EINTR) {
			return ws, err
		}
	}
}
