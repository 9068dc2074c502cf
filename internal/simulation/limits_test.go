package simulation

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/cloudtest"
)

// A rate is how many calls of an operation SSM takes in a second, of all processes
// together.
type rate struct {
	op        string
	perSecond int
	takes     time.Duration // each call of any operation; 0: a moment

	mu    sync.Mutex
	calls map[int64]int
}

// limited begins a process before an SSM that throttles.
func (w *world) limited(name string, r *rate) *sandbox {
	b := w.sandbox(name, nil)
	b.Process = w.cloud.Process(name, func(c cloudtest.Call) cloudtest.Fate {
		f := cloudtest.Fate{Takes: max(r.takes, time.Millisecond)}
		r.mu.Lock()
		defer r.mu.Unlock()
		if now := time.Now().Unix(); c.Op == r.op {
			if r.calls[now]++; r.calls[now] > r.perSecond {
				return throttled
			}
		}
		return f
	})
	b.Runner = newRunner(b.Process, w.config)
	return b
}

func (w *world) many(n int, make func(name string) amx.Alert) (alerts []amx.Alert) {
	for i := range n {
		alerts = append(alerts, make(string(rune(0x1000+i))))
	}
	return alerts
}

// More resolves than SSM takes cancellations in the time of an invocation: the rest
// is put off, and each run is stopped.
func TestManyResolvesAreAllActedOn(t *testing.T) {
	in(t, one, func(w *world) {
		w.cloud.Lasts = forHours
		w.sandbox("F", nil).deliver(w.T, message(w.many(500, func(name string) amx.Alert { return w.fires(name, 0) })...))
		w.until(2 * time.Minute)
		fifth := &rate{op: "CancelCommand", perSecond: 5, calls: map[int64]int{}}
		a := w.limited("R", fifth).deliver(w.T, w.topic(2*time.Minute, w.many(500, func(name string) amx.Alert { return w.resolves(name, 0, time.Minute) })...))
		if a.Err != nil {
			w.Error(a.Err)
		}
		if n := len(w.cloud.Running()); n > 500-5*40 {
			t.Errorf("%d of 500 go on after the first delivery", n)
		}
		w.works(w.limited("W", fifth), 12*time.Minute)
		w.nothingRuns()
	})
}

// A webhook's caller hears of 500 resolves hardly later than SNS would, whose messages
// wait for no outcome, though no node obeys at once.
func TestManyResolvesAreAnsweredAtOnce(t *testing.T) {
	took := map[bool]time.Duration{}
	for _, webhook := range []bool{false, true} {
		in(t, one, func(w *world) {
			w.cloud.Lasts = forHours
			w.cloud.Obeys = func(*cloudtest.Command) time.Duration { return time.Minute }
			w.sandbox("F", nil).deliver(w.T, message(w.many(500, func(name string) amx.Alert { return w.fires(name, 0) })...))
			w.until(2 * time.Minute)
			m := message(w.many(500, func(name string) amx.Alert { return w.resolves(name, 0, time.Minute) })...)
			if !webhook {
				m.SentAt = time.Now()
			}
			b, began := w.sandbox("R", nil), time.Now()
			if a := b.deliver(w.T, m); a.Err != nil || b.counts["CancelCommand"] != 500 {
				w.Errorf("%d were cancelled: %v", b.counts["CancelCommand"], a.Err)
			}
			took[webhook] = time.Since(began)
		})
	}
	if took[true] > took[false]+2*time.Second {
		t.Errorf("the webhook took %v, SNS %v", took[true], took[false])
	}
}

// One message has more firing alerts than SSM takes sends in time, before its
// resolved ones: what stops goes first.
func TestResolvesDoNotWaitForFirings(t *testing.T) {
	in(t, one, func(w *world) {
		w.cloud.Lasts = forHours
		w.sandbox("F", nil).deliver(w.T, message(w.many(300, func(name string) amx.Alert { return w.fires(name, 0) })...))
		w.until(2 * time.Minute)
		var alerts []amx.Alert
		for i := range 500 {
			alerts = append(alerts, w.fires(string(rune(0x3000+i)), time.Minute))
		}
		alerts = append(alerts, w.many(300, func(name string) amx.Alert { return w.resolves(name, 0, time.Minute) })...)
		if a := w.limited("M", &rate{op: "SendCommand", perSecond: 2, takes: 50 * time.Millisecond, calls: map[int64]int{}}).deliver(w.T, w.topic(2*time.Minute, alerts...)); a.Err != nil {
			w.Error(a.Err)
		}
		w.cloud.Mu.Lock()
		defer w.cloud.Mu.Unlock()
		old := 0
		for _, p := range w.cloud.Passes {
			if resolved := p.Command.Alerts[0].Fingerprint < string(rune(0x3000)); resolved && p.Running() {
				old++
			}
		}
		if sent := len(w.cloud.Commands); old > 0 || sent < 300+90 {
			w.Errorf("%d go on whose alerts have resolved, and SSM has %d commands", old, sent)
		}
	})
}

// Many invocations meet in one gate: none fails, and each run begins.
func TestManyInvocationsMeetInOneGate(t *testing.T) {
	in(t, one+"    max: 1000\n", func(w *world) {
		var all sync.WaitGroup
		for i, a := range w.many(400, func(name string) amx.Alert { return w.fires(name, 0) }) {
			b := w.sandbox(fmt.Sprint("S", i), nil)
			b.Random = &spread{seed: uint64(i)}
			all.Go(func() {
				if a := b.deliver(w.T, w.topic(0, a)); a.Err != nil {
					w.Errorf("S%d: %v", i, a.Err)
				}
			})
		}
		all.Wait()
		if waiting := len(w.cloud.Waiting()); waiting > 0 {
			w.Errorf("%d wait, and there was time for them", waiting)
		}
		w.works(w.sandbox("W", nil), 5*time.Minute)
		w.ran(400)
	})
}
