package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/ssmexec"
)

// process is amx serve as a process of its own, over the ledger in dir.
type process struct {
	t   *testing.T
	cmd *exec.Cmd
	url string

	logged strings.Builder // once done is closed
	done   chan struct{}
}

// log is all that it has logged; it waits for its end.
func (p *process) log() string {
	<-p.done
	return p.logged.String()
}

func startAMX(t *testing.T, dir, config string, args ...string) *process {
	t.Helper()
	file := write(t, "amx.yaml", strings.ReplaceAll(config, "@DIR@", dir))
	return startAMXWith(t, "", append(os.Environ(), "AMX_TEST_IS_AMX=1"), append([]string{
		"serve", "-f", file, "-l", "127.0.0.1:0", "--ledger", filepath.Join(dir, "ledger.db"),
	}, args...))
}

// startAMXWith starts it in a folder ("": the test's own), with an environment.
func startAMXWith(t *testing.T, dir string, env, args []string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, done: make(chan struct{}), cmd: exec.Command(self, args...)}
	p.cmd.Dir, p.cmd.Env = dir, env
	pipe, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	lines := bufio.NewScanner(pipe)
	for lines.Scan() {
		if url, ok := strings.CutPrefix(lines.Text(), "listening on "); ok {
			p.url = url
			break
		}
		t.Log(lines.Text())
		p.logged.WriteString(lines.Text() + "\n")
	}
	go func() {
		defer close(p.done)
		for lines.Scan() { // so that it never waits for a reader
			p.logged.WriteString(lines.Text() + "\n")
		}
	}()
	if p.url == "" {
		t.Fatal("amx serve did not start")
	}
	return p
}

// kill is SIGKILL: nothing of amx runs after it.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

func (p *process) post(body string) answer {
	p.t.Helper()
	r, err := http.Post(p.url, "application/json", strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	defer r.Body.Close()
	a := answer{Status: r.StatusCode}
	if err := json.NewDecoder(r.Body).Decode(&a); err != nil {
		p.t.Fatal(err)
	}
	return a
}

func TestAKilledAMXKnowsItsRuns(t *testing.T) {
	dir := t.TempDir()
	m := &machine{t: t, dir: dir}
	p := startAMX(t, dir, longRun)
	if a := p.post(notification("amx", firing("a", 0))); !slices.Equal(told(a), []string{"run a: firing"}) {
		t.Fatalf("%+v", a)
	}
	m.eventually("the command has begun", func() bool { return len(m.lines("runs")) == 1 })
	p.kill()

	p = startAMX(t, dir, longRun)
	if a := p.post(notification("amx", firing("a", 0))); !slices.Equal(told(a), []string{"skip a: already started for this alert"}) {
		t.Errorf("the same firing: %+v", a)
	}
	a := p.post(notification("amx", resolved("a", 0, 60)))
	if a.Status != 200 || !slices.Equal(told(a), []string{"cancel a: resolved: cancelled"}) || a.Results[0].Status != "Cancelled" {
		t.Errorf("its resolve: %+v", a)
	}
	if n := len(m.lines("runs")); n != 1 {
		t.Errorf("%d runs, want 1", n)
	}
	m.eventually("the command is gone", func() bool { return len(sleepers(t, dir)) == 0 })
}

func TestARunThatEndedWhileAMXWasDeadIsFoundOver(t *testing.T) {
	dir := t.TempDir()
	m := &machine{t: t, dir: dir}
	config := "commands:\n- {name: short, cmd: sh, args: [-c, 'echo run >>@DIR@/runs; sleep 0.3; echo end >>@DIR@/ends'], wait: 0s}\n"
	p := startAMX(t, dir, config)
	p.post(notification("amx", firing("a", 0)))
	m.eventually("the command has begun", func() bool { return len(m.lines("runs")) == 1 })
	p.kill()
	m.eventually("the command has ended", func() bool { return len(m.lines("ends")) == 1 })

	p = startAMX(t, dir, config)
	a := p.post(notification("amx", resolved("a", 0, 60)))
	// As after a restart of the agent, the script is begun again, so that its
	// guard tells the outcome. The resolve may meet that pass, and end it.
	over, met := []string{"skip a: resolved: its run is over"}, []string{"cancel a: resolved: cancelled"}
	if a.Status != 200 || !slices.Equal(told(a), over) && !slices.Equal(told(a), met) {
		t.Errorf("its resolve: %+v", a)
	}
	if n := len(m.lines("runs")); n != 1 {
		t.Errorf("%d runs, want 1", n)
	}
}

// sleepers is the processes that a test's commands left behind: those whose
// guard recorded them in dir and that still run.
func sleepers(t *testing.T, dir string) []string {
	t.Helper()
	pids, err := filepath.Glob(filepath.Join(dir, "ledger.state", "runs", "*.pid"))
	if err != nil {
		t.Fatal(err)
	}
	var alive []string
	for _, f := range pids {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		pid, rest, _ := strings.Cut(string(text), " ")
		start, _, _ := strings.Cut(rest, " ")
		stat, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
		if err != nil {
			continue
		}
		// Behind the name come the state and, as the 20th, the start time: the
		// PID alone may be another process's by now.
		_, fields, _ := strings.Cut(string(stat), ") ")
		if f := strings.Fields(fields); len(f) > 19 && f[0] != "Z" && f[19] == start {
			alive = append(alive, pid)
		}
	}
	return alive
}

// dying is a process that dies after its first write to the ledger: no later
// call of it has an effect.
type dying struct {
	ledger.Store
	ssmexec.Client
	puts int
}

var errDead = errors.New("the process is dead")

func (d *dying) Put(ctx context.Context, r ledger.Record) error {
	if d.puts++; d.puts > 1 {
		return errDead
	}
	return d.Store.Put(ctx, r)
}

func (d *dying) Get(ctx context.Context, keys ...string) ([]ledger.Record, error) {
	if d.puts > 0 {
		return nil, errDead
	}
	return d.Store.Get(ctx, keys...)
}

func (d *dying) SendCommand(context.Context, *ssm.SendCommandInput, ...func(*ssm.Options)) (*ssm.SendCommandOutput, error) {
	return nil, errDead
}

func (d *dying) ListCommands(context.Context, *ssm.ListCommandsInput, ...func(*ssm.Options)) (*ssm.ListCommandsOutput, error) {
	return nil, errDead
}

// A process that dies between its claim and its send has put nothing off, or it
// has, and the queue delivers that beside the source.
func TestKilledBetweenClaimAndSend(t *testing.T) {
	tests := []struct {
		name     string
		queue    bool
		delivery string
		want     []string // where the queue comes after it
		runs     int
	}{
		{"the next delivery sends, once", false, notification("amx", firing("a", 0)), []string{"run a: firing"}, 1},
		{"its resolve finds nothing to stop", false, notification("amx", resolved("a", 0, 60)), []string{"skip a: resolved before it was sent"}, 0},
		{"the next delivery sends, once, and not the queue too", true, notification("amx", firing("a", 0)), []string{"run a: firing"}, 1},
		{"its resolve finds nothing to stop, and takes it off the queue", true, notification("amx", resolved("a", 0, 60)), []string{"skip a: resolved before it was sent"}, 0},
		{"the queue sends, once", true, "", nil, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			first := newMachineIn(t, dir, longRun)
			dead := &dying{Store: first.host.store, Client: first.host.runner.Exec.Client}
			first.host.runner.Store, first.host.runner.Exec.Client = dead, dead
			status := 200
			if !test.queue {
				first.host.runner.Queue, status = nil, 500
			}
			if a := first.post(notification("amx", firing("a", 0))); a.Status != status || (first.waiting() == 1) != test.queue {
				t.Fatalf("%d on the queue: %+v", first.waiting(), a)
			}
			first.close()

			second := newMachineIn(t, dir, longRun)
			for i := range 2 {
				if test.delivery == "" {
					break
				}
				a := second.post(test.delivery)
				if a.Status != 200 || i == 0 && !slices.Equal(told(a), test.want) || i == 1 && strings.HasPrefix(told(a)[0], "run") {
					t.Errorf("delivery %d: %+v, want %q at first, and no run again", i+1, a, test.want)
				}
			}
			second.later(time.Minute, "the queue is done with", func() bool { return second.waiting() == 0 })
			second.eventually("all have begun", func() bool { return len(second.lines("runs")) == test.runs })
		})
	}
}

// An item that was put off is on the disk before the answer.
// A waiting alert is tried again after its time, which is real here: other tests go on.
func TestKilledBetweenAnswerAndAct(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	m := &machine{t: t, dir: dir}
	const config = `
commands:
  - {name: first, cmd: sh, args: [-c, 'echo first >>@DIR@/runs; until [ -e @DIR@/go ]; do sleep 0.01; done'], match_labels: {name: a}, wait: 0s}
  - {name: second, cmd: sh, args: [-c, 'echo second >>@DIR@/runs'], match_labels: {name: b}, wait: 0s}
limits: {max: 1}
`
	p := startAMX(t, dir, config)
	p.post(notification("amx", firing("a", 0)))
	m.eventually("the first has begun", func() bool { return len(m.lines("runs")) == 1 })
	if a := p.post(notification("amx", firing("b", 0))); a.Status != 200 || !slices.Equal(told(a), []string{"later b: concurrency limit reached (limits: max: 1)"}) {
		t.Fatalf("%+v", a)
	}
	p.kill()
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		p = startAMX(t, dir, config)
		m.eventually("nothing waits any more", func() bool { return p.metric("amx_queue_items") == "0" })
		p.kill()
	}
	if got := m.lines("runs"); !slices.Equal(got, []string{"first", "second"}) {
		t.Errorf("%q ran", got)
	}
}

func TestEachLedgerHasItsOwnFolders(t *testing.T) {
	dir := t.TempDir()
	for _, test := range []struct{ ledger, commands, state string }{
		{"a.db", "a.commands", "a.state"},
		{"a", "a.d/commands", "a.d/state"},
		{"a.ledger", "a.ledger.d/commands", "a.ledger.d/state"},
	} {
		p := startAMX(t, dir, "commands: [{cmd: 'true'}]", "--ledger", filepath.Join(dir, test.ledger))
		p.post(notification("amx", firing("a", 0)))
		if found, err := filepath.Glob(filepath.Join(dir, test.state, "runs", "*.exit")); err != nil || len(found) != 1 {
			t.Errorf("--ledger %s: %q (%v), want one run in %s", test.ledger, found, err, test.state)
		}
		if _, err := os.Stat(filepath.Join(dir, test.commands, "journal.jsonl")); err != nil {
			t.Errorf("--ledger %s: %v", test.ledger, err)
		}
	}
}

func TestTwoAMXOnOneLedger(t *testing.T) {
	dir := t.TempDir()
	startAMX(t, dir, longRun)
	cfg, err := amx.ParseConfig("amx.yaml", []byte(longRun))
	if err != nil {
		t.Fatal(err)
	}
	_, err = newHost(cfg, filepath.Join(dir, "ledger.db"), nil, nil)
	if err == nil || !strings.Contains(err.Error(), "another amx has it open; stop that one, or name another file with --ledger") {
		t.Errorf("error %v", err)
	}
}

// An end in the last year that can be written, then a firing: the ledger can still
// write it, also as it was when amx starts again.
func TestAMXOutlivesAnEndThatIsAsLateAsCanBe(t *testing.T) {
	dir := t.TempDir()
	m := &machine{t: t, dir: dir}
	late := strings.Replace(notification("amx", resolved("a", 0, 60)), `"endsAt":"`+at(60).Format(time.RFC3339Nano), `"endsAt":"9999-12-31T23:59:59.999999999Z`, 1)
	if !strings.Contains(late, "9999") {
		t.Fatal(late)
	}
	p := startAMX(t, dir, longRun)
	if a := p.post(late); a.Status != 200 || !slices.Equal(told(a), []string{"skip a: resolved: no run of this alert is known"}) {
		t.Fatalf("the resolve: %+v", a)
	}
	const now = 3600 // seconds of the tests' time
	if a := p.post(notification("amx", firing("b", now))); a.Status != 200 || !slices.Equal(told(a), []string{"run b: firing"}) {
		t.Fatalf("a firing of its group: %+v", a)
	}
	p.kill()
	p = startAMX(t, dir, longRun)
	if a := p.post(notification("amx", firing("a", now+1))); a.Status != 200 || !slices.Equal(told(a), []string{"run a: firing"}) {
		t.Errorf("its own firing, after a restart: %+v", a)
	}
	for _, name := range []string{"a", "b"} {
		if a := p.post(notification("amx", resolved(name, now, now+2))); a.Status != 200 || !slices.Equal(told(a), []string{"cancel " + name + ": resolved: cancelled"}) {
			t.Errorf("the resolve of %s: %+v", name, a)
		}
	}
	m.eventually("the commands are gone", func() bool { return len(sleepers(t, dir)) == 0 })
}
