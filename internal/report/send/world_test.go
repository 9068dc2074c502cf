package send

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/history"
	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/queue"
	"github.com/amx-lambda/amx/internal/report"
	"github.com/amx-lambda/amx/internal/reporttest"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// world is a Sender with its store, its queue, its clock and the services.
type world struct {
	t         *testing.T
	slack     *reporttest.Slack
	pagerDuty *reporttest.PagerDuty
	receiver  *reporttest.Receiver
	prom      *reporttest.Prometheus
	store     *store
	config    *amx.Config
	secrets   map[string]string
	log       bytes.Buffer
	lost      []string

	mu    sync.Mutex
	now   time.Time
	items []queue.Item
}

// newWorld reads a configuration in which HOOK, RECEIVER and PROMETHEUS stand for
// the stand-ins' URLs.
func newWorld(t *testing.T, yaml string) *world {
	w := &world{t: t, now: noon, store: &store{records: map[string]ledger.Record{}}}
	var stops [4]func()
	w.slack, stops[0] = reporttest.NewSlack()
	w.pagerDuty, stops[1] = reporttest.NewPagerDuty()
	w.receiver, stops[2] = reporttest.NewReceiver()
	w.prom, stops[3] = reporttest.NewPrometheus(cpu("web-1", 0.5, 0.45), cpu("web-2", 0.3, 0))
	for _, stop := range stops {
		t.Cleanup(stop)
	}
	w.secrets = map[string]string{
		"ssm:/amx/slack": reporttest.SlackToken, "env:KEY": reporttest.RoutingKey,
		"file:/hook": w.slack.HookURL(), "env:SECRET": "s1gn1ng-s3cr3t", "env:RECEIVER": w.receiver.URL,
	}
	w.config = parse(t, replaced(yaml, "RECEIVER_URL", w.receiver.URL, "PROMETHEUS_URL", w.prom.URL))
	t.Cleanup(func() {
		for _, wrong := range append(w.slack.Wrong(), w.pagerDuty.Wrong()...) {
			t.Error(wrong)
		}
		for name, secret := range w.secrets {
			if name != "env:RECEIVER" && bytes.Contains(w.log.Bytes(), []byte(secret)) {
				t.Errorf("the secret %s is in the log:\n%s", name, w.log.String())
			}
		}
	})
	return w
}

func (w *world) sender() *Sender {
	return &Sender{
		Config: func() *amx.Config { return w.config },
		Store:  w.store, Queue: w, Client: &http.Client{}, Now: w.time,
		Random:   func() float64 { return 0.5 },
		Log:      slog.New(slog.NewTextHandler(&w.log, nil)),
		Secrets:  &Secrets{Now: w.time, Read: w.secret},
		Wait:     func(ctx context.Context, d time.Duration) error { return ctx.Err() },
		SlackURL: w.slack.URL, PagerDutyURL: w.pagerDuty.URL,
		RunURL: func(rec *history.Record) string { return "https://amx.example/runs/" + rec.Run },
		Lost:   func(_ context.Context, destination string) { w.lost = append(w.lost, destination) },
	}
}

func (w *world) secret(_ context.Context, kind, name string) (string, error) {
	if value, ok := w.secrets[kind+":"+name]; ok {
		return value + "\n", nil
	}
	return "", errors.New("no such secret")
}

func (w *world) time() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// Put is the queue's: an item goes through its encoding, as it does in SQS.
func (w *world) Put(_ context.Context, it queue.Item) error {
	text, err := it.Encode()
	if err != nil {
		return err
	}
	if it, err = queue.Decode(text); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.items = append(w.items, it)
	return nil
}

func (w *world) reporter() *report.Reporter {
	return &report.Reporter{Queue: w, Config: func() *amx.Config { return w.config }, Now: w.time}
}

// record reports a record, and message a notification.
func (w *world) record(rec history.Record) {
	w.t.Helper()
	rec.Updated = w.time()
	if err := w.reporter().Record(w.t.Context(), rec); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) message(m *amx.Message) {
	w.t.Helper()
	if err := w.reporter().Notification(w.t.Context(), m); err != nil {
		w.t.Fatal(err)
	}
}

// deliver delivers every item, the first time twice, until the queue is empty: an item that
// is not due yet lets the time pass.
func (w *world) deliver() {
	w.t.Helper()
	for range 3000 {
		w.mu.Lock()
		if len(w.items) == 0 {
			w.mu.Unlock()
			return
		}
		it := w.items[0]
		w.items = w.items[1:]
		if it.Due.After(w.now) {
			w.now = it.Due
		}
		w.mu.Unlock()
		for range max(1, 2-it.Tries) {
			if err := w.sender().HandleItem(w.t.Context(), it); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	w.t.Fatal("the queue does not get empty")
}

// store is a ledger's store in memory.
type store struct {
	mu      sync.Mutex
	records map[string]ledger.Record
	fail    error       // of the next Put
	puts    chan string // where it is not nil: the key of each Put
}

func (s *store) Get(_ context.Context, keys ...string) ([]ledger.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := make([]ledger.Record, len(keys))
	for i, key := range keys {
		found[i] = s.records[key]
		found[i].Key = key
	}
	return found, nil
}

func (s *store) Put(_ context.Context, r ledger.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		err := s.fail
		s.fail = nil
		return err
	}
	if s.records[r.Key].Version != r.Version {
		return ledger.ErrConflict
	}
	r.Version++
	s.records[r.Key] = r
	if s.puts != nil {
		s.puts <- r.Key
	}
	return nil
}

func parse(t *testing.T, yaml string) *amx.Config {
	t.Helper()
	c, err := amx.ParseConfig("amx.yaml", []byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// cpu is a series that rises an hour before noon.
func cpu(instance string, base, rise float64) reporttest.Series {
	return reporttest.Series{
		Labels: map[string]string{"__name__": "cpu", "instance": instance, "job": "node"},
		Value: func(at time.Time) float64 {
			m := at.Sub(noon.Add(-75 * time.Minute)).Minutes()
			return base + 0.05*math.Sin(m/14) + 0.02*math.Sin(m*0.85) + rise*min(1, max(0, m/30))
		},
	}
}

var highCPU = history.Alert{
	Fingerprint:  "6df4f742dfd5ca1e",
	Labels:       amx.KV{"alertname": "HighCPU", "instance": "web-1", "job": "node", "severity": "page"},
	Annotations:  amx.KV{"summary": "web-1 is at 97 % CPU <!channel> & more", "runbook_url": "https://wiki.example/HighCPU"},
	StartsAt:     noon.Add(-50 * time.Minute),
	GeneratorURL: "https://prometheus.example/graph?g0.expr=avg+by+%28instance%2C+job%29+%28cpu%29+%3E+0.9&g0.tab=1",
}

// run is a record of a run of restart-nginx.
func run(id int, state history.State) history.Record {
	rec := history.Record{
		Run: fmt.Sprintf("01KAZ3ZQ8Q%016d", id), Command: "restart-nginx", State: state, Attempt: 1, Entry: "0123456789abcdef",
		Alerts: []history.Alert{highCPU}, Claimed: noon.Add(-40 * time.Second), Sent: noon.Add(-39 * time.Second),
		Source: history.Source{Receiver: "amx", ExternalURL: "https://alertmanager.example"},
	}
	if state != history.Running {
		rec.Ended = noon
		code := 0
		rec.Nodes = []history.Node{{Node: "i-0aaaaaaaaaaaaaaa1", Status: "Success", ExitCode: &code}, {Node: "i-0aaaaaaaaaaaaaaa2", Status: "Success", ExitCode: &code}}
	}
	if state == history.Failed {
		code := 3
		rec.Nodes[1] = history.Node{
			Node: "i-0aaaaaaaaaaaaaaa2", Status: "Failed", ExitCode: &code,
			Output: "Job for nginx.service failed because the control process exited with error code.\n``` <@U123> & nginx: [emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)\n",
		}
	}
	return rec
}

func notification(status string, alerts ...amx.Alert) *amx.Message {
	for i := range alerts {
		alerts[i].Status = status
	}
	m := &amx.Message{Version: "4"}
	m.Data = amx.Data{Receiver: "amx", Status: status, Alerts: alerts, GroupLabels: amx.KV{"alertname": "HighCPU"}, ExternalURL: "https://alertmanager.example"}
	return m
}

func alert() amx.Alert {
	return amx.Alert{
		Labels: highCPU.Labels, Annotations: highCPU.Annotations, StartsAt: highCPU.StartsAt,
		GeneratorURL: highCPU.GeneratorURL, Fingerprint: highCPU.Fingerprint,
	}
}
