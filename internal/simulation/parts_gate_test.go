package simulation

import (
	"strings"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/cloudtest"
)

// Two hundred alerts meet a full gate, whose holders are asked once.
func TestAFullGateIsAskedOnce(t *testing.T) {
	in(t, one+"    max: 5\n", func(w *world) {
		w.cloud.Lasts = forHours
		var first, more []amx.Alert
		for i := range 5 {
			first = append(first, w.fires(string(rune('a'+i)), 0))
		}
		w.sandbox("A", nil).deliver(w.T, message(first...))
		w.until(time.Minute)
		for i := range 200 {
			more = append(more, w.fires(string(rune(0x100+i)), time.Minute))
		}
		b := w.sandbox("B", nil)
		if a := b.deliver(w.T, message(more...)); a.Err != nil || len(a.Results) != 1 || len(a.Results[0].Alerts) != 200 {
			w.Errorf("answered %v", says(a))
		}
		if n := b.counts["ListCommandInvocations"]; n != 5 {
			w.Errorf("asked %d times", n)
		}
	})
}

// One who holds a full gate cannot be told of: a slot that another has left is
// taken all the same, and if there is none the answer is an error, so that the
// source sends again before its repeat_interval.
func TestWhoHoldsAFullGateIsNotKnown(t *testing.T) {
	for name, f := range map[string]cloudtest.Fate{"InternalServerError": {Err: cloudtest.APIError("InternalServerError")}, "context deadline exceeded": {Hangs: true}} {
		t.Run(name, func(t *testing.T) {
			in(t, one+"    max: 2\n", func(w *world) {
				w.cloud.Lasts = func(_ *cloudtest.Command, node string) (time.Duration, int) {
					if node == nodeOf("b") {
						return 10 * time.Second, 0
					}
					return time.Hour, 0
				}
				w.sandbox("A", nil).deliver(w.T, message(w.fires("a", 0)))
				w.sandbox("B", nil).deliver(w.T, message(w.fires("b", 0)))
				w.until(time.Minute)
				w.expect(w.sandbox("C", map[string]cloudtest.Fate{"ListCommandInvocations c0": f}), message(w.fires("c", time.Minute)), "run c: firing c2")
				w.until(2 * time.Minute)
				d := w.sandbox("D", map[string]cloudtest.Fate{"ListCommandInvocations c0": f})
				w.expect(d, message(w.fires("d", time.Minute), w.fires("e", time.Minute)), `later d e: asking whether the run still counts against a limit: asking for the run: ListCommandInvocations "c0": `+name)
				if n := d.counts["ListCommandInvocations"]; n != 2 {
					w.Errorf("asked %d times", n)
				}
				w.expect(w.sandbox("E", nil), message(w.fires("d", time.Minute)), "later d: concurrency limit reached (max: 2)")
			})
		})
	}
}

// A cancellation that hangs does not keep another alert's run from being sent.
func TestSendsDoNotWaitForCancellations(t *testing.T) {
	in(t, group, func(w *world) {
		w.cloud.Lasts = forHours
		w.sandbox("A", nil).deliver(w.T, message(w.fires("a", 0)))
		w.until(time.Minute)
		w.expect(w.sandbox("B", map[string]cloudtest.Fate{"CancelCommand": {Hangs: true}}), message(w.resolves("a", 0, 30*time.Second), w.fires("b", 40*time.Second)),
			"later a: cancelling the run: CancelCommand \"c0\": context deadline exceeded; run b: firing c1")
	})
}

// A caller waits as long as the command's wait says, however many runs there are.
func TestACallerWaitsForAllRunsAtOnce(t *testing.T) {
	in(t, strings.Replace(one, "wait: 0s", "wait: 5s", 1), func(w *world) {
		w.cloud.Lasts = forHours
		var alerts []amx.Alert
		for i := range 50 {
			alerts = append(alerts, w.fires(string(rune('A'+i)), 0))
		}
		w.sandbox("A", nil).deliver(w.T, message(alerts...))
		if took := time.Since(w.origin); took > 6*time.Second {
			w.Errorf("it waited %v", took)
		}
	})
}

// Every run of a group is to be stopped, and SSM takes no cancellation: the items
// that wait for that do not become more with each delivery.
func TestWhatIsPutOffForManyRunsIsOneItem(t *testing.T) {
	in(t, group, func(w *world) {
		w.cloud.Lasts = func(*cloudtest.Command, string) (time.Duration, int) { return 20 * time.Hour, 0 }
		var ends []amx.Alert
		for i, name := range []string{"a", "b", "c", "d"} {
			at := time.Duration(i) * time.Minute
			w.until(at)
			w.sandbox("F"+name, nil).deliver(w.T, message(w.fires(name, at)))
			ends = append(ends, w.resolves(name, at, 5*time.Minute))
		}
		w.until(6 * time.Minute)
		denied := map[string]cloudtest.Fate{"CancelCommand": {Err: cloudtest.APIError("AccessDeniedException")}}
		w.sandbox("R", denied).deliver(w.T, message(ends...))
		w.works(w.sandbox("W", denied), 30*time.Minute)
		waiting := 0
		for _, q := range w.cloud.Waiting() {
			if q.Kind == "notification" {
				waiting++
			}
		}
		if waiting == 0 || waiting > 4 {
			t.Errorf("%d items wait", waiting)
		}
		w.works(w.sandbox("X", nil), time.Hour)
		w.nothingRuns()
	})
}
