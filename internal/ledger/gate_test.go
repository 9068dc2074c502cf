package ledger

import (
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
)

func TestSlots(t *testing.T) {
	now := at(10 * m)
	running := part{State: sent, Commands: []command{{ID: "c1"}}}
	done := part{State: sent, Commands: []command{{ID: "c1", Done: true}}}
	left := part{State: unsent}
	for _, tt := range []struct {
		name  string
		run   *run // in the entry
		lease time.Duration
		want  bool
	}{
		{"its claim is not written yet", nil, 10*m + 1, false},
		{"its claim never was", nil, 10*m - 1, true},
		{"its run goes on", &run{Parts: []part{running}}, 0, false},
		{"its run is over", &run{Parts: []part{done}, Outcome: &outcome{}}, 10*m + 1, true},
		{"its run is over as far as is known", &run{Parts: []part{done}, Outcome: &outcome{}, InDoubt: true}, 0, false},
		{"its run is only cancelled", &run{Parts: []part{done}, CancelAsked: true}, 0, false},
		{"what is left of its run is still to be sent", &run{Parts: []part{done, left}}, 0, true},
		{"and somebody has taken it to do so", &run{Parts: []part{done, left}}, 10*m + 1, false},
		{"and somebody does", &run{Parts: []part{done, left}, Holder: "/x", Lease: at(11 * m)}, 0, false},
		{"what is left of its run may have been sent", &run{Parts: []part{done, {State: claimed}}}, 0, false},
		{"the rest of its run goes on", &run{Parts: []part{running, left}}, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := &Entry{}
			if tt.run != nil {
				tt.run.ID = "r1"
				e.runs = []*run{tt.run}
			}
			h := Holder{Run: "r1", slot: slot{Run: "r1", Lease: at(tt.lease)}}
			if got := h.Free(e, now, ""); got != tt.want {
				t.Errorf("free %v", got)
			}
		})
	}
}

// A gate may miss the end of a run that its entry then forgets. The run was sent, so it
// counts against rate_limit.
func TestARunThatItsEntryHasForgottenCountsAgainstRateLimit(t *testing.T) {
	g := &Gate{}
	by := func(now time.Duration) Actor { return Actor{Delivery: "a", Lease: at(now + m), Now: at(now)} }
	want := func(run string) SlotWanted {
		return SlotWanted{Run: run, Command: "fix", Limits: Limits{Windows: []amx.Window{{Runs: 1, Per: time.Hour}}}}
	}
	g.Step(by(0), want("r1"))
	refresh, ok := g.Step(by(10*m), want("r2")).(Refresh)
	if !ok || len(refresh.Holders) != 1 || !refresh.Holders[0].Free(&Entry{}, at(10*m), "") {
		t.Fatalf("%+v", refresh)
	}
	g.Step(by(10*m), SlotsFree{Over: []string{"r1"}, Asked: true})
	if got, ok := g.Step(by(10*m), want("r2")).(SlotRefused); !ok {
		t.Errorf("it says %+v", got)
	}
	if got, ok := g.Step(by(61*m), want("r2")).(SlotTaken); !ok {
		t.Errorf("after the window it says %+v", got)
	}
}

func TestTakingASlot(t *testing.T) {
	g := &Gate{}
	by := func(delivery string, lease time.Duration) Actor {
		return Actor{Delivery: delivery, Lease: at(lease), Now: at(0)}
	}
	want := func(run string, asked bool) SlotWanted {
		return SlotWanted{Run: run, Command: "fix", Limits: Limits{Max: 1}, Asked: asked}
	}
	taken := func(a Actor, run string) bool {
		_, ok := g.Step(a, want(run, false)).(SlotTaken)
		return ok
	}
	if !taken(by("a", m), "r1") || taken(by("a", m), "r2") {
		t.Fatalf("slots %v", g.slots)
	}
	if !taken(by("b", 2*m), "r1") || len(g.slots) != 1 || g.slots[0].Holder != "/b" || !g.slots[0].Lease.Equal(at(2*m)) {
		t.Errorf("a run that has a slot keeps it, under the lease of who asks: %v", g.slots)
	}
	if got := g.Step(by("a", m), want("r2", true)); got != (SlotRefused{Reason: "concurrency limit reached (max: 1)"}) {
		t.Errorf("a full gate whose holders were asked answers %v", got)
	}
	if g.Step(Actor{}, SlotsFree{Unsent: []string{"r1"}}); !taken(by("a", m), "r2") {
		t.Errorf("a slot that was given up is another's: %v", g.slots)
	}
}

// SSM delivers a command for up to 30 days, and lets it run for up to two.
func TestASlotOutlivesItsRun(t *testing.T) {
	g := Gate{slots: []slot{{Run: "r1", Lease: at(0)}}}
	if _, expires := g.Encode(); expires.Before(at(32 * 24 * time.Hour)) {
		t.Errorf("the store may forget it at %v", expires)
	}
}
