package ssmlocal

import (
	"slices"
	"time"
)

// An agent runs five commands at a time, and five wait. While five wait, it takes no
// further message, not even a cancellation.
const (
	agentRuns  = 5
	agentWaits = 5
)

// agent is the SSM agent of a node that is not this host. Server.mu guards it.
type agent struct {
	inbox   []message     // messages of SSM, oldest first
	waiting []*invocation // taken, but not begun
	running []*invocation // begun, in this order
	reboots int           // documents that asked for a reboot; nothing begins before it
	life    int           // how often it has crashed
}

// message asks an agent to run inv, or to cancel it.
type message struct {
	inv    *invocation
	cancel bool
}

// isAgent reports whether a node behaves like a machine with an agent. This host does
// not, because its commands have to outlive a crash of this process.
func isAgent(node string) bool { return node != LocalNode }

func (s *Server) agentOf(inv *invocation) *agent {
	a := s.agents[inv.node]
	if a == nil {
		a = &agent{}
		s.agents[inv.node] = a
	}
	return a
}

// post puts a message into the inbox of its node. Server.mu is held.
func (s *Server) post(m message) {
	a := s.agentOf(m.inv)
	a.inbox = append(a.inbox, m)
	s.work(a)
}

// work lets an agent take and begin as many messages as it has room for. Server.mu is
// held.
func (s *Server) work(a *agent) {
	for {
		for len(a.waiting) > 0 && len(a.running) < agentRuns && a.reboots == 0 {
			inv := a.waiting[0]
			a.waiting = a.waiting[1:]
			if inv.over() || inv.status == statusCancelling || s.closed {
				continue
			}
			a.running = append(a.running, inv)
			s.running.Go(func() { s.agentPass(a, a.life, inv) })
		}
		if len(a.inbox) == 0 || len(a.waiting) == agentWaits {
			return
		}
		m := a.inbox[0]
		a.inbox = a.inbox[1:]
		switch {
		case m.inv.over():
		case m.cancel:
			s.cancelOnNode(a, m.inv)
		default:
			a.waiting = append(a.waiting, m.inv)
		}
	}
}

// cancelOnNode cancels on the node as an agent does: it kills a document that runs. A
// document that waits never begins, and the agent does not report that. Server.mu is
// held.
func (s *Server) cancelOnNode(a *agent, inv *invocation) {
	switch {
	case slices.Contains(a.running, inv):
		inv.verdict = &outcome{status: statusCancelled, details: statusCancelled, code: exitTimedOut}
		s.stop(inv.run)
	case inv.rebootAfter != "":
		s.end(inv, outcome{status: statusCancelled, details: statusCancelled, code: exitTimedOut})
	}
}

// askCancel has inv's agent cancel it. If SSM still holds the invocation back, the
// server cancels it itself. Server.mu is held.
func (s *Server) askCancel(inv *invocation) {
	switch {
	case inv.over() || inv.status == statusCancelling:
	case !inv.delivered:
		s.end(inv, outcome{status: statusCancelled, details: statusCancelled, code: -1})
	default:
		inv.status, inv.details = statusCancelling, statusCancelling
		s.record(event{Op: "cancelling", ID: inv.command.id, T: s.o.Now(), Node: inv.node})
		s.post(message{inv: inv, cancel: true})
	}
}

// agentPass runs a document on an agent until its end: until its shell has ended and no
// process holds its output any more.
func (s *Server) agentPass(a *agent, life int, inv *invocation) {
	var p *pass
	if s.agentStart(inv) {
		forked, err := s.fork(inv)
		p = s.agentForked(a, life, inv, forked, err)
	}
	if p != nil {
		s.watch(p)
		waitExit(p.pid)
		p.copying.Wait()
		s.drain(p)
		s.agentReap(p)
		s.giveBack(inv, p.files)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.orphans, p)
	if a.life == life {
		a.running = slices.DeleteFunc(a.running, func(r *invocation) bool { return r == inv })
	}
	s.work(a)
}

// agentStart records that the document starts, unless it was cancelled. It records this
// before the process exists: a later Server does not adopt the process, but must know
// that there may be one.
func (s *Server) agentStart(inv *invocation) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if inv.verdict != nil && !inv.over() {
		s.end(inv, *inv.verdict)
	}
	if inv.over() || s.closed {
		return false
	}
	now := s.o.Now()
	err := s.journal.append(event{
		Op: "started", ID: inv.command.id, T: now, Node: inv.node, Boot: s.sys.boot, Pass: inv.passes + 1,
	})
	if err != nil {
		s.end(inv, failed(1, err))
		return false
	}
	inv.passes++
	inv.status, inv.details = statusInProgress, statusInProgress
	inv.started, inv.rebootAfter = now, ""
	return true
}

// agentForked notes the document's process, and returns it if there is one.
func (s *Server) agentForked(a *agent, life int, inv *invocation, p *pass, err error) *pass {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case a.life != life && err == nil: // the agent crashed meanwhile
		s.orphan(p)
		if s.closed {
			s.kill(p)
		}
	case err != nil && a.life == life && !inv.over():
		s.end(inv, failed(1, err))
	case err == nil:
		inv.run = p
		p.timer = time.AfterFunc(p.limit, func() { s.timeout(p) })
		if inv.verdict != nil || inv.over() {
			s.stop(p)
		}
	}
	return p
}

// agentReap collects the exit code of a document's process.
func (s *Server) agentReap(p *pass) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ws, err := reapChild(p.pid)
	p.gone = true
	inv := p.inv
	if inv.run != p {
		return // its agent has crashed meanwhile
	}
	p.timer.Stop()
	inv.run = nil
	switch {
	case inv.over():
	case inv.verdict != nil:
		s.end(inv, *inv.verdict)
	case err != nil:
		s.end(inv, failed(-1, err))
	default:
		s.exited(inv, ws)
	}
}

// stop kills a pass and closes its output, which a child in a session of its own could
// hold open for ever. Server.mu is held.
func (s *Server) stop(p *pass) {
	if p != nil {
		s.kill(p)
		p.letGo()
	}
}

// orphan leaves a process to itself. Server.mu is held.
func (s *Server) orphan(p *pass) {
	s.orphans[p] = true
	if p.timer != nil {
		p.timer.Stop()
	}
	for _, t := range p.tails {
		t.left.Store(true)
	}
	p.letGo()
}

// CrashAgents acts as if all processes of the agents on these nodes had died and
// started again. Documents that run end Failed, with code 1, although their scripts
// may go on. With Options.AgentsRepeat they run again instead. Documents that wait
// stay in line. Tests of other packages call it.
func (s *Server) CrashAgents(nodes ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, node := range nodes {
		a := s.agents[node]
		if a == nil {
			continue
		}
		died := a.running
		a.running, a.life = nil, a.life+1
		for _, inv := range died {
			if inv.run != nil {
				s.orphan(inv.run)
			}
			inv.run, inv.verdict = nil, nil
			s.afterCrash(inv)
		}
		s.work(a)
	}
}

// afterCrash continues a document that ran when its agent died. Server.mu is held.
func (s *Server) afterCrash(inv *invocation) {
	switch {
	case inv.over():
	case s.o.AgentsRepeat && inv.passes <= maxReruns:
		s.post(message{inv: inv})
	default:
		s.end(inv, outcome{status: statusFailed, details: statusFailed, code: 1, note: "document process failed unexpectedly"})
	}
}
