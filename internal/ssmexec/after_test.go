package ssmexec

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/amx-lambda/amx/internal/ssmlocal"
)

const (
	runB = "01JD8Z5T3M6Q9W2X4Y7B0C1D2F"
	runC = "01JD8Z5T3M6Q9W2X4Y7B0C1D2G"
)

// retryOf is the script of a run that comes after another.
func retryOf(t *testing.T, run, prev, text string) string {
	t.Helper()
	c := command(t, "name: restart\ncmd: sh")
	c.Args = []string{"-c", text}
	j := job(c)
	j.Run, j.Prev = run, prev
	return strings.Join(mustRender(t, j).Parameters["commands"], "\n") + "\n"
}

func TestARetryDoesNotStartBesideARunThatGoesOn(t *testing.T) {
	const refused = "amx: run " + runA + " came before and still goes on here: not started\n"
	eachShell(t, func(t *testing.T, n *node) {
		for name, cut := range map[string]func(*pass){
			"both its shell and its command": func(*pass) {},
			"its command alone": func(p *pass) {
				_ = p.cmd.Process.Kill()
				_, _ = p.cmd.Process.Wait()
			},
		} {
			n := newNode(t, n.shell)
			first := n.start(t, cmd0, runOf(t, held))
			first.line()
			cut(first)
			for _, text := range []string{retryOf(t, runB, runA, once("0")), retryOf(t, runC, runB, once("0"))} {
				retry := n.start(t, cmd1, text)
				if out, code := retry.end(); out != "" || code != 75 || retry.stderr.String() != refused {
					t.Errorf("%s is there: it printed %q and %q, exit %d", name, out, &retry.stderr, code)
				}
				n.wantRun(t, cmd1, text, "amx: already run here, exit 75\n", 75)
			}
			n.wantEffects(t, 1)
			first.kill()
		}
	})
}

func TestARetryRunsWhenTheRunsBeforeAreOver(t *testing.T) {
	eachShell(t, func(t *testing.T, n *node) {
		n.wantRun(t, cmd0, runOf(t, once("3")), "done\n", 3)
		n.wantRun(t, cmd1, retryOf(t, runB, runA, once("0")), "done\n", 0)
		n = newNode(t, n.shell)
		n.cutOff(t, cmd0)
		n.wantRun(t, cmd1, retryOf(t, runB, runA, once("0")), "done\n", 0)
	})
}

func TestTheScriptOfARetryIsReadable(t *testing.T) {
	for name, text := range map[string]string{
		"after.sh": "cmd: systemctl\nargs: [restart, nginx]", "after.ps1": "cmd: C:\\Tools\\fix.exe\nplatform: windows",
	} {
		j := job(command(t, text))
		j.Run, j.Prev = runC, runB
		golden(t, name, strings.Join(mustRender(t, j).Parameters["commands"], "\n")+"\n")
	}
}

const agentNode = "i-0123456789abcdef0"

// A machine is a node with an agent, and what it tells.
type machine struct {
	t       *testing.T
	dir     string
	server  *ssmlocal.Server
	x       *Executor
	changes chan ssmlocal.StatusChange
	output  chan ssmlocal.OutputLine
	said    map[[2]string]int // of what has come: command ID and line
}

func newMachine(t *testing.T, change func(*ssmlocal.Options)) *machine {
	t.Helper()
	m := &machine{t: t, dir: t.TempDir(), changes: make(chan ssmlocal.StatusChange, 100), output: make(chan ssmlocal.OutputLine, 1000), said: map[[2]string]int{}}
	o := ssmlocal.Options{
		Dir: filepath.Join(m.dir, "commands"), StateDir: filepath.Join(m.dir, "state"),
		Env:    []string{"PATH=" + os.Getenv("PATH")},
		Nodes:  []ssmlocal.Node{{ID: agentNode}},
		Output: func(l ssmlocal.OutputLine) { m.output <- l }, Notify: func(c ssmlocal.StatusChange) { m.changes <- c },
	}
	if change != nil {
		change(&o)
	}
	var err error
	if m.server, err = ssmlocal.New(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := m.server.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	m.x = &Executor{Client: ssm.New(ssm.Options{
		Region: "eu-test-1", HTTPClient: m.server.Client(), Retryer: aws.NopRetryer{},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: "secret"}, nil
		}),
	})}
	return m
}

// send sends a run of a command, and answers the command's ID.
func (m *machine) send(config, run, prev string) string {
	m.t.Helper()
	j := job(command(m.t, strings.ReplaceAll(config, "@DIR@", m.dir)))
	j.Run, j.Prev = run, prev
	return m.sendJob(j)
}

func (m *machine) sendJob(j Job) string {
	m.t.Helper()
	id, err := m.x.Send(context.Background(), mustRender(m.t, j))
	if err != nil {
		m.t.Fatal(err)
	}
	return id
}

// over waits for the end of a command.
func (m *machine) over(id string) {
	for c := range m.changes {
		if c.CommandID == id && c.InstanceID == "" {
			return
		}
	}
}

// says waits for a line of a command's.
func (m *machine) says(id, text string) {
	want := [2]string{id, text}
	for m.said[want] == 0 {
		l := <-m.output
		m.said[[2]string{l.CommandID, l.Text}]++
	}
	m.said[want]--
}

func (m *machine) want(id, status string, code int32) Invocation {
	m.t.Helper()
	s, err := m.x.State(context.Background(), []Asked{{CommandID: id, Nodes: []string{agentNode}}})
	if err != nil || len(s.Invocations) != 1 {
		m.t.Fatalf("the state is %+v, %v", s, err)
	}
	i := s.Invocations[0]
	if i.Status != status || i.ExitCode != code {
		m.t.Errorf("it is %s, exit %d, with %q; want %s, exit %d", i.Status, i.ExitCode, i.Output, status, code)
	}
	return i
}

// cue makes a FIFO, or writes into it once somebody reads it.
func (m *machine) cue(name string, make bool) {
	m.t.Helper()
	err := error(nil)
	if path := filepath.Join(m.dir, name); make {
		err = syscall.Mkfifo(path, 0o600)
	} else {
		err = os.WriteFile(path, []byte("\n"), 0)
	}
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) effects() string {
	m.t.Helper()
	b, err := os.ReadFile(filepath.Join(m.dir, "effects"))
	if err != nil {
		m.t.Fatal(err)
	}
	return string(b)
}

// The script writes where it begins and ends, and is quiet in between.
const slow = "name: slow\nscript: |\n  echo up\n  echo begins >>@DIR@/effects\n  read -r x <@DIR@/cue\n  echo ends >>@DIR@/effects\n  echo told >@DIR@/told"

func TestRetriesNeverOverlapARunThatOutlivedItsAgent(t *testing.T) {
	m := newMachine(t, nil)
	m.cue("cue", true)
	m.cue("told", true)
	first := m.send(slow, runA, "")
	m.says(first, "up")
	m.server.CrashAgents(agentNode)
	m.over(first)
	m.want(first, "Failed", 1) // so amx tries again
	second := m.send(slow, runB, runA)
	m.over(second)
	if i := m.want(second, "Failed", 75); !strings.Contains(i.Output, "amx: run "+runA+" came before and still goes on here: not started") {
		t.Errorf("it wrote %q", i.Output)
	}
	third := m.send(slow, runC, runB)
	m.over(third)
	m.want(third, "Failed", 75)
	m.cue("cue", false)
	if _, err := os.ReadFile(filepath.Join(m.dir, "told")); err != nil { // the first run has ended
		t.Fatal(err)
	}
	if got := m.effects(); got != "begins\nends\n" {
		t.Errorf("the effects are %q, want those of one run", got)
	}
}

func TestAnAgentThatRepeatsHasOneEffect(t *testing.T) {
	m := newMachine(t, func(o *ssmlocal.Options) { o.AgentsRepeat = true })
	m.cue("cue", true)
	m.cue("told", true)
	id := m.send(slow, runA, "")
	m.says(id, "up")
	m.server.CrashAgents(agentNode)
	m.over(id)
	m.want(id, "Success", 0)
	m.cue("cue", false)
	if _, err := os.ReadFile(filepath.Join(m.dir, "told")); err != nil {
		t.Fatal(err)
	}
	if got := m.effects(); got != "begins\nends\n" {
		t.Errorf("the effects are %q, want those of one run", got)
	}
}
