package main

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
)

// group is a notification of a group of its own.
func group(name string, body string) string {
	return strings.ReplaceAll(body, `"groupLabels":{"alertname":"A"}`, fmt.Sprintf(`"groupLabels":{"alertname":"A","group":%q}`, name))
}

func (m *machine) get(path string) (int, string) {
	w := httptest.NewRecorder()
	m.handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

// metric is the value of one series, as /metrics writes it.
func (m *machine) metric(series string) string {
	_, text := m.get("/metrics")
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return "none"
}

// The promises of prometheus-am-executor, row by row, without its faults.
func TestPrometheusAMExecutor(t *testing.T) {
	tests := []struct {
		name   string
		config string
		check  func(t *testing.T, m *machine)
	}{
		{"several commands of one notification run side by side", `
commands:
  - {name: one, cmd: sh, args: [-c, 'touch @DIR@/one; until [ -e @DIR@/two ]; do sleep 0.01; done']}
  - {name: two, cmd: sh, args: [-c, 'touch @DIR@/two; until [ -e @DIR@/one ]; do sleep 0.01; done']}
`, func(t *testing.T, m *machine) {
			a := m.post(notification("amx", firing("a", 0)))
			if a.Status != 200 || len(a.Results) != 2 || a.Results[0].Status != "Success" || a.Results[1].Status != "Success" {
				t.Errorf("%+v", a)
			}
		}},
		{"two entries of the same cmd both run", `
commands:
  - {cmd: sh, args: [-c, 'echo x >>@DIR@/ran'], match_labels: {name: a}}
  - {cmd: sh, args: [-c, 'echo y >>@DIR@/ran'], match_labels: {name: a}}
`, func(t *testing.T, m *machine) {
			m.post(notification("amx", firing("a", 0)))
			if got := m.lines("ran"); len(got) != 2 {
				t.Errorf("%q", got)
			}
		}},
		{"a failure is answered 500 with its reason", "commands: [{name: bad, cmd: sh, args: [-c, 'echo why >&2; exit 7']}]", func(t *testing.T, m *machine) {
			a := m.post(notification("amx", firing("a", 0)))
			if a.Status != 500 || !strings.Contains(a.Error, `exit 7: "why`) {
				t.Errorf("%+v", a)
			}
		}},
		{"notify_on_failure: false answers 200", "commands: [{name: bad, cmd: 'false', notify_on_failure: false}]", func(t *testing.T, m *machine) {
			if a := m.post(notification("amx", firing("a", 0))); a.Status != 200 || a.Results[0].Status != "Failed" {
				t.Errorf("%+v", a)
			}
		}},
		{"a command that is not there fails", "commands: [{cmd: no-such-program}]", func(t *testing.T, m *machine) {
			if a := m.post(notification("amx", firing("a", 0))); a.Status != 500 || !strings.Contains(a.Error, "exit 127") {
				t.Errorf("%+v", a)
			}
		}},
		{"a resolve kills, and the firing is answered 200", "commands: [{name: long, cmd: sleep, args: ['300']}]", func(t *testing.T, m *machine) {
			var fired answer
			var wg sync.WaitGroup
			wg.Go(func() { fired = m.post(notification("amx", firing("a", 0))) })
			m.eventually("it runs", func() bool { return len(sleepers(t, m.dir)) == 1 })
			if got := m.metric("am_executor_processes_current"); got != "1" {
				t.Errorf("am_executor_processes_current %s", got)
			}
			if a := m.post(notification("amx", resolved("a", 0, 60))); !slices.Equal(told(a), []string{"cancel a: resolved: cancelled"}) {
				t.Errorf("%+v", a)
			}
			wg.Wait()
			if fired.Status != 200 || fired.Results[0].Status != "Cancelled" {
				t.Errorf("the firing: %+v", fired)
			}
			m.eventually("it is gone", func() bool { return len(sleepers(t, m.dir)) == 0 })
			if got := m.metric(`am_executor_signalled_total{result="ok"}`); got != "1" {
				t.Errorf("signalled %s", got)
			}
		}},
		{"a resolve signals, and the command may trap it", `
commands:
  - {name: trap, cmd: sh, resolved_signal: SIGUSR1, args: [-c, 'trap "echo usr1 >>@DIR@/got; exit 0" USR1; echo up >>@DIR@/up; while :; do sleep 0.02; done']}
`, func(t *testing.T, m *machine) {
			var fired answer
			var wg sync.WaitGroup
			wg.Go(func() { fired = m.post(notification("amx", firing("a", 0))) })
			m.eventually("it has its trap", func() bool { return len(m.lines("up")) == 1 })
			if a := m.post(notification("amx", resolved("a", 0, 60))); !slices.Equal(told(a), []string{"cancel a: resolved: SIGUSR1 sent"}) {
				t.Errorf("%+v", a)
			}
			wg.Wait()
			if fired.Status != 200 || fired.Results[0].Status != "Success" || !slices.Equal(m.lines("got"), []string{"usr1"}) {
				t.Errorf("the firing: %+v, got %q", fired, m.lines("got"))
			}
		}},
		{"resolving another alert of the group leaves the run alone", "commands: [{name: long, cmd: sleep, args: ['300'], wait: 0s}]", func(t *testing.T, m *machine) {
			m.post(notification("amx", firing("a", 0), firing("b", 0)))
			m.eventually("it runs", func() bool { return len(sleepers(t, m.dir)) == 1 })
			m.post(notification("amx", firing("a", 0), resolved("b", 0, 60)))
			if len(sleepers(t, m.dir)) != 1 {
				t.Error("it was stopped")
			}
		}},
		{"max holds for the command, under 50 requests of different groups", "commands: [{name: long, cmd: sleep, args: ['300'], max: 3, when_limited: skip, wait: 0s}]", func(t *testing.T, m *machine) {
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
					if a.Status != 200 {
						t.Errorf("%+v", a)
					}
				})
			}
			wg.Wait()
			if count["run a: firing"] != 3 || count["skip a: concurrency limit reached (max: 3)"] != 47 {
				t.Errorf("%v", count)
			}
			m.eventually("three run", func() bool { return len(sleepers(t, m.dir)) == 3 })
			if got := m.metric(`am_executor_skipped_total{reason="fingerover"}`); got != "47" {
				t.Errorf("skipped %s", got)
			}
		}},
		{"a run that ends makes room under max, and a skipped alert is still due", "commands: [{name: turn, cmd: sh, max: 1, when_limited: skip, wait: 0s, args: [-c, 'until [ -e @DIR@/go ]; do sleep 0.01; done']}]", func(t *testing.T, m *machine) {
			m.post(group("1", notification("amx", firing("a", 0))))
			if a := m.post(group("2", notification("amx", firing("a", 0)))); !slices.Equal(told(a), []string{"skip a: concurrency limit reached (max: 1)"}) {
				t.Errorf("%+v", a)
			}
			if err := os.WriteFile(m.dir+"/go", nil, 0o600); err != nil {
				t.Fatal(err)
			}
			m.eventually("there is room", func() bool {
				return slices.Equal(told(m.post(group("2", notification("amx", firing("a", 0))))), []string{"run a: firing"})
			})
		}},
		{"what waits for room under max runs without a new notification, unless it has resolved", "commands: [{name: turn, cmd: sh, max: 1, wait: 0s, args: [-c, 'echo $AMX_ALERT_1_LABEL_name >>@DIR@/ran; until [ -e @DIR@/go ]; do sleep 0.01; done']}]", func(t *testing.T, m *machine) {
			m.post(group("1", notification("amx", firing("a", 0))))
			for _, name := range []string{"b", "c"} {
				a := m.post(group(name, notification("amx", firing(name, 0))))
				if want := []string{"later " + name + ": concurrency limit reached (max: 1)"}; a.Status != 200 || !slices.Equal(told(a), want) {
					t.Errorf("%+v, want %q", a, want)
				}
			}
			if got := m.metric(`am_executor_skipped_total{reason="fingerover"}`); got != "2" {
				t.Errorf("skipped %s", got)
			}
			if got := m.metric(`amx_put_off_total{command="turn",reason="limit"}`); got != "2" {
				t.Errorf("put off %s", got)
			}
			m.post(group("c", notification("amx", resolved("c", 0, 60))))
			m.later(time.Minute, "nobody has found room", func() bool { return m.waiting() > 0 && len(m.lines("ran")) == 1 })
			if err := os.WriteFile(m.dir+"/go", nil, 0o600); err != nil {
				t.Fatal(err)
			}
			m.eventually("the first has ended", func() bool { return m.metric("am_executor_process_duration_seconds_count") == "1" })
			m.later(time.Minute, "the second has run, and nothing waits any more", func() bool { return m.waiting() == 0 && len(m.lines("ran")) == 2 })
			if got := m.lines("ran"); !slices.Equal(got, []string{"a", "b"}) {
				t.Errorf("%q ran", got)
			}
		}},
		{"max: -1 is no limit", "commands: [{name: long, cmd: sleep, args: ['300'], max: -1, wait: 0s}]", func(t *testing.T, m *machine) {
			for i := range 4 {
				if a := m.post(group(fmt.Sprint(i), notification("amx", firing("a", 0)))); !slices.Equal(told(a), []string{"run a: firing"}) {
					t.Errorf("%+v", a)
				}
			}
		}},
		{"health", "commands: [{cmd: 'true'}]", func(t *testing.T, m *machine) {
			for _, path := range []string{"/_health", "/-/healthy", "/-/ready"} {
				if code, _ := m.get(path); code != 200 {
					t.Errorf("%s: %d", path, code)
				}
			}
		}},
		{"metrics", "commands: [{name: ok, cmd: 'true', match_labels: {name: a}}, {name: bad, cmd: 'false', match_labels: {name: b}}]", func(t *testing.T, m *machine) {
			m.post(notification("amx", firing("a", 0)))
			m.post(notification("amx", firing("a", 0)))
			m.post(notification("amx", firing("b", 0)))
			m.post("{")
			m.eventually("both have ended", func() bool { return m.metric("am_executor_process_duration_seconds_count") == "2" })
			for series, want := range map[string]string{
				"am_executor_processes_current":                                         "0",
				`am_executor_errors_total{stage="unmarshal"}`:                           "1",
				`am_executor_errors_total{stage="start"}`:                               "1",
				`am_executor_skipped_total{reason="nomatch"}`:                           "3",
				`amx_results_total{action="run",command="ok"}`:                          "1",
				`amx_skips_total{command="ok",reason="already started for this alert"}`: "1",
				`amx_http_requests_total{code="200"}`:                                   "2",
				"amx_unsettled_total":                                                   "1",
				"amx_config_last_reload_successful":                                     "1",
			} {
				if got := m.metric(series); got != want {
					t.Errorf("%s %s, want %s", series, got, want)
				}
			}
			if _, text := m.get("/metrics"); !strings.Contains(text, "go_goroutines ") || !strings.Contains(text, "process_start_time_seconds ") || !strings.Contains(text, `amx_build_info{`) {
				t.Error("no Go, process or build metrics")
			}
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.check(t, newMachine(t, test.config))
		})
	}
}

func TestFailuresAndRacingResolvesSideBySide(t *testing.T) {
	m := newMachine(t, `
commands:
  - {name: fails, cmd: "false", match_labels: {name: a}, breaker: false}
  - {name: long, cmd: sleep, args: ["300"], match_labels: {name: b}}
`)
	const n = 300
	limit := make(chan struct{}, 30)
	var wg sync.WaitGroup
	at := func(f func()) {
		limit <- struct{}{}
		wg.Go(func() { f(); <-limit })
	}
	for i := range n {
		name := fmt.Sprint(i)
		at(func() {
			if a := m.post(group(name, notification("amx", firing("a", 0)))); a.Status != 500 || a.Results[0].Status != "Failed" {
				t.Errorf("a failure: %+v", a)
			}
		})
		at(func() {
			var pair sync.WaitGroup
			pair.Go(func() {
				a := m.post(group(name, notification("amx", firing("b", 0))))
				late := slices.Equal(told(a), []string{"skip b: late: this alert's resolve came before"})
				ended := slices.Equal(told(a), []string{"run b: firing"}) && a.Results[0].Status == "Cancelled"
				stopped := len(a.Results) == 1 && strings.HasPrefix(told(a)[0], "cancel b: ")
				if a.Status != 200 || !late && !ended && !stopped {
					t.Errorf("a firing: %+v", a)
				}
			})
			pair.Go(func() {
				if a := m.post(group(name, notification("amx", resolved("b", 0, 60)))); a.Status != 200 {
					t.Errorf("its resolve: %+v", a)
				}
			})
			pair.Wait()
		})
	}
	wg.Wait()
	m.eventually("all are gone", func() bool { return len(sleepers(t, m.dir)) == 0 })
}

func TestOnlyAcceptedTokens(t *testing.T) {
	m := newMachine(t, "commands: [{cmd: touch, args: ['@DIR@/ran']}]")
	accepts, err := acceptFile(write(t, "tokens", "old\nnew\n"))
	if err != nil {
		t.Fatal(err)
	}
	handler := newServer(m.host, accepts).Handler
	tests := []struct {
		name, path, authorization string
		status                    int
	}{
		{"none", "/", "", 401},
		{"a wrong one", "/", "Bearer nwe", 401},
		{"part of one", "/", "Bearer ne", 401},
		{"an empty one", "/", "Bearer ", 401},
		{"another scheme", "/", "Digest new", 401},
		{"a bearer", "/", "Bearer new", 400},
		{"the one before it", "/", "bearer old", 400},
		{"a password", "/", "Basic YW55Ym9keTpuZXc=", 400},
		{"a user of that name", "/", "Basic bmV3Og==", 401},
		{"a reload without one", "/-/reload", "", 401},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, test.path, strings.NewReader("{"))
			r.Header.Set("Authorization", test.authorization)
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if w.Code != test.status || (w.Code == 401) != (w.Header().Get("WWW-Authenticate") != "") {
				t.Errorf("%d %s, want %d", w.Code, w.Body, test.status)
			}
		})
	}
}

func TestReload(t *testing.T) {
	m := newMachine(t, "commands: [{name: first, cmd: 'true'}]")
	next := "commands: [{name: second, cmd: 'true'}]"
	m.host.reload = func() (*amx.Config, error) { return amx.ParseConfig("amx.yaml", []byte(next)) }
	reload := func() int {
		w := httptest.NewRecorder()
		m.handler.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/-/reload", nil))
		if (w.Code != 200) != strings.Contains(w.Body.String(), `unknown key \"comands\"`) {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		return w.Code
	}
	if code := reload(); code != 200 {
		t.Errorf("a good file: %d", code)
	}
	next = "comands: []"
	if code := reload(); code != 500 || m.metric("amx_config_last_reload_successful") != "0" {
		t.Errorf("a bad file: %d", code)
	}
	if a := m.post(notification("amx", firing("a", 0))); a.Results[0].Command != "second" {
		t.Errorf("after both: %+v", a)
	}
	next = "commands: [{name: third, cmd: 'true'}]"
	hup := make(chan os.Signal)
	defer m.host.reloadOn(hup)()
	hup <- os.Interrupt // any signal of that channel
	m.eventually("it is reloaded", func() bool { return m.host.current.Load().Commands[0].Name == "third" })
}

func TestAReloadNamesTheCommandsThatAreGone(t *testing.T) {
	m := newMachine(t, "commands: [{name: b, cmd: 'true'}, {name: stays, cmd: 'true'}, {name: a, cmd: 'true'}]")
	next := "commands: [{name: stays, cmd: 'false'}, {name: new, cmd: 'true'}]"
	m.host.reload = func() (*amx.Config, error) { return amx.ParseConfig("amx.yaml", []byte(next)) }
	const warning = `level=WARN msg="commands are gone: a resolve does not stop their runs, unless you put their names back" commands="[b a]"`
	for range 2 { // the second changes nothing
		if err := m.host.reloadNow(); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(m.log.String(), "are gone"); n != 1 || !strings.Contains(m.log.String(), warning) {
			t.Errorf("%d warnings\n%s\nwant 1: %s", n, m.log.String(), warning)
		}
	}
}

func TestTLS(t *testing.T) {
	crt, key := selfSigned(t)
	l, scheme, err := listen("127.0.0.1:0", &amx.Config{TLSCrt: crt, TLSKey: key})
	if err != nil || scheme != "https" {
		t.Fatalf("%s %v", scheme, err)
	}
	m := newMachine(t, "commands: [{cmd: 'true'}]")
	s := newServer(m.host, nil)
	go func() { _ = s.Serve(l) }()
	defer s.Close()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+l.Addr().String()+"/_health", nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := client.Do(r)
	if err != nil || got.StatusCode != 200 {
		t.Fatalf("%v %v", got, err)
	}
	got.Body.Close()
	if _, _, err := listen("127.0.0.1:0", &amx.Config{TLSCrt: "nowhere.crt", TLSKey: key}); err == nil || !strings.Contains(err.Error(), `reading tls_crt "nowhere.crt"`) {
		t.Errorf("a certificate that is not there: %v", err)
	}
}
