package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/amx-lambda/amx/internal/reporttest"
	"github.com/amx-lambda/amx/internal/ssmlocal"
)

// kitchen is where a recipe is tried.
type kitchen struct {
	*machine
	bin     string
	process *process
	pager   *reporttest.PagerDuty
	events  int // of PagerDuty that steps have named
	form    func(map[string]any)
	runs    map[string]string // :: the document's ID of a run → the real one
	ran     int               // calls on nodes that steps have named
}

// routingKey is the parameter that the recipes keep PagerDuty's key in.
const routingKey = "/amx/STACK/reports/pagerduty"

func newKitchen(t *testing.T, r recipe, extra map[string]string) *kitchen {
	t.Helper()
	dir := t.TempDir()
	k := &kitchen{machine: &machine{t: t, dir: dir}, bin: filepath.Join(dir, "bin"), runs: map[string]string{}}
	var stop func()
	k.pager, stop = reporttest.NewPagerDuty()
	t.Cleanup(stop)
	for _, name := range []string{"bin", "desk", "tmp"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range r.files {
		k.write(name, text, 0o600)
	}
	for _, scripts := range []map[string]string{programs, extra} {
		for name, does := range scripts {
			k.write("bin/"+name, "#!/bin/sh\necho \"$AWS_SSM_INSTANCE_ID\\$ "+name+" $*\" >>'"+dir+"/calls'\n"+does+"\n", 0o700)
		}
	}
	k.write("desk/curl", "#!/bin/sh\nprintf '%s' \"$4\"\n", 0o700) // its -d
	k.putParameter(routingKey, reporttest.RoutingKey)
	return k
}

// close ends amx serve, and tells what it has logged if the recipe failed.
func (k *kitchen) close() {
	if k.process == nil {
		return
	}
	k.process.kill()
	if log := k.process.log(); k.t.Failed() {
		k.t.Log(log)
	}
}

func (k *kitchen) write(name, text string, mode os.FileMode) {
	k.t.Helper()
	if err := os.WriteFile(filepath.Join(k.dir, name), []byte(text), mode); err != nil {
		k.t.Fatal(err)
	}
}

// putParameter puts a secret into the Parameter Store of the amx serve that starts
// later.
func (k *kitchen) putParameter(name, value string) {
	k.t.Helper()
	commands, _ := beside(filepath.Join(k.dir, "ledger.db"))
	local, err := ssmlocal.New(ssmlocal.Options{Dir: commands})
	if err != nil {
		k.t.Fatal(err)
	}
	_, err = localClient(local).PutParameter(k.t.Context(), &ssm.PutParameterInput{Name: &name, Value: &value, Type: types.ParameterTypeString})
	if err != nil {
		k.t.Fatal(err)
	}
	if err := local.Close(k.t.Context()); err != nil {
		k.t.Fatal(err)
	}
}

// env has the recipe's programs first in the PATH.
func (k *kitchen) env() []string {
	return append(environment(), "AMX_TEST_IS_AMX=1", "PATH="+k.bin+":"+os.Getenv("PATH"), "HOME="+k.dir, "TZ=UTC",
		"TMPDIR="+filepath.Join(k.dir, "tmp"), "AMX_PAGERDUTY_URL="+k.pager.URL)
}

// calls are those that the recipe's programs have noted.
func (k *kitchen) calls() []string {
	text, err := os.ReadFile(filepath.Join(k.dir, "calls"))
	if err != nil && !os.IsNotExist(err) {
		k.t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")[:strings.Count(string(text), "\n")]
}

// take does what a step says, and compares what happens.
func (k *kitchen) take(s step) {
	k.t.Helper()
	args := words(s.text)
	switch {
	case s.node == pagerDuty:
		k.paged(s)
	case s.node != "":
		want := s.node + "$ " + s.text
		k.eventually(fmt.Sprintf("line %d: %s", s.line, want), func() bool {
			calls := k.calls()
			if len(calls) > k.ran && calls[k.ran] != want {
				k.t.Fatalf("line %d: %s\nran: %s", s.line, want, calls[k.ran])
			}
			return len(calls) > k.ran
		})
		k.ran++
	case args[0] == "sh" && args[1] == "examples/alert.sh":
		k.send(s)
	case args[0] == "amx" && args[1] == "serve":
		if k.process != nil {
			k.process.kill()
		}
		k.process = startAMXWith(k.t, k.dir, k.env(), append(args[1:], "-l", "127.0.0.1:0", "--ledger", filepath.Join(k.dir, "ledger.db")))
	case args[0] == "amx":
		k.amx(s, args[1:])
	default:
		k.t.Fatalf("line %d: the test cannot type %q", s.line, s.text)
	}
}

// paged waits for PagerDuty's next event, which is the one that the recipe shows.
func (k *kitchen) paged(s step) {
	k.t.Helper()
	k.eventually(fmt.Sprintf("line %d: %s: %s", s.line, s.node, s.text), func() bool { return len(k.pager.Events()) > k.events })
	e := k.pager.Events()[k.events]
	got := e.Action
	if e.Payload != nil {
		got += " " + e.Payload.Summary
	}
	if got != s.text {
		k.t.Errorf("line %d: %s: got %q, want %q", s.line, s.node, got, s.text)
	}
	k.events++
}

// send has the reader's curl write down what it would send, and sends it.
func (k *kitchen) send(s step) {
	k.t.Helper()
	sh := exec.Command("sh", append([]string{"../../examples/alert.sh"}, words(s.text)[2:]...)...)
	sh.Env = []string{"PATH=" + filepath.Join(k.dir, "desk")}
	body, err := sh.Output()
	if err != nil {
		k.t.Fatal(err)
	}
	var message map[string]any
	if err := json.Unmarshal(body, &message); err != nil {
		k.t.Fatal(err)
	}
	if k.form != nil {
		k.form(message)
	}
	if body, err = json.Marshal(message); err != nil {
		k.t.Fatal(err)
	}
	answer, err := http.Post(k.process.url, "application/json", bytes.NewReader(body))
	if err != nil {
		k.t.Fatal(err)
	}
	defer answer.Body.Close()
	got, err := io.ReadAll(answer.Body)
	if err != nil {
		k.t.Fatal(err)
	}
	if difference := k.compare(s.prints, string(got)); difference != "" || answer.StatusCode != http.StatusOK {
		k.t.Errorf("line %d: %s: %s %s", s.line, s.text, answer.Status, difference)
	}
}

// asked are the commands that ask the amx serve that runs.
var asked = []string{"runs", "show", "status", "cancel", "pause", "resume"}

// amx types a call until it prints what the recipe shows.
func (k *kitchen) amx(s step, args []string) {
	k.t.Helper()
	for i, arg := range args {
		if real := k.runs[arg]; real != "" {
			args[i] = real
		}
	}
	if slices.Contains(asked, args[0]) {
		args = append(args, "--ledger", filepath.Join(k.dir, "ledger.db"))
	}
	said := ""
	defer func() {
		if k.t.Failed() {
			k.t.Logf("line %d: %s: %s", s.line, s.text, said)
		}
	}()
	k.eventually("amx prints what the recipe shows", func() bool {
		cmd := exec.Command(os.Args[0], args...)
		cmd.Dir, cmd.Env = k.dir, k.env()
		out, err := cmd.CombinedOutput()
		refused := len(s.prints) > 0 && strings.HasPrefix(s.prints[len(s.prints)-1], "amx: ")
		if said = k.compare(s.prints, string(out)); (err != nil) != refused {
			said = fmt.Sprintf("%v\n%s", err, out)
		}
		return said == ""
	})
}
