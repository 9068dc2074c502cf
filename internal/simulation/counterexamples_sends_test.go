package simulation

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/amx-lambda/amx/internal/cloudtest"
	"github.com/amx-lambda/amx/internal/ledger"
)

// A part that a look finds is not sent again.
func TestCounterexample01ALookComesBeforeAResend(t *testing.T) {
	in(t, one, func(w *world) {
		w.cloud.Lasts = forHours
		w.expect(w.sandbox("A", map[string]cloudtest.Fate{"SendCommand 1": lostAnswer}), message(w.fires("a", 0)), "run a: firing c0")
		w.sent(1)
		w.sandbox("B", map[string]cloudtest.Fate{"SendCommand 1": {Dies: "after"}}).deliver(w.T, message(w.fires("b", 0)))
		w.until(time.Minute)
		w.expect(w.sandbox("C", nil), message(w.fires("b", 0)), "run b: taken over: its sender is gone c1")
		w.sent(2)
	})
}

// c0 runs, and nobody knows it; c1, which was sent beside it, was cancelled in the
// console before it began. The slot is not free, before the look that finds c0 and after it.
func TestCounterexample01ASlotIsNotFreeWhileAnUnknownCommandRuns(t *testing.T) {
	full := "later x: concurrency limit reached (max: 1)"
	in(t, one+"    max: 1\n", func(w *world) {
		w.cloud.Lag, w.cloud.Lasts = 100*time.Second, forHours
		w.cloud.Reach = func(c *cloudtest.Command) time.Duration {
			if c.ID == "c1" {
				return 5 * time.Minute
			}
			return time.Millisecond
		}
		w.expect(w.sandbox("A", map[string]cloudtest.Fate{"SendCommand 1": lostAnswer}), message(w.fires("a", 0)), "run a: firing c1")
		w.until(time.Minute)
		somebody := w.cloud.Process("somebody", func(cloudtest.Call) cloudtest.Fate { return cloudtest.Fate{} }).SSM()
		if _, err := somebody.CancelCommand(w.Context(), &ssm.CancelCommandInput{CommandId: aws.String("c1")}); err != nil {
			t.Fatal(err)
		}
		w.until(70 * time.Second) // the lease has ended, the window has not
		w.expect(w.sandbox("X", nil), message(w.fires("x", time.Minute)), full)
		w.until(5 * time.Minute)
		w.expect(w.sandbox("Y", nil), message(w.fires("x", time.Minute)), full)
		w.ran(1)
	})
}

// A look proves by the time it began, not by the time of its answer.
func TestCounterexample02ALookProvesByItsBegin(t *testing.T) {
	slow := map[string]cloudtest.Fate{"ListCommands 1": {Answers: 40 * time.Second}}
	late := func(w *world) {
		w.cloud.Lag, w.cloud.Lasts = 119*time.Second, forHours
		// It is given up at 0:54, and lands at 0:55: it is listed at 2:54.
		w.expect(w.sandbox("F", map[string]cloudtest.Fate{"SendCommand 1": {Hangs: true, Lands: time.Second}}), message(w.fires("a", 0)), "later a: the run may not have been sent: SendCommand: context deadline exceeded, no time left for a claim")
		w.until(2*time.Minute + 30*time.Second)
	}
	t.Run("to a resolve", func(t *testing.T) {
		in(t, one, func(w *world) {
			late(w)
			w.expect(w.sandbox("R", slow), message(w.resolves("a", 0, 2*time.Minute)), "later a: cancelling the run: in doubt")
		})
	})
	t.Run("to a firing", func(t *testing.T) {
		in(t, one, func(w *world) {
			late(w)
			w.expect(w.sandbox("B", slow), message(w.fires("a", 0)), "run a: taken over: its sender is gone c1")
			time.Sleep(time.Second)
			w.ran(1)
		})
	})
}

// A resolve comes while a look is under way that is to be followed by a send.
func TestCounterexample03NothingIsSentOnceACancelIsAsked(t *testing.T) {
	in(t, one, func(w *world) {
		w.cloud.Lag, w.cloud.Lasts = 100*time.Second, forHours
		f := w.sandbox("F", map[string]cloudtest.Fate{"SendCommand 1": lostAnswer, "ListCommands 1": {Answers: 5 * time.Second}})
		answered := make(chan string)
		go func() { answered <- says(f.deliver(w.T, message(w.fires("a", 0)))) }()
		w.until(2 * time.Second)
		w.expect(w.sandbox("R", nil), message(w.resolves("a", 0, time.Second)), "later a: cancelling the run: in doubt")
		if got := <-answered; got != "later a: cancelling the run: in doubt" {
			t.Errorf("the firing was answered %s", got)
		}
		w.sent(1)
	})
}

// A cancellation that errs counts only if SSM shows the command over.
func TestCounterexample03ACancellationThatErrsIsNotAccepted(t *testing.T) {
	in(t, one, func(w *world) {
		w.cloud.Lasts = forHours
		w.expect(w.sandbox("F", nil), message(w.fires("a", 0)), "run a: firing c0")
		w.until(time.Minute)
		end := message(w.resolves("a", 0, 30*time.Second))
		w.expect(w.sandbox("R", map[string]cloudtest.Fate{"CancelCommand": {Err: cloudtest.APIError("ThrottlingException")}}), end, "later a: cancelling the run: CancelCommand \"c0\": ThrottlingException")
		w.expect(w.sandbox("R2", nil), end, "cancel a: resolved: cancelled c0")
		time.Sleep(time.Second)
		w.nothingRuns()
	})
}

// The slot is taken before the claim is written, and is not free while it may
// still be.
func TestCounterexample04ASlotIsTakenBeforeItsClaim(t *testing.T) {
	in(t, one+"    max: 1\n", func(w *world) {
		w.cloud.Lasts = forHours
		a := w.sandbox("A", map[string]cloudtest.Fate{"Put 2": {Takes: 5 * time.Second}})
		answered := make(chan string)
		go func() { answered <- says(a.deliver(w.T, message(w.fires("a", 0)))) }()
		w.until(time.Second)
		w.expect(w.sandbox("B", nil), message(w.fires("b", 0)), "later b: concurrency limit reached (max: 1)")
		if got := <-answered; got != "run a: firing c0" {
			t.Errorf("A was answered %s", got)
		}
	})
}

// An attempt of the SDK's meets the write of its earlier one, and another has
// written since.
func TestCounterexample04AClaimThatMetItselfKeepsItsSlot(t *testing.T) {
	in(t, one+"    max: 1\n", func(w *world) {
		w.cloud.Lasts = forHours
		a := w.sandbox("A", map[string]cloudtest.Fate{"Put 2": {Lost: ledger.ErrConflict, Answers: time.Second}})
		answered := make(chan string)
		go func() { answered <- says(a.deliver(w.T, message(w.fires("a", 0)))) }()
		w.until(500 * time.Millisecond)
		w.expect(w.sandbox("B", nil), message(w.fires("a", 100*time.Millisecond)), "skip a: already started for this alert")
		if got := <-answered; got != "run a: firing c0" {
			t.Errorf("A was answered %s", got)
		}
		w.until(2 * time.Minute)
		w.expect(w.sandbox("X", nil), message(w.fires("x", time.Minute)), "later x: concurrency limit reached (max: 1)")
		w.ran(1)
	})
}

// A full gate is full for the others, not for who holds it.
func TestCounterexample04AFullGateLetsItsHolderGoOn(t *testing.T) {
	in(t, one+"    max: 1\n", func(w *world) {
		w.cloud.Lasts = forHours
		w.sandbox("A", map[string]cloudtest.Fate{"SendCommand 1": {Dies: "before"}}).deliver(w.T, message(w.fires("a", 0)))
		w.until(2 * time.Minute)
		w.expect(w.sandbox("B", nil), message(w.fires("a", 0), w.fires("b", time.Minute)),
			"run a: taken over: its sender is gone c0; later b: concurrency limit reached (max: 1)")
	})
}

// The end frees a slot, not the cancellation that was accepted, however long the
// entry has had no need of the run.
func TestCounterexample04AnAcceptedCancellationFreesNoSlot(t *testing.T) {
	in(t, one+"    max: 1\n", func(w *world) {
		w.cloud.Lasts = forHours
		w.cloud.Obeys = func(*cloudtest.Command) time.Duration { return time.Hour }
		w.expect(w.sandbox("A", nil), message(w.fires("a", 0)), "run a: firing c0")
		w.until(time.Minute)
		w.expect(w.sandbox("R", nil), message(w.resolves("a", 0, 30*time.Second)), "cancel a: resolved: cancel requested c0")
		w.until(3 * time.Minute)
		w.expect(w.sandbox("B", nil), message(w.fires("b", time.Minute)), "later b: concurrency limit reached (max: 1)")
		w.until(20 * time.Minute)
		w.sandbox("R2", nil).deliver(w.T, message(w.resolves("a", 18*time.Minute, 19*time.Minute))) // writes the entry
		w.expect(w.sandbox("C", nil), message(w.fires("b", time.Minute)), "later b: concurrency limit reached (max: 1)")
		w.until(2 * time.Hour)
		w.expect(w.sandbox("D", nil), message(w.fires("b", time.Minute)), "run b: firing c1")
	})
}
