package ledger

import (
	"testing"
	"time"
)

func TestRecording(t *testing.T) {
	claim := line{comes(1*m, fires("a", 0)), "run r1 for a: firing"}
	for _, tt := range []struct {
		name  string
		story []line
	}{
		{"what was sent", []line{
			{answers("r1", "c1"), "r1 c1"},
		}},
		{"a refused run leaves the entry, and its alert is due again", []line{
			{answers("r1", "refused"), "gone"},
			{comes(2*m, fires("a", 0)), "run r2 for a: firing"},
		}},
		{"so does a throttled one", []line{
			{answers("r1", "throttled"), "gone"},
			{comes(2*m, fires("a", 0)), "run r2 for a: firing"},
		}},
		{"a refused run of two alerts leaves neither behind", []line{
			{comes(2*m, fires("b", 0), fires("c", 0)), "run r2 for b c: firing"},
			{answers("r2", "refused"), "gone"},
			{comes(3*m, fires("b", 0)), "run r3 for b: firing"},
			{answers("r3", "c3"), "r3 c3"},
			{comes(4*m, fires("b", 0), fires("c", 0)), "run r4 for c: firing; skip b r3: already started for this alert"},
		}},
		{"a lost answer leaves it to the next delivery", []line{
			{answers("r1", "lost"), "r1 ?"},
			{comes(2*m, fires("a", 0)), "take over r1 for a: taken over: its sender is gone"},
		}},
		{"a claim that nobody records is waited for, and adopted when its lease has ended", []line{
			{comes(1*m+30*s, fires("a", 0)), "wait for r1 for a: already running for this alert"},
			{comes(1*m+30*s+1, fires("a", 0)), "take over r1 for a: taken over: its sender is gone"},
		}},
		{"a command that was known stays known", []line{
			{answers("r1", "c0"), "r1 c0"},
			{answers("r1", "c1"), "r1 c0 c1"},
			{answers("r1", "lost"), "r1 c0 c1"},
			{answers("r1", "refused"), "r1 c0 c1"},
			{answers("r1", "c0"), "r1 c0 c1"},
		}},
		{"of a run that was resolved meanwhile", []line{
			{comes(1*m+10*s, resolves("a", 1*m)), "wait for r1 for a: resolved"},
			{answers("r1", "c1"), "r1 to cancel c1"},
		}},
		{"nothing, where the run has left the entry", []line{
			{answers("r1", "throttled"), "gone"},
			{answers("r1", "c1"), "gone"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) { tell(t, Policy{}, append([]line{claim}, tt.story...)) })
	}
}

func TestUnsureRuns(t *testing.T) {
	lost := []line{
		{comes(1*m, fires("a", 0)), "run r1 for a: firing"},
		{answers("r1", "lost"), "r1 ?"},
	}
	const proof = 1*m + lease + window // begun then, a look is proof
	for _, tt := range []struct {
		name  string
		story []line
	}{
		{"a renewal that sends what may have been sent makes the run in doubt", []line{
			{renews("r1", 2*m), "r1 claimed in doubt ?"},
			{answers("r1", "c1"), "r1 in doubt c1"},
		}},
		{"a look before the window is over proves nothing", []line{
			{looks("r1", proof-1), "r1 ?"},
			{renews("r1", 2*m), "r1 claimed in doubt ?"},
		}},
		{"a look after it proves that nothing was sent", []line{
			{looks("r1", proof), "gone"},
			{comes(4*m, fires("a", 0)), "run r2 for a: firing"},
		}},
		{"what a look finds is known", []line{
			{looks("r1", 2*m, "c0"), "r1 c0"},
			{comes(4*m, fires("a", 0)), "skip a r1: already started for this alert"},
		}},
		{"the window begins anew with a renewal", []line{
			{renews("r1", 2*m), "r1 claimed in doubt ?"},
			{answers("r1", "c1"), "r1 in doubt c1"},
			{looks("r1", 2*m+lease+window-1), "r1 in doubt c1"},
			{looks("r1", 2*m+lease+window), "r1 c1"},
		}},
		{"a command that a look finds later takes the outcome back", []line{
			{renews("r1", 2*m), "r1 claimed in doubt ?"},
			{answers("r1", "c1"), "r1 in doubt c1"},
			{ends("r1", "Failed"), "r1 in doubt c1 (done) Failed"},
			{looks("r1", 2*m+lease+window, "c0", "c1"), "r1 c1 (done) c0"},
		}},
		{"and one that it does not find lets it stand", []line{
			{renews("r1", 2*m), "r1 claimed in doubt ?"},
			{answers("r1", "c1"), "r1 in doubt c1"},
			{ends("r1", "Success"), "r1 in doubt c1 (done) Success"},
			{looks("r1", 2*m+lease+window, "c1"), "r1 c1 (done) Success"},
		}},
		{"a refusal after an unknown send does not make the run never sent", []line{
			{renews("r1", 2*m), "r1 claimed in doubt ?"},
			{answers("r1", "refused"), "r1 in doubt refused"},
			{comes(3*m, fires("a", 0)), "ask for r1 for a: already running for this alert"},
			{looks("r1", 2*m+lease+window), "gone"},
		}},
		{"neither does throttling", []line{
			{renews("r1", 2*m), "r1 claimed in doubt ?"},
			{answers("r1", "throttled"), "r1 in doubt unsent"},
			{renews("r1", 3*m), "r1 claimed in doubt ?"},
			{answers("r1", "throttled"), "r1 in doubt unsent"},
			{looks("r1", 3*m+lease+window, "c0"), "r1 c0"},
		}},
		{"a claim is not renewed while it is live", []line{
			{renews("r1", 2*m), "r1 claimed in doubt ?"},
			{func(s *teller) string {
				a := s.actor(2*m+lease, 2*m, "another")
				if r := (&step{Actor: a, entry: s.entry}).ready(Prepared{Start: Start{Case: Case{Run: "r1"}, lease: at(2*m + lease)}}); r != nil {
					return "renewed"
				}
				return "no"
			}, "no"},
		}},
		{"nor once it is to be cancelled", []line{
			{comes(90*s, resolves("a", 80*s)), "cancel r1 for a: resolved"},
			{renews("r1", 2*m), "no"},
		}},
		{"the sender that comes late merges what it sent", []line{
			{renews("r1", 2*m), "r1 claimed in doubt ?"},
			{func(s *teller) string {
				return describe(s.entry.record("r1", "/sender of r1", []Answer{{Command: "c0"}}))
			}, "r1 claimed in doubt c0"},
			{answers("r1", "c1"), "r1 in doubt c0 c1"},
		}},
		{"a chunk that was never sent does not make a run in doubt, whose others are known", []line{
			{func(s *teller) string {
				s.entry.run("r1").Parts = []part{{State: sent, Commands: []command{{ID: "c1"}}}, {State: unsent}}
				return ""
			}, ""},
			{renews("r1", 2*m), "r1 claimed c1 ?"},
			{answers("r1", "c1", "refused"), "r1 c1 refused"},
			{comes(3*m, fires("a", 0)), "skip a r1: already started for this alert"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) { tell(t, Policy{}, append(lost[:2:2], tt.story...)) })
	}
}

func TestStopped(t *testing.T) {
	now := at(10 * m)
	for _, tt := range []struct {
		name string
		run  run
		want bool
	}{
		{"a command goes on", run{Parts: []part{{Commands: []command{{ID: "c1"}}}}}, false},
		{"one of two goes on", run{Parts: []part{{Commands: []command{{ID: "c1", Done: true}, {ID: "c2"}}}}}, false},
		{"every command was stopped", run{Parts: []part{{Commands: []command{{ID: "c1", Done: true}}}}}, true},
		{"another chunk may have been sent", run{Parts: []part{{Commands: []command{{ID: "c1", Done: true}}}, {State: claimed}}}, false},
		{"another chunk was not sent", run{Parts: []part{{Commands: []command{{ID: "c1", Done: true}}}, {State: unsent}}}, true},
		{"another chunk was refused", run{Parts: []part{{Commands: []command{{ID: "c1", Done: true}}}, {State: refused}}}, true},
		{"it is in doubt", run{InDoubt: true, Parts: []part{{Commands: []command{{ID: "c1", Done: true}}}}}, false},
		{"another chunk is being sent", run{Holder: "/x", Lease: now, Parts: []part{{Commands: []command{{ID: "c1", Done: true}}}}}, false},
		{"the claim of another chunk has run out", run{Holder: "/x", Lease: now.Add(-1), Parts: []part{{Commands: []command{{ID: "c1", Done: true}}}}}, true},
		{"it is over", run{Outcome: &outcome{}, Parts: []part{{State: claimed}}}, true},
		{"it is over as far as is known", run{InDoubt: true, Outcome: &outcome{}, Parts: []part{{State: claimed}}}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.run.stopped(now, ""); got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

// In amx serve a claim of another process has run out: the lock on the ledger
// proves that process dead.
func TestClaimsOfDeadProcesses(t *testing.T) {
	s := &teller{entry: &Entry{}, process: "one"}
	s.tell(t, []line{
		{comes(1*m, fires("a", 0)), "run r1 for a: firing"},
		{comes(1*m+time.Second, fires("a", 0)), "wait for r1 for a: already running for this alert"},
	})
	s.process = "two"
	s.tell(t, []line{
		{comes(1*m+2*time.Second, fires("a", 0)), "take over r1 for a: taken over: its sender is gone"},
		{renews("r1", 1*m+3*time.Second), "r1 claimed in doubt ?"},
		{comes(1*m+4*time.Second, resolves("a", 1*m)), "wait for r1 for a: resolved"},
	})
}

func TestFinish(t *testing.T) {
	tell(t, Policy{}, []line{
		{comes(1*m, fires("a", 0)), "run r1 for a: firing"},
		{func(s *teller) string {
			s.entry.run("r1").Parts = []part{{State: claimed}, {State: claimed}}
			return ""
		}, ""},
		{answers("r1", "c1", "lost"), "r1 c1 ?"},
		{ends("r1", "Success"), "r1 c1 ?"},
		{func(s *teller) string { r := s.entry.run("r1"); r.merge(1, "c2", nil); return describe(r) }, "r1 c1 c2"},
		{ends("r1", "Success"), "r1 c1 (done) c2 (done) Success"},
	})
}
