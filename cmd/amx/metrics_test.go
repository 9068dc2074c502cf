package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/operate"
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
	if a.Status != 200 || !slices.Equal(told(a), []string{"later a: reading the ledger: no disk"}) {
		t.Errorf("%+v", a)
	}
	m.host.runner.Queue = nil
	if a := m.post(notification("amx", firing("a", 0))); a.Status != 500 || a.Error != `command "on-a": reading the ledger: no disk` || len(a.Results) != 0 {
		t.Errorf("with no queue either: %+v", a)
	}
	if got := m.metric(`am_executor_skipped_total{reason="nomatch"}`); got != "2" {
		t.Errorf("nomatch %s, want 2: on-b alone, each time", got)
	}
}

func TestRunsAreCountedByHowTheyEnd(t *testing.T) {
	m := newMachine(t, "commands: [{name: good, cmd: 'true', match_labels: {name: a}}, {name: bad, cmd: 'false', match_labels: {name: b}}]")
	defer m.host.workQueue(context.Background())() // an end that comes early is put off
	if got := m.metric(`amx_runs_total{command="bad",status="failed"}`); got != "0" {
		t.Errorf("before: failed %s, want 0: the first failure is to be an increase", got)
	}
	m.post(notification("amx", firing("a", 0), firing("b", 0)))
	for metric, want := range map[string]string{
		`amx_runs_total{command="good",status="succeeded"}`: "1",
		`amx_runs_total{command="bad",status="failed"}`:     "1",
		`amx_runs_total{command="bad",status="succeeded"}`:  "0",
		`amx_run_duration_seconds_count{command="good"}`:    "1",
	} {
		m.eventually(metric+" is "+want, func() bool { return m.metric(metric) == want })
	}
	if got := m.metric(`amx_run_last_success_timestamp_seconds{command="good"}`); got == "" {
		t.Error("no time of the last success")
	}
}

func TestPausesAreMetrics(t *testing.T) {
	m := newMachine(t, "commands: [{name: good, cmd: 'true'}]")
	if got := m.metric(`amx_paused{command=""}`); got != "0" {
		t.Errorf("not paused: %s", got)
	}
	for _, command := range []string{"", "good"} {
		if _, err := m.host.operator.Pause(t.Context(), operate.PauseRequest{Command: command, Why: "x", Who: "ann"}); err != nil {
			t.Fatal(err)
		}
	}
	for _, metric := range []string{`amx_paused{command=""}`, `amx_paused{command="good"}`} {
		if got := m.metric(metric); got != "1" {
			t.Errorf("%s is %s, want 1", metric, got)
		}
	}
}

func TestTheAgeOfTheQueueIsAMetric(t *testing.T) {
	m := newMachine(t, "commands: [{name: good, cmd: 'true'}]")
	const metric = "amx_queue_oldest_due_timestamp_seconds"
	if got := m.metric(metric); got != "none" {
		t.Errorf("nothing waits: %s", got)
	}
	if _, err := m.host.operator.Pause(t.Context(), operate.PauseRequest{Why: "x", Who: "ann"}); err != nil {
		t.Fatal(err)
	}
	m.post(notification("amx", firing("a", 0)))
	if got := m.metric(metric); m.waiting() != 1 || got != "none" {
		t.Errorf("%d wait, and none is due: %s", m.waiting(), got)
	}
	m.ahead.Add(int64(time.Minute))
	due, err := m.host.queue.OldestDue()
	if err != nil || due.IsZero() {
		t.Fatal(due, err)
	}
	got, err := strconv.ParseFloat(m.metric(metric), 64)
	if err != nil || int64(got*1000) != due.UnixMilli() {
		t.Errorf("due since %s: %v, want %v", m.metric(metric), err, due)
	}
}

var metricName = regexp.MustCompile(`\b(?:amx|am_executor)_[a-z0-9_]+[a-z0-9]`)

// /metrics has every metric that the examples and the contract name, and the
// contract names every metric.
func TestMetricsInTheExamplesAreThere(t *testing.T) {
	m := newMachine(t, "commands: [{name: good, cmd: 'true'}]")
	known := map[string]bool{}
	descriptions := make(chan *prometheus.Desc)
	go func() {
		defer close(descriptions)
		m.host.metrics.registry.Describe(descriptions)
	}()
	for d := range descriptions {
		known[metricName.FindString(d.String())] = true
	}
	delete(known, "")
	contract, err := os.ReadFile("../../docs/contract.md")
	if err != nil {
		t.Fatal(err)
	}
	for name := range known {
		if !strings.Contains(string(contract), "`"+name+"`") && !strings.Contains(string(contract), "`"+name+"{") {
			t.Errorf("docs/contract.md does not have %s", name)
		}
	}
	for _, file := range []string{"../../examples/prometheus/amx-rules.yaml", "../../examples/grafana/amx.json"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		names := metricName.FindAllString(string(text), -1)
		if len(names) < 5 {
			t.Errorf("%s names %q", file, names)
		}
		for _, name := range names {
			if !known[name] && !known[strings.TrimSuffix(name, "_bucket")] {
				t.Errorf("%s: there is no metric %s", file, name)
			}
		}
	}
}

// Grafana loads a dashboard whose panels have an ID, a place on the grid of 24
// columns, and queries of the data source that the reader chooses.
func TestTheDashboard(t *testing.T) {
	text, err := os.ReadFile("../../examples/grafana/amx.json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		UID, Title    string
		SchemaVersion int
		Panels        []struct {
			ID      int
			Title   string
			Type    string
			GridPos struct{ X, Y, W, H int }
			Targets []struct {
				RefID, Expr string
				Datasource  struct{ Type, UID string }
			}
		}
		Templating struct{ List []struct{ Name, Type string } }
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	if d.UID != "amx" || d.Title != "amx" || d.SchemaVersion < 36 || len(d.Panels) < 8 || len(d.Templating.List) != 3 {
		t.Errorf("the dashboard is %+v", d)
	}
	ids := map[int]bool{}
	for _, p := range d.Panels {
		if ids[p.ID] || p.GridPos.W < 1 || p.GridPos.X+p.GridPos.W > 24 || len(p.Targets) == 0 || !slices.Contains([]string{"stat", "timeseries", "bargauge"}, p.Type) {
			t.Errorf("panel %q: %+v", p.Title, p)
		}
		ids[p.ID] = true
		for _, q := range p.Targets {
			if q.RefID == "" || q.Expr == "" || q.Datasource.Type != "prometheus" || q.Datasource.UID != "${datasource}" {
				t.Errorf("panel %q: query %+v", p.Title, q)
			}
		}
	}
}
