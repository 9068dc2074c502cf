package simulation

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/cloudtest"
)

// loses is SSM that has lost the node of an alert, until when says otherwise.
func (w *world) loses(name string, when func() bool) {
	w.cloud.Refuse = func(r *cloudtest.Request) error {
		if slices.Contains(r.Nodes, nodeOf(name)) && when() {
			return cloudtest.APIError("InvalidInstanceId")
		}
		return nil
	}
}

func always() bool { return true }

// ranOn is where the command ran, by the names of the alerts, sorted.
func (w *world) ranOn(want string) {
	w.Helper()
	w.cloud.Mu.Lock()
	defer w.cloud.Mu.Unlock()
	var names []string
	for _, p := range w.cloud.Passes {
		var name int
		_, _ = fmt.Sscanf(p.Node, "i-%x", &name)
		names = append(names, string(rune(name)))
	}
	slices.Sort(names)
	if got := strings.Join(names, " "); got != want {
		w.Errorf("it ran on %q, not %q", got, want)
	}
}

// SSM refuses a node, so the rest of its part is sent in smaller parts. Their
// outcomes are independent: each is sent in the end, and once.
func TestThePartsOfAChunkAreSentEachByItself(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fates map[string]cloudtest.Fate // the fourth send goes to b
		first string
	}{
		{"one is throttled to the end", map[string]cloudtest.Fate{"SendCommand 4": {Err: cloudtest.APIError("AccessDeniedException")}}, "later a b c: SendCommand: AccessDeniedException, node i-00000063: SendCommand: InvalidInstanceId; run a b c: firing c0"},
		{"the answer of one is lost", map[string]cloudtest.Fate{"SendCommand 4": {Err: cloudtest.APIError("InternalServerError")}, "ListCommands 1": {Err: cloudtest.APIError("InternalServerError")}}, "later a b c: the run may not have been sent: SendCommand: InternalServerError, node i-00000063: SendCommand: InvalidInstanceId, ListCommands: InternalServerError"},
		{"the process dies between two", map[string]cloudtest.Fate{"SendCommand 3": {Dies: "before"}}, "500"},
		{"the process dies before it records them", map[string]cloudtest.Fate{"Put 2": {Dies: "before"}}, "500"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in(t, group, func(w *world) {
				w.loses("c", always)
				all := message(w.fires("a", 0), w.fires("b", 0), w.fires("c", 0))
				w.expect(w.sandbox("A", tt.fates), all, tt.first)
				for i := range 4 { // the claim's lease ends, and the window
					time.Sleep(time.Minute)
					if a := w.sandbox(fmt.Sprint("B", i), nil).deliver(w.T, all); i == 3 && a.Err != nil {
						w.Error(a.Err)
					}
				}
				w.ranOn("a b")
				w.expect(w.sandbox("C", nil), all, "later a b c: node i-00000063: SendCommand: InvalidInstanceId; run a b c: taken over: its sender is gone c0 c1")
			})
		})
	}
}

// A part of a document is not sent twice either, though nothing on the node would
// notice.
func TestThePartsOfADocumentAreSentOnce(t *testing.T) {
	in(t, strings.Replace(group, "cmd: /bin/fix", "document: Fix", 1), func(w *world) {
		w.loses("c", always)
		all := message(w.fires("a", 0), w.fires("b", 0), w.fires("c", 0))
		w.sandbox("A", map[string]cloudtest.Fate{"SendCommand 4": {Err: cloudtest.APIError("AccessDeniedException")}}).deliver(w.T, all)
		w.sandbox("B", nil).deliver(w.T, all)
		time.Sleep(time.Minute)
		w.ranOn("a b")
	})
}

// A retry is for the alerts that are due, and goes where they say.
func TestARetryLeavesOutWhatHasResolved(t *testing.T) {
	in(t, strings.Replace(group, "wait: 0s", "wait: 5s\n    retries: 1", 1), func(w *world) {
		w.cloud.Fails = func(string) bool { return true }
		w.sandbox("A", nil).deliver(w.T, message(w.fires("a", 0), w.fires("b", 0)))
		w.until(2 * time.Minute)
		w.sandbox("B", nil).deliver(w.T, message(w.fires("a", 0), w.resolves("b", 0, time.Minute)))
		w.works(w.sandbox("W", nil), 5*time.Minute)
		w.ranOn("a a b")
	})
}

// Two messages of one group bring an alert each.
func TestRetriesOfTwoMessagesDoNotMeetOnANode(t *testing.T) {
	in(t, strings.Replace(group, "wait: 0s", "wait: 5s\n    retries: 1", 1), func(w *world) {
		w.cloud.Fails = func(string) bool { return true }
		w.sandbox("A", nil).deliver(w.T, message(w.fires("a", 0), w.fires("b", 0)))
		w.until(2 * time.Minute)
		w.sandbox("B", nil).deliver(w.T, message(w.fires("a", 0)))
		w.sandbox("C", nil).deliver(w.T, message(w.fires("b", 0)))
		w.works(w.sandbox("W", nil), 5*time.Minute)
		w.ranOn("a a b b")
	})
}

// The run failed, but not where this alert's would be tried again.
func TestAnAlertWhoseNodeSucceededIsNotTriedAgain(t *testing.T) {
	in(t, strings.Replace(group, "wait: 0s", "wait: 5s\n    retries: 1", 1), func(w *world) {
		w.cloud.Fails = func(node string) bool { return node == nodeOf("b") }
		w.sandbox("A", nil).deliver(w.T, message(w.fires("a", 0), w.fires("b", 0)))
		w.until(2 * time.Minute)
		w.expect(w.sandbox("B", nil), message(w.fires("a", 0)), "skip a: failed, retry pending")
		w.works(w.sandbox("W", nil), 5*time.Minute)
		w.ranOn("a b b")
	})
}

// Neither is it in a later attempt, that would be for it alone.
func TestWhatSucceededInAnyAttemptIsNotTriedAgain(t *testing.T) {
	in(t, strings.Replace(group, "wait: 0s", "wait: 5s\n    retries: 2", 1), func(w *world) {
		w.cloud.Fails = func(node string) bool { return node == nodeOf("a") }
		both := message(w.fires("a", 0), w.fires("b", 0))
		w.sandbox("A", nil).deliver(w.T, both)
		w.sandbox("B", nil).deliver(w.T, both)
		w.expect(w.sandbox("C", nil), message(w.fires("b", 0)), "skip b: failed, retry pending")
		w.works(w.sandbox("W", nil), 10*time.Minute)
		w.ended(w.sandbox("E", nil), "c2")
		w.expect(w.sandbox("D", nil), both, "skip a b: failed, retries used up")
		w.ranOn("a a a b")
	})
}

// A run of which a part was never sent is over when the rest is, once nobody can
// want that part any more: its slot is free then.
func TestARunThatWasNeverWholeGivesUpItsSlot(t *testing.T) {
	for _, tt := range []struct {
		name string
		fate cloudtest.Fate
	}{
		{"SSM denied the part", cloudtest.Fate{Err: cloudtest.APIError("AccessDeniedException")}},
		{"the sender died", cloudtest.Fate{Dies: "before", Takes: time.Second}},
	} {
		other := func(w *world, at time.Duration) *amx.Message {
			m := message(w.fires("x", at), w.fires("y", at))
			m.GroupLabels = amx.KV{"g": "other"}
			return m
		}
		t.Run(tt.name+", and its alerts resolve", func(t *testing.T) {
			in(t, chunked()+"    max: 1\n", func(w *world) {
				w.sandbox("A", map[string]cloudtest.Fate{"SendCommand of chunk 1": tt.fate}).deliver(w.T, message(w.fires("a", 0), w.fires("b", 0)))
				w.until(10 * time.Minute)
				if a := w.sandbox("R", nil).deliver(w.T, message(w.resolves("a", 0, time.Minute), w.resolves("b", 0, time.Minute))); a.Err != nil {
					w.Error(a.Err)
				}
				w.until(time.Hour)
				if got := says(w.sandbox("X", nil).deliver(w.T, other(w, time.Hour))); !strings.HasPrefix(got, "run x y: firing c") {
					w.Errorf("the other group was answered %s", got)
				}
			})
		})
		t.Run(tt.name+", and its alerts fire on", func(t *testing.T) {
			in(t, chunked()+"    max: 1\n", func(w *world) {
				w.cloud.Lasts = func(*cloudtest.Command, string) (time.Duration, int) { return 10 * time.Minute, 0 }
				first := message(w.fires("a", 0), w.fires("b", 0))
				w.sandbox("A", map[string]cloudtest.Fate{"SendCommand of chunk 1": tt.fate}).deliver(w.T, first)
				w.until(5 * time.Minute) // what was sent still runs
				w.expect(w.sandbox("X", nil), other(w, 5*time.Minute), "later x y: concurrency limit reached (max: 1)")
				w.until(time.Hour)
				if got := says(w.sandbox("Y", nil).deliver(w.T, other(w, time.Hour))); !strings.HasPrefix(got, "run x y: firing c") {
					w.Errorf("the other group was answered %s", got)
				}
				// The part takes a slot again, and is not lost.
				w.expect(w.sandbox("B", nil), first, "later a b: concurrency limit reached (max: 1)")
				w.until(4 * time.Hour)
				if got := says(w.sandbox("C", nil).deliver(w.T, first)); !strings.HasPrefix(got, "run a b: taken over: its sender is gone c") {
					w.Errorf("the part that was left was answered %s", got)
				}
				time.Sleep(time.Minute)
				w.ran(51 + 51)
			})
		})
	}
}

// A part that is sent late has its whole time from then on: it does not count as
// forgotten.
func TestAPartThatIsSentLateIsNotForgotten(t *testing.T) {
	in(t, chunked(), func(w *world) {
		w.cloud.Lasts = forHours
		both := message(w.fires("a", 0), w.fires("b", 0))
		w.sandbox("A", map[string]cloudtest.Fate{"SendCommand of chunk 1": {Err: cloudtest.APIError("AccessDeniedException")}}).deliver(w.T, both)
		w.until(2 * time.Hour)
		w.cloud.Lag, w.cloud.Shows = 100*time.Second, func(*cloudtest.Command) time.Duration { return 100 * time.Second }
		w.expect(w.sandbox("B", nil), both, "run a b: taken over: its sender is gone c0 c1")
		time.Sleep(10 * time.Second)
		end := message(w.resolves("a", 0, 2*time.Hour), w.resolves("b", 0, 2*time.Hour))
		w.expect(w.sandbox("R", map[string]cloudtest.Fate{"CancelCommand": {Err: cloudtest.APIError("ThrottlingException")}}), end, "later a b: cancelling the run: CancelCommand \"c0\": ThrottlingException, CancelCommand \"c1\": ThrottlingException")
		time.Sleep(10 * time.Minute)
		w.sandbox("R2", nil).deliver(w.T, end)
		time.Sleep(time.Second)
		w.nothingRuns()
	})
}

// If one message has both, resolves end runs before firings begin new ones.
func TestInOneMessageResolvesGoFirst(t *testing.T) {
	in(t, strings.Replace(group, "{{ .Labels.node }}", "i-00000001", 1), func(w *world) {
		w.cloud.Lasts = forHours
		w.sandbox("A", nil).deliver(w.T, message(w.fires("a", 0)))
		w.until(time.Minute)
		w.sandbox("B", map[string]cloudtest.Fate{"CancelCommand": {Takes: 800 * time.Millisecond}}).deliver(w.T, message(w.resolves("a", 0, 30*time.Second), w.fires("b", 40*time.Second)))
		time.Sleep(time.Second)
		w.cloud.Mu.Lock()
		defer w.cloud.Mu.Unlock()
		if p := w.cloud.Passes; len(p) != 2 || p[0].Ended.IsZero() || p[1].Started.Before(p[0].Ended) {
			w.Errorf("the second began before the first had ended: %v", p)
		}
	})
}

// The caller that waits for a run hears 200 when the run's resolve ended it, by
// whatever signal.
func TestARunThatItsResolveSignalledHasNotFailed(t *testing.T) {
	in(t, strings.Replace(one, "wait: 0s", "wait: 40s\n    resolved_signal: SIGTERM", 1), func(w *world) {
		w.cloud.Lasts = forHours
		answered := make(chan string)
		go func() { answered <- says(w.sandbox("F", nil).deliver(w.T, message(w.fires("a", 0)))) }()
		w.until(10 * time.Second)
		w.expect(w.sandbox("R", nil), message(w.resolves("a", 0, 9*time.Second)), "cancel a: resolved: SIGTERM sent c0")
		if got := <-answered; got != "run a: firing c0" {
			w.Errorf("the caller that waited heard %s", got)
		}
	})
}

func TestARunThatIsOverIsNotSignalled(t *testing.T) {
	for _, gone := range []bool{false, true} {
		t.Run(fmt.Sprintf("its node is gone %v", gone), func(t *testing.T) {
			in(t, one+"    resolved_signal: SIGTERM\n", func(w *world) {
				w.sandbox("A", nil).deliver(w.T, message(w.fires("a", 0)))
				w.until(time.Hour)
				w.loses("a", func() bool { return gone })
				w.expect(w.sandbox("R", nil), message(w.resolves("a", 0, time.Hour)), "skip a: resolved: its run is over c0")
				w.sent(1)
			})
		})
	}
}

// A node that SSM has lost does not keep the others from being signalled, nor the
// resolve from being acknowledged.
func TestANodeThatIsGoneIsNotSignalled(t *testing.T) {
	in(t, group+"    resolved_signal: SIGTERM\n", func(w *world) {
		w.cloud.Lasts = forHours
		w.sandbox("A", nil).deliver(w.T, message(w.fires("a", 0), w.fires("b", 0)))
		w.until(10 * time.Minute)
		w.loses("b", always)
		w.expect(w.sandbox("R", nil), message(w.resolves("a", 0, 9*time.Minute), w.resolves("b", 0, 9*time.Minute)), "cancel a b: resolved: SIGTERM sent c0")
		time.Sleep(time.Second)
		for _, p := range w.cloud.Passes {
			if p.Node == nodeOf("a") && p.Running() {
				w.Error("it still runs on the node that is there")
			}
		}
	})
}

// SSM forgets a command after 30 days. A run whose time is up is
// over then.
func TestWhatSSMHasForgottenIsOver(t *testing.T) {
	forget := func(w *world) {
		w.cloud.Mu.Lock()
		defer w.cloud.Mu.Unlock()
		w.cloud.Commands = nil
	}
	t.Run("for its resolve", func(t *testing.T) {
		in(t, one, func(w *world) {
			w.sandbox("A", nil).deliver(w.T, message(w.fires("a", 0)))
			w.until(29 * 24 * time.Hour)
			forget(w)
			if a := w.sandbox("R", nil).deliver(w.T, message(w.resolves("a", 0, 28*24*time.Hour))); a.Err != nil {
				w.Error(a.Err)
			}
		})
	})
	t.Run("and has not failed", func(t *testing.T) {
		in(t, retried, func(w *world) {
			w.sandbox("A", nil).deliver(w.T, message(w.fires("a", 0)))
			w.until(29 * 24 * time.Hour)
			forget(w)
			w.expect(w.sandbox("B", nil), message(w.fires("a", 0)), "skip a: already started for this alert")
			w.sent(0) // SSM has forgotten the first
		})
	})
	t.Run("for its slot", func(t *testing.T) {
		in(t, one+"    max: 1\n", func(w *world) {
			w.sandbox("A", nil).deliver(w.T, message(w.fires("a", 0)))
			w.until(24 * time.Hour)
			forget(w)
			w.expect(w.sandbox("B", nil), message(w.fires("b", 24*time.Hour)), "run b: firing c0")
		})
	})
	t.Run("not while its time is not up", func(t *testing.T) {
		in(t, one+"    max: 1\n", func(w *world) {
			w.sandbox("A", nil).deliver(w.T, message(w.fires("a", 0)))
			w.until(time.Minute)
			forget(w)
			w.expect(w.sandbox("B", nil), message(w.fires("b", time.Minute)), "later b: concurrency limit reached (max: 1)")
		})
	})
}

// The ledger cannot be read, or not be written: a resolve is not settled, and
// stops its run when it is delivered again.
func TestAResolveIsNotSettledWhileTheLedgerIsDown(t *testing.T) {
	for op, why := range map[string]string{"Get": "reading the ledger", "Put": "writing the ledger"} {
		t.Run(op, func(t *testing.T) {
			in(t, one, func(w *world) {
				w.cloud.Lasts = forHours
				w.sandbox("A", nil).deliver(w.T, message(w.fires("a", 0)))
				w.until(time.Minute)
				resolve := message(w.resolves("a", 0, 30*time.Second))
				w.expect(w.sandbox("R", map[string]cloudtest.Fate{op: {Err: cloudtest.APIError("InternalServerError")}}), resolve, "later a: "+why+": the table: InternalServerError")
				w.expect(w.sandbox("R2", nil), resolve, "cancel a: resolved: cancelled c0")
				w.nothingRuns()
			})
		})
	}
}
