package main

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/ledger/bolt"
	"github.com/amx-lambda/amx/internal/queue"
	queuebolt "github.com/amx-lambda/amx/internal/queue/bolt"
)

// putOff leaves a notification of the command "long" on the queue, as a process
// that died before it acted has.
func putOff(t *testing.T, dir, body string) {
	t.Helper()
	store, err := bolt.Open(filepath.Join(dir, "ledger.db"), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	q, err := queuebolt.Open(t.Context(), store, queuebolt.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	m, err := amx.Decode([]byte(body), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	it := queue.Item{Kind: queue.Notification, Command: "long", Message: m, SentAt: time.Now(), Arrived: time.Now(), Reason: "throttled"}
	if err := q.Put(t.Context(), it); err != nil {
		t.Fatal(err)
	}
}

// metric is a line of a process's metrics, without its name.
func (p *process) metric(name string) string {
	p.t.Helper()
	r, err := http.Get(p.url + "/metrics")
	if err != nil {
		p.t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func TestWhatADeadAMXPutOffIsDoneOnceAtTheNextStart(t *testing.T) {
	dir := t.TempDir()
	m := &machine{t: t, dir: dir}
	for restart := range 3 { // the queue delivers at least once
		putOff(t, dir, notification("amx", firing("a", 0)))
		p := startAMX(t, dir, longRun)
		m.eventually("the item is done with", func() bool { return p.metric(`amx_queue_deliveries_total{outcome="done"}`) == "1" })
		m.eventually("the command has begun", func() bool { return len(m.lines("runs")) == 1 })
		if again := p.metric(`amx_queue_deliveries_total{outcome="again"}`); again != "0" {
			t.Errorf("start %d: %s deliveries failed", restart, again)
		}
		p.kill()
	}
	putOff(t, dir, notification("amx", resolved("a", 0, 60)))
	startAMX(t, dir, longRun)
	m.eventually("the command is gone", func() bool { return len(sleepers(t, dir)) == 0 })
	if n := len(m.lines("runs")); n != 1 {
		t.Errorf("%d runs, want 1", n)
	}
}

func TestTheStatusShowsWhatWaits(t *testing.T) {
	m := newMachine(t, longRun)
	arrived := time.Now().UTC().Truncate(time.Second)
	for i := range 2 {
		it := queue.Item{Kind: queue.Notification, Command: "long", Arrived: arrived.Add(time.Duration(i) * time.Second), Due: arrived.Add(time.Hour)}
		if err := m.host.queue.Put(t.Context(), it); err != nil {
			t.Fatal(err)
		}
	}
	s, err := m.host.operator.Status(t.Context())
	if err != nil || s.Queue.Oldest == nil {
		t.Fatalf("%+v, %v", s, err)
	}
	if got, want := fmt.Sprint(s.Queue.Items, s.Queue.DeadLetters, *s.Queue.Oldest), fmt.Sprint(2, 0, arrived); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
