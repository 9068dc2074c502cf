package ssmexec

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// The process of a pass that was cut off is gone, and after a reboot, or much
// later, another has its number.
func TestAPassThatWasCutOffIsNotWhoeverHasItsNumberNow(t *testing.T) {
	eachShell(t, func(t *testing.T, n *node) {
		own, err := os.ReadFile("/proc/self/stat")
		if err != nil {
			t.Skip(err)
		}
		_, after, _ := strings.Cut(string(own), ") ")
		began := strings.Fields(after)[19]
		for what, process := range map[string]func(f []string){
			"one that began later":  func(f []string) { f[0], f[1] = strconv.Itoa(os.Getpid()), "1"+began },
			"one of another uptime": func(f []string) { f[0], f[1], f[2] = strconv.Itoa(os.Getpid()), began, "another-boot" },
		} {
			n := newNode(t, n.shell)
			text := n.cutOff(t, cmd0)
			for _, name := range []string{runA + "." + cmd0, runA + ".pid"} {
				record := filepath.Join(n.state, "runs", name)
				b, err := os.ReadFile(record)
				if err != nil {
					t.Fatal(err)
				}
				f := strings.Fields(string(b))
				process(f)
				if err := os.WriteFile(record, []byte(strings.Join(f, " ")+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			t.Log(what)
			n.wantRun(t, cmd0, text, "amx: already run here, exit 1\n", 1)
			n.wantRun(t, cmd1, text, "amx: already run here, exit 1\n", 1)
		}
	})
}

// The first pass ends between the two looks of the second.
func TestAPassThatEndsBetweenTwoLooks(t *testing.T) {
	eachShell(t, func(t *testing.T, n *node) {
		for code, want := range map[string]string{"3": "amx: already run here, exit 3\n", "194": "amx: runs here: " + cmd0 + "\n"} {
			n := newNode(t, n.shell)
			text := n.cutOff(t, cmd0)
			second := n.start(t, cmd0, strings.Replace(text, "  amx_over # it may", "  echo between; read -r amx_go\n  amx_over # it may", 1))
			if got := second.line(); got != "between" {
				t.Fatalf("the second pass printed %q", got)
			}
			if err := os.Symlink(code, filepath.Join(n.state, "runs", runA+".exit")); err != nil {
				t.Fatal(err)
			}
			exit := map[string]int{"3": 3}[code]
			if got, gotCode := second.end(); got != want || gotCode != exit {
				t.Errorf("printed %q, exit %d; want %q, exit %d", got, gotCode, want, exit)
			}
		}
	})
}

// max_errors ended c0 before its second node, and c1 succeeded there.
func TestAllNamedNodesSucceededInOneOfTwoCommands(t *testing.T) {
	const cmd1 = "00000000-0000-4000-8000-000000000001"
	f := &fake{
		commands:    []types.Command{{CommandId: aws.String(cmd0), StatusDetails: aws.String("Failed")}},
		invocations: map[string][][]types.CommandInvocation{cmd0: {{on("b", "Success", 0, "")}}, cmd1: {{on("a", "Success", 0, "")}}},
	}
	s, err := (&Executor{Client: f}).State(t.Context(), []Asked{{cmd0, []string{"a", "b"}}, {cmd1, []string{"a"}}})
	if err != nil || !s.Over || s.Status != "Success" {
		t.Errorf("%+v, %v", s, err)
	}
}
