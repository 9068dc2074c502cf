package ssmexec

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
)

// shells are what stands behind /bin/sh on the nodes: Debian and Ubuntu have
// dash, Amazon Linux and Red Hat have bash under the name of sh.
var shells = []struct {
	name string
	argv []string
}{
	{"dash", []string{"dash"}},
	{"bash", []string{"bash"}},
	{"bash as sh", []string{"bash", "--posix"}},
	{"busybox", []string{"busybox", "sh"}},
}

// eachShell runs a test with every shell that this machine has.
func eachShell(t *testing.T, f func(t *testing.T, n *node)) {
	for _, sh := range shells {
		t.Run(sh.name, func(t *testing.T) {
			t.Parallel()
			path, err := exec.LookPath(sh.argv[0])
			if err != nil {
				t.Skipf("no %s on this machine", sh.argv[0])
			}
			f(t, newNode(t, append([]string{path}, sh.argv[1:]...)))
		})
	}
}

// A node is where scripts run: state directories of its own, and one shell.
type node struct {
	shell       []string
	state, full string // the state directory, and the one for when its disk is full
	work        string
	as          *syscall.Credential // nil: as the test
	env         []string
}

func newNode(t *testing.T, shell []string) *node {
	t.Helper()
	dir, err := os.MkdirTemp("", "amx-node-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { // for those who are not the test's own user
		t.Fatal(err)
	}
	n := &node{shell: shell, state: filepath.Join(dir, "state"), full: filepath.Join(dir, "run-amx"), work: filepath.Join(dir, "work")}
	if err := os.Mkdir(n.work, 0o777); err != nil {
		t.Fatal(err)
	}
	n.env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + n.work, "AMX_STATE_DIR=" + n.state}
	return n
}

const (
	runA = "01JD8Z5T3M6Q9W2X4Y7B0C1D2E"
	cmd0 = "00000000-0000-4000-8000-00000000000a"
	cmd1 = "00000000-0000-4000-8000-00000000000b"
	cmd2 = "00000000-0000-4000-8000-00000000000c"
)

var tokenA = Token{Entry: "3f2a9c0d1e2b4a5c", Run: runA, Chunks: 1, Command: "restart"}

// runOf is the script of run A, which runs text with sh.
func runOf(t testing.TB, text string) string {
	t.Helper()
	return commandScript(t, &amx.Command{Name: "restart", Cmd: "sh", Args: []string{"-c", text}})
}

func commandScript(t testing.TB, c *amx.Command) string {
	t.Helper()
	execute, err := sh{}.execution(c, c.Args)
	if err != nil {
		t.Fatal(err)
	}
	return sh{}.script(tokenA, "", execute)
}

// A pass is one pass of a script over a node.
type pass struct {
	t      *testing.T
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr bytes.Buffer
}

// start begins a pass under a command ID; "" is an agent that tells none.
func (n *node) start(t *testing.T, commandID, text string) *pass {
	t.Helper()
	f, err := os.CreateTemp(filepath.Dir(n.work), "script-")
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString(strings.ReplaceAll(text, "/run/amx", n.full))
	if err = errors.Join(err, f.Chmod(0o755), f.Close()); err != nil {
		t.Fatal(err)
	}
	p := &pass{t: t, cmd: exec.Command(n.shell[0], append(n.shell[1:], f.Name())...)}
	p.cmd.Dir, p.cmd.Env, p.cmd.Stderr = n.work, n.env, &p.stderr
	if commandID != "" {
		p.cmd.Env = append(slices.Clip(p.cmd.Env), "SSM_COMMAND_ID="+commandID)
	}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: n.as}
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// A test that hangs is ended, not waited for.
	guard := time.AfterFunc(time.Minute, p.kill)
	t.Cleanup(func() { guard.Stop() })
	return p
}

// line is the next line of the output.
func (p *pass) line() string {
	p.t.Helper()
	line, err := p.out.ReadString('\n')
	if err != nil {
		p.t.Fatalf("waiting for a line of output: %v; standard error: %s", err, &p.stderr)
	}
	return strings.TrimSuffix(line, "\n")
}

// kill is what the agent does at a cancellation, at a timeout, and when it is
// itself killed with its children.
func (p *pass) kill() { _ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) }

// end closes the command's input and waits until nobody has its output open.
func (p *pass) end() (output string, code int) {
	p.t.Helper()
	_ = p.in.Close()
	rest, err := io.ReadAll(p.out)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Wait(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		p.t.Fatal(err)
	}
	return string(rest), p.cmd.ProcessState.ExitCode()
}

// run is a whole pass.
func (n *node) run(t *testing.T, commandID, text string) (output string, code int) {
	t.Helper()
	return n.start(t, commandID, text).end()
}

func (n *node) wantRun(t *testing.T, commandID, text, output string, code int) {
	t.Helper()
	p := n.start(t, commandID, text)
	if got, gotCode := p.end(); got != output || gotCode != code {
		t.Errorf("printed %q, exit %d; standard error: %s\nwant %q, exit %d", got, gotCode, &p.stderr, output, code)
	}
}

// effects is how often the command wrote a line into the file `effects`.
func (n *node) effects(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(n.work, "effects"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return bytes.Count(b, []byte("\n"))
}

func (n *node) wantEffects(t *testing.T, want int) {
	t.Helper()
	if got := n.effects(t); got != want {
		t.Errorf("the command ran %d times, want %d", got, want)
	}
}

// touch sets the time at which files were changed.
func touch(t *testing.T, when string, names ...string) {
	t.Helper()
	if out, err := exec.Command("touch", append([]string{"-h", "-d", when}, names...)...).CombinedOutput(); err != nil {
		t.Fatalf("touch: %v: %s", err, out)
	}
}
