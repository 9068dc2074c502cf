package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	queuebolt "github.com/amx-lambda/amx/internal/queue/bolt"
	"github.com/amx-lambda/amx/internal/runner"
)

// machine is amx serve without its port: the handler over a real ledger, real
// processes and the SDK's real client.
type machine struct {
	t       *testing.T
	dir     string
	host    *host
	handler http.Handler
	log     logs
	ahead   atomic.Int64 // how far the ledger's and the queue's clock is ahead of the commands', in nanoseconds
}

// now is the time, as the ledger and the queue have it.
func (m *machine) now() time.Time { return time.Now().Add(time.Duration(m.ahead.Load())) }

func newMachine(t *testing.T, config string) *machine {
	t.Helper()
	return newMachineIn(t, t.TempDir(), config)
}

func newMachineIn(t *testing.T, dir, config string) *machine {
	t.Helper()
	m := &machine{t: t, dir: dir}
	cfg, err := amx.ParseConfig("amx.yaml", []byte(strings.ReplaceAll(config, "@DIR@", m.dir)))
	if err != nil {
		t.Fatal(err)
	}
	m.host, err = newHost(cfg, filepath.Join(m.dir, "ledger.db"), environment(), slog.New(slog.NewTextHandler(&m.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.close)
	m.host.runner.Now = m.now
	if m.host.queue, err = queuebolt.Open(t.Context(), m.host.store, queuebolt.Options{Now: m.now, Log: m.host.log}); err != nil {
		t.Fatal(err)
	}
	m.host.runner.Queue = m.host.queue
	m.host.tellPeople(environment()) // through that queue
	m.handler = newServer(m.host, nil).Handler
	return m
}

// environment is the tests' own, without variables that would look like amx's.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "AMX_") })
}

func (m *machine) close() {
	if m.host == nil {
		return
	}
	if err := m.host.close(); err != nil {
		m.t.Error(err)
	}
	m.host = nil
}

type answer struct {
	Status  int
	Results []runner.Result
	Error   string
}

func (m *machine) post(body string) answer { return m.request(http.MethodPost, body) }

func (m *machine) request(method, body string) answer {
	m.t.Helper()
	w := httptest.NewRecorder()
	m.handler.ServeHTTP(w, httptest.NewRequest(method, "/", strings.NewReader(body)))
	a := answer{Status: w.Code}
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		m.t.Fatalf("answer %q: %v", w.Body, err)
	}
	return a
}

// lines is what the commands of a test have written to a file: one line a run.
func (m *machine) lines(name string) []string {
	m.t.Helper()
	text, err := os.ReadFile(filepath.Join(m.dir, name))
	if err != nil && !os.IsNotExist(err) {
		m.t.Fatal(err)
	}
	return strings.Fields(string(text))
}

// eventually waits for something that another process does, as long as go test
// lets it.
func (m *machine) eventually(what string, is func() bool) {
	m.t.Helper()
	m.t.Logf("waiting: %s", what)
	for !is() {
		time.Sleep(5 * time.Millisecond)
	}
}

// later lets that much time pass for the ledger and the queue, which delivers what
// is due until what is to happen has happened.
func (m *machine) later(d time.Duration, what string, is func() bool) {
	m.t.Helper()
	m.ahead.Add(int64(d))
	ctx, stop := context.WithCancel(m.t.Context())
	done := make(chan error)
	go func() { done <- m.host.queue.Run(ctx, m.host.runner.HandleItem) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			m.t.Error(err)
		}
	}()
	m.eventually(what, is)
}

// waiting is how many items are on the queue.
func (m *machine) waiting() int {
	m.t.Helper()
	n, _, err := m.host.queue.Len()
	if err != nil {
		m.t.Fatal(err)
	}
	return n
}

// at is a time of the tests: an hour ago, and so many seconds.
func at(seconds int) time.Time {
	return time.Now().Add(-time.Hour).Truncate(time.Second).Add(time.Duration(seconds) * time.Second)
}

type alert struct {
	name       string // label `name`
	start, end int    // seconds; end 0: firing
}

func firing(name string, start int) alert        { return alert{name: name, start: start} }
func resolved(name string, start, end int) alert { return alert{name: name, start: start, end: end} }

// notification is a webhook's body with these alerts, of one group.
func notification(receiver string, alerts ...alert) string {
	base := at(0)
	var as []map[string]any
	status := "resolved"
	for _, a := range alerts {
		x := map[string]any{
			"status": "firing", "labels": map[string]string{"alertname": "A", "name": a.name},
			"annotations": map[string]string{}, "generatorURL": "http://prometheus/graph",
			"startsAt": base.Add(time.Duration(a.start) * time.Second).Format(time.RFC3339Nano), "endsAt": "0001-01-01T00:00:00Z",
		}
		if a.end != 0 {
			x["status"], x["endsAt"] = "resolved", base.Add(time.Duration(a.end)*time.Second).Format(time.RFC3339Nano)
		} else {
			status = "firing"
		}
		as = append(as, x)
	}
	text, err := json.Marshal(map[string]any{
		"version": "4", "groupKey": "{}:{}", "status": status, "receiver": receiver,
		"groupLabels": map[string]string{"alertname": "A"}, "commonLabels": map[string]string{"alertname": "A"},
		"commonAnnotations": map[string]string{}, "externalURL": "http://alertmanager", "alerts": as,
	})
	if err != nil {
		panic(err)
	}
	return string(text)
}

// told is a result as a test's table writes it: action, reason, and the alerts
// by name.
func told(a answer) []string {
	names := map[string]string{}
	for _, n := range []string{"a", "b", "c"} {
		names[amx.Fingerprint(amx.KV{"alertname": "A", "name": n})] = n
	}
	var all []string
	for _, r := range a.Results {
		var who []string
		for _, fp := range r.Alerts {
			who = append(who, names[fp])
		}
		slices.Sort(who)
		all = append(all, r.Action+" "+strings.Join(who, ",")+": "+r.Reason)
	}
	slices.Sort(all)
	return all
}

// logs is what amx has logged so far; slog writes a line at a time.
type logs struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
