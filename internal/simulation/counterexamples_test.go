package simulation

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/cloudtest"
)

const one = `
commands:
  - name: fix
    cmd: /bin/fix
    scope: alert
    wait: 0s
    targets: [{key: InstanceIds, values: ["{{ .Labels.node }}"]}]
`

const retried = one + "    retries: 1\n"

const group = `
commands:
  - name: fix
    cmd: /bin/fix
    wait: 0s
    max_targets: 100
    targets: [{key: InstanceIds, values: ["{{ .Labels.node }}"]}]
`

// chunked is a command for more nodes than one SendCommand takes.
func chunked() string {
	nodes := make([]string, 50)
	for i := range nodes {
		nodes[i] = fmt.Sprintf("i-%08x", i)
	}
	return strings.Replace(group, `values: [`, `values: [`+strings.Join(nodes[:49], ", ")+", ", 1)
}

var lostAnswer = cloudtest.Fate{Lost: context.DeadlineExceeded}

func forHours(*cloudtest.Command, string) (time.Duration, int) { return 3 * time.Hour, 0 }

// The list lags, so a second command is sent under the same run ID, and only
// that one is known. The resolve must find the first before it says that it is
// done.
func TestCounterexample01AResendHidesTheFirstCommand(t *testing.T) {
	in(t, one, func(w *world) {
		w.cloud.Lag, w.cloud.Lasts = 100*time.Second, forHours
		w.expect(w.sandbox("A", map[string]cloudtest.Fate{"SendCommand 1": lostAnswer}), message(w.fires("a", 0)),
			"run a: firing c1")
		if ids := w.cloud.Running(); len(ids) != 1 || ids[0] != "c0" {
			w.Fatalf("the node runs %v, not the command whose answer was lost", ids)
		}
		b := w.sandbox("B", nil)
		w.until(30 * time.Second)
		w.expect(b, message(w.resolves("a", 0, 20*time.Second)), "later a: cancelling the run: CancelCommand \"c1\": InvalidCommandId")
		w.until(4 * time.Minute)
		w.expect(b, message(w.resolves("a", 0, 20*time.Second)), "cancel a: resolved: cancelled c1 c0")
		w.until(5 * time.Minute)
		w.nothingRuns()
		w.ran(1)
	})
}

// The retry waits for the command that nobody knows.
func TestCounterexample01ARetryDoesNotRunBesideTheFirstCommand(t *testing.T) {
	in(t, retried, func(w *world) {
		w.cloud.Lag = 100 * time.Second
		// c0 reaches the node late, so that c1 has the guard, and fails.
		w.cloud.Reach = func(c *cloudtest.Command) time.Duration {
			if c.ID == "c0" {
				return 90 * time.Second
			}
			return time.Millisecond
		}
		w.cloud.Lasts = func(*cloudtest.Command, string) (time.Duration, int) { return time.Second, 1 }
		a := w.sandbox("A", map[string]cloudtest.Fate{"SendCommand 1": lostAnswer})
		w.expect(a, message(w.fires("a", 0)), "run a: firing c1")
		w.until(10 * time.Second)
		w.expect(a, message(w.fires("a", 0)), "skip a: already started for this alert")
		w.works(w.sandbox("W", nil), window+50*time.Second)
		w.ran(1)
		w.works(w.sandbox("W2", nil), 10*time.Minute)
		w.ran(2)
	})
}

// A refusal after a send whose answer was lost does not make the run never
// sent: the first command runs.
func TestCounterexample01ARefusalAfterALostAnswerIsNoProof(t *testing.T) {
	in(t, one, func(w *world) {
		w.cloud.Lag, w.cloud.Lasts = 100*time.Second, forHours
		sends := 0
		w.cloud.Refuse = func(*cloudtest.Request) error {
			if sends++; sends == 2 {
				return cloudtest.APIError("InvalidDocument")
			}
			return nil
		}
		a := w.sandbox("A", map[string]cloudtest.Fate{"SendCommand 1": lostAnswer})
		w.expect(a, message(w.fires("a", 0)), "later a: in doubt, SendCommand: InvalidDocument")
		if w.runs() != 1 {
			w.Error("the run has left the ledger while its first command runs")
		}
		w.until(time.Minute)
		w.expect(w.sandbox("B", nil), message(w.resolves("a", 0, 30*time.Second)), "later a: cancelling the run: in doubt")
		w.until(4 * time.Minute)
		w.expect(w.sandbox("C", nil), message(w.resolves("a", 0, 30*time.Second)), "cancel a: resolved: cancelled c0")
		w.until(5 * time.Minute)
		w.nothingRuns()
		w.ran(1)
	})
}

// One look that finds nothing proves nothing while the list may lag; after the
// window it does, and the resolve is not answered 500 for ever.
func TestCounterexample02NeverSentNeedsAWindow(t *testing.T) {
	t.Run("it was sent", func(t *testing.T) {
		in(t, one, func(w *world) {
			w.cloud.Lag, w.cloud.Lasts = 119*time.Second, forHours
			a := w.sandbox("A", map[string]cloudtest.Fate{"SendCommand 1": {Dies: "after"}})
			a.deliver(w.T, message(w.fires("a", 0)))
			w.until(time.Minute)
			w.expect(w.sandbox("B", nil), message(w.resolves("a", 0, 30*time.Second)), "later a: cancelling the run: in doubt")
			w.until(timeout + 3*time.Second + window)
			w.expect(w.sandbox("C", nil), message(w.resolves("a", 0, 30*time.Second)), "cancel a: resolved: cancelled c0")
			w.until(4 * time.Minute)
			w.nothingRuns()
		})
	})
	t.Run("it was not", func(t *testing.T) {
		in(t, one, func(w *world) {
			a := w.sandbox("A", map[string]cloudtest.Fate{"SendCommand 1": {Dies: "before"}})
			a.deliver(w.T, message(w.fires("a", 0)))
			w.until(time.Minute)
			w.expect(w.sandbox("B", nil), message(w.resolves("a", 0, 30*time.Second)), "later a: cancelling the run: in doubt")
			w.until(timeout + time.Second + window)
			w.expect(w.sandbox("B2", nil), message(w.resolves("a", 0, 30*time.Second)), "later a: cancelling the run: in doubt")
			w.until(timeout + 3*time.Second + window)
			w.expect(w.sandbox("C", nil), message(w.resolves("a", 0, 30*time.Second)), "skip a: resolved before it was sent")
			w.ran(0)
		})
	})
}

// B's look saw nothing new; A has recorded a command that nobody has cancelled
// yet. B may answer 200 only by what the entry says after its look.
func TestCounterexample03TwoResolvesSideBySide(t *testing.T) {
	in(t, one, func(w *world) {
		w.cloud.Lag, w.cloud.Lasts = 60*time.Second, forHours
		w.sandbox("F", map[string]cloudtest.Fate{"SendCommand 1": {Dies: "after"}}).deliver(w.T, message(w.fires("a", 0)))
		// c0 is listed at 60 s. Both look after the window: A's look takes a moment and
		// its cancel hangs; B's look was answered before c0 was listed, and late.
		w.cloud.Lag = 0
		w.until(timeout + 3*time.Second + window)
		a := w.sandbox("A", map[string]cloudtest.Fate{"CancelCommand 1": {Hangs: true}})
		b := w.sandbox("B", nil)
		answered := make(chan string)
		go func() { answered <- says(a.deliver(w.T, message(w.resolves("a", 0, 30*time.Second)))) }()
		time.Sleep(10 * time.Second) // A has recorded c0, and hangs in its cancellation
		w.expect(b, message(w.resolves("a", 0, 30*time.Second)), "cancel a: resolved: cancelled c0")
		time.Sleep(time.Second)
		w.nothingRuns()
		if got := <-answered; got != `later a: cancelling the run: CancelCommand "c0": context deadline exceeded` {
			w.Errorf("A, whose cancellation was not answered, says %q", got)
		}
	})
}

// The claim is live: the resolve waits for its record, 2 s at most, and is not
// answered 200 before. Who records a run that is to be cancelled cancels it.
func TestCounterexample03TheClaimIsStillBeingSent(t *testing.T) {
	for _, tt := range []struct {
		name           string
		takes          time.Duration
		firing, answer string
	}{
		{"for a moment", time.Second, "cancel a b: resolved: cancelled c0 c1", "cancel a b: resolved: cancelled c0 c1"},
		{"for longer", 5 * time.Second, "cancel a b: resolved: cancelled c0 c1", "later a b: cancelling the run: being sent"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in(t, chunked(), func(w *world) {
				w.cloud.Lasts = forHours
				f := w.sandbox("F", map[string]cloudtest.Fate{"SendCommand of chunk 1": {Takes: tt.takes}})
				answered := make(chan string)
				go func() { answered <- says(f.deliver(w.T, message(w.fires("a", 0), w.fires("b", 0)))) }()
				w.until(500 * time.Millisecond)
				w.expect(w.sandbox("R", nil), message(w.resolves("a", 0, 400*time.Millisecond), w.resolves("b", 0, 400*time.Millisecond)), tt.answer)
				if got := <-answered; got != tt.firing {
					t.Errorf("the firing was answered %s", got)
				}
				time.Sleep(time.Second)
				w.nothingRuns()
			})
		})
	}
}

// A claimant dies with a slot. The slot's lease runs out, but the claim is in
// the entry: whoever adopts it needs the slot.
func TestCounterexample04AdoptionKeepsItsSlot(t *testing.T) {
	in(t, one+"    max: 1\n", func(w *world) {
		w.cloud.Lasts = forHours
		w.sandbox("A", map[string]cloudtest.Fate{"SendCommand 1": {Dies: "before"}}).deliver(w.T, message(w.fires("a", 0)))
		w.until(2 * time.Minute) // the lease has ended, the window has not
		w.expect(w.sandbox("B", nil), message(w.fires("b", time.Minute)), "later b: concurrency limit reached (max: 1)")
		w.expect(w.sandbox("C", nil), message(w.fires("a", 0)), "run a: taken over: its sender is gone c0")
		w.expect(w.sandbox("B2", nil), message(w.fires("b", time.Minute)), "later b: concurrency limit reached (max: 1)")
		w.ran(1)
	})
}

// Once the claim is known never to have been sent it is taken out of its entry,
// and only then is its slot another's.
func TestCounterexample04AClaimThatWasNeverSentGivesUpItsSlot(t *testing.T) {
	in(t, one+"    max: 1\n", func(w *world) {
		w.cloud.Lasts = forHours
		w.sandbox("A", map[string]cloudtest.Fate{"SendCommand 1": {Dies: "before"}}).deliver(w.T, message(w.fires("a", 0)))
		w.until(timeout + 3*time.Second + window)
		w.expect(w.sandbox("B", nil), message(w.fires("b", time.Minute)), "run b: firing c0")
		w.expect(w.sandbox("C", nil), message(w.fires("a", 0)), "later a: concurrency limit reached (max: 1)")
		w.ran(1)
	})
}

// The write of a claim may arrive although nobody answered. Its slot stays
// taken: the claim may be found and sent.
func TestCounterexample04AClaimWhoseAnswerWasLostKeepsItsSlot(t *testing.T) {
	in(t, one+"    max: 1\n", func(w *world) {
		w.cloud.Lasts = forHours
		a := w.sandbox("A", map[string]cloudtest.Fate{"Put 2": lostAnswer, "Get 2": {Err: context.DeadlineExceeded}})
		w.expect(a, message(w.fires("a", 0)), "later a: writing the ledger, the table: context deadline exceeded")
		w.expect(w.sandbox("B", nil), message(w.fires("b", 0)), "later b: concurrency limit reached (max: 1)")
		w.until(time.Minute)
		w.expect(w.sandbox("C", nil), message(w.fires("a", 0)), "run a: taken over: its sender is gone c0")
		w.expect(w.sandbox("D", nil), message(w.fires("b", 0)), "later b: concurrency limit reached (max: 1)")
		w.ran(1)
	})
}

func TestCounterexample05ALateResolveDoesNotEndTheNextEpisode(t *testing.T) {
	in(t, one, func(w *world) {
		w.cloud.Lasts = forHours
		w.until(3 * time.Second)
		w.expect(w.sandbox("A", nil), message(w.fires("a", time.Second)), "run a: firing c0")
		w.expect(w.sandbox("B", nil), message(w.fires("a", 3*time.Second)), "skip a: already started for this alert")
		w.expect(w.sandbox("C", nil), message(w.resolves("a", time.Second, 2*time.Second)), "skip a: resolved: the alert has fired again since")
		time.Sleep(time.Minute)
		if len(w.cloud.Running()) != 1 {
			t.Error("the alert fires, and nothing runs for it")
		}
	})
}

func TestCounterexample06OneRecordForEachEpisode(t *testing.T) {
	in(t, one, func(w *world) {
		w.cloud.Lasts = forHours
		w.expect(w.sandbox("A", nil), message(w.fires("a", 0)), "run a: firing c0")
		w.until(10 * time.Minute)
		w.expect(w.sandbox("B", nil), message(w.fires("a", 9*time.Minute)), "run a: firing c1")
		w.expect(w.sandbox("C", nil), message(w.resolves("a", 0, 8*time.Minute)), "cancel a: resolved: cancelled c0")
		if ids := w.cloud.Running(); len(ids) != 1 || ids[0] != "c1" {
			t.Errorf("the nodes run %v, not the command of the second episode", ids)
		}
	})
}

func TestCounterexample06ARefusedRunLeavesNoAlertBehind(t *testing.T) {
	in(t, group, func(w *world) {
		refusals := 1
		w.cloud.Refuse = func(*cloudtest.Request) error {
			if refusals--; refusals >= 0 {
				return cloudtest.APIError("InvalidDocument")
			}
			return nil
		}
		a := w.sandbox("A", nil)
		w.expect(a, message(w.fires("a", 0), w.fires("b", 0)), "refuse a b: SendCommand: api error InvalidDocument: said the model")
		w.expect(a, message(w.fires("a", 0)), "run a: firing c0")
		w.expect(a, message(w.fires("a", 0), w.fires("b", 0)), "skip a: already started for this alert; run b: firing c1")
	})
}

func TestCounterexample06ARefusedRetryIsARetryWhenItComesAgain(t *testing.T) {
	in(t, strings.Replace(group, "wait: 0s", "wait: 5s\n    retries: 1", 1), func(w *world) {
		sends := 0
		w.cloud.Refuse = func(*cloudtest.Request) error {
			if sends++; sends == 2 {
				return cloudtest.APIError("InvalidDocument")
			}
			return nil
		}
		w.cloud.Fails = func(node string) bool { return node == nodeOf("b") }
		a := w.sandbox("A", nil)
		both := message(w.fires("a", 0), w.fires("b", 0))
		w.expect(a, both, "run a b: firing c0")
		w.until(2 * time.Minute)
		reminder := w.cloud.Waiting()[0].Item
		for i, want := range []string{"refuse a b: SendCommand: api error InvalidDocument: said the model", "run a b: failed before, tried again c1"} {
			if got := says(w.sandbox(fmt.Sprint("W", i+1), nil).handle(w.T, reminder)); got != want {
				w.Errorf("the reminder came to %s, not %s", got, want)
			}
		}
		w.cloud.Mu.Lock()
		defer w.cloud.Mu.Unlock()
		if nodes := w.cloud.Commands[1].Nodes; len(nodes) != 1 || nodes[0] != nodeOf("b") {
			t.Errorf("the retry went to %v, not to the one node that failed", nodes)
		}
	})
}

// While the ledger is down a resolve cancels nothing: by token alone it could not
// tell its run from the one of a refire.
func TestCounterexample07NothingIsCancelledWhileTheLedgerIsDown(t *testing.T) {
	in(t, one, func(w *world) {
		w.cloud.Lasts = forHours
		w.expect(w.sandbox("A", nil), message(w.fires("a", 0)), "run a: firing c0")
		w.until(10 * time.Minute)
		w.expect(w.sandbox("B", nil), message(w.fires("a", 9*time.Minute)), "run a: firing c1")
		late := message(w.resolves("a", 0, 8*time.Minute))
		w.expect(w.sandbox("C", map[string]cloudtest.Fate{"Get": {Err: context.DeadlineExceeded}}), late, "later a: reading the ledger")
		w.expect(w.sandbox("D", nil), late, "cancel a: resolved: cancelled c0")
		if ids := w.cloud.Running(); len(ids) != 1 || ids[0] != "c1" {
			t.Errorf("the nodes run %v", ids)
		}
	})
}
