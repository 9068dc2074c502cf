package ledger

import (
	"testing"
	"time"
)

func TestSlots(t *testing.T) {
	now := at(10 * m)
	running := Chunk{Commands: []SSMCommand{{ID: "c1"}}}
	done := Chunk{Commands: []SSMCommand{{ID: "c1", Done: true}}}
	unsent := Chunk{Unsent: true}
	for _, tt := range []struct {
		name  string
		run   *Run // in the entry
		lease time.Duration
		want  bool
	}{
		{"its claim is not written yet", nil, 10*m + 1, false},
		{"its claim never was", nil, 10*m - 1, true},
		{"its run goes on", &Run{Chunks: []Chunk{running}}, 0, false},
		{"its run is over", &Run{Chunks: []Chunk{done}, Outcome: &Outcome{}}, 10*m + 1, true},
		{"its run is over as far as is known", &Run{Chunks: []Chunk{done}, Outcome: &Outcome{}, Unsure: true}, 0, false},
		{"its run is only cancelled", &Run{Chunks: []Chunk{done}, CancelAsked: true}, 0, false},
		{"what is left of its run is still to be sent", &Run{Chunks: []Chunk{done, unsent}}, 0, true},
		{"and somebody has taken it to do so", &Run{Chunks: []Chunk{done, unsent}}, 10*m + 1, false},
		{"and somebody does", &Run{Chunks: []Chunk{done, unsent}, Holder: "/x", Lease: at(11 * m)}, 0, false},
		{"what is left of its run may have been sent", &Run{Chunks: []Chunk{done, {}}}, 0, false},
		{"the rest of its run goes on", &Run{Chunks: []Chunk{running, unsent}}, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := &Entry{}
			if tt.run != nil {
				tt.run.ID = "r1"
				e.Runs = []Run{*tt.run}
			}
			s := Slot{Run: "r1", Lease: at(tt.lease)}
			if got := s.Free(e, now, ""); got != tt.want {
				t.Errorf("free %v", got)
			}
		})
	}
}

func TestTakingASlot(t *testing.T) {
	g := &Gate{}
	if !g.Take(Slot{Run: "r1", Holder: "/a", Lease: at(m)}, 1) || g.Take(Slot{Run: "r2"}, 1) {
		t.Fatalf("slots %v", g.Slots)
	}
	if !g.Take(Slot{Run: "r1", Holder: "/b", Lease: at(2 * m)}, 1) || len(g.Slots) != 1 || g.Slots[0].Holder != "/b" || !g.Slots[0].Lease.Equal(at(2*m)) {
		t.Errorf("a run that has a slot keeps it, under the lease of who asks: %v", g.Slots)
	}
	if g.Free("r1"); g.Has("r1") || !g.Take(Slot{Run: "r2"}, 1) {
		t.Errorf("a slot that was given up is another's: %v", g.Slots)
	}
}

// SSM delivers a command for up to 30 days, and lets it run for up to two.
func TestASlotOutlivesItsRun(t *testing.T) {
	g := Gate{Slots: []Slot{{Run: "r1", Lease: at(0)}}}
	if _, expires := g.Encode(); expires.Before(at(32 * 24 * time.Hour)) {
		t.Errorf("the store may forget it at %v", expires)
	}
}
