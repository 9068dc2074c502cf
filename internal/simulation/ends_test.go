package simulation

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/cloudtest"
)

// The answer to the first send is unknown, and SSM refuses from then on. Whoever
// sends the firing again every minute is told so once a look proves that the first
// was not accepted, and what else the gate keeps out runs.
func TestARefusalAfterAnUnknownSendIsSettled(t *testing.T) {
	for code, want := range map[string][2]string{
		"InvalidDocument":   {"SendCommand: InvalidDocument", "refuse a: SendCommand: api error InvalidDocument: said the model"},
		"InvalidInstanceId": {"node i-00000061: SendCommand: InvalidInstanceId", "later a: node i-00000061: SendCommand: InvalidInstanceId"},
	} {
		t.Run(code, func(t *testing.T) {
			in(t, one+"    max: 1\n", func(w *world) {
				first := w.sandbox("A", map[string]cloudtest.Fate{"SendCommand 1": {Err: cloudtest.APIError("InternalServerError")}})
				w.cloud.Refuse = func(r *cloudtest.Request) error {
					if strings.Contains(strings.Join(r.Nodes, " "), nodeOf("a")) {
						return cloudtest.APIError(code)
					}
					return nil
				}
				w.expect(first, message(w.fires("a", 0)), "later a: in doubt, "+want[0])
				for i := 1; ; i++ {
					w.until(time.Duration(i) * time.Minute)
					a := w.sandbox(fmt.Sprint("A", i), nil).deliver(w.T, message(w.fires("a", 0)))
					if a.Err == nil && !strings.Contains(says(a), "in doubt") {
						if says(a) != want[1] {
							w.Errorf("it answers %s", says(a))
						}
						break
					} else if i == 5 {
						w.Fatalf("after %d min it still answers %s: %v", i, says(a), a.Err)
					}
				}
				w.expect(w.sandbox("B", nil), message(w.fires("b", 0)), "run b: firing c0")
			})
		})
	}
	t.Run("and was accepted after all", func(t *testing.T) {
		in(t, one, func(w *world) {
			w.cloud.Lag = 5 * time.Second
			w.cloud.Refuse = func(*cloudtest.Request) error {
				if len(w.cloud.Commands) > 0 {
					return cloudtest.APIError("InvalidDocument")
				}
				return nil
			}
			w.expect(w.sandbox("A", map[string]cloudtest.Fate{"SendCommand 1": lostAnswer}), message(w.fires("a", 0)), "later a: in doubt, SendCommand: InvalidDocument")
			w.until(time.Minute)
			w.expect(w.sandbox("B", nil), message(w.fires("a", 0)), "skip a: already started for this alert")
			w.ran(1)
		})
	})
}

// With send_resolved: false no resolve ever comes. An alert fires every half an hour;
// after two days its episodes go.
func TestAnEntryThatSeesNoResolves(t *testing.T) {
	in(t, one, func(w *world) {
		b := w.sandbox("B", nil)
		largest := 0
		for i := range 10 * 24 {
			at := time.Duration(i) * time.Hour
			w.until(at)
			if a := b.deliver(w.T, message(w.fires("a", at))); a.Err != nil || !strings.HasPrefix(says(a), "run a: firing") {
				w.Fatalf("after %v: %s", at, says(a))
			}
			for _, r := range w.cloud.Records {
				largest = max(largest, len(r.Value))
			}
			if i%50 == 0 { // the model remembers what SSM would have forgotten
				w.cloud.Commands = w.cloud.Commands[max(0, len(w.cloud.Commands)-10):]
			}
		}
		if largest > 30_000 { // of two days, and not of ten
			w.Errorf("the entry grew to %d bytes", largest)
		}
	})
}

// A run of which not everything is known is looked for hours after it was sent,
// in an account that sends many commands.
func TestALookDoesNotReadWhatWasSentSince(t *testing.T) {
	in(t, one, func(w *world) {
		w.cloud.Lag = time.Second
		w.cloud.Lasts = func(*cloudtest.Command, string) (time.Duration, int) { return 40 * time.Hour, 0 }
		w.expect(w.sandbox("A", map[string]cloudtest.Fate{"SendCommand 1": lostAnswer}), message(w.fires("a", 0)), "run a: firing c1")
		w.until(5 * time.Hour)
		w.cloud.Mu.Lock()
		for i := range 1500 * w.cloud.Page {
			w.cloud.Commands = append(w.cloud.Commands, &cloudtest.Command{Request: &cloudtest.Request{}, ID: fmt.Sprintf("x%d", i), Comment: "somebody else's", Sent: w.at(time.Hour), Listed: w.at(time.Hour)})
		}
		w.cloud.Mu.Unlock()
		r := w.sandbox("R", map[string]cloudtest.Fate{"ListCommands": {Takes: 40 * time.Millisecond}})
		w.expect(r, message(w.resolves("a", 0, 5*time.Hour)), "cancel a: resolved: cancelled c1 c0")
		w.nothingRuns()
	})
}

// SSM's list cannot be read: what is known of a run is cancelled all the same.
func TestWhatIsKnownIsCancelledWithoutALook(t *testing.T) {
	in(t, one, func(w *world) {
		w.cloud.Lag, w.cloud.Lasts = 100*time.Second, forHours
		w.expect(w.sandbox("A", map[string]cloudtest.Fate{"SendCommand 1": {Err: cloudtest.APIError("InternalServerError")}}), message(w.fires("a", 0)), "run a: firing c0")
		w.until(10 * time.Minute)
		w.expect(w.sandbox("R", map[string]cloudtest.Fate{"ListCommands": {Err: cloudtest.APIError("ThrottlingException")}}), message(w.resolves("a", 0, 9*time.Minute)), "later a: cancelling the run: ListCommands: ThrottlingException")
		time.Sleep(time.Second)
		w.nothingRuns()
		w.expect(w.sandbox("S", nil), message(w.resolves("a", 0, 9*time.Minute)), "cancel a: resolved: cancelled c0")
	})
}

// A send takes most of its invocation, and SSM's lists lag by nearly a window: a
// run whose time is not up is not forgotten, and not tried again.
func TestARunThatWasSentLateIsNotForgotten(t *testing.T) {
	in(t, strings.Replace(retried, "wait: 0s", "wait: 0s\n    timeout: 5s\n    delivery_timeout: 30s", 1), func(w *world) {
		w.cloud.Lag = 118 * time.Second
		w.cloud.Shows = func(*cloudtest.Command) time.Duration { return 118 * time.Second }
		w.sandbox("A", map[string]cloudtest.Fate{"SendCommand 1": {Takes: 45 * time.Second}}).deliver(w.T, message(w.fires("a", 0)))
		w.until(158 * time.Second)
		w.sandbox("B", nil).deliver(w.T, message(w.fires("a", 0)))
		time.Sleep(time.Minute)
		w.ran(1)
	})
}

// The command of a part was sent twice, and SSM's list of invocations lags: the
// second says "runs here" of a node whose first is not listed yet.
func TestASignalGoesToANodeWhereAnotherCommandRuns(t *testing.T) {
	in(t, chunked()+"    resolved_signal: SIGTERM\n", func(w *world) {
		w.cloud.Lag, w.cloud.Lasts = 5*time.Second, forHours
		first := false
		w.cloud.Shows = func(c *cloudtest.Command) time.Duration {
			if c.Token.Chunk == 1 && !first {
				first = true
				return 100 * time.Second
			}
			return 0
		}
		w.sandbox("A", map[string]cloudtest.Fate{"SendCommand of chunk 1": lostAnswer}).deliver(w.T, message(w.fires("a", 0), w.fires("b", 0)))
		w.until(30 * time.Second)
		end := message(w.resolves("a", 0, 20*time.Second), w.resolves("b", 0, 20*time.Second))
		r := w.sandbox("R", nil)
		r.deliver(w.T, end)
		w.until(4 * time.Minute)
		if a := r.deliver(w.T, end); a.Err != nil {
			w.Error(a.Err)
		}
		w.nothingRuns()
	})
}

// An alert whose message gives it another fingerprint than its labels have is shown
// by the one that was sent, also where only the ledger knows it.
func TestAResultShowsTheFingerprintThatWasSent(t *testing.T) {
	in(t, one, func(w *world) {
		w.cloud.Lag = 100 * time.Second
		fires, resolves := w.fires("a", 0), w.resolves("a", 0, time.Second)
		fires.Identity, resolves.Identity = "of-labels-and-a", "of-labels-and-a"
		f := w.sandbox("F", map[string]cloudtest.Fate{"SendCommand 1": lostAnswer, "ListCommands 1": {Answers: 5 * time.Second}})
		answered := make(chan string)
		go func() { answered <- says(f.deliver(w.T, message(fires))) }()
		w.until(2 * time.Second)
		w.sandbox("R", nil).deliver(w.T, message(resolves))
		if got := <-answered; got != "later a: cancelling the run: in doubt" {
			t.Errorf("the firing was answered %s", got)
		}
	})
}
