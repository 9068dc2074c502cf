package runner_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/awstest"
	"github.com/amx-lambda/amx/internal/history"
	"github.com/amx-lambda/amx/internal/runner"
)

// records is a history, joined as the stores join it.
type records struct {
	mu  sync.Mutex
	all map[string]history.Record
}

func (h *records) Put(_ context.Context, r history.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.all == nil {
		h.all = map[string]history.Record{}
	}
	if was, ok := h.all[r.Run]; ok {
		r = history.Merge(was, r)
	}
	h.all[r.Run] = r
	return nil
}

// shows is the records that lists show: state, instance and reason of each.
func (h *records) shows() (out []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.all {
		if r.Listed() {
			out = append(out, fmt.Sprintf("%s %s: %s", r.State, r.Alerts[0].Labels["instance"], r.Reason))
		}
	}
	slices.Sort(out)
	return out
}

// An alert that waits for a slot is shown as waiting until it has its run, and not
// beside that run.
func TestWhatWaitedIsNotShownBesideItsRun(t *testing.T) {
	in(t, "commands: [{name: c, cmd: x, scope: alert, max: 1, wait: 0s, targets: [{key: InstanceIds, values: [mi-00000000000000000]}]}]", func(w *world) {
		q, h := &waiting{}, &records{}
		w.runner.Queue, w.runner.History = q, h
		w.lasting(time.Minute)
		shows := func(when string, want ...string) {
			t.Helper()
			if got := h.shows(); !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", when, got, want)
			}
		}
		w.deliver(30*time.Second, w.fires("a"))
		w.deliver(30*time.Second, w.fires("b"))
		shows("at first", "running a: firing", "waiting b: concurrency limit reached (max: 1)")
		w.work(q, 20*time.Second)
		shows("soon after", "running a: firing", "waiting b: concurrency limit reached (max: 1)")
		w.work(q, 2*time.Minute)
		shows("when a has ended", "running b: firing", "succeeded a: firing")
	})
}

// A person drops an alert that waits. It ends without a report, and gets no run when
// a slot is free.
func TestWhatIsDroppedWaitsNoLonger(t *testing.T) {
	in(t, "commands: [{name: c, cmd: x, scope: alert, max: 1, wait: 0s, targets: [{key: InstanceIds, values: [mi-00000000000000000]}]}]", func(w *world) {
		q, h := &waiting{}, &records{}
		w.runner.Queue, w.runner.History = q, h
		w.lasting(time.Minute)
		w.deliver(30*time.Second, w.fires("a"))
		w.deliver(30*time.Second, w.fires("b"))
		for _, r := range h.all {
			if r.State == history.Waiting {
				if a := w.runner.Stop(context.Background(), runner.StopRequest{Entry: r.Entry, Command: r.Command, Who: "ann", Why: "x"}); a.Err != nil {
					t.Error(a.Err)
				}
			}
		}
		w.work(q, 3*time.Minute)
		if got, want := h.shows(), []string{"running a: firing"}; !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

// If SSM refuses a run, there is none. The record looks like a refusal of amx.
func TestARunThatSSMRefusesIsShown(t *testing.T) {
	in(t, once, func(w *world) {
		h := &records{}
		w.runner.History = h
		w.wire.Fault = always("SendCommand", awstest.Fault{Error: "InvalidDocument"})
		w.want(w.deliver(30*time.Second, w.fires("a")), "", "refuse: SendCommand: InvalidDocument: a fault of the test:")
		if got, want := h.shows(), []string{"refused a: SendCommand: InvalidDocument: a fault of the test"}; !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	})
}
