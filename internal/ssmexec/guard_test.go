package ssmexec

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/amx-lambda/amx/internal/amx"
)

// once writes an effect and ends with a code; held also says that it runs, and
// then waits for the end of its input.
func once(code string) string { return "echo x >>effects; echo done; exit " + code }

const held = "echo x >>effects; echo started; read -r line; exit 5"

func TestASecondPassReportsTheFirst(t *testing.T) {
	eachShell(t, func(t *testing.T, n *node) {
		for _, code := range []string{"0", "3", "127", "255"} {
			n := newNode(t, n.shell)
			text := runOf(t, once(code))
			want := map[string]int{"0": 0, "3": 3, "127": 127, "255": 255}[code]
			n.wantRun(t, cmd0, text, "done\n", want)
			n.wantRun(t, cmd1, text, "amx: already run here, exit "+code+"\n", want)
			n.wantRun(t, cmd0, text, "amx: already run here, exit "+code+"\n", want)
			n.wantRun(t, "", text, "amx: already run here, exit "+code+"\n", want)
			n.wantEffects(t, 1)
		}
	})
}

func TestASecondPassGivesWayToTheOneThatRuns(t *testing.T) {
	eachShell(t, func(t *testing.T, n *node) {
		text := runOf(t, held)
		first := n.start(t, cmd0, text)
		if got := first.line(); got != "started" {
			t.Fatalf("the first pass printed %q", got)
		}
		n.wantRun(t, cmd1, text, "amx: runs here: "+cmd0+"\n", 0)
		n.wantRun(t, cmd0, text, "amx: runs here: "+cmd0+"\n", 0)
		if _, code := first.end(); code != 5 {
			t.Errorf("the first pass ended with exit %d, want 5", code)
		}
		n.wantRun(t, cmd1, text, "amx: already run here, exit 5\n", 5)
		n.wantEffects(t, 1)
	})
}

// cutOff begins a run's first pass and kills it once its command has begun. It
// answers the script.
func (n *node) cutOff(t *testing.T, owner string) string {
	t.Helper()
	text := runOf(t, held)
	first := n.start(t, owner, text)
	first.line()
	first.kill()
	first.end()
	return text
}

func TestCounterexample11APassThatWasCutOffIsNotRepeated(t *testing.T) {
	eachShell(t, func(t *testing.T, n *node) {
		for _, owner := range []string{cmd0, ""} {
			n := newNode(t, n.shell)
			text := n.cutOff(t, owner)
			n.wantRun(t, owner, text, "amx: already run here, exit 1\n", 1)
			n.wantRun(t, cmd1, text, "amx: already run here, exit 1\n", 1)
			n.wantEffects(t, 1)
		}
	})
}

// The agent may be killed and leave the command behind.
func TestACommandThatOutlivesItsShellStillRuns(t *testing.T) {
	eachShell(t, func(t *testing.T, n *node) {
		text := runOf(t, held)
		first := n.start(t, cmd0, text)
		first.line()
		if err := first.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_, _ = first.cmd.Process.Wait()
		n.wantRun(t, cmd0, text, "amx: runs here: "+cmd0+"\n", 0)
		first.kill()
	})
}

func TestExit194RunsAgainAfterTheReboot(t *testing.T) {
	eachShell(t, func(t *testing.T, n *node) {
		text := runOf(t, "echo x >>effects; [ -e rebooted ] && exit 4; touch rebooted; exit 194")
		n.wantRun(t, cmd0, text, "", 194)
		n.wantRun(t, cmd1, text, "amx: runs here: "+cmd0+"\n", 0)
		n.wantRun(t, "", text, "amx: runs here: "+cmd0+"\n", 0)
		n.wantEffects(t, 1)
		n.wantRun(t, cmd0, text, "", 4)
		n.wantEffects(t, 2)
		n.wantRun(t, cmd0, text, "amx: already run here, exit 4\n", 4)
		n.wantRun(t, cmd1, text, "amx: already run here, exit 4\n", 4)
		n.wantEffects(t, 2)
	})
}

// AMX_TEST_PASSES in the environment asks for more of them than a test run should
// take.
func TestTwoPassesAtOneInstantHaveOneEffect(t *testing.T) {
	rounds := 40
	_, _ = fmt.Sscan(os.Getenv("AMX_TEST_PASSES"), &rounds)
	eachShell(t, func(t *testing.T, n *node) {
		for ids, one := range map[[2]string]int{{cmd0, cmd1}: 1, {cmd0, cmd0}: 10, {"", ""}: 10} { // one in so many
			for range max(1, rounds/one) {
				n := newNode(t, n.shell)
				oneEffect(t, n, ids)
				os.RemoveAll(filepath.Dir(n.work))
			}
		}
	})
}

func oneEffect(t *testing.T, n *node, ids [2]string) {
	t.Helper()
	text := "read -r amx_go\n" + runOf(t, once("6"))
	passes := [2]*pass{n.start(t, ids[0], text), n.start(t, ids[1], text)}
	var outputs [2]string
	var codes [2]int
	var wg sync.WaitGroup
	for i, p := range passes {
		wg.Go(func() { outputs[i], codes[i] = p.end() })
	}
	wg.Wait()
	n.wantEffects(t, 1)
	winner := 0
	if codes[1] == 6 && outputs[1] == "done\n" {
		winner = 1
	}
	other := 1 - winner
	elsewhere := codes[other] == 0 && strings.HasPrefix(outputs[other], "amx: runs here: "+ids[winner])
	reported := codes[other] == 6 && outputs[other] == "amx: already run here, exit 6\n"
	if codes[winner] != 6 || outputs[winner] != "done\n" || !elsewhere && !reported {
		t.Errorf("printed %q, exit %d, and %q, exit %d", outputs[0], codes[0], outputs[1], codes[1])
	}
}

func TestEachRunHasAGuardOfItsOwn(t *testing.T) {
	eachShell(t, func(t *testing.T, n *node) {
		text := runOf(t, once("0"))
		n.wantRun(t, cmd0, text, "done\n", 0)
		n.wantRun(t, cmd1, strings.ReplaceAll(text, runA, "01JD8Z5T3M6Q9W2X4Y7B0C1D2F"), "done\n", 0)
		n.wantEffects(t, 2)
	})
}

func TestTheStateDirectoryIsClosedAndPruned(t *testing.T) {
	eachShell(t, func(t *testing.T, n *node) {
		n.wantRun(t, cmd0, runOf(t, "umask"), "0022\n", 0)
		runs := filepath.Join(n.state, "runs")
		if info, err := os.Stat(runs); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("the state directory: %v, %v, want mode 0700", info.Mode(), err)
		}
		old := filepath.Join(runs, "01JD000000000000000000000A")
		recent := filepath.Join(runs, "01JD000000000000000000000B")
		for _, name := range []string{old, old + ".pid", recent} {
			if err := os.WriteFile(name, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		touch(t, "8 days ago", old, old+".pid")
		touch(t, "6 days ago", recent)
		n.wantRun(t, cmd0, strings.ReplaceAll(runOf(t, "exit 0"), runA, "01JD8Z5T3M6Q9W2X4Y7B0C1D20"), "", 0)
		for name, want := range map[string]bool{old: false, old + ".pid": false, recent: true} {
			if _, err := os.Lstat(name); (err == nil) != want {
				t.Errorf("%s is there: %v, want %v", filepath.Base(name), err == nil, want)
			}
		}
	})
}

func TestWhatTheCommandSees(t *testing.T) {
	eachShell(t, func(t *testing.T, n *node) {
		n.env = append(n.env, "KEPT=a b")
		n.wantRun(t, cmd0, runOf(t, `echo "${AMX_STATE_DIR-none} $KEPT $SSM_COMMAND_ID"; env | grep -ci '^amx_'`),
			"none a b "+cmd0+"\n0\n", 1)
	})
}

func TestHomeIsSetWhereTheAgentHasNone(t *testing.T) {
	eachShell(t, func(t *testing.T, n *node) {
		home := n.work
		n.wantRun(t, cmd0, runOf(t, `echo "$HOME"`), home+"\n", 0)
		for _, env := range []string{"", "HOME="} {
			n := newNode(t, n.shell)
			n.env = []string{n.env[0], n.env[2], env}
			out, code := n.run(t, cmd0, runOf(t, `[ -d "$HOME" ] && env | grep -c ^HOME=/`))
			if out != "1\n" || code != 0 {
				t.Errorf("with %q in the environment: %q, exit %d", env, out, code)
			}
		}
	})
}

func TestTheExitCodeIsTheCommands(t *testing.T) {
	eachShell(t, func(t *testing.T, n *node) {
		for _, tt := range []struct {
			command *amx.Command
			code    int
		}{
			{&amx.Command{Cmd: "no-such-program"}, 127},
			{&amx.Command{Cmd: "/etc/passwd"}, 126},
			{&amx.Command{Cmd: "true"}, 0},
			{&amx.Command{Cmd: "sh", Args: []string{"-c", `kill -TERM $$`}}, 143},
			{&amx.Command{Name: "s", Shell: "sh", Script: "set -e\nfalse\nexit 0"}, 1},
			{&amx.Command{Name: "s", Shell: "bash", Script: `[[ a == a ]] && exit 9`}, 9},
		} {
			n := newNode(t, n.shell)
			text := commandScript(t, tt.command)
			if _, code := n.run(t, cmd0, text); code != tt.code {
				t.Errorf("%q ended with exit %d, want %d", tt.command.Cmd+tt.command.Script, code, tt.code)
			}
			if _, code := n.run(t, cmd1, text); code != tt.code {
				t.Errorf("%q, asked again, ended with exit %d, want %d", tt.command.Cmd+tt.command.Script, code, tt.code)
			}
		}
	})
}

// `&` would have made it ignore SIGINT, and a pipe would have hidden its code.
func TestTheCommandRunsInTheForeground(t *testing.T) {
	// A shell that runs the tests in its background makes them ignore SIGINT, and
	// with them all that they start. A signal that is caught here is not ignored
	// there.
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, os.Interrupt)
	t.Cleanup(func() { signal.Stop(caught) })
	eachShell(t, func(t *testing.T, n *node) {
		n.wantRun(t, cmd0, runOf(t, `kill -INT $$; echo not reached`), "", 130)
	})
}
