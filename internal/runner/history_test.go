package runner_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/awstest"
	"github.com/amx-lambda/amx/internal/cloudtest"
	"github.com/amx-lambda/amx/internal/history"
	"github.com/amx-lambda/amx/internal/queue"
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

// broken is a history that takes nothing.
type broken struct {
	records
	works bool
}

func (h *broken) Put(ctx context.Context, r history.Record) error {
	if !h.works {
		return errors.New("no table")
	}
	return h.records.Put(ctx, r)
}

// A record that the history does not take waits on the queue, with all that only the
// message told. It holds up nothing.
func TestARecordWaitsUntilTheHistoryTakesIt(t *testing.T) {
	in(t, once, func(w *world) {
		q, h := &waiting{}, &broken{}
		w.runner.Queue, w.runner.History = q, h
		var told []bool
		w.runner.Unwritten = func(_ context.Context, queued bool) { told = append(told, queued) }
		w.lasting(time.Hour)
		w.want(w.deliver(30*time.Second, w.fires("a")), "", "run: firing: InProgress")
		if it := q.items[0]; len(q.items) != 1 || it.Kind != queue.Record || it.Reason != "no table" || !slices.Equal(told, []bool{true}) {
			t.Errorf("on the queue: %+v, told %v", q.items, told)
		}
		w.work(q, time.Hour)
		if it := q.items[0]; len(q.items) != 1 || it.Tries < 20 || time.Until(it.Due) > 2*time.Minute {
			t.Errorf("after an hour: %+v", it)
		}
		h.works = true
		w.work(q, 3*time.Minute)
		if got, want := h.shows(), []string{"running a: firing"}; !slices.Equal(got, want) || len(q.items) != 0 {
			t.Errorf("%q, want %q; on the queue: %+v", got, want, q.items)
		}
	})
}

func TestARecordThatCannotBeWrittenIsGivenUp(t *testing.T) {
	in(t, once, func(w *world) {
		q := &waiting{}
		w.runner.Queue, w.runner.History = q, &broken{}
		w.lasting(time.Hour)
		w.deliver(30*time.Second, w.fires("a"))
		it := q.items[0]
		time.Sleep(4*24*time.Hour + time.Second)
		if err := w.runner.HandleItem(context.Background(), it); !errors.Is(err, queue.ErrGivenUp) || !strings.Contains(err.Error(), "no table") {
			t.Errorf("after four days: %v", err)
		}
		it.Record = []byte("[]")
		if err := w.runner.HandleItem(context.Background(), it); !errors.Is(err, queue.ErrGivenUp) || !strings.Contains(err.Error(), `decoding the record of command "fix", run "`+it.Run) {
			t.Errorf("one that cannot be read: %v", err)
		}
	})
}

// The queue does not take it either: the run goes on without a record.
func TestARecordThatNobodyTakesIsLost(t *testing.T) {
	in(t, once, func(w *world) {
		w.runner.Queue, w.runner.History = &waiting{fails: true}, &broken{}
		var told []bool
		w.runner.Unwritten = func(_ context.Context, queued bool) { told = append(told, queued) }
		w.lasting(time.Hour)
		w.want(w.deliver(30*time.Second, w.fires("a")), "", "run: firing: InProgress")
		if !slices.Equal(told, []bool{false}) {
			t.Errorf("told %v", told)
		}
	})
}

// SSM tells of the end of each command of a run on 1,000 nodes. The first time amx
// asks for the state, a call for each 50 nodes; then the run is known to be over.
func TestTheEndOfARunOnAThousandNodes(t *testing.T) {
	var ids []string
	var nodes []cloudtest.Node
	for i := range 1000 {
		ids = append(ids, fmt.Sprintf("i-%017x", i))
		nodes = append(nodes, cloudtest.Node{ID: ids[i]})
	}
	in(t, "commands: [{name: fix, cmd: x, wait: 0s, max_targets: 1000, targets: [{key: InstanceIds, values: ['{{ .Labels.instance }}']}]}]", func(w *world) {
		h := &records{}
		w.runner.History = h
		w.lasting(time.Minute)
		run := w.deliver(30*time.Second, w.fires(ids...)).Results[0]
		if len(run.CommandIDs) != 20 {
			t.Fatalf("%d commands", len(run.CommandIDs))
		}
		time.Sleep(2 * time.Minute)
		w.wire.Operations()
		for range run.CommandIDs {
			if err := w.runner.Ended(context.Background(), h.all[run.RunID].Entry, run.RunID, "fix"); err != nil {
				t.Error(err)
			}
		}
		if calls, want := w.wire.Operations(), slices.Repeat([]string{"ListCommandInvocations"}, 20); !slices.Equal(calls, want) {
			t.Errorf("%d calls: %q", len(calls), calls)
		}
		if r := h.all[run.RunID]; r.State != history.Succeeded || len(r.Nodes) != 1000 {
			t.Errorf("the record: %s, %d nodes", r.State, len(r.Nodes))
		}
	}, nodes...)
}

// An alert that a limit has held back until its firing is too old is expired, and no
// dead letter.
func TestWhatALimitHoldsBackForTooLongIsShownAsExpired(t *testing.T) {
	in(t, "commands: [{name: c, cmd: x, scope: alert, max: 1, timeout: 48h, wait: 0s, targets: [{key: InstanceIds, values: [mi-00000000000000000]}]}]", func(w *world) {
		q, h := &waiting{}, &records{}
		w.runner.Queue, w.runner.History = q, h
		w.lasting(24 * time.Hour)
		w.deliver(30*time.Second, w.fires("a"))
		w.deliver(30*time.Second, w.fires("b"))
		w.work(q, 7*time.Hour)
		if got, want := h.shows(), []string{"expired b: concurrency limit reached (max: 1)", "running a: firing"}; !slices.Equal(got, want) || len(q.items) != 0 {
			t.Errorf("%q, want %q; on the queue: %+v", got, want, q.items)
		}
	})
}
