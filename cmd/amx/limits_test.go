package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/history"
	"github.com/amx-lambda/amx/internal/operate"
)

// want posts a notification, and wants it answered 200 with these results.
func (m *machine) want(body string, results ...string) {
	m.t.Helper()
	a := m.post(body)
	got := told(a)
	ok := a.Status == 200 && len(got) == len(results)
	for i := range results {
		ok = ok && strings.HasPrefix(got[i], results[i])
	}
	if !ok {
		m.t.Errorf("%d %q %s, want %q", a.Status, got, a.Error, results)
	}
}

// goOn lets the commands end that wait for it.
func (m *machine) goOn(file string) {
	m.t.Helper()
	if err := os.WriteFile(m.dir+"/"+file, nil, 0o600); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) states() (all []string) {
	m.t.Helper()
	page, err := m.host.operator.Runs(m.t.Context(), history.Query{Since: time.Now().Add(-time.Hour), Limit: history.MaxLimit})
	if err != nil {
		m.t.Fatal(err)
	}
	for _, r := range page.Records {
		all = append(all, string(r.State))
	}
	slices.Sort(all)
	return all
}

// turns is a command that ends when the file "go" is there.
const turns = "cmd: sh, wait: 0s, args: [-c, 'echo $AMX_ALERT_1_LABEL_name >>@DIR@/ran; until [ -e @DIR@/go ]; do sleep 0.01; done']"

func TestObserveSendsNothing(t *testing.T) {
	m := newMachine(t, "commands: [{name: fix, cmd: touch, args: ['@DIR@/ran'], mode: observe, max: 1}]")
	m.want(group("1", notification("amx", firing("a", 0))), "observe a: firing")
	m.want(group("1", notification("amx", firing("a", 0))), "skip a: already started for this alert")
	m.want(group("2", notification("amx", firing("b", 0))), "observe b: firing") // the first has ended at once
	if a := m.post(group("1", notification("amx", resolved("a", 0, 60)))); a.Status != 200 {
		t.Errorf("%+v", a)
	}
	if got := m.states(); !slices.Equal(got, []string{"observed", "observed"}) {
		t.Errorf("the history shows %q", got)
	}
	if m.waiting() > 0 {
		t.Error("something is on the queue")
	}
	if _, err := os.Stat(m.dir + "/ran"); err == nil {
		t.Error("the command ran")
	}
}

func TestAPauseHoldsBackStartsAndNothingElse(t *testing.T) {
	m := newMachine(t, "commands: [{name: turn, "+turns+"}]")
	m.want(group("1", notification("amx", firing("a", 0))), "run a: firing")
	if _, err := m.host.operator.Pause(t.Context(), operate.PauseRequest{Command: "turn", Why: "maintenance", Who: "ann"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"b", "c"} {
		m.want(group(name, notification("amx", firing(name, 0))), "later "+name+": paused by ann until ")
	}
	m.want(group("1", notification("amx", resolved("a", 0, 60))), "cancel a: resolved: cancelled")
	m.want(group("c", notification("amx", resolved("c", 0, 60))), "skip c: resolved: no run of this alert is known")
	m.later(time.Minute, "what has resolved waits no longer", func() bool { return m.waiting() == 1 })
	if got := m.lines("ran"); !slices.Equal(got, []string{"a"}) {
		t.Errorf("while it is paused %q ran", got)
	}
	if _, err := m.host.operator.Resume(t.Context(), operate.ResumeRequest{Command: "turn", Who: "ann"}); err != nil {
		t.Fatal(err)
	}
	m.later(time.Minute, "what waited runs", func() bool { return slices.Equal(m.lines("ran"), []string{"a", "b"}) })
}

func TestCooldownHoldsForTheNextEpisode(t *testing.T) {
	m := newMachine(t, "commands: [{name: fix, cmd: sh, args: [-c, 'echo x >>@DIR@/ran'], cooldown: 10m}]")
	m.want(notification("amx", firing("a", 0)), "run a: firing")
	if a := m.post(notification("amx", resolved("a", 0, 60))); a.Status != 200 {
		t.Errorf("%+v", a)
	}
	m.want(notification("amx", firing("a", 120)), "later a: cooldown: not before ")
	m.later(8*time.Minute, "it is too early", func() bool { return m.waiting() == 1 && strings.Count(m.log.String(), "cooldown: not before ") > 1 })
	if n := len(m.lines("ran")); n != 1 {
		t.Errorf("%d runs within the cooldown", n)
	}
	m.later(3*time.Minute, "it runs when the cooldown is over", func() bool { return m.waiting() == 0 && len(m.lines("ran")) == 2 })
}

func TestRateLimitIsExactUnder50RequestsAtOnce(t *testing.T) {
	m := newMachine(t, "commands: [{name: fix, cmd: sh, wait: 0s, args: [-c, 'echo x >>@DIR@/ran'], rate_limit: {runs: 3, per: 1h}}]")
	count := map[string]int{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			a := m.post(group(fmt.Sprint(i), notification("amx", firing("a", 0))))
			mu.Lock()
			defer mu.Unlock()
			for _, r := range told(a) {
				count[r]++
			}
		})
	}
	wg.Wait()
	if count["run a: firing"] != 3 || count["later a: rate limit reached (rate_limit: 3 per 1h)"] != 47 {
		t.Errorf("%v", count)
	}
	m.later(61*time.Minute, "three more have run", func() bool { return len(m.lines("ran")) >= 6 && m.waiting() <= 44 })
	if runs, waiting := len(m.lines("ran")), m.waiting(); runs != 6 || waiting != 44 {
		t.Errorf("after an hour %d runs, and %d wait", runs, waiting)
	}
}

func TestTheBreakerOpensAndAPersonClosesIt(t *testing.T) {
	m := newMachine(t, "commands: [{name: fix, cmd: sh, notify_on_failure: false, args: [-c, 'echo x >>@DIR@/ran; test -e @DIR@/mended']}]")
	fires := func(i int) string { return group(fmt.Sprint(i), notification("amx", firing("a", 0))) }
	for i := range 3 {
		m.want(fires(i), "run a: firing")
	}
	m.want(fires(3), "refuse a: breaker: 3 runs in a row failed, until ")
	s, err := m.host.operator.Status(t.Context())
	if err != nil || len(s.Commands) != 1 || s.Commands[0].Breaker == nil {
		t.Errorf("the status is %+v, %v", s, err)
	}
	if got := m.metric(`amx_breaker_open{command="fix"}`); got != "1" {
		t.Errorf("amx_breaker_open is %s", got)
	}
	m.goOn("mended")
	if _, err := m.host.operator.Resume(t.Context(), operate.ResumeRequest{Command: "fix", Who: "ann"}); err != nil {
		t.Fatal(err)
	}
	m.want(fires(3), "run a: firing")
	m.want(fires(4), "run a: firing")
	if n := len(m.lines("ran")); n != 5 {
		t.Errorf("%d runs, want 5", n)
	}
}

func TestTheBreakerLetsOneTry(t *testing.T) {
	m := newMachine(t, "commands: [{name: fix, cmd: 'false', notify_on_failure: false, breaker: {failures: 1, for: 10m}}]")
	m.want(group("1", notification("amx", firing("a", 0))), "run a: firing")
	m.want(group("2", notification("amx", firing("a", 0))), "refuse a: breaker: 1 runs in a row failed, until ")
	m.ahead.Add(int64(11 * time.Minute))
	m.want(group("2", notification("amx", firing("a", 0))), "run a: firing")
	m.want(group("3", notification("amx", firing("a", 0))), "refuse a: breaker: 1 runs in a row failed, until ")
}

func TestSpreadByRunsForOneValueAtATime(t *testing.T) {
	m := newMachine(t, "commands: [{name: drain, scope: alert, spread_by: '{{ .Labels.name }}', "+turns+"}]")
	m.want(notification("amx", firing("a", 0)), "run a: firing")
	m.want(group("2", notification("amx", firing("b", 0))), `later b: spread_by: runs go on for "a"`)
	m.eventually("the first has begun", func() bool { return len(m.lines("ran")) == 1 })
	m.goOn("go")
	m.eventually("the first has ended", func() bool { return m.metric("am_executor_process_duration_seconds_count") == "1" })
	m.later(time.Minute, "the second runs", func() bool { return slices.Equal(m.lines("ran"), []string{"a", "b"}) })
}

func TestWhatASignalDoesNotEndIsKilledAfter(t *testing.T) {
	m := newMachine(t, `commands: [{name: stubborn, cmd: sh, wait: 0s, resolved_signal: SIGUSR1, kill_after: 30s,
  args: [-c, 'trap "echo usr1 >>@DIR@/got" USR1; echo up >>@DIR@/up; while :; do sleep 0.02; done']}]`)
	m.want(notification("amx", firing("a", 0)), "run a: firing")
	m.eventually("it has its trap", func() bool { return len(m.lines("up")) == 1 })
	m.want(notification("amx", resolved("a", 0, 60)), "cancel a: resolved: SIGUSR1 sent")
	m.eventually("it has the signal", func() bool { return len(m.lines("got")) == 1 })
	if len(sleepers(t, m.dir)) != 1 || m.waiting() != 1 {
		t.Errorf("%d go on, %d on the queue, want one each", len(sleepers(t, m.dir)), m.waiting())
	}
	m.later(time.Minute, "it is killed", func() bool { return len(sleepers(t, m.dir)) == 0 && m.waiting() == 0 })
}

func TestLimitsOverAllCommands(t *testing.T) {
	m := newMachine(t, "limits: {max: 1}\ncommands: [{name: one, match_labels: {name: a}, "+turns+"}, {name: two, match_labels: {name: b}, "+turns+"}]")
	m.want(notification("amx", firing("a", 0)), "run a: firing")
	m.want(notification("amx", firing("b", 0)), "later b: concurrency limit reached (limits: max: 1)")
	m.eventually("the first has begun", func() bool { return len(m.lines("ran")) == 1 })
	m.goOn("go")
	m.eventually("the first has ended", func() bool { return m.metric("am_executor_process_duration_seconds_count") == "1" })
	m.later(time.Minute, "the second runs", func() bool { return slices.Equal(m.lines("ran"), []string{"a", "b"}) })
}
