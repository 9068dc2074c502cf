package ssmlocal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Exit codes that the agent gives a meaning of its own.
const (
	exitReboot   = 194
	exitTimedOut = 137
	exitSucceed  = 168 // a success, and of a document with several steps the last one
	exitFail     = 169 // the same of a failure
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

// agentStarter becomes the agent's whole command line, sh -c and the script's
// path, under the agent's umask.
const agentStarter = `umask 022; exec sh -c "$1"`

// shellWord is a path as sh reads it. The agent's own have no character that
// needs it.
func shellWord(path string) string {
	if plainPath.MatchString(path) {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

var plainPath = whole(`[\w@%+=:,./-]+`)

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

	pipes   []*os.File     // an agent's ends of the output, read into files
	copying sync.WaitGroup // those who read them
	gone    bool           // reaped: its PID may be another's
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

// fork writes the script and starts its shell. On this host it waits for begin;
// an agent's begins at once.
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
	p := &pass{inv: inv, boot: s.sys.boot, limit: executionTimeout(parameters), files: f}
	name := filepath.Join(s.folder(inv), "_script.sh")
	if isAgent(inv.node) {
		err = p.forkAgents(name, workingDirectory(parameters), s.environment(inv))
	} else {
		err = p.forkHosts(commands, name, workingDirectory(parameters), s.environment(inv))
	}
	if err != nil {
		p.letGo()
		p.copying.Wait()
		f.close()
		return nil, err
	}
	p.start, _ = s.sys.startTime(p.pid)
	s.follow(p)
	return p, nil
}

// forkHosts starts the shell that waits for begin, with files for its output.
func (p *pass) forkHosts(commands []string, name, dir string, env []string) error {
	child, gate, err := os.Pipe()
	if err != nil {
		return err
	}
	defer child.Close()
	if err := p.forkShell([]string{"sh", "-c", starter(commands), name}, dir, env, child, p.files.stdout, p.files.stderr); err != nil {
		return errors.Join(err, gate.Close())
	}
	p.gate = gate
	return nil
}

// forkAgents starts the shell as the agent does, with pipes for its output.
func (p *pass) forkAgents(name, dir string, env []string) error {
	input, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer input.Close()
	stdout, err := p.pipe(p.files.stdout)
	if err != nil {
		return err
	}
	defer stdout.Close()
	stderr, err := p.pipe(p.files.stderr)
	if err != nil {
		return err
	}
	defer stderr.Close()
	return p.forkShell([]string{"sh", "-c", agentStarter, "sh", shellWord(name)}, dir, env, input, stdout, stderr)
}

func (p *pass) forkShell(argv []string, dir string, env []string, in, out, err *os.File) (failure error) {
	p.pid, failure = syscall.ForkExec("/bin/sh", argv, &syscall.ProcAttr{
		Dir: dir, Env: env,
		Files: []uintptr{in.Fd(), out.Fd(), err.Fd()},
		Sys:   &syscall.SysProcAttr{Setpgid: true},
	})
	if failure != nil { // the agent's words, misleading where the working directory is missing
		return fmt.Errorf("fork/exec /usr/bin/sh: %w", failure)
	}
	return nil
}

// workingDirectory is the parameter, unless it is a relative path to nothing:
// that the agent ignores.
func workingDirectory(parameters map[string][]string) string {
	values := parameters["workingDirectory"]
	if len(values) == 0 {
		return ""
	}
	if _, err := os.Stat(values[0]); !filepath.IsAbs(values[0]) && errors.Is(err, os.ErrNotExist) {
		return ""
	}
	return values[0]
}

func (s *Server) environment(inv *invocation) []string {
	own := []string{
		"SSM_COMMAND_ID=" + inv.command.id,
		"AWS_SSM_INSTANCE_ID=" + inv.node,
		"AWS_SSM_REGION_NAME=" + s.o.Region,
		"AWS_SSM_PLATFORM_NAME=" + s.sys.platform,
		"AWS_SSM_PLATFORM_VERSION=" + s.sys.version,
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
	s.stop(p)
	o := outcome{status: statusTimedOut, details: detailsExecutionTimedOut, code: exitTimedOut}
	if isAgent(p.inv.node) {
		p.inv.verdict = &o // for when the process is gone
		return
	}
	s.end(p.inv, o)
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
	s.exited(inv, ws)
}

// exited ends inv as its shell ended, unless that asks for a reboot. Server.mu
// is held.
func (s *Server) exited(inv *invocation, ws syscall.WaitStatus) {
	code := ws.ExitStatus()
	if ws.Signaled() && !isAgent(inv.node) {
		// An agent's sh starts the script as a child, and this is what it makes of
		// the child's end. On this host the script is read by that shell itself.
		code = 128 + int(ws.Signal())
	}
	switch {
	case code == -1:
		s.end(inv, failed(-1, fmt.Errorf("signal: %v", ws.Signal())))
	case code == 0 || code == exitSucceed:
		s.end(inv, outcome{status: statusSuccess, details: statusSuccess, code: code})
	case code == exitTimedOut:
		s.end(inv, outcome{status: statusTimedOut, details: detailsExecutionTimedOut, code: code})
	case code == exitReboot:
		inv.rebootAfter = s.sys.boot
		if isAgent(inv.node) {
			s.agentOf(inv).reboots++
		}
		s.record(event{Op: "reboot", ID: inv.command.id, T: s.o.Now(), Node: inv.node, Boot: s.sys.boot})
	default:
		s.end(inv, failed(code, fmt.Errorf("exit status %d", code)))
	}
}

// end makes inv terminal, and lets its command go on to other nodes. Server.mu
// is held.
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

// record appends to the journal what has happened already. If that fails, only
// a restart is the worse for it: it runs the document again.
func (s *Server) record(e event) {
	if err := s.journal.append(e); err != nil {
		s.o.Log.Error("ssmlocal: recording", "op", e.Op, "command_id", e.ID, "err", err)
	}
}

// tellEnded tells of a command that is over. Server.mu is held.
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
