package ssmlocal

import (
	"fmt"
	"time"
)

// maxReruns is how often the agent starts a document again that was in
// progress when it was restarted.
const maxReruns = 15

// load restores the commands from the journal, compacts it, and continues the commands
// that were in progress.
func (s *Server) load() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := readJournal(s.o.Dir, s.replay, func(line int, err error) {
		s.o.Log.Warn("ssmlocal: skipping a line of the journal that cannot be read", "line", line, "err", err)
	})
	if err != nil {
		return err
	}
	s.dropOld()
	s.sweep()
	if s.journal, err = writeJournal(s.o.Dir, s.order); err != nil {
		return err
	}
	for _, c := range s.order {
		for _, inv := range c.invocations {
			s.resume(inv)
		}
		s.dispatch(c)
		s.armExpiry(c)
	}
	return nil
}

// replay repeats one event. It ignores lines of a command whose first line was lost.
func (s *Server) replay(e event) {
	if e.Op == "sent" && e.Request != nil && e.Request.DocumentName != nil {
		s.add(newCommand(e.ID, e.Seq, e.T, e.Request, e.Nodes))
		return
	}
	c := s.commands[e.ID]
	if c == nil {
		return
	}
	inv := c.invocation(e.Node)
	if inv == nil {
		return
	}
	switch e.Op {
	case "started":
		inv.status, inv.details = statusInProgress, statusInProgress
		inv.started, inv.passes, inv.rebootAfter = e.T, e.Pass, ""
		inv.run = &pass{inv: inv, pid: e.PID, start: e.Start, boot: e.Boot, adopted: true}
	case "cancelling":
		inv.status, inv.details = statusCancelling, statusCancelling
	case "reboot":
		inv.rebootAfter, inv.run = e.Boot, nil
	case "ended":
		inv.status, inv.details, inv.code, inv.note = e.Status, e.Details, e.Code, e.Note
		inv.finished, inv.rebootAfter, inv.run = e.T, "", nil
	}
}

// resume continues an invocation that an earlier process left.
func (s *Server) resume(inv *invocation) {
	p := inv.run
	inv.delivered = inv.passes > 0 || inv.status == statusCancelling
	switch {
	case inv.over() || !inv.delivered:
	case isAgent(inv.node):
		inv.run = nil
		s.resumeOnNode(inv)
	case inv.rebootAfter != "" && inv.rebootAfter == s.sys.boot: // it still waits for the reboot
	case p != nil && s.alive(p):
		s.adopt(p)
	default:
		inv.run = nil
		s.again(inv)
	}
}

// resumeOnNode does the same for an invocation of an agent, which has started again with
// this process. Server.mu is held.
func (s *Server) resumeOnNode(inv *invocation) {
	switch {
	case inv.rebootAfter != "" && inv.rebootAfter == s.sys.boot:
		s.agentOf(inv).reboots++
	case inv.rebootAfter != "":
		inv.rebootAfter = ""
		s.post(message{inv: inv})
	case inv.passes > 0:
		s.afterCrash(inv)
	}
}

// adopt takes over a process that an earlier Server started.
func (s *Server) adopt(p *pass) {
	inv := p.inv
	if s.o.Output != nil {
		dir := s.folder(inv)
		var err error
		if p.files.stdout, err = openOutput(dir, "stdout", 0); err == nil {
			p.files.stderr, err = openOutput(dir, "stderr", 0)
		}
		if err != nil {
			s.o.Log.Warn("ssmlocal: following an adopted command", "command_id", inv.command.id, "err", err)
		} else {
			s.follow(p)
		}
	}
	parameters, err := s.withReferences(inv.command.request.Parameters)
	if err != nil { // the referenced parameter has changed since the start
		parameters = inv.command.request.Parameters
	}
	left := inv.started.Add(executionTimeout(parameters)).Sub(s.o.Now())
	p.timer = time.AfterFunc(left, func() { s.timeout(p) })
	s.running.Add(1)
	s.watch(p)
}

// adoptedEnded handles the end of an adopted process. Its exit code went to init. So,
// unless the invocation was ended meanwhile, the document runs again, and its guard returns
// the exit code of the first pass.
func (s *Server) adoptedEnded(p *pass) {
	defer s.running.Done()
	s.mu.Lock()
	defer s.mu.Unlock()
	p.files.close()
	p.gone = true
	p.timer.Stop()
	p.inv.run = nil
	if !p.inv.over() {
		s.again(p.inv)
	}
}

// again starts a document that was interrupted.
func (s *Server) again(inv *invocation) {
	switch {
	case inv.passes > maxReruns:
		s.end(inv, failed(1, fmt.Errorf("interrupted %d times", inv.passes)))
	default:
		s.running.Go(func() { s.runPass(inv) })
	}
}

// alive reports whether p's process runs, and is not another one with the same PID.
func (s *Server) alive(p *pass) bool {
	if p.start == "" || p.boot != s.sys.boot {
		return false
	}
	start, ok := s.sys.startTime(p.pid)
	return ok && start == p.start
}
