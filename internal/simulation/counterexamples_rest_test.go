package simulation

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/cloudtest"
)

func TestCounterexample06TheHighestAttemptIsTheLatest(t *testing.T) {
	in(t, strings.Replace(retried, "wait: 0s", "wait: 5s", 1), func(w *world) {
		w.cloud.Lasts = func(*cloudtest.Command, string) (time.Duration, int) { return time.Second, 1 }
		a := w.sandbox("A", nil)
		w.expect(a, message(w.fires("a", 0)), "run a: firing c0")
		w.expect(a, message(w.fires("a", 0)), "skip a: failed, retry pending")
		w.works(w.sandbox("W", nil), 5*time.Minute)
		w.ended(w.sandbox("E", nil), "c1")
		w.expect(a, message(w.fires("a", 0)), "skip a: failed, retries used up")
		w.ran(2)
	})
}

// While the ledger is down nothing is cancelled that may be another's, or need not end.
func TestCounterexample07WhatGoesOnWhileTheLedgerIsDown(t *testing.T) {
	down := map[string]cloudtest.Fate{"Get": lostAnswer}
	for _, tt := range []struct {
		name, config, key string
		fires, over       bool
	}{
		{name: "the run of a deduplication key", config: one, key: "k"},
		{name: "what ignores its resolve", config: one + "    ignore_resolved: true\n"},
		{name: "what fires on", config: one, fires: true},
		{name: "what is over", config: one, over: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in(t, tt.config, func(w *world) {
				if !tt.over {
					w.cloud.Lasts = forHours
				}
				f, r := message(w.fires("a", 0)), message(w.resolves("a", 0, 8*time.Minute))
				f.DedupKey, r.DedupKey = tt.key, tt.key
				if tt.fires {
					r = f
				}
				w.expect(w.sandbox("A", nil), f, "run a: firing c0")
				w.until(10 * time.Minute)
				c := w.sandbox("C", down)
				w.expect(c, r, "later a: reading the ledger")
				time.Sleep(time.Second)
				if n := c.counts["CancelCommand"]; n > 0 {
					t.Errorf("%d cancellations", n)
				}
				if ids := w.cloud.Running(); len(ids) == 0 && !tt.over {
					t.Error("nothing runs any more")
				}
			})
		})
	}
}

// No part of a document was sent. However often its firing is delivered meanwhile,
// it is sent when the window is over.
func TestCounterexample08ALookDoesNotBeginADocumentsWindowAnew(t *testing.T) {
	in(t, strings.Replace(one, "cmd: /bin/fix", "document: Fix", 1), func(w *world) {
		w.sandbox("A", map[string]cloudtest.Fate{"SendCommand 1": {Dies: "before"}}).deliver(w.T, message(w.fires("a", 0)))
		for at := time.Minute; at < timeout+window; at += 10 * time.Second {
			w.until(at)
			w.expect(w.sandbox("B", nil), message(w.fires("a", 0)), "later a: the run may not have been sent: in doubt")
		}
		w.until(timeout + 3*time.Second + window)
		w.expect(w.sandbox("C", nil), message(w.fires("a", 0)), "run a: firing c0")
		time.Sleep(time.Second)
		w.ran(1)
	})
}

// A part of a document was certainly not sent at first. Its second send is
// unknown, shortly before the first claim's window would have been over.
func TestCounterexample08ADocumentsWindowCountsFromItsLastSend(t *testing.T) {
	in(t, strings.Replace(chunked(), "cmd: /bin/fix", "document: Fix", 1), func(w *world) {
		w.cloud.Lag = 119 * time.Second
		both := message(w.fires("a", 0), w.fires("b", 0))
		w.expect(w.sandbox("A", map[string]cloudtest.Fate{"SendCommand of chunk 1": {Err: cloudtest.APIError("AccessDeniedException")}}), both, "later a b: SendCommand: AccessDeniedException; run a b: firing c0")
		w.until(2*time.Minute + 30*time.Second)
		w.expect(w.sandbox("B", map[string]cloudtest.Fate{"SendCommand 1": lostAnswer}), both, "later a b: the run may not have been sent: SendCommand: context deadline exceeded, in doubt")
		w.until(3*time.Minute + 10*time.Second)
		w.expect(w.sandbox("C", nil), both, "later a b: the run may not have been sent: in doubt")
		w.until(6 * time.Minute)
		w.expect(w.sandbox("D", nil), both, "run a b: taken over: its sender is gone c0 c1")
		w.ran(51)
	})
}

// Whatever hangs, the invocation ends it in time, and tells what it knows.
func TestCounterexample10WhateverHangs(t *testing.T) {
	for _, op := range []string{"Get 1", "Put 1", "Put 2", "SendCommand 1", "ListCommands 1", "ListCommandInvocations 1", "CancelCommand 1"} {
		t.Run(op, func(t *testing.T) {
			in(t, strings.Replace(one, "wait: 0s", "wait: 5m", 1)+"    max: 5\n", func(w *world) {
				w.cloud.Lasts = forHours
				w.sandbox("A", nil).deliver(w.T, message(w.fires("a", 0)))
				w.until(2 * time.Minute)
				begun := time.Now()
				fates := map[string]cloudtest.Fate{op: {Hangs: true}}
				if op == "ListCommands 1" {
					fates["SendCommand 1"] = lostAnswer
				}
				w.sandbox("B", fates).deliver(w.T, message(w.resolves("a", 0, time.Minute), w.fires("b", time.Minute)))
				if took := time.Since(begun); took > timeout-500*time.Millisecond {
					t.Errorf("answered after %v", took)
				}
			})
		})
	}
}

func holders(w *world) (claimed []string) {
	w.cloud.Mu.Lock()
	defer w.cloud.Mu.Unlock()
	for key, r := range w.cloud.Records {
		if e, err := cloudtest.ReadEntry(r); err == nil && strings.HasPrefix(key, "entry/") {
			for _, run := range e.Runs {
				if run.Holder != "" {
					claimed = append(claimed, fmt.Sprint(key, run.Holder))
				}
			}
		}
	}
	return claimed
}

// The outcome of a send that hangs is recorded.
func TestCounterexample10ASendThatHangsIsRecorded(t *testing.T) {
	in(t, one, func(w *world) {
		w.expect(w.sandbox("A", map[string]cloudtest.Fate{"SendCommand": {Hangs: true}}), message(w.fires("a", 0)), "later a: the run may not have been sent: SendCommand: context deadline exceeded, no time left for a claim")
		if h := holders(w); len(h) > 0 {
			t.Errorf("still claimed: %v", h)
		}
	})
}

// parts_test.go

func TestARunThatItsResolveEndedHasNotFailed(t *testing.T) {
	for signal, want := range map[string]string{"SIGTERM": "SIGTERM sent", "SIGKILL": "cancelled"} {
		t.Run(signal, func(t *testing.T) {
			in(t, strings.Replace(one, "wait: 0s", "wait: 40s\n    resolved_signal: "+signal, 1), func(w *world) {
				w.cloud.Lasts = forHours
				answered := make(chan string)
				go func() { answered <- says(w.sandbox("F", nil).deliver(w.T, message(w.fires("a", 0)))) }()
				w.until(10 * time.Second)
				w.expect(w.sandbox("R", nil), message(w.resolves("a", 0, 9*time.Second)), "cancel a: resolved: "+want+" c0")
				if got := <-answered; got != "run a: firing c0" {
					w.Errorf("the caller that waited heard %s", got)
				}
			})
		})
	}
}

func TestANodeWhereItIsOverIsNotSignalled(t *testing.T) {
	in(t, group+"    resolved_signal: SIGTERM\n", func(w *world) {
		w.cloud.Lasts = func(_ *cloudtest.Command, node string) (time.Duration, int) {
			if node == nodeOf("a") {
				return time.Second, 0
			}
			return 3 * time.Hour, 0
		}
		w.sandbox("A", nil).deliver(w.T, message(w.fires("a", 0), w.fires("b", 0)))
		w.until(10 * time.Minute)
		w.expect(w.sandbox("R", nil), message(w.resolves("a", 0, 9*time.Minute), w.resolves("b", 0, 9*time.Minute)), "cancel a b: resolved: SIGTERM sent c0")
		w.cloud.Mu.Lock()
		defer w.cloud.Mu.Unlock()
		if nodes := w.cloud.Commands[1].Nodes; len(nodes) != 1 || nodes[0] != nodeOf("b") {
			t.Errorf("the signal went to %v", nodes)
		}
	})
}

func TestANodeThatIsGoneIsCancelledAndTheOtherSignalled(t *testing.T) {
	in(t, group+"    resolved_signal: SIGTERM\n", func(w *world) {
		w.cloud.Lasts = forHours
		w.sandbox("A", nil).deliver(w.T, message(w.fires("a", 0), w.fires("b", 0)))
		w.until(10 * time.Minute)
		w.loses("b", always)
		w.cloud.Reach = func(*cloudtest.Command) time.Duration { return time.Second } // a cancellation is faster
		r := w.sandbox("R", nil)
		w.expect(r, message(w.resolves("a", 0, 9*time.Minute), w.resolves("b", 0, 9*time.Minute)), "cancel a b: resolved: SIGTERM sent c0")
		time.Sleep(10 * time.Second)
		w.cloud.Mu.Lock()
		defer w.cloud.Mu.Unlock()
		for _, p := range w.cloud.Passes {
			if p.Node == nodeOf("a") && !p.Stopped {
				t.Error("the node that is there was not signalled")
			}
		}
		if n := r.counts["CancelCommand"]; n != 1 {
			t.Errorf("%d cancellations, for the node that is gone", n)
		}
	})
}

func TestWhatSSMStillListsIsNotForgotten(t *testing.T) {
	in(t, one+"    max: 1\n", func(w *world) {
		w.cloud.Lasts = func(*cloudtest.Command, string) (time.Duration, int) { return 48 * time.Hour, 0 }
		w.cloud.Shows = func(*cloudtest.Command) time.Duration { return 72 * time.Hour }
		w.sandbox("A", nil).deliver(w.T, message(w.fires("a", 0)))
		w.until(24 * time.Hour)
		w.expect(w.sandbox("B", nil), message(w.fires("b", 24*time.Hour)), "later b: concurrency limit reached (max: 1)")
	})
}

// The answer of c0 was lost, and c0 never reaches its node; c1 does, and goes well.
func TestATwinThatIsNeverDeliveredDoesNotFailTheRun(t *testing.T) {
	in(t, retried, func(w *world) {
		w.cloud.Lag = 100 * time.Second
		w.cloud.Reach = func(c *cloudtest.Command) time.Duration {
			if c.ID == "c0" {
				return time.Hour
			}
			return time.Second
		}
		w.sandbox("A", map[string]cloudtest.Fate{"SendCommand 1": lostAnswer}).deliver(w.T, message(w.fires("a", 0)))
		w.works(w.sandbox("W", nil), 20*time.Minute)
		w.expect(w.sandbox("B", nil), message(w.fires("a", 0)), "skip a: already started for this alert")
		w.ran(1)
		w.cloud.Mu.Lock()
		defer w.cloud.Mu.Unlock()
		for key, r := range w.cloud.Records {
			e, err := cloudtest.ReadEntry(r)
			if err != nil {
				t.Fatal(err)
			}
			for _, run := range e.Runs {
				if run.Failed == nil || *run.Failed {
					t.Errorf("%s: %s has no outcome, or failed", key, run.ID)
				}
			}
		}
	})
}

// Asking who holds the gate took the time that a claim needs.
func TestNoClaimIsMadeAfterTheGateTookTheTimeAndItsSlotIsFree(t *testing.T) {
	in(t, one+"    max: 1\n", func(w *world) {
		w.cloud.Lasts = func(*cloudtest.Command, string) (time.Duration, int) { return time.Minute, 0 }
		w.sandbox("A", nil).deliver(w.T, message(w.fires("a", 0)))
		w.until(10 * time.Minute)
		w.expect(w.sandbox("B", map[string]cloudtest.Fate{"ListCommandInvocations 1": {Takes: timeout - time.Second}}), message(w.fires("b", 9*time.Minute)), "later b: asking whether the run still counts against a limit: asking for the run: ListCommandInvocations \"c0\": context deadline exceeded")
		if n := len(w.books.claimed); n != 1 {
			t.Errorf("%d runs were claimed", n)
		}
		w.expect(w.sandbox("R", nil), message(w.resolves("b", 9*time.Minute, 11*time.Minute)), "skip b: resolved: no run of this alert is known")
		w.expect(w.sandbox("C", nil), message(w.fires("c", 10*time.Minute)), "run c: firing c1")
	})
}

func TestNoClaimIsRenewedAfterALookTookTheTime(t *testing.T) {
	in(t, one, func(w *world) {
		w.sandbox("A", map[string]cloudtest.Fate{"SendCommand 1": {Dies: "before"}}).deliver(w.T, message(w.fires("a", 0)))
		w.until(time.Minute)
		w.expect(w.sandbox("B", map[string]cloudtest.Fate{"ListCommands 1": {Takes: timeout - time.Second}}), message(w.fires("a", 0)), "later a: the run may not have been sent: no time left for a claim")
		w.until(timeout + 3*time.Second + window)
		w.expect(w.sandbox("R", nil), message(w.resolves("a", 0, time.Minute)), "skip a: resolved before it was sent")
	})
}

// Who takes a run over says which nodes of it SSM does not have.
func TestANodeThatIsUnavailableIsToldByWhoTakesTheRunOver(t *testing.T) {
	in(t, group, func(w *world) {
		w.loses("c", always)
		all := message(w.fires("a", 0), w.fires("b", 0), w.fires("c", 0))
		w.expect(w.sandbox("A", map[string]cloudtest.Fate{"SendCommand 4": lostAnswer, "ListCommands 1": lostAnswer}), all, "later a b c: the run may not have been sent: SendCommand: context deadline exceeded, node i-00000063: SendCommand: InvalidInstanceId, ListCommands: context deadline exceeded")
		w.expect(w.sandbox("B", nil), all, "later a b c: node i-00000063: SendCommand: InvalidInstanceId; run a b c: taken over: its sender is gone c0 c1")
	})
}
