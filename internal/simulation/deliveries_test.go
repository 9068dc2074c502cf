package simulation

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/cloudtest"
)

// A retry and a new run of one entry look and renew at the same time: neither
// may write over what the other has recorded.
func TestTwoRunsOfOneEntryKeepEachOthersCommands(t *testing.T) {
	in(t, strings.Replace(group, "wait: 0s", "wait: 5s\n    retries: 1", 1), func(w *world) {
		w.cloud.Lag = 100 * time.Second
		w.cloud.Lasts = func(*cloudtest.Command, string) (time.Duration, int) { return time.Second, 1 }
		w.expect(w.sandbox("A", nil), message(w.fires("a", 0)), "run a: firing c0")
		w.until(2 * time.Minute)
		reminder := w.cloud.Waiting()[0].Item
		done := make(chan struct{})
		go func() {
			defer close(done)
			w.sandbox("B", map[string]cloudtest.Fate{"SendCommand 1": lostAnswer, "SendCommand 2": {Answers: 1500 * time.Microsecond}}).deliver(w.T, message(w.fires("b", time.Minute)))
		}()
		w.sandbox("W", map[string]cloudtest.Fate{"SendCommand 1": lostAnswer}).handle(w.T, reminder)
		<-done
		w.sent(5)
		known := map[string]bool{}
		for _, r := range w.cloud.Records {
			e, err := cloudtest.ReadEntry(r)
			if err != nil {
				t.Fatal(err)
			}
			for _, run := range e.Runs {
				for _, id := range run.Commands {
					known[id] = true
				}
			}
		}
		for _, id := range []string{"c3", "c4"} {
			if !known[id] {
				t.Errorf("the ledger has %v, and not %s", known, id)
			}
		}
	})
}

// SSM throttled each attempt, so the run was not sent. That is recorded: the next
// delivery need not look for it, nor wait a window.
func TestAnAttemptGivenUpIsRecordedAtOnce(t *testing.T) {
	in(t, one, func(w *world) {
		w.expect(w.sandbox("A", map[string]cloudtest.Fate{"SendCommand": {Err: cloudtest.APIError("ThrottlingException")}}), message(w.fires("a", 0)), "later a: SendCommand: ThrottlingException")
		if n := w.runs(); n != 0 {
			t.Errorf("the ledger has %d runs", n)
		}
		w.expect(w.sandbox("B", nil), message(w.fires("a", 0)), "run a: firing c0")
	})
}

// A refused part does not keep the others from running, and the answer says so.
func TestAPartOfARunIsRefused(t *testing.T) {
	in(t, chunked(), func(w *world) {
		w.cloud.Refuse = func(r *cloudtest.Request) error {
			if r.Token.Chunk == 1 {
				return cloudtest.APIError("InvalidDocument")
			}
			return nil
		}
		a := w.sandbox("A", nil)
		w.expect(a, message(w.fires("a", 0), w.fires("b", 0)),
			"refuse a b: part of the run: SendCommand: api error InvalidDocument: said the model; run a b: firing c0")
		w.expect(a, message(w.fires("a", 0), w.fires("b", 0)), "skip a b: already started for this alert")
	})
}

// A part of a run that SSM throttled is sent by the next delivery, under the
// same run ID, and what was sent is not sent again.
func TestAPartOfARunIsSentLater(t *testing.T) {
	in(t, chunked(), func(w *world) {
		a := w.sandbox("A", map[string]cloudtest.Fate{"SendCommand of chunk 1": {Err: cloudtest.APIError("AccessDeniedException")}})
		w.expect(a, message(w.fires("a", 0), w.fires("b", 0)), "later a b: SendCommand: AccessDeniedException; run a b: firing c0")
		w.expect(w.sandbox("B", nil), message(w.fires("a", 0), w.fires("b", 0)), "run a b: taken over: its sender is gone c0 c1")
		time.Sleep(time.Second)
		w.ran(51)
	})
}

// A retry goes to every named node on which the run did not succeed, also to
// those that SSM lists no invocation for.
func TestARetryReachesNodesThatWereRefused(t *testing.T) {
	in(t, strings.Replace(chunked(), "wait: 0s", "wait: 5s\n    retries: 1", 1), func(w *world) {
		refusals := 1
		w.cloud.Refuse = func(r *cloudtest.Request) error {
			if r.Token.Chunk == 1 {
				if refusals--; refusals == 0 {
					return cloudtest.APIError("InvalidDocument")
				}
			}
			return nil
		}
		failed := false
		w.cloud.Fails = func(node string) bool {
			fails := node == "i-00000000" && !failed
			failed = failed || fails
			return fails
		}
		a := w.sandbox("A", nil)
		a.deliver(w.T, message(w.fires("a", 0), w.fires("b", 0)))
		w.until(2 * time.Minute)
		w.work(w.sandbox("W", nil), "run a b: failed before, tried again c1")
		if nodes := w.cloud.Commands[1].Nodes; len(nodes) != 2 {
			t.Errorf("the retry went to %d nodes, not to the one that failed and the one that was refused", len(nodes))
		}
	})
}

// The answer names a refused part even if the answer for another part was lost, and
// that one had to be sent again.
func TestARefusedPartIsToldAfterAResend(t *testing.T) {
	in(t, chunked(), func(w *world) {
		a := w.sandbox("A", map[string]cloudtest.Fate{"SendCommand 1": {Err: cloudtest.APIError("InvalidDocument")}, "SendCommand 2": lostAnswer})
		w.cloud.Refuse = nil
		got := says(a.deliver(w.T, message(w.fires("a", 0), w.fires("b", 0))))
		if want := "refuse a b: part of the run: SendCommand: api error InvalidDocument: said the model; run a b: firing c0"; got != want {
			t.Errorf("answered %s", got)
		}
	})
}

// The delivery that was told of the refusal died; who adopts the run says what
// the ledger has of it.
func TestARefusedPartIsToldByWhoAdoptsTheRun(t *testing.T) {
	in(t, chunked(), func(w *world) {
		a := w.sandbox("A", map[string]cloudtest.Fate{
			"SendCommand of chunk 1": {Err: cloudtest.APIError("InvalidDocument")}, "SendCommand of chunk 0": lostAnswer, "Put 2": {Dies: "after"},
		})
		both := message(w.fires("a", 0), w.fires("b", 0))
		a.deliver(w.T, both)
		w.expect(w.sandbox("B", nil), both, "refuse a b: part of the run: SSM refused it before; run a b: taken over: its sender is gone c0")
	})
}

// Two senders whose clocks are a minute apart tell of one firing and its end: it
// has one run, whoever comes first, and that ends.
func TestSendersWhoseClocksAreAMinuteApart(t *testing.T) {
	const apart = time.Minute
	for _, tt := range []struct {
		name    string
		senders [2]time.Duration // by how much their clocks are ahead
	}{
		{"the first is ahead", [2]time.Duration{apart, 0}},
		{"the second is ahead", [2]time.Duration{0, apart}},
		{"both are behind", [2]time.Duration{-apart, -apart}},
		{"one is behind", [2]time.Duration{-apart, 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in(t, one, func(w *world) {
				w.cloud.Lasts = forHours
				at := func(sender int, d time.Duration) time.Duration { return d + tt.senders[sender] }
				for i := range 2 {
					w.until(10*time.Second + time.Duration(i)*time.Second)
					w.sandbox(fmt.Sprint("F", i), nil).deliver(w.T, message(w.fires("a", at(i, 0))))
				}
				w.ran(1)
				for i := range 2 {
					w.until(5*time.Minute + time.Duration(i)*time.Second)
					if a := w.sandbox(fmt.Sprint("R", i), nil).deliver(w.T, message(w.resolves("a", at(i, 0), at(i, 5*time.Minute)))); a.Err != nil {
						w.Error(a.Err)
					}
				}
				time.Sleep(time.Second)
				w.nothingRuns()
				// A repeat that the resolve has overtaken is late.
				for i := range 2 {
					w.sandbox(fmt.Sprint("L", i), nil).deliver(w.T, message(w.fires("a", at(i, 0))))
				}
				time.Sleep(time.Second)
				w.nothingRuns()
				w.ran(1)
			})
		})
	}
}
