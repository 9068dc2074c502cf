package model

import (
	"fmt"
	"os"
	"slices"
	"testing"
)

// bound is how far an exploration goes.
type bound struct {
	rules
	faults int
	full   bool // only with MODEL=full
}

// full tells whether to explore for about a minute and a gigabyte. Without it, a
// few seconds do.
func full() bool { return os.Getenv("MODEL") == "full" }

func (b bound) String() string {
	by := "webhook"
	if b.topic {
		by = "topic"
	}
	return fmt.Sprintf("%s, %d events, faults up to %d", by, b.events, b.faults)
}

// The rules of docs/architecture.md keep every invariant.
func TestTheProtocol(t *testing.T) {
	taken, rare := map[string]int{}, slices.Clone(rare)
	for _, b := range []bound{
		{rules: rules{events: 2}, faults: 1},
		{rules: rules{events: 2, topic: true}, faults: 1},
		{rules: rules{events: 4}},
		{rules: rules{events: 3, topic: true}},
		{rules: rules{events: 3}, faults: 1, full: true},
		{rules: rules{events: 3, topic: true}, faults: 1, full: true},
		{rules: rules{events: 2}, faults: 2, full: true},
	} {
		if b.full && !full() {
			continue
		}
		explored := false
		t.Run(b.String(), func(t *testing.T) {
			explored = true
			got := explore(b.rules, b.faults)
			if got.broken != 0 {
				t.Fatal(got)
			}
			t.Logf("%d states, %d of them at rest", got.states, got.rest)
			for step, count := range got.taken {
				taken[step] += count
			}
		})
		if !explored {
			rare = nil // -run has left a part out
		}
	}
	if full() && rare != nil {
		rare = append(rare, "cannot read the list") // after a send without an answer: a second fault
	}
	for _, step := range rare {
		if taken[step] == 0 {
			t.Errorf("no state takes the step %q: the model has lost it", step)
		}
	}
}

// rare is steps that only some order of events or a fault leads to. An exploration
// that never takes one of them checks less than it seems to.
var rare = []string{
	"the alert fires again under its old start",
	"flushes, and its pair does, by way of the topic",
	"gives up the notification",
	"takes an item that will come again",
	"dies",
	"cannot reach the ledger",
	"claims a run; the write's answer is lost",
	"skips a late firing",
	"meets a live claim",
	"meets a live claim of a run to be cancelled",
	"finds a run whose sender is gone",
	"decides again: the entry has changed",
	"takes the run over",
	"sends: throttled",
	"sends: no answer, SSM has not heard it",
	"sends: no answer, SSM has accepted it",
	"cannot record what it sent",
	"reads the list, which has all",
	"cancels: throttled",
	"cancels: accepted, the answer is lost",
	"cannot settle the cancellation now",
	"cannot put off what is left",
	"leaves the item on the queue",
	"answers, which nobody hears",
	"the pass finds the guard taken",
	"a cancelled command never begins",
	"time passes: a dead sender's lease ends",
	"time passes: a run's window is over, the list shows all of it",
}

// Each rule is needed: without it an invariant breaks.
func TestWithoutARule(t *testing.T) {
	for _, tc := range []struct {
		rule    string
		without rules
		faults  int
		breaks  invariant
		full    bool
	}{
		{"the claim before the send", rules{events: 1, noClaim: true}, 1, once, false},
		{"the guard", rules{events: 1, noGuard: true}, 1, once, false},
		{"in doubt", rules{events: 2, noDoubt: true}, 1, settled, false},
		{"the window", rules{events: 2, noWindow: true}, 1, once, false},
		{"the claim renewed on the version read before the list", rules{events: 2, anyVersion: true}, 2, settled, true},
		{"the tombstone", rules{events: 2, topic: true, noTombstone: true}, 0, settled, false},
		{"the queue", rules{events: 2, noQueue: true}, 1, stopped, false},
		{"a resolve sent after the firing that reopened the episode", rules{events: 3, topic: true, anyResolveEnds: true}, 0, served, false},
		{"the start that moves", rules{events: 3, topic: true, startStays: true}, 0, served, false},
	} {
		if tc.full && !full() {
			continue
		}
		t.Run(tc.rule, func(t *testing.T) {
			got := explore(tc.without, tc.faults)
			if got.broken != tc.breaks {
				t.Fatalf("broke %v, want %q broken", got, tc.breaks)
			}
			t.Log(got)
		})
	}
}
