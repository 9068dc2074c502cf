package simulation

import (
	"fmt"
	"slices"
	"strings"
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

	mu    sync.Mutex
	calls map[int64]int
}

// limited begins a process before an SSM that throttles.
func (w *world) limited(name string, r *rate) *sandbox {
	b := w.sandbox(name, nil)
	b.Process = w.cloud.Process(name, func(c cloudtest.Call) cloudtest.Fate {
		f := cloudtest.Fate{Takes: time.Millisecond}
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

// One message has more firing alerts than SSM takes sends in time, before its
// resolved ones: what stops goes first.
func TestResolvesDoNotWaitForFirings(t *testing.T) {
	in(t, one, func(w *world) {
		w.cloud.Lasts = forHours
		w.sandbox("F", nil).deliver(w.T, message(w.many(300, func(name string) amx.Alert { return w.fires(name, 0) })...))
		w.until(2 * time.Minute)
		alerts := w.many(500, func(name string) amx.Alert { return w.fires("new"+name, time.Minute) })
		alerts = append(alerts, w.many(300, func(name string) amx.Alert { return w.resolves(name, 0, time.Minute) })...)
		if a := w.limited("M", &rate{op: "SendCommand", perSecond: 2, calls: map[int64]int{}}).deliver(w.T, w.topic(2*time.Minute, alerts...)); a.Err != nil {
			w.Error(a.Err)
		}
		w.cloud.Mu.Lock()
		defer w.cloud.Mu.Unlock()
		for _, p := range w.cloud.Passes {
			if old := slices.ContainsFunc(p.Command.Alerts, func(a cloudtest.Alert) bool { return !strings.HasPrefix(a.Fingerprint, "new") }); old && p.Running() {
				w.Fatalf("%s goes on, and its alert has resolved", p.Command.ID)
			}
		}
	})
}

// Many invocations meet in one gate: none fails, and each run begins.
func TestManyInvocationsMeetInOneGate(t *testing.T) {
	in(t, one+"    max: 1000\n", func(w *world) {
		var all sync.WaitGroup
		for i, a := range w.many(150, func(name string) amx.Alert { return w.fires(name, 0) }) {
			b := w.sandbox(fmt.Sprint("S", i), nil)
			b.Random = &spread{seed: uint64(i)}
			all.Go(func() {
				if a := b.deliver(w.T, w.topic(0, a)); a.Err != nil {
					w.Errorf("S%d: %v", i, a.Err)
				}
			})
		}
		all.Wait()
		w.works(w.sandbox("W", nil), 5*time.Minute)
		w.ran(150)
	})
}
