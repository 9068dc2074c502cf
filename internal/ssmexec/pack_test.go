package ssmexec

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/amx-lambda/amx/internal/amx"
)

// spoil takes a program away from a node, or puts one in its place that is text.
// A shell that has the program built in cannot be without it.
func (n *node) spoil(t *testing.T, program, text string) {
	t.Helper()
	n.without(t, program)
	builtin := exec.Command(n.shell[0], append(n.shell[1:len(n.shell):len(n.shell)], "-c", "command -v "+program)...)
	builtin.Env = []string{"PATH=/nonexistent"}
	if out, err := builtin.Output(); err == nil {
		t.Skipf("this shell has it built in: %s", out)
	}
	if text == "" {
		return
	}
	bin := strings.TrimPrefix(n.env[0], "PATH=")
	if err := os.WriteFile(filepath.Join(bin, program), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

// Ways in which unpacking can fail: a program is missing, fails at once, is killed
// when it has written half, or exits 0 although it failed.
var spoilt = []struct{ name, program, text string }{
	{"no gzip", "gzip", ""},
	{"no base64", "base64", ""},
	{"a gzip that fails", "gzip", "#!/bin/sh\nexit 2\n"},
	{"a gzip that is killed half way", "gzip", "#!/bin/sh\necho 'touch owned; export AMX_HALF=1'\nkill -KILL $$\n"},
	{"a base64 that writes the beginning only", "base64", "#!/bin/sh\nprintf '\\037\\213\\010\\000'\n"},
}

// wantCannotUnpack wants the pass to fail, to say why, and to have done nothing.
func (n *node) wantCannotUnpack(t *testing.T, text, what string) {
	t.Helper()
	p := n.start(t, cmd0, text)
	out, code := p.end()
	stderr := strings.TrimSuffix(p.stderr.String(), "\n")
	last := stderr[strings.LastIndex(stderr, "\n")+1:]
	if want := "amx: cannot unpack " + what + ": base64 and gzip are needed"; out != "" || code != 126 || last != want {
		t.Errorf("printed %q and %q, exit %d; want nothing and %q, exit 126", out, stderr, code, want)
	}
	if entries, err := os.ReadDir(n.work); err != nil || len(entries) != 0 {
		t.Errorf("it left %v, %v", entries, err)
	}
}

func TestNothingRunsWithoutItsVariables(t *testing.T) {
	execution, err := sh{}.execution(&amx.Command{Cmd: "sh", Args: []string{"-c", once("0")}}, []string{"-c", once("0")})
	if err != nil {
		t.Fatal(err)
	}
	text := sh{}.script(tokenA, sh{}.pack("the variables", "export AMX_LABEL_a='b'\n"), execution)
	eachShell(t, func(t *testing.T, n *node) {
		for _, tt := range spoilt {
			t.Run(tt.name, func(t *testing.T) {
				n := newNode(t, n.shell)
				whole := slices.Clone(n.env)
				n.spoil(t, tt.program, tt.text)
				n.wantCannotUnpack(t, text, "the variables")
				// No guard was taken: where the node has been mended, the run runs.
				if _, err := os.Lstat(filepath.Join(n.state, "runs", runA)); err == nil {
					t.Error("the guard was taken")
				}
				n.env = whole
				n.wantRun(t, cmd1, text, "done\n", 0)
				n.wantEffects(t, 1)
			})
		}
	})
}

func TestACommandLineThatCannotBeUnpackedHasFailed(t *testing.T) {
	text := commandScript(t, &amx.Command{Cmd: "sh", Args: []string{"-c", once("0") + "\n#\x01"}})
	if !strings.Contains(text, "cannot unpack the command line") {
		t.Fatal("the command line is not packed")
	}
	eachShell(t, func(t *testing.T, n *node) {
		for _, tt := range spoilt {
			t.Run(tt.name, func(t *testing.T) {
				n := newNode(t, n.shell)
				whole := slices.Clone(n.env)
				n.spoil(t, tt.program, tt.text)
				n.wantCannotUnpack(t, text, "the command line")
				n.env = whole
				n.wantRun(t, cmd1, text, "amx: already run here, exit 126\n", 126)
				n.wantEffects(t, 0)
			})
		}
	})
}

// The unpacked variables stay in the script.
func TestWhatWasPackedIsNotInTheEnvironment(t *testing.T) {
	variables := sh{}.pack("the variables", "export AMX_LABEL_a='b'\n")
	execution, err := sh{}.execution(&amx.Command{Cmd: "sh"}, []string{"-c", `env | grep -c '^amx_'; echo "$AMX_LABEL_a"`, "\x01"})
	if err != nil {
		t.Fatal(err)
	}
	eachShell(t, func(t *testing.T, n *node) {
		n.wantRun(t, cmd0, sh{}.script(tokenA, variables, execution), "0\nb\n", 0)
	})
}

// PowerShell stops at an error before the guard is taken. For that, the line that
// says so has to come before the first line that can throw.
func TestPowerShellStopsAtVariablesThatItCannotSet(t *testing.T) {
	text := powershell{}.script(tokenA, powershell{}.pack("the variables", "$env:AMX_LABEL_a = 'b'\n"), "")
	stop, variables := strings.Index(text, "$ErrorActionPreference = 'Stop'"), strings.Index(text, "Invoke-Expression")
	if stop < 0 || variables < 0 || stop > variables || strings.Count(text, "'Stop'") != 1 {
		t.Errorf("the script is\n%s", text)
	}
}
