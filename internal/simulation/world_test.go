package simulation

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/runner"
	"github.com/amx-lambda/amx/internal/ssmexec"
)

const (
	// window is AMX_LIST_LAG.
	window = 2 * time.Minute
	// timeout is the functions'.
	timeout = 55 * time.Second
)

// A world is a cloud and a configuration, for a test that says itself what
// becomes of each call.
type world struct {
	*testing.T
	cloud  *cloud
	config *amx.Config
	origin time.Time
}

// A sandbox is a process with its runner.
type sandbox struct {
	*process
	*runner.Runner
	origin time.Time
	fates  map[string]fate // :: "SendCommand 1" (its first), "CancelCommand c0" (about it) → what becomes of it
	counts map[string]int
	lock   sync.Mutex
}

// in plays a test in a world of its own, under fake time.
func in(t *testing.T, config string, play func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		t.Helper()
		c, err := amx.ParseConfig("amx.yaml", []byte(config))
		if err != nil {
			t.Fatal(err)
		}
		w := &world{T: t, cloud: newCloud(), config: c, origin: time.Now()}
		defer close(w.cloud.gone)
		play(w)
	})
}

// sandbox begins a process; the fates are of its calls of each operation, by
// their number or what they are about.
func (w *world) sandbox(name string, fates map[string]fate) *sandbox {
	b := &sandbox{origin: w.origin, fates: fates, counts: map[string]int{}}
	b.process = w.cloud.process(name, func(c call) fate {
		b.lock.Lock()
		defer b.lock.Unlock()
		b.counts[c.op]++
		f, ok := fates[fmt.Sprintf("%s %d", c.op, b.counts[c.op])]
		if !ok {
			f, ok = fates[c.op+" "+c.about]
		}
		if !ok {
			f, ok = fates[c.op]
		}
		if _, chunk, _ := strings.Cut(c.about, " "); !ok {
			f = fates[c.op+" of chunk "+chunk[:min(1, len(chunk))]]
		}
		f.takes += time.Millisecond
		return f
	})
	b.Runner = newRunner(b.process, w.config)
	return b
}

func newRunner(p *process, c *amx.Config) *runner.Runner {
	return &runner.Runner{
		Config: func() *amx.Config { return c },
		Store:  table{p},
		Exec:   &ssmexec.Executor{Client: agent{p}},
		Log:    slog.New(slog.DiscardHandler),
		Window: window,
		Wait:   10 * time.Second,
		Random: &counter{name: p.name},
	}
}

// counter is randomness that never repeats and is the same in every replay. A
// single byte is jitter, and must not depend on who asks first.
type counter struct {
	name string
	mu   sync.Mutex
	n    uint32
}

func (c *counter) Read(b []byte) (int, error) {
	if len(b) == 1 {
		b[0] = 0x80
		return 1, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	name := fnv.New32()
	_, _ = name.Write([]byte(c.name))
	clear(b)
	binary.BigEndian.PutUint32(b[len(b)-8:], name.Sum32())
	binary.BigEndian.PutUint32(b[len(b)-4:], c.n)
	return len(b), nil
}

var _ io.Reader = (*counter)(nil)

// deliver is one invocation of a Lambda function. It must have answered, with
// all its calls returned, half a second before the deadline.
func (b *sandbox) deliver(t *testing.T, m *amx.Message) runner.Answer {
	t.Helper()
	return b.deliverWithin(t, m, timeout)
}

func (b *sandbox) deliverWithin(t *testing.T, m *amx.Message, timeout time.Duration) runner.Answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	a := b.Handle(ctx, m, m.SentAt.IsZero())
	if ctx.Err() != nil {
		t.Errorf("%s answered after its deadline", b.name)
	}
	if n := b.open(); n > 0 && !b.isDead() {
		t.Errorf("%s answered while %d of its calls were under way", b.name, n)
	}
	return a
}

func (p *process) open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.active
}

// says is an answer in words, for tests to compare.
func says(a runner.Answer) string {
	var words []string
	for _, r := range a.Results {
		words = append(words, strings.TrimSpace(fmt.Sprintf("%s %s: %s %s", r.Action, strings.Join(r.Alerts, " "), r.Reason, strings.Join(r.CommandIDs, " "))))
	}
	if a.Err != nil {
		words = append(words, "500")
	}
	return strings.Join(words, "; ")
}

func (w *world) at(d time.Duration) time.Time { return w.origin.Add(d) }

// alert names its node by its own name.
func (w *world) fires(name string, start time.Duration) amx.Alert {
	return amx.Alert{Status: amx.Firing, Fingerprint: name, Labels: amx.KV{"alertname": name, "node": nodeOf(name)}, StartsAt: w.at(start)}
}

func (w *world) resolves(name string, start, end time.Duration) amx.Alert {
	a := w.fires(name, start)
	a.Status, a.EndsAt = amx.Resolved, w.at(end)
	return a
}

func nodeOf(name string) string { return fmt.Sprintf("i-%08x", name) }

// message is a webhook's.
func message(alerts ...amx.Alert) *amx.Message {
	return &amx.Message{Version: "4", Data: amx.Data{Receiver: "amx", Status: alerts[0].Status, Alerts: alerts, GroupLabels: amx.KV{"g": "g"}}}
}

// expect delivers and compares the answer.
func (w *world) expect(b *sandbox, m *amx.Message, want string) {
	w.Helper()
	if got := says(b.deliver(w.T, m)); got != want {
		w.Errorf("%s at %v answered\n %s\nnot\n %s", b.name, time.Since(w.origin), got, want)
	}
}

// until lets time pass.
func (w *world) until(d time.Duration) { time.Sleep(time.Until(w.at(d))) }

// running is the commands that run on nodes now, sorted.
func (c *cloud) running() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var ids []string
	for _, p := range c.passes {
		if p.running() {
			ids = append(ids, p.command.id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

func (w *world) nothingRuns() {
	w.Helper()
	if ids := w.cloud.running(); len(ids) > 0 {
		w.Errorf("at %v the nodes still run %v", time.Since(w.origin), ids)
	}
}

// ran is how often the nodes have begun the command.
func (w *world) ran(want int) {
	w.Helper()
	w.cloud.mu.Lock()
	defer w.cloud.mu.Unlock()
	if got := len(w.cloud.passes); got != want {
		w.Errorf("the nodes have run it %d times, not %d", got, want)
	}
}

func (w *world) sent(want int) {
	w.Helper()
	w.cloud.mu.Lock()
	defer w.cloud.mu.Unlock()
	if got := len(w.cloud.commands); got != want {
		w.Errorf("SSM has %d commands, not %d", got, want)
	}
}

// entries is how many runs the ledger knows.
func (w *world) runs() (n int) {
	w.Helper()
	w.cloud.mu.Lock()
	defer w.cloud.mu.Unlock()
	for key, r := range w.cloud.records {
		if strings.HasPrefix(key, "entry/") {
			e, err := ledger.Decode(r.Value)
			if err != nil {
				w.Fatal(err)
			}
			n += len(e.Runs)
		}
	}
	return n
}
