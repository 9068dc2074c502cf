package ssmexec

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/amx-lambda/amx/internal/amx"
)

// trapped ends with exit 9 at a SIGTERM, which it counts as an effect.
const trapped = `trap 'echo x >>effects; exit 9' TERM; echo started; read -r line; exit 5`

func TestTheSignalReachesTheProcessOnce(t *testing.T) {
	eachShell(t, func(t *testing.T, n *node) {
		first := n.start(t, cmd0, runOf(t, trapped))
		first.line()
		text := signaller(tokenA, "TERM")
		out, code := n.run(t, cmd1, text)
		if !strings.HasPrefix(out, "amx: sent SIGTERM to process ") || code != 0 {
			t.Errorf("printed %q, exit %d", out, code)
		}
		again := n.start(t, cmd2, text)
		if out, code := again.end(); out != "amx: signalled before\n" || code != 0 || again.stderr.Len() > 0 {
			t.Errorf("a second signal printed %q and %q, exit %d", out, &again.stderr, code)
		}
		if _, code := first.end(); code != 9 {
			t.Errorf("the command ended with exit %d, want 9", code)
		}
		n.wantRun(t, cmd2, text, "amx: signalled before\n", 0)
		n.wantEffects(t, 1)
		n.wantRun(t, cmd1, runOf(t, trapped), "amx: already run here, exit 9\n", 9)
	})
}

func TestASignalBeforeTheRunKeepsItFromStarting(t *testing.T) {
	eachShell(t, func(t *testing.T, n *node) {
		n.wantRun(t, cmd1, signaller(tokenA, "TERM"), "amx: not started here, and will not be\n", 0)
		n.wantRun(t, cmd0, runOf(t, once("0")), "amx: already run here, exit 143\n", 143)
		n.wantRun(t, cmd2, signaller(tokenA, "TERM"), "amx: not running here\n", 0)
		n.wantEffects(t, 0)
	})
}

// The pass has taken the guard, and its process is not recorded yet.
func TestASignalBetweenTheGuardAndTheProcess(t *testing.T) {
	eachShell(t, func(t *testing.T, n *node) {
		text := strings.Replace(runOf(t, once("0")), "\n(\n", "\necho taken; read -r amx_go\n(\n", 1)
		first := n.start(t, cmd0, text)
		first.line()
		n.wantRun(t, cmd1, signaller(tokenA, "TERM"), "amx: not running here\n", 0)
		if out, code := first.end(); out != "" || code != 143 {
			t.Errorf("the run printed %q, exit %d, want nothing and exit 143", out, code)
		}
		n.wantEffects(t, 0)
	})
}

func TestASignalWhileARebootIsAwaited(t *testing.T) {
	eachShell(t, func(t *testing.T, n *node) {
		text := runOf(t, "echo x >>effects; exit 194")
		n.wantRun(t, cmd0, text, "", 194)
		n.wantRun(t, cmd1, signaller(tokenA, "TERM"), "amx: not running here\n", 0)
		n.wantRun(t, cmd0, text, "", 143)
		n.wantEffects(t, 1)
	})
}

func TestASignalAfterTheEnd(t *testing.T) {
	eachShell(t, func(t *testing.T, n *node) {
		n.wantRun(t, cmd0, runOf(t, once("0")), "done\n", 0)
		n.wantRun(t, cmd1, signaller(tokenA, "TERM"), "amx: not running here\n", 0)
	})
}

func TestASignalSparesWhoeverHasTheNumberNow(t *testing.T) {
	eachShell(t, func(t *testing.T, n *node) {
		other := exec.Command("sh", "-c", "echo started; read -r line; exit 7")
		in, err := other.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := other.Start(); err != nil {
			t.Fatal(err)
		}
		first := n.start(t, cmd0, runOf(t, held))
		first.line()
		first.kill()
		first.end()
		record := filepath.Join(n.state, "runs", runA+".pid")
		b, err := os.ReadFile(record)
		if err != nil {
			t.Fatal(err)
		}
		f := strings.Fields(string(b))
		f[0], f[1] = strconv.Itoa(other.Process.Pid), "1"+f[1] // it began later
		if err := os.WriteFile(record, []byte(strings.Join(f, " ")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		n.wantRun(t, cmd1, signaller(tokenA, "TERM"), "amx: not running here\n", 0)
		in.Close()
		if err := other.Wait(); err == nil || other.ProcessState.ExitCode() != 7 {
			t.Errorf("the other process: %v, want exit 7", err)
		}
	})
}

// Every name that a configuration may have is one that each shell knows.
func TestEverySignalHasANameInEveryShell(t *testing.T) {
	var names []string
	for number := 1; number <= 31; number++ {
		c, err := amx.ParseConfig("amx.yaml", fmt.Appendf(nil, "commands: [{cmd: a, resolved_signal: %d}]", number))
		if err != nil {
			t.Fatal(err)
		}
		text := signaller(tokenA, strings.TrimPrefix(c.Commands[0].ResolvedSignal, "SIG"))
		_, after, _ := strings.Cut(text, "amx_signal=")
		name, _, _ := strings.Cut(after, "\n")
		names = append(names, name)
	}
	eachShell(t, func(t *testing.T, n *node) {
		for number, name := range names {
			out, code := n.run(t, cmd0, fmt.Sprintf("sleep 60 & kill -s %s $!; echo $?; kill -s KILL $! 2>/dev/null; exit 0\n", name))
			if out != "0\n" || code != 0 {
				t.Errorf("kill -s %s (%d): printed %q, exit %d", name, number+1, out, code)
			}
		}
	})
}

func TestAnotherUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root runs commands as somebody else")
	}
	nobody := &amx.Command{Cmd: "sh", User: "nobody", Args: []string{
		"-c", `echo "$(id -un) $USER $LOGNAME $HOME <$AMX_LABEL_a> <$1> $(cut -d' ' -f5 /proc/$$/stat)"; read -r line; exit 5`, "sh", "-x y",
	}}
	eachShell(t, func(t *testing.T, n *node) {
		for _, hidden := range [][]string{nil, {"setpriv"}, {"setpriv", "runuser"}, {"setpriv", "runuser", "sudo"}} {
			n := newNode(t, n.shell)
			n.without(t, hidden...)
			text := strings.Replace(commandScript(t, nobody), "amx_run=", "export AMX_LABEL_a='x  y'\namx_run=", 1)
			p := n.start(t, cmd0, text)
			got := p.line()
			want := fmt.Sprintf("nobody nobody nobody /nonexistent <x  y> <-x y> %d", p.cmd.Process.Pid)
			if got != want {
				t.Errorf("without %v it printed %q, want %q, the last being its process group", hidden, got, want)
			}
			if _, code := p.end(); code != 5 {
				t.Errorf("without %v it ended with exit %d, want 5", hidden, code)
			}
		}
	})
}

func TestAnotherUserWhoCannotBe(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root runs commands as somebody else")
	}
	eachShell(t, func(t *testing.T, n *node) {
		p := n.start(t, cmd0, commandScript(t, &amx.Command{Cmd: "true", User: "no-such-user"}))
		if _, code := p.end(); code != 126 || !strings.Contains(p.stderr.String(), "no such user") && !strings.Contains(p.stderr.String(), "unknown user") {
			t.Errorf("exit %d, standard error %q", code, &p.stderr)
		}
		n = newNode(t, n.shell)
		n.without(t, "setpriv", "runuser", "sudo", "su")
		p = n.start(t, cmd0, commandScript(t, &amx.Command{Cmd: "true", User: "nobody"}))
		want := "amx: no way to run as nobody: this node has none of setpriv, runuser, sudo and su\n"
		if _, code := p.end(); code != 126 || p.stderr.String() != want {
			t.Errorf("exit %d, standard error %q, want %q", code, &p.stderr, want)
		}
	})
}

// programs are all that the scripts and these tests call.
var programs = []string{
	"sh", "id", "getent", "cut", "ln", "mkdir", "readlink", "touch", "rm", "mv", "find", "grep", "sleep", "true", "env", "base64", "gzip",
	"setpriv", "runuser", "sudo", "su",
}

// without gives the node a PATH that lacks some of them.
func (n *node) without(t *testing.T, hidden ...string) {
	t.Helper()
	dir := filepath.Join(filepath.Dir(n.work), "bin")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, p := range programs {
		if path, err := exec.LookPath(p); err == nil && !slices.Contains(hidden, p) {
			if err := os.Symlink(path, filepath.Join(dir, p)); err != nil {
				t.Fatal(err)
			}
		}
	}
	n.env[0] = "PATH=" + dir
}
