package main

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/ledger"
)

// use makes config the configuration of what comes from now on.
func (m *machine) use(config string) {
	m.t.Helper()
	cfg, err := amx.ParseConfig("amx.yaml", []byte(config))
	if err != nil {
		m.t.Fatal(err)
	}
	m.host.use(cfg)
}

func TestAnAnswerSurvivesAReloadToFewerCommands(t *testing.T) {
	m := newMachine(t, `
commands:
  - {name: one, cmd: sh, args: [-c, 'echo x >>@DIR@/begun; until [ -e @DIR@/go ]; do sleep 0.01; done']}
  - {name: two, cmd: sh, args: [-c, 'echo x >>@DIR@/begun; until [ -e @DIR@/go ]; do sleep 0.01; done']}
  - {name: other, cmd: "true", match_labels: {name: b}}
`)
	var a answer
	var wg sync.WaitGroup
	wg.Go(func() { a = m.post(notification("amx", firing("a", 0))) })
	m.eventually("both run", func() bool { return len(m.lines("begun")) == 2 })
	m.use("commands: [{name: new, cmd: 'true'}]")
	if err := os.WriteFile(m.dir+"/go", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if a.Status != 200 || !slices.Equal(told(a), []string{"run a: firing", "run a: firing"}) {
		t.Errorf("%+v", a)
	}
	if got := m.metric(`am_executor_skipped_total{reason="nomatch"}`); got != "1" {
		t.Errorf("nomatch %s, want the 1 of the three that decided", got)
	}
}

func TestOnlyWhatStillRunsIsSignalled(t *testing.T) {
	for _, signal := range []string{"SIGKILL", "SIGTERM"} {
		t.Run(signal, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t, "commands: [{name: short, cmd: 'true', match_labels: {name: a}, wait: 0s, resolved_signal: "+signal+"}, {name: long, cmd: sleep, args: ['300'], match_labels: {name: b}, wait: 0s, resolved_signal: "+signal+"}]")
			m.post(notification("amx", firing("a", 0)))
			m.eventually("the one has ended", func() bool { return m.metric("am_executor_process_duration_seconds_count") == "1" })
			m.post(notification("amx", resolved("a", 0, 60)))
			if got := m.metric(`am_executor_signalled_total{result="ok"}`); got != "0" {
				t.Errorf("a run that has ended by itself: signalled %s, want 0", got)
			}
			m.post(notification("amx", firing("b", 0)))
			m.eventually("the other runs", func() bool { return len(sleepers(t, m.dir)) == 1 })
			m.post(notification("amx", resolved("b", 0, 60)))
			if got := m.metric(`am_executor_signalled_total{result="ok"}`); got != "1" {
				t.Errorf("a run that was stopped: signalled %s, want 1", got)
			}
		})
	}
}

func TestRunsOfAKilledAMXAreCountedOn(t *testing.T) {
	dir := t.TempDir()
	p := startAMX(t, dir, longRun)
	p.post(notification("amx", firing("a", 0)))
	(&machine{t: t, dir: dir}).eventually("the command runs", func() bool { return len(sleepers(t, dir)) == 1 })
	p.kill()

	m := newMachineIn(t, dir, longRun)
	if got := m.metric("am_executor_processes_current"); got != "1" {
		t.Errorf("am_executor_processes_current %s, want 1", got)
	}
	m.post(notification("amx", resolved("a", 0, 60)))
	m.eventually("its end is counted", func() bool {
		return m.metric("am_executor_processes_current") == "0" && m.metric("am_executor_process_duration_seconds_count") == "1"
	})
	if got := m.metric(`am_executor_signalled_total{result="ok"}`); got != "1" {
		t.Errorf("signalled %s, want 1", got)
	}
}

// unreadable is a ledger that cannot be read.
type unreadable struct{ ledger.Store }

func (unreadable) Get(context.Context, ...string) ([]ledger.Record, error) {
	return nil, errors.New("no disk")
}

func TestACommandThatMatchesWithoutALedgerIsNoNomatch(t *testing.T) {
	m := newMachine(t, "commands: [{name: on-a, cmd: 'true', match_labels: {name: a}}, {name: on-b, cmd: 'true', match_labels: {name: b}}]")
	m.host.runner.Store = unreadable{m.host.store}
	a := m.post(notification("amx", firing("a", 0)))
	if a.Status != 500 || a.Error != `command "on-a": reading the ledger: no disk` || len(a.Results) != 0 {
		t.Errorf("%+v", a)
	}
	if got := m.metric(`am_executor_skipped_total{reason="nomatch"}`); got != "1" {
		t.Errorf("nomatch %s, want 1: on-b alone", got)
	}
}
