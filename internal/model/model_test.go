package model

import (
	"fmt"
	"os"
	"testing"
)

// bound is how far an exploration goes.
type bound struct {
	rules
	faults int
	full   bool // only with MODEL=full, which takes about a minute
}

func (b bound) String() string {
	by := "webhook"
	if b.topic {
		by = "topic"
	}
	return fmt.Sprintf("%s, %d events, faults up to %d", by, b.events, b.faults)
}

// The rules of docs/architecture.md keep every invariant.
func TestTheProtocol(t *testing.T) {
	taken := map[string]int{}
	for _, b := range []bound{
		{rules: rules{events: 2}, faults: 1},
		{rules: rules{events: 2, topic: true}, faults: 1},
		{rules: rules{events: 4}},
		{rules: rules{events: 3, topic: true}},
		{rules: rules{events: 3}, faults: 1, full: true},
		{rules: rules{events: 3, topic: true}, faults: 1, full: true},
		{rules: rules{events: 2}, faults: 2, full: true},
	} {
		if b.full && os.Getenv("MODEL") != "full" {
			continue
		}
		t.Run(b.String(), func(t *testing.T) {
			got := explore(b.rules, b.faults)
			if got.broken != 0 {
				t.Fatal(got)
			}
			t.Logf("%d states, %d of them at rest", got.states, got.rest)
			for step, count := range got.taken {
				taken[step] += count
			}
		})
	}
	t.Log(len(taken), "different steps")
	for s, c := range taken {
		t.Log(c, s)
	}
}

// Each rule is needed: without it an invariant breaks.
func TestWithoutARule(t *testing.T) {
	for _, tc := range []struct {
		rule   string
		rules  rules
		faults int
		breaks invariant
	}{
		{"the claim before the send", rules{events: 1, noClaim: true}, 1, once},
		{"the guard", rules{events: 1, noGuard: true}, 1, once},
		{"in doubt", rules{events: 2, noDoubt: true}, 1, settled},
		{"the window", rules{events: 2, noWindow: true}, 1, once},
		{"the tombstone", rules{events: 2, topic: true, noTombstone: true}, 0, settled},
		{"the queue", rules{events: 2, noQueue: true}, 1, stopped},
		{"a resolve sent after the firing that reopened the episode", rules{events: 3, topic: true, anyResolveEnds: true}, 0, served},
		{"the start that moves", rules{events: 3, topic: true, startStays: true}, 0, served},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			got := explore(tc.rules, tc.faults)
			if got.broken != tc.breaks {
				t.Fatalf("broke %v, want %q broken", got, tc.breaks)
			}
			t.Log(got)
		})
	}
}
