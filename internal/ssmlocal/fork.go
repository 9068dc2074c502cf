package ssmlocal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// await is the code that sh runs before the script. It waits until the pass is in the
// journal, so that a later Server knows of every process that runs. If this process dies
// first, read fails and the script does not run.
const await = `read -r ssmlocal_go || exit 1; unset ssmlocal_go; umask 022; `

// starter is the command line for sh. The agent's is only the script's path, so that its
// shebang decides, and sh reads a script without one. Here this same shell reads a script
// for sh, which saves a short command half of its time.
func starter(commands []string) string {
	first, _, _ := strings.Cut(commands[0], "\n")
	if first == "#!/bin/sh" || !strings.HasPrefix(first, "#!") {
		return await + `exec </dev/null; . "$0"`
	}
	return await + `exec "$0" </dev/null`
}

// agentStarter replaces itself with the agent's command line, sh -c and the script's path,
// under the agent's umask.
const agentStarter = `umask 022; exec sh -c "$1"`

// shellWord quotes a path for sh. The agent's own paths do not need that.
func shellWord(path string) string {
	if plainPath.MatchString(path) {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

var plainPath = whole(`[\w@%+=:,./-]+`)

// fork writes the script and starts its shell. On this host the shell waits for begin; on
// an agent it begins at once.
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
	if failure != nil { // the agent's words; they mislead if the working directory is missing
		return fmt.Errorf("fork/exec /usr/bin/sh: %w", failure)
	}
	return nil
}

// workingDirectory is the parameter. The agent ignores a relative path that does not
// exist, and so does this.
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
