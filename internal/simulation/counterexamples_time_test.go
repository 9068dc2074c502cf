package simulation

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/cloudtest"
)

// The window counts from the end of the last lease under which something was
// sent: not from the first claim, and a look does not begin it anew.
func TestCounterexample08TheWindowsClock(t *testing.T) {
	in(t, one, func(w *world) {
		w.cloud.Lag, w.cloud.Lasts = 119*time.Second, forHours
		w.sandbox("A", map[string]cloudtest.Fate{"SendCommand 1": {Dies: "before"}}).deliver(w.T, message(w.fires("a", 0)))
		// Two minutes after the claim would be 2:00. Just before, B sends, and dies.
		w.until(1*time.Minute + 50*time.Second)
		w.sandbox("B", map[string]cloudtest.Fate{"SendCommand 1": {Dies: "after"}}).deliver(w.T, message(w.fires("a", 0)))
		w.until(2*time.Minute + 50*time.Second)
		end := w.resolves("a", 0, time.Minute)
		w.expect(w.sandbox("C", nil), message(end), "later a: cancelling the run: in doubt")
		w.until(4 * time.Minute)
		w.expect(w.sandbox("D", nil), message(end), "later a: cancelling the run: in doubt") // it cancels c0, and cannot know that it was all
		w.until(4*time.Minute + 48*time.Second)                                              // 1:50 + 55 s + 2 s + the window
		w.expect(w.sandbox("E", nil), message(end), "cancel a: resolved: cancelled c0")
		time.Sleep(time.Second)
		w.nothingRuns()
		w.ran(1)
	})
}

// Lambda invokes for an SNS message at 0, 60 and 180 s and then no more. By the
// last time the window of the first must be over, or each send whose answer was
// lost would end in the dead-letter queue: hence at most 55 s for the function.
func TestCounterexample09TheWindowFitsLambdasRetries(t *testing.T) {
	for _, tt := range []struct {
		timeout time.Duration
		last    string
	}{
		{timeout, "skip a: resolved before it was sent"},
		{timeout + 5*time.Second, "later"},
	} {
		t.Run(tt.timeout.String(), func(t *testing.T) {
			in(t, one, func(w *world) {
				w.sandbox("F", map[string]cloudtest.Fate{"SendCommand 1": {Dies: "before"}}).deliverWithin(w.T, message(w.fires("a", 0)), tt.timeout)
				for i, at := range []time.Duration{0, time.Minute, 3 * time.Minute} {
					w.until(at + time.Millisecond)
					want := "later"
					if i == 2 {
						want = tt.last
					}
					got := says(w.sandbox(fmt.Sprint("R", i), nil).deliverWithin(w.T, message(w.resolves("a", 0, 0)), tt.timeout))
					if !strings.HasPrefix(got, want) {
						w.Errorf("at %v: %s, not %s", at, got, want)
					}
				}
			})
		})
	}
}

// A run without a guard is in doubt. It is not sent again until a window after the
// last sending lease, however often its firing is delivered: a look does not begin
// that window anew.
func TestCounterexample08ADocumentIsNotSentTwice(t *testing.T) {
	in(t, strings.Replace(one, "cmd: /bin/fix", "document: Fix", 1), func(w *world) {
		w.cloud.Lag, w.cloud.Lasts = 119*time.Second, forHours
		w.expect(w.sandbox("A", map[string]cloudtest.Fate{"SendCommand 1": lostAnswer}), message(w.fires("a", 0)), "later a: the run may not have been sent: SendCommand: context deadline exceeded, in doubt")
		for at := 10 * time.Second; at < 110*time.Second; at += 10 * time.Second {
			w.until(at)
			w.expect(w.sandbox("B", nil), message(w.fires("a", 0)), "later a: the run may not have been sent: in doubt")
		}
		w.until(2*time.Minute + timeout + 3*time.Second)
		w.expect(w.sandbox("C", nil), message(w.fires("a", 0)), "run a: taken over: its sender is gone c0")
		w.ran(1)
		w.sent(1)
	})
}

// An invocation answers when all its calls have returned: what is frozen in
// flight goes on in a later invocation, long after its lease.
func TestCounterexample10NoRequestOutlivesItsInvocation(t *testing.T) {
	in(t, one+strings.TrimPrefix(strings.Replace(one, "fix", "other", 1), "\ncommands:\n"), func(w *world) {
		a := w.sandbox("A", map[string]cloudtest.Fate{"SendCommand 1": {Hangs: true}})
		if got := says(a.deliver(w.T, message(w.fires("a", 0)))); !strings.Contains(got, "later a: the run may not have been sent: ") || !strings.Contains(got, "firing c0") {
			t.Errorf("answered %s", got)
		}
		if took := time.Since(w.origin); took < 50*time.Second || took > timeout-500*time.Millisecond {
			t.Errorf("answered after %v", took)
		}
	})
}
