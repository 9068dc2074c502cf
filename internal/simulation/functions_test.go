package simulation

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/cloudtest"
	"github.com/amx-lambda/amx/internal/lambdatest"
	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/runner"
)

// The built functions live faster than on AWS: their time is real.
const (
	quickWindow  = time.Second
	quickTimeout = 4 * time.Second
)

// TestTheBuiltFunctionsUnderEveryFault has two webhook functions, two SNS functions
// and the worker on one table and one queue. The first four are told of every
// episode, and each call of all of them may fail, be slow, lose its answer, or be
// the moment at which the process is killed.
func TestTheBuiltFunctionsUnderEveryFault(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes real time")
	}
	processors := runtime.GOMAXPROCS(runtime.NumCPU()) // time is real, and nothing is to be replayed
	t.Cleanup(func() { runtime.GOMAXPROCS(processors) })
	episodes := int(number(t, "EPISODES", 12))
	built := bootstraps(t)
	var all sync.WaitGroup // and not t.Parallel: they wait more than they work
	for _, tt := range []struct {
		name   string
		shape  shape
		alerts int // of a group
	}{
		{"by alert", shape{perAlert: true}, 1},
		{"by alert, with max", shape{perAlert: true, max: 20}, 1},
		{"by group, with retries", shape{retries: 1, wait: time.Second}, 5},
	} {
		all.Go(func() {
			t.Run(tt.name, func(t *testing.T) {
				q := newQuick(t, tt.shape, episodes, tt.alerts)
				q.prepare(built)
				q.play()
				for _, v := range q.check() {
					t.Error(v)
				}
				q.report(episodes)
			})
		})
	}
	all.Wait()
}

// A quick is a schedule in real time, played by built functions.
type quick struct {
	*testing.T
	*schedule
	front     *httptest.Server
	file      string // the configuration
	functions []*quickFunction
	worker    *quickFunction
	killed    atomic.Int64
	calls     atomic.Int64

	lock  sync.Mutex
	alive map[string]*quickProcess // :: name of a process → process
}

// concurrency is how many processes a function has at the most: Lambda's reserved
// concurrency.
const concurrency = 30

// A quickFunction is a Lambda function: as many processes as there are
// invocations at a time, each of which is used again.
type quickFunction struct {
	free            chan struct{} // one for each invocation that is under way
	name, bootstrap string
	sns             bool
	idle            []*quickProcess
	begun           int
}

// A logger keeps what the functions wrote in the trace: of a thousand processes it
// would bury what failed.
type logger struct {
	*testing.T
	cloud *cloudtest.Cloud
}

func (l logger) Logf(format string, args ...any) { l.cloud.Note(format, args...) }

type quickProcess struct {
	*cloudtest.Process
	*lambdatest.Function
}

func newQuick(t *testing.T, sh shape, episodes, together int) *quick {
	s := &schedule{
		seed: number(t, "SEED", 1), cloud: cloudtest.New(), origin: time.Now().Add(2 * time.Second).Truncate(time.Second),
		faults: map[string]int{}, soon: 2 * time.Second, shape: sh,
	}
	s.books = keepBooks(s.cloud)
	q := &quick{T: t, schedule: s, alive: map[string]*quickProcess{}}
	t.Cleanup(func() {
		if t.Failed() {
			name := filepath.Join(os.TempDir(), "amx-simulation-trace.txt")
			t.Log("what happened is in ", name, os.WriteFile(name, []byte(strings.Join(q.cloud.Trace, "\n")), 0o600))
		}
	})
	q.front = httptest.NewServer(http.HandlerFunc(q.serve))
	t.Cleanup(func() {
		q.front.CloseClientConnections()
		q.front.Close()
	})
	s.cloud.IDs, s.cloud.Page = "%08d-0000-4000-8000-000000000000", 50
	s.cloud.Lags = func(c *cloudtest.Command) time.Duration {
		return between(s.draw("lag", c.ID), 0, quickWindow-200*time.Millisecond)
	}
	s.cloud.Reach = func(c *cloudtest.Command) time.Duration {
		return between(s.draw("reach", c.ID), 10*time.Millisecond, 500*time.Millisecond)
	}
	s.cloud.Obeys = func(c *cloudtest.Command) time.Duration {
		return between(s.draw("obeys", c.ID), 10*time.Millisecond, 300*time.Millisecond)
	}
	s.cloud.Lasts = func(c *cloudtest.Command, node string) (time.Duration, int) {
		r := s.draw("lasts", c.ID, node)
		return []time.Duration{100 * time.Millisecond, 3 * time.Second, time.Hour}[r.IntN(3)], max(0, r.IntN(3)-1)
	}
	alerts := min(50, max(together, episodes/2))
	r := s.draw("episodes")
	for i := range alerts {
		h := &history{name: fmt.Sprintf("%04d", i), group: fmt.Sprint(i / together), skew: between(r, -time.Minute, time.Minute).Round(time.Second)}
		at := between(r, 0, 2*time.Second)
		for range episodes / alerts {
			e := episode{start: at.Round(time.Millisecond), end: (at + between(r, 2500*time.Millisecond, 4*time.Second)).Round(time.Millisecond)}
			h.episodes = append(h.episodes, e)
			at = e.end + between(r, 1500*time.Millisecond, 3*time.Second)
		}
		s.alerts = append(s.alerts, h)
		s.books.names[amx.Fingerprint(h.fires(s.origin, h.episodes[0]).Labels)] = h.name
	}
	return q
}

// bootstraps builds the functions, and answers the paths of their bootstraps by
// their kinds.
func bootstraps(t *testing.T) map[string]string {
	t.Helper()
	paths, dir := map[string]string{}, t.TempDir()
	for _, kind := range []string{"webhook", "sns", "worker"} {
		paths[kind] = lambdatest.Build(t, filepath.Join("..", ".."), "./functions/"+kind, filepath.Join(dir, kind))
	}
	return paths
}

// prepare makes the functions and their configuration.
func (q *quick) prepare(built map[string]string) {
	dir := q.TempDir()
	config := strings.Replace(group, "wait: 0s", fmt.Sprintf("wait: %v\n    retries: %d\n    max: %d", q.shape.wait, q.shape.retries, q.shape.max), 1)
	if q.shape.perAlert {
		config += "    scope: alert\n"
	}
	q.file = filepath.Join(dir, "amx.yaml")
	if err := os.WriteFile(q.file, []byte(config), 0o600); err != nil {
		q.Fatal(err)
	}
	for _, kind := range []string{"webhook", "sns"} {
		for i := range 2 {
			q.functions = append(q.functions, &quickFunction{free: make(chan struct{}, concurrency), name: fmt.Sprint(kind, i+1), bootstrap: built[kind], sns: kind == "sns"})
		}
	}
	q.worker = &quickFunction{free: make(chan struct{}, concurrency), name: "worker", bootstrap: built["worker"]}
	q.cloud.Arrived, q.cloud.Ended = q.arrived, q.commandEnded
}

const quickTopic = "arn:aws:sns:eu-central-1:123456789012:alerts"

// process is one that is free, or a new one.
func (q *quick) process(f *quickFunction) *quickProcess {
	q.lock.Lock()
	defer q.lock.Unlock()
	if n := len(f.idle); n > 0 {
		p := f.idle[n-1]
		f.idle = f.idle[:n-1]
		return p
	}
	f.begun++
	name := fmt.Sprintf("%s-%d", f.name, f.begun)
	p := &quickProcess{Process: q.cloud.Process(name, q.fate)}
	q.alive[name] = p
	p.Function = lambdatest.Start(
		logger{q.T, q.cloud}, f.bootstrap, "AMX_CONFIG=file:"+q.file, "AMX_TABLE=amx", "AMX_QUEUE_URL=https://sqs/1/work", "AMX_DEAD_LETTER_URL=https://sqs/1"+cloudtest.DeadLetters, "AMX_AUTH=iam",
		"AMX_TOPIC_ARNS="+quickTopic, "AMX_LIST_LAG="+quickWindow.String(), "AWS_LAMBDA_LOG_LEVEL=DEBUG",
		"AWS_ENDPOINT_URL_SSM="+q.front.URL+"/"+name, "AWS_ENDPOINT_URL_DYNAMODB="+q.front.URL+"/"+name, "AWS_ENDPOINT_URL_SQS="+q.front.URL+"/"+name,
	)
	return p
}

// fate is chance's. Each kind of fault has a tenth of the calls that can have it,
// but for kills and what takes time: an invocation makes some four calls, and one
// of them is enough.
func (q *quick) fate(c cloudtest.Call) cloudtest.Fate {
	q.calls.Add(1)
	r := q.draw("fate", c.Process, c.Op, c.About, c.Nth)
	f := cloudtest.Fate{Takes: between(r, time.Millisecond, 10*time.Millisecond), Answers: time.Millisecond}
	if q.calm.Load() {
		return f
	}
	outage := q.draw("outage", int(time.Since(q.origin)/time.Second)).IntN(10) == 0
	one := func(of int, fault string) bool {
		if r.IntN(of) > 0 {
			return false
		}
		q.count(fault)
		return true
	}
	tenth := func(fault string) bool { return one(10, fault) }
	switch {
	case outage && (c.Op == "Get" || c.Op == "Put"):
		f.Err = context.DeadlineExceeded
		q.count("outage")
	case one(40, "killed"):
		f.Dies = []string{"before", "after"}[r.IntN(2)]
	case tenth("answer lost"):
		f.Lost = context.DeadlineExceeded
	case c.Op == "Put" && tenth("conflict"):
		f.Lost = ledger.ErrConflict
	case c.Op == "SendCommand" && tenth("throttled"):
		f.Err = cloudtest.APIError("ThrottlingException")
	case tenth("error"):
		f.Err = cloudtest.APIError("InternalServerError")
	case one(40, "slow"):
		f.Takes = between(r, 100*time.Millisecond, time.Second)
	case one(80, "hangs"):
		f.Hangs, f.Lands = true, between(r, 0, time.Second)
	}
	return f
}

// play tells all functions of all that happens, and at the end, without faults,
// once more of every resolve.
func (q *quick) play() {
	defer q.cloud.Close()
	var all sync.WaitGroup
	for i, n := range q.messages() {
		for _, f := range q.functions {
			r := q.draw("delivery", i, f.name)
			delay := between(r, 0, 200*time.Millisecond)
			if r.IntN(10) == 0 { // it is overtaken
				delay = between(r, time.Second, 6*time.Second)
				q.count("delayed")
			}
			times := 1
			if r.IntN(10) == 0 {
				times = 2
				q.count("doubled")
			}
			for again := range times {
				all.Go(func() { q.bring(f, fmt.Sprintf("%d.%s.%d", i, f.name, again), n, delay) })
			}
		}
	}
	all.Wait()
	time.Sleep(quickWindow + quickTimeout + 2*time.Second)
	q.calm.Store(true)
	q.drain()
	q.read()
	q.nothingIsLost()
	q.read()
	for _, h := range q.alerts {
		last := h.episodes[len(h.episodes)-1]
		for _, f := range q.functions {
			all.Go(func() {
				q.invoke(f, "last "+h.name+" "+f.name, q.message(h.group, 0, h.resolves(q.origin, last)))
			})
		}
		all.Wait()
	}
	q.drain()
	time.Sleep(time.Second)
	q.read()
	q.stoppedInTheEnd()
	q.queueEnds()
	q.readLogs()
}

// readLogs ends the functions, and learns from their logs what became of what SNS
// and the queue delivered, since no answer says it.
func (q *quick) readLogs() {
	told := map[[2]string][]runner.Result{} // :: process, request → what it did
	for name, p := range q.alive {
		p.Function.Kill()
		for line := range strings.Lines(p.Log()) {
			var said struct {
				Message, RequestID string
				runner.Result
			}
			if json.Unmarshal([]byte(line), &said) == nil && said.Message == "settled" {
				k := [2]string{name, said.RequestID}
				told[k] = append(told[k], said.Result)
			}
		}
	}
	for _, a := range q.attempts {
		if a.answer.Results == nil {
			a.answer.Results = told[[2]string{a.process, a.request}]
		}
	}
}

func (q *quick) bring(f *quickFunction, name string, n news, delay time.Duration) {
	time.Sleep(time.Until(q.origin.Add(n.at + delay)))
	pauses := []time.Duration{200 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 3 * time.Second, 4 * time.Second}
	if f.sns { // Lambda's 60 and 120 s
		pauses = []time.Duration{quickTimeout + quickWindow/2, 2 * quickTimeout}
	}
	m := q.message(n.group, n.at, n.alerts...)
	for i := 0; !q.invoke(f, fmt.Sprintf("%s/%d", name, i), m) && i < len(pauses); i++ {
		time.Sleep(pauses[i])
	}
}

// invoke hands a message to a function, and answers whether it acknowledged it.
func (q *quick) invoke(f *quickFunction, name string, m *amx.Message) bool {
	event := urlEvent(m)
	if f.sns {
		event = snsEvent(name, m)
	}
	return q.handle(f, event, &attempt{name: name, sent: m.SentAt, alerts: m.Alerts}, func(body []byte) runner.Answer {
		if f.sns {
			return runner.Answer{}
		}
		return webhookAnswer(body)
	})
}

// handle is one invocation of a function, of whose answer read makes what is known
// of it.
func (q *quick) handle(f *quickFunction, event []byte, a *attempt, read func([]byte) runner.Answer) bool {
	f.free <- struct{}{}
	defer func() { <-f.free }()
	p := q.process(f)
	a.process, a.begun = p.Name, time.Now()
	answer := p.Invoke(event, quickTimeout)
	a.ended, a.request = time.Now(), answer.RequestID
	switch {
	case p.Dead():
		q.killed.Add(1)
		p.Function.Kill()
	case answer.Err != nil && answer.Err.Type == "Sandbox.Timedout":
		q.count("timed out") // this machine was too busy for it; Lambda has killed the process
		p.Process.Kill()
	case answer.Err != nil:
		a.answer.Err = answer.Err
	default:
		a.answer = read(answer.Body)
	}
	a.acknowledged = !p.Dead() && answer.Err == nil && a.answer.Err == nil
	q.note(a, p.Process)
	if !p.Dead() {
		q.lock.Lock()
		f.idle = append(f.idle, p)
		q.lock.Unlock()
	}
	return a.acknowledged
}
