package ssmlocal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Exit codes that the agent gives a meaning of its own.
const (
	exitReboot   = 194
	exitTimedOut = 137
)

// await is what sh runs before the script: it waits until the pass is in the
// journal, so that no process can run that a later Server does not know of. If
// this process dies first, read fails and the script does not run.
const await = `read -r ssmlocal_go || exit 1; unset ssmlocal_go; umask 022; `

// starter is sh's whole command line for a script. The agent's is the script's
// path alone, so that a shebang counts and sh reads what has none. A script for
// sh is read by this shell, which saves a short command half of its time.
func starter(commands []string) string {
	first, _, _ := strings.Cut(commands[0], "\n")
	if first == "#!/bin/sh" || !strings.HasPrefix(first, "#!") {
		return await + `exec </dev/null; . "$0"`
	}
	return await + `exec "$0" </dev/null`
}

// pass is one run of a document by one process, the leader of its own group.
type pass struct {
	inv     *invocation
	pid     int
	start   string // with pid and boot it names a process for good
	boot    string
	adopted bool // started by an earlier process: not our child

	limit time.Duration // how long it may run
	gate  *os.File      // closed or written to by begin
	files files
	tails []*tail
	timer *time.Timer
	gone  bool // reaped: its PID may be another's
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

// runPass starts inv's document and sees it through to its end.
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

// fork writes the script and starts a shell that waits for begin.
func (s *Server) fork(inv *invocation) (*pass, error) {
	parameters, err := s.withReferences(inv.command.request.Parameters)
	if err != nil {
		return nil, err
	}
	commands := parameters["commands"]
	f, err := s.openFolder(inv, scriptText(commands))
	if err != nil {
		return nil, err
	}
	child, gate, err := os.Pipe()
	if err != nil {
		f.close()
		return nil, err
	}
	workingDirectory := ""
	if values := parameters["workingDirectory"]; len(values) > 0 {
		workingDirectory = values[0]
	}
	pid, err := syscall.ForkExec("/bin/sh", []string{"sh", "-c", starter(commands), filepath.Join(s.folder(inv), "_script.sh")}, &syscall.ProcAttr{
		Dir: workingDirectory, Env: s.environment(inv),
		Files: []uintptr{child.Fd(), f.stdout.Fd(), f.stderr.Fd()},
		Sys:   &syscall.SysProcAttr{Setpgid: true},
	})
	child.Close()
	if err != nil {
		// The agent's words, misleading where the working directory is missing.
		f.close()
		return nil, errors.Join(fmt.Errorf("fork/exec /usr/bin/sh: %w", err), gate.Close())
	}
	p := &pass{inv: inv, pid: pid, boot: s.sys.boot, limit: executionTimeout(parameters), gate: gate, files: f}
	p.start, _ = s.sys.startTime(pid)
	s.follow(p)
	return p, nil
}

func (s *Server) environment(inv *invocation) []string {
	own := []string{
		"SSM_COMMAND_ID=" + inv.command.id,
		"AWS_SSM_INSTANCE_ID=" + inv.node,
		"AWS_SSM_REGION_NAME=" + s.o.Region,
	}
	if dir := s.stateDir(inv.node); dir != "" {
		own = append(own, "AMX_STATE_DIR="+dir)
	}
	env := make([]string, 0, len(s.o.Env)+len(own))
	for _, kv := range s.o.Env {
		name, _, _ := strings.Cut(kv, "=")
		if !slices.ContainsFunc(own, func(o string) bool { return strings.HasPrefix(o, name+"=") }) {
			env = append(env, kv)
		}
	}
	return append(env, own...)
}

// begin records the pass and lets its shell go on, or gets rid of it if the
// invocation was cancelled meanwhile.
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
		_, _ = p.gate.WriteString("\n") // a shell that was killed cannot read it; that is no matter
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
	s.kill(p)
	s.end(p.inv, outcome{status: statusTimedOut, details: detailsExecutionTimedOut, code: exitTimedOut})
}

// kill sends SIGKILL to the pass's process group. Server.mu is held, and reap
// takes it before the PID of a child is free: it cannot be another process's.
// An adopted one is reaped by init whenever it likes, so it is looked at first.
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
	switch code := ws.ExitStatus(); {
	case ws.Signaled(): // by somebody else: our own kills ended it before
		s.end(inv, failed(-1, fmt.Errorf("signal: %v", ws.Signal())))
	case code == 0:
		s.end(inv, outcome{status: statusSuccess, details: statusSuccess})
	case code == exitTimedOut:
		s.end(inv, outcome{status: statusTimedOut, details: detailsExecutionTimedOut, code: code})
	case code == exitReboot:
		inv.rebootAfter = s.sys.boot
		s.record(event{Op: "reboot", ID: inv.command.id, T: s.o.Now(), Node: inv.node, Boot: s.sys.boot})
	default:
		s.end(inv, failed(code, fmt.Errorf("exit status %d", code)))
	}
}

// end makes inv terminal. Server.mu is held.
func (s *Server) end(inv *invocation, o outcome) {
	inv.status, inv.details, inv.code, inv.note = o.status, o.details, o.code, o.note
	inv.finished, inv.rebootAfter = s.o.Now(), ""
	if inv.run != nil && inv.run.timer != nil {
		inv.run.timer.Stop()
	}
	s.record(endedEvent(inv))
	if inv.command.over() {
		s.tellEnded(inv.command)
	}
}

// record appends to the journal what has happened already. If that fails, only
// a restart is the worse for it: it runs the document again.
func (s *Server) record(e event) {
	if err := s.journal.append(e); err != nil {
		s.o.Log.Error("ssmlocal: recording", "op", e.Op, "command_id", e.ID, "err", err)
	}
}

func (s *Server) tellEnded(c *command) {
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
