package simulation

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/cloudtest"
	"github.com/amx-lambda/amx/internal/queue"
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
	cloud  *cloudtest.Cloud
	books  *books
	config *amx.Config
	origin time.Time
}

// A sandbox is a process with its runner.
type sandbox struct {
	*cloudtest.Process
	*runner.Runner
	origin time.Time
	fates  map[string]cloudtest.Fate // :: "SendCommand 1" (its first), "CancelCommand c0" (about it) → what becomes of it
	counts map[string]int
	lock   sync.Mutex
	log    *decisions
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
		w := &world{T: t, cloud: cloudtest.New(), config: c, origin: time.Now()}
		w.books = keepBooks(w.cloud)
		defer w.cloud.Close()
		play(w)
	})
}

// sandbox begins a process; the fates are of its calls of each operation, by
// their number or what they are about.
func (w *world) sandbox(name string, fates map[string]cloudtest.Fate) *sandbox {
	b := &sandbox{origin: w.origin, fates: fates, counts: map[string]int{}}
	b.Process = w.cloud.Process(name, func(c cloudtest.Call) cloudtest.Fate {
		b.lock.Lock()
		defer b.lock.Unlock()
		b.counts[c.Op]++
		f, ok := fates[fmt.Sprintf("%s %d", c.Op, b.counts[c.Op])]
		if !ok {
			f, ok = fates[c.Op+" "+c.About]
		}
		if !ok {
			f, ok = fates[c.Op]
		}
		if _, chunk, _ := strings.Cut(c.About, " "); !ok {
			f = fates[c.Op+" of chunk "+chunk[:min(1, len(chunk))]]
		}
		f.Takes += time.Millisecond
		return f
	})
	b.Runner = newRunner(b.Process, w.config)
	b.log = &decisions{}
	return b
}

// work delivers to the sandbox each item of the queue that is due, in the order of
// their puts, and compares what became of them.
func (w *world) work(b *sandbox, want string) {
	w.Helper()
	var words []string
	for _, q := range w.cloud.Waiting() {
		if time.Now().Before(q.Due) {
			continue
		}
		answer := b.handle(w.T, q.Item)
		if answer.Err == nil {
			w.cloud.Settled(q, false)
		}
		if said := says(answer); said != "" {
			words = append(words, said)
		}
	}
	if got := strings.Join(words, "; "); got != want {
		w.Errorf("%s at %v worked\n %s\nnot\n %s", b.Name, time.Since(w.origin), got, want)
	}
}

// works works off what is due every second, until the queue is empty or the time
// has come.
func (w *world) works(b *sandbox, until time.Duration) {
	w.Helper()
	for w.at(until).After(time.Now()) && len(w.cloud.Waiting()) > 0 {
		for _, q := range w.cloud.Waiting() {
			if time.Now().Before(q.Due) {
				continue
			}
			err := b.handle(w.T, q.Item).Err
			if givenUp := errors.Is(err, queue.ErrGivenUp); err == nil || givenUp {
				w.cloud.Settled(q, givenUp)
			}
		}
		time.Sleep(time.Second)
	}
	w.until(until)
}

// ended is SSM's event that a command has ended, which may come at any time.
func (w *world) ended(b *sandbox, id string) {
	w.Helper()
	w.cloud.Mu.Lock()
	token := w.cloud.Find(id).Token
	w.cloud.Mu.Unlock()
	ctx, cancel := context.WithTimeout(w.Context(), timeout)
	defer cancel()
	if err := b.Ended(ctx, string(token.Entry), token.Run, token.Command); err != nil {
		w.Errorf("%s at %v: the end of %s: %v", b.Name, time.Since(w.origin), id, err)
	}
}

// handle is an invocation of the worker for one item.
func (b *sandbox) handle(t *testing.T, it queue.Item) runner.Answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	b.log.forget()
	err := b.HandleItem(b.log.of(ctx), it)
	if n := b.Open(); n > 0 && !b.Dead() {
		t.Errorf("%s was done with an item while %d of its calls were under way", b.Name, n)
	}
	return runner.Answer{Results: b.log.results(), Err: err}
}

func newRunner(p *cloudtest.Process, c *amx.Config) *runner.Runner {
	return &runner.Runner{
		Config: func() *amx.Config { return c },
		Store:  p.Table(),
		Queue:  p.Queue(),
		Exec:   &ssmexec.Executor{Client: p.SSM()},
		Log:    slog.New(toDecisions{}),
		Window: window,
		Random: &counter{name: p.Name},
	}
}

// spread is a counter whose jitter differs from call to call.
type spread struct {
	counter
	seed uint64
}

func (s *spread) Read(b []byte) (int, error) {
	s.name = fmt.Sprint("spread", s.seed)
	n, err := s.counter.Read(b)
	if len(b) == 1 {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.seed = s.seed*6364136223846793005 + 1442695040888963407
		b[0] = byte(s.seed >> 56)
	}
	return n, err
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
	a := b.Handle(ctx, m, runner.Source{Waits: m.SentAt.IsZero()})
	if ctx.Err() != nil {
		t.Errorf("%s answered after its deadline", b.Name)
	}
	if n := b.Open(); n > 0 && !b.Dead() {
		t.Errorf("%s answered while %d of its calls were under way", b.Name, n)
	}
	return a
}

// webhook delivers as the webhook's function does: Alertmanager gives up after
// group_interval, 10 s at least.
func (w *world) webhook(b *sandbox, m *amx.Message, want string) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), webhookTimeout)
	defer cancel()
	a := b.Handle(ctx, m, runner.Source{Waits: true, Within: runner.Within})
	if got := says(a); got != want || ctx.Err() != nil {
		w.Errorf("%s at %v answered\n %s\nnot\n %s\nin time: %v", b.Name, time.Since(w.origin), got, want, ctx.Err() == nil)
	}
}

// topic is a message that SNS stamped with its time.
func (w *world) topic(sent time.Duration, alerts ...amx.Alert) *amx.Message {
	m := message(alerts...)
	m.SentAt = w.at(sent)
	return m
}

// says is an answer in words, for tests to compare.
func says(a runner.Answer) string {
	var words []string
	for _, r := range a.Results {
		if r.Action == runner.ActionLater {
			words = append(words, fmt.Sprintf("later %s: %s", strings.Join(r.Alerts, " "), compact(r.Reason)))
			continue
		}
		words = append(words, strings.TrimSpace(fmt.Sprintf("%s %s: %s %s", r.Action, strings.Join(r.Alerts, " "), r.Reason, strings.Join(r.CommandIDs, " "))))
	}
	if a.Err != nil {
		words = append(words, "500")
	}
	return strings.Join(words, "; ")
}

// compact is why something was put off, without what the test knows anyway.
func compact(reason string) string { return shorter.Replace(ofRun.ReplaceAllString(reason, "the run")) }

var (
	ofRun   = regexp.MustCompile(`run [0-9A-Z]{26}`)
	shorter = strings.NewReplacer(
		"\n", ", ", "it may have been sent, and SSM does not list it yet", "in doubt", "api error ", "", ": said the model", "",
		": the table: context deadline exceeded", "", "it is being sent by another delivery", "being sent", "is being sent by another delivery", "being sent",
	)
)

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
		w.Errorf("%s at %v answered\n %s\nnot\n %s", b.Name, time.Since(w.origin), got, want)
	}
}

// until lets time pass.
func (w *world) until(d time.Duration) { time.Sleep(time.Until(w.at(d))) }

func (w *world) nothingRuns() {
	w.Helper()
	if ids := w.cloud.Running(); len(ids) > 0 {
		w.Errorf("at %v the nodes still run %v", time.Since(w.origin), ids)
	}
}

// ran is how often the nodes have begun the command.
func (w *world) ran(want int) {
	w.Helper()
	w.cloud.Mu.Lock()
	defer w.cloud.Mu.Unlock()
	if got := len(w.cloud.Passes); got != want {
		w.Errorf("the nodes have run it %d times, not %d", got, want)
	}
}

func (w *world) sent(want int) {
	w.Helper()
	w.cloud.Mu.Lock()
	defer w.cloud.Mu.Unlock()
	if got := len(w.cloud.Commands); got != want {
		w.Errorf("SSM has %d commands, not %d", got, want)
	}
}

// entries is how many runs the ledger knows.
func (w *world) runs() (n int) {
	w.Helper()
	w.cloud.Mu.Lock()
	defer w.cloud.Mu.Unlock()
	for key, r := range w.cloud.Records {
		if strings.HasPrefix(key, "entry/") {
			e, err := cloudtest.ReadEntry(r)
			if err != nil {
				w.Fatal(err)
			}
			n += len(e.Runs)
		}
	}
	return n
}
