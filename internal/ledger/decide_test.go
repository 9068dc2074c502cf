package ledger

import (
	"testing"
	"time"
)

const (
	s = time.Second
	m = time.Minute
	h = time.Hour
	d = 24 * time.Hour
)

func TestEpisodes(t *testing.T) {
	first := []line{
		{comes(1*m, fires("a", 0)), "run r1 for a: firing"},
		{answers("r1", "c1"), "r1 c1"},
	}
	for _, tt := range []struct {
		name  string
		story []line
	}{
		{"a duplicate has had its run", []line{
			{comes(2*m, fires("a", 0)), "skip a r1: already started for this alert"},
		}},
		{"a start merged to an earlier one is the same episode", []line{
			{comes(2*m, fires("a", -5*m)), "skip a r1: already started for this alert"},
		}},
		{"a refire that was coalesced with its resolve is the same episode", []line{
			{comes(2*m, fires("a", 30*s)), "skip a r1: already started for this alert"},
		}},
		{"a start up to 60 s after the claim is the same episode, for clocks differ", []line{
			{comes(5*m, fires("a", 2*m)), "skip a r1: already started for this alert"},
		}},
		{"a start later than that is the next episode", []line{
			{comes(5*m, fires("a", 2*m+1)), "run r2 for a: firing"},
		}},
		{"a resolve ends the run", []line{
			{comes(5*m, resolves("a", 4*m)), "cancel r1 for a: resolved"},
		}},
		{"the resolve of another alert does not", []line{
			{comes(5*m, resolves("b", 4*m)), "skip b: resolved: no run of this alert is known"},
		}},
		{"a resolve ends the run until that is done", []line{
			{comes(5*m, resolves("a", 4*m)), "cancel r1 for a: resolved"},
			{comes(6*m, resolves("a", 4*m)), "cancel r1 for a: resolved"},
			{stops("r1", 6*m, "c1"), "r1 to cancel c1 (done), stopped true"},
			{comes(7*m, resolves("a", 4*m)), "skip a r1: resolved: its run was stopped before"},
		}},
		{"the resolve of a run that is over ends nothing", []line{
			{ends("r1", "Success"), "r1 c1 (done) Success"},
			{comes(5*m, resolves("a", 4*m)), "skip a r1: resolved: its run is over"},
		}},
		{"a refire after the resolve is a new episode", []line{
			{comes(5*m, resolves("a", 4*m)), "cancel r1 for a: resolved"},
			{comes(6*m, fires("a", 5*m)), "cancel r1 for a: resolved; run r2 for a: firing"},
		}},
		{"a refire is a new episode also where it began before the claim's minute of skew was over", []line{
			{comes(90*s, resolves("a", 70*s)), "cancel r1 for a: resolved"},
			{comes(2*m, fires("a", 80*s)), "cancel r1 for a: resolved; run r2 for a: firing"},
		}},
		{"a refire before its resolve has come is a new episode, and the resolve ends the first", []line{
			{comes(11*m, fires("a", 10*m)), "run r2 for a: firing"},
			{comes(12*m, resolves("a", 9*m)), "cancel r1 for a: resolved"},
			{stops("r1", 12*m, "c1"), "r1 to cancel c1 (done), stopped true"},
			{comes(13*m, fires("a", 10*m)), "take over r2 for a: taken over: its sender is gone"},
		}},
		{"a late resolve does not end an episode whose start has moved past it", []line{
			{comes(2*m, fires("a", 90*s)), "skip a r1: already started for this alert"},
			{comes(3*m, resolves("a", 80*s)), "skip a: resolved: the alert has fired again since"},
			{comes(4*m, resolves("a", 3*m)), "cancel r1 for a: resolved"},
		}},
		{"a resolve may have a later start than the firing that was seen", []line{
			{comes(5*m, resolves("a", 1*s)), "cancel r1 for a: resolved"},
		}},
		{"a firing of the ended episode that was sent within 15 min after the resolve is late", []line{
			{comes(5*m, resolves("a", 4*m)), "cancel r1 for a: resolved"},
			{stops("r1", 5*m, "c1"), "r1 to cancel c1 (done), stopped true"},
			{comes(20*m-1, fires("a", 0)), "skip a: late: this alert's resolve came before"},
			{delayed(6*m, 5*h, fires("a", 0)), "skip a: late: this alert's resolve came before"},
		}},
		{"sent later, it is the alert firing again under its old start", []line{
			{comes(5*m, resolves("a", 4*m)), "cancel r1 for a: resolved"},
			{stops("r1", 5*m, "c1"), "r1 to cancel c1 (done), stopped true"},
			{comes(20*m, fires("a", 0)), "run r2 for a: firing"},
			{answers("r2", "c2"), "r2 c2"},
			{comes(21*m, fires("a", 0)), "skip a r2: already started for this alert"},
			{delayed(19*m, 22*m, resolves("a", 4*m)), "skip a: resolved: the alert has fired again since"},
			{comes(30*m, resolves("a", 4*m)), "cancel r2 for a: resolved"},
		}},
		{"a resolve that is sent twice counts from the later time", []line{
			{comes(5*m, resolves("a", 4*m)), "cancel r1 for a: resolved"},
			{stops("r1", 5*m, "c1"), "r1 to cancel c1 (done), stopped true"},
			{comes(15*m, resolves("a", 4*m)), "skip a r1: resolved: its run was stopped before"},
			{comes(30*m-1, fires("a", 0)), "skip a: late: this alert's resolve came before"},
			{comes(30*m, fires("a", 0)), "run r2 for a: firing"},
		}},
		{"a firing older than 6 h is stale, a resolve never is", []line{
			{delayed(2*m, 6*h+2*m, fires("b", 0)), "run r2 for b: firing"},
			{delayed(2*m, 6*h+2*m+1, fires("c", 0)), "skip c: stale: sent more than 6 hours ago"},
			{delayed(2*m, 7*h, resolves("a", 1*m)), "cancel r1 for a: resolved"},
		}},
		{"resolves go before firings within one message", []line{
			{comes(5*m, fires("a", 4*m), resolves("a", 3*m)), "cancel r1 for a: resolved; run r2 for a: firing"},
		}},
		{"an alert twice in a message is one", []line{
			{comes(5*m, fires("b", 4*m), fires("b", 4*m)), "run r2 for b: firing"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) { tell(t, Policy{}, append(first[:2:2], tt.story...)) })
	}
}

func TestResolveBeforeFiring(t *testing.T) {
	tell(t, Policy{}, []line{
		{comes(5*m, resolves("a", 4*m)), "skip a: resolved: no run of this alert is known"},
		{comes(6*m, fires("a", 1*m)), "skip a: late: this alert's resolve came before"},
		{comes(7*m, fires("a", 6*m)), "run r1 for a: firing"},
	})
}

func TestAnEarlierResolveNeverReplacesALaterOne(t *testing.T) {
	tell(t, Policy{}, []line{
		{comes(20*m, resolves("a", 19*m)), "skip a: resolved: no run of this alert is known"},
		{comes(21*m, resolves("a", 4*m)), "skip a: resolved: no run of this alert is known"},
		{comes(22*m, fires("a", 10*m)), "skip a: late: this alert's resolve came before"},
		{comes(36*m, fires("a", 10*m)), "run r1 for a: firing"},
	})
}

func TestFormsWithoutTimes(t *testing.T) {
	first := []line{
		{comes(1*m, fires("a", never)), "run r1 for a: firing"},
		{answers("r1", "c1"), "r1 c1"},
	}
	for _, tt := range []struct {
		name  string
		story []line
	}{
		{"a firing belongs to the open episode, whenever it was sent", []line{
			{comes(40*m, fires("a", never)), "skip a r1: already started for this alert"},
			{delayed(30*s, 50*m, fires("a", never)), "skip a r1: already started for this alert"},
		}},
		{"a resolve closes it at its own stamp", []line{
			{delayed(5*m, 9*m, resolves("a", never)), "cancel r1 for a: resolved"},
			{stops("r1", 9*m, "c1"), "r1 to cancel c1 (done), stopped true"},
			{delayed(5*m+1, 10*m, fires("a", never)), "run r2 for a: firing"},
		}},
		{"a firing stamped before a recorded resolve is late", []line{
			{comes(5*m, resolves("a", never)), "cancel r1 for a: resolved"},
			{stops("r1", 5*m, "c1"), "r1 to cancel c1 (done), stopped true"},
			{delayed(4*m, 5*h, fires("a", never)), "skip a: late: this alert's resolve came before"},
		}},
		{"a resolve stamped before the firing is not this episode's", []line{
			{delayed(30*s, 2*m, resolves("a", never)), "skip a: resolved: the alert has fired again since"},
		}},
		{"a resolve overtaken by the next firing does not end that one's episode", []line{
			{delayed(6*m, 7*m, fires("a", never)), "skip a r1: already started for this alert"},
			{delayed(5*m, 8*m, resolves("a", never)), "skip a: resolved: the alert has fired again since"},
			{comes(9*m, resolves("a", never)), "cancel r1 for a: resolved"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) { tell(t, Policy{}, append(first[:2:2], tt.story...)) })
	}
}

func TestGroups(t *testing.T) {
	first := []line{
		{comes(1*m, fires("a", 0), fires("b", 0)), "run r1 for a b: firing"},
		{answers("r1", "c1"), "r1 c1"},
	}
	for _, tt := range []struct {
		name  string
		story []line
	}{
		{"an alert that joins has a run of its own", []line{
			{comes(6*m, fires("a", 0), fires("b", 0), fires("c", 5*m)), "run r2 for c: firing; skip a b r1: already started for this alert"},
		}},
		{"an alert that leaves proves nothing", []line{
			{comes(6*m, fires("a", 0)), "skip a r1: already started for this alert"},
			{comes(7*m, fires("a", 0), fires("b", 0)), "skip a b r1: already started for this alert"},
		}},
		{"the run ends with the last of its alerts", []line{
			{comes(6*m, fires("a", 0), resolves("b", 5*m)), "skip a r1: already started for this alert; skip b r1: resolved: another alert of the same run still fires"},
			{comes(7*m, resolves("a", 6*m), resolves("b", 5*m)), "cancel r1 for a b: resolved"},
		}},
		{"both at once", []line{
			{comes(6*m, resolves("a", 5*m), resolves("b", 5*m)), "cancel r1 for a b: resolved"},
		}},
		{"one that fires again has a run of its own, and the other keeps the first", []line{
			{comes(6*m, resolves("b", 5*m)), "skip b r1: resolved: another alert of the same run still fires"},
			{comes(8*m, fires("a", 0), fires("b", 7*m)), "run r2 for b: firing; skip a r1: already started for this alert"},
			{comes(9*m, resolves("a", 8*m)), "cancel r1 for a: resolved"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) { tell(t, Policy{}, append(first[:2:2], tt.story...)) })
	}
}

func TestIgnoreResolved(t *testing.T) {
	tell(t, Policy{IgnoreResolved: true}, []line{
		{comes(1*m, fires("a", 0)), "run r1 for a: firing"},
		{answers("r1", "c1"), "r1 c1"},
		{comes(5*m, resolves("a", 4*m)), "skip a r1: resolved: ignore_resolved is set"},
		{comes(6*m, fires("a", 0)), "skip a: late: this alert's resolve came before"},
		{comes(7*m, fires("a", 6*m)), "run r2 for a: firing"},
		{ends("r1", "Success"), "r1 c1 (done) Success"},
		{comes(8*m, resolves("a", 4*m)), "skip a r1: resolved: its run is over"},
	})
}

func TestRepeatAfter(t *testing.T) {
	for _, tt := range []struct {
		name  string
		story []line
	}{
		{"before 95 % of it nothing is asked", []line{
			{comes(1*m+57*m-1, fires("a", 0)), "skip a r1: already started for this alert"},
		}},
		{"at 95 % the run has to be over", []line{
			{comes(1*m+57*m, fires("a", 0)), "ask for r1 for a: already running for this alert"},
			{asked(1*m+57*m, "r1", fires("a", 0)), "skip a r1: already running for this alert"},
		}},
		{"it is over, and well", []line{
			{ends("r1", "Success"), "r1 c1 (done) Success"},
			{comes(1*m+57*m-1, fires("a", 0)), "skip a r1: already started for this alert"},
			{comes(1*m+57*m, fires("a", 0)), "run r2 for a after r1, attempt 1: still firing after repeat_after"},
			{answers("r2", "c2"), "r2 c2"},
			{comes(1*h+54*m, fires("a", 0)), "skip a r2: already started for this alert"},
			{comes(1*h+55*m, fires("a", 0)), "ask for r2 for a: already running for this alert"},
			{comes(1*h+56*m, resolves("a", 1*h+55*m)), "cancel r2 for a: resolved"},
		}},
		{"a run that is not known to be all of it is not over", []line{
			{looks("r1", 2*m, "c0"), "r1 c1 c0"},
			{ends("r1", "Success"), "r1 c1 (done) c0 (done) Success"},
			{comes(1*m+57*m, fires("a", 0)), "run r2 for a after r1, attempt 1: still firing after repeat_after"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tell(t, Policy{RepeatAfter: time.Hour}, append([]line{
				{comes(1*m, fires("a", 0)), "run r1 for a: firing"},
				{answers("r1", "c1"), "r1 c1"},
			}, tt.story...))
		})
	}
}

func TestRetries(t *testing.T) {
	for _, tt := range []struct {
		name  string
		story []line
	}{
		{"as often as retries says", []line{
			{reminded(2*m, "r1", fires("a", 0)), "ask for r1 for a: "},
			{ends("r1", "Failed"), "r1 c1 (done) Failed"},
			{comes(2*m, fires("a", 0)), "skip a r1: failed, retry pending"},
			{reminded(2*m+29*s, "r1", fires("a", 0)), "remind of r1 for a at 2m30s"},
			{reminded(2*m+30*s, "r1", fires("a", 0)), "run r2 for a after r1, attempt 2: failed before, tried again"},
			{answers("r2", "c2"), "r2 c2"},
			{ends("r2", "Failed"), "r2 c2 (done) Failed"},
			{reminded(3*m, "r2", fires("a", 0)), "remind of r2 for a at 3m30s"},
			{reminded(3*m+30*s, "r2", fires("a", 0)), "run r3 for a after r2, attempt 3: failed before, tried again"},
			{answers("r3", "c3"), "r3 c3"},
			{ends("r3", "Failed"), "r3 c3 (done) Failed"},
			{reminded(9*m, "r3", fires("a", 0)), ""},
			{comes(9*m, fires("a", 0)), "skip a r3: failed, retries used up"},
		}},
		{"only once, from two reminders", []line{
			{ends("r1", "Failed"), "r1 c1 (done) Failed"},
			{reminded(3*m, "r1", fires("a", 0)), "run r2 for a after r1, attempt 2: failed before, tried again"},
			{reminded(3*m, "r1", fires("a", 0)), "remind of r1 for a at 3m30s"}, // its sender may die
			{answers("r2", "c2"), "r2 c2"},
			{reminded(3*m+31*s, "r1", fires("a", 0)), ""},
		}},
		{"by whoever is reminded, where its sender died", []line{
			{ends("r1", "Failed"), "r1 c1 (done) Failed"},
			{reminded(3*m, "r1", fires("a", 0)), "run r2 for a after r1, attempt 2: failed before, tried again"},
			{reminded(3*m+31*s, "r1", fires("a", 0)), "take over r2 for a: taken over: its sender is gone"},
			{reminded(3*m+31*s, "r2", fires("a", 0)), "remind of r2 for a at 5m31s; take over r2 for a: taken over: its sender is gone"},
			{reminded(3*m+31*s, "r1", fires("b", 0)), ""},
		}},
		{"not after a success", []line{
			{ends("r1", "Success"), "r1 c1 (done) Success"},
			{comes(3*m, fires("a", 0)), "skip a r1: already started for this alert"},
		}},
		{"not for an alert that has resolved", []line{
			{ends("r1", "Failed"), "r1 c1 (done) Failed"},
			{comes(3*m, resolves("a", 2*m)), "skip a r1: resolved: its run is over"},
			{reminded(4*m, "r1", fires("a", 0)), ""},
			{comes(4*m, fires("a", 0)), "skip a: late: this alert's resolve came before"},
		}},
		{"one that was never sent uses no attempt, and the run before it counts again", []line{
			{ends("r1", "Failed"), "r1 c1 (done) Failed"},
			{reminded(3*m, "r1", fires("a", 0)), "run r2 for a after r1, attempt 2: failed before, tried again"},
			{answers("r2", "throttled"), "gone"},
			{reminded(4*m, "r1", fires("a", 0)), "run r3 for a after r1, attempt 2: failed before, tried again"},
		}},
		{"not while the run is in doubt", []line{
			{ends("r1", "Failed"), "r1 c1 (done) Failed"},
			{func(s *teller) string { s.entry.run("r1").InDoubt = true; return "" }, ""},
			{reminded(3*m, "r1", fires("a", 0)), "look for r1 for a: "},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tell(t, Policy{Retries: 2, RetryDelay: 30 * time.Second}, append([]line{
				{comes(1*m, fires("a", 0)), "run r1 for a: firing"},
				{answers("r1", "c1"), "r1 c1"},
			}, tt.story...))
		})
	}
}

func TestPastItsDeadlineARunIsAskedFor(t *testing.T) {
	tell(t, Policy{}, []line{
		{comes(1*m, fires("a", 0)), "run r1 for a: firing"},
		{answers("r1", "c1"), "r1 c1"},
		{comes(1*h+1*m, fires("a", 0)), "skip a r1: already started for this alert"},
		{comes(1*h+1*m+1, fires("a", 0)), "ask for r1 for a: already running for this alert"},
	})
}

func TestPruning(t *testing.T) {
	sent := []line{
		{comes(1*m, fires("a", 0)), "run r1 for a: firing"},
		{answers("r1", "c1"), "r1 c1"},
	}
	entryIs := func(episodes, resolves, runs int) line {
		return line{func(s *teller) string {
			if e := s.entry; len(e.episodes) != episodes || len(e.resolves) != resolves || len(e.runs) != runs {
				v, _ := e.Encode()
				return string(v)
			}
			return ""
		}, ""}
	}
	for _, tt := range []struct {
		name  string
		story []line
	}{
		{"an ended episode is kept 15 minutes, and its resolve 6 h 15 min", []line{
			{comes(5*m, resolves("a", 4*m)), "cancel r1 for a: resolved"},
			{stops("r1", 5*m, "c1"), "r1 to cancel c1 (done), stopped true"},
			{comes(19*m, resolves("b", 4*m)), "skip b: resolved: no run of this alert is known"},
			entryIs(1, 2, 1),
			{comes(19*m+1, resolves("c", 4*m)), "skip c: resolved: no run of this alert is known"},
			entryIs(0, 3, 0),
			{comes(6*h+20*m+1, resolves("d", 4*m)), "skip d: resolved: no run of this alert is known"},
			entryIs(0, 3, 0), // a's is gone
		}},
		{"an ended episode is kept while its run may go on", []line{
			{comes(5*m, resolves("a", 4*m)), "cancel r1 for a: resolved"},
			{comes(7*d+5*m, resolves("b", 4*m)), "cancel r1 for b: resolved; skip b: resolved: no run of this alert is known"},
			entryIs(1, 1, 1),
			{stops("r1", 7*d+5*m, "c1"), "r1 to cancel c1 (done), stopped true"},
			{comes(7*d+5*m, resolves("c", 4*m)), "skip c: resolved: no run of this alert is known"},
			entryIs(0, 2, 0),
		}},
		{"a run that has a slot stays until it is known to be over, or 7 days", []line{
			{func(s *teller) string { s.entry.run("r1").Slot = true; return "" }, ""},
			{comes(5*m, resolves("a", 4*m)), "cancel r1 for a: resolved"},
			{stops("r1", 5*m, "c1"), "r1 to cancel c1 (done), stopped true"},
			{comes(7*d+4*m, resolves("b", 4*m)), "skip b: resolved: no run of this alert is known"},
			entryIs(1, 1, 1),
			{comes(7*d+4*m+1, resolves("c", 4*m)), "skip c: resolved: no run of this alert is known"},
			entryIs(0, 2, 0),
		}},
		{"an open episode is kept 30 days after its last firing", []line{
			{comes(10*d, fires("a", 0)), "ask for r1 for a: already running for this alert"},
			{comes(40*d, resolves("b", 4*m)), "skip b: resolved: no run of this alert is known"},
			entryIs(1, 1, 1),
			{comes(40*d+1, resolves("c", 4*m)), "skip c: resolved: no run of this alert is known"},
			entryIs(0, 2, 0),
		}},
		{"a resolve that comes after a week still ends its run", []line{
			{delayed(5*m, 8*d, resolves("a", 4*m)), "cancel r1 for a: resolved"},
			entryIs(1, 0, 1),
			{stops("r1", 8*d, "c1"), "r1 to cancel c1 (done), stopped true"},
			{comes(8*d, resolves("b", 4*m)), "skip b: resolved: no run of this alert is known"},
			entryIs(0, 1, 0),
		}},
		{"an episode that another follows is kept while its run may go on", []line{
			{comes(1*d+80*m, fires("a", 1*d+79*m)), "run r2 for a: firing"},
			{answers("r2", "c2"), "r2 c2"},
			{comes(1*d+90*m, resolves("a", 1*d+89*m)), "cancel r1 for a: resolved; cancel r2 for a: resolved"},
		}},
		{"and forgotten when it cannot", []line{
			{comes(4*d, fires("a", 4*d)), "run r2 for a: firing"},
			{answers("r2", "c2"), "r2 c2"},
			{comes(4*d+90*m, resolves("a", 4*d+89*m)), "cancel r2 for a: resolved"},
		}},
		{"also where SSM refuses the retry after an unknown send", []line{
			{ends("r1", "Failed"), "r1 c1 (done) Failed"},
			{reminded(3*m, "r1", fires("a", 0)), "run r2 for a after r1, attempt 2: failed before, tried again"},
			{answers("r2", "lost"), "r2 ?"},
			{renews("r2", 6*m), "r2 claimed in doubt ?"},
			{answers("r2", "refused"), "r2 in doubt refused"},
			{comes(7*m, resolves("b", 3*m)), "skip b: resolved: no run of this alert is known"},
			entryIs(1, 1, 2),
			{looks("r2", 6*m+lease+window), "gone"},
			{reminded(9*m, "r1", fires("a", 0)), "run r3 for a after r1, attempt 2: failed before, tried again"},
		}},
		{"a run before a retry that may never have been sent is kept", []line{
			{ends("r1", "Failed"), "r1 c1 (done) Failed"},
			{reminded(3*m, "r1", fires("a", 0)), "run r2 for a after r1, attempt 2: failed before, tried again"},
			entryIs(1, 0, 2),
			{answers("r2", "c2"), "r2 c2"},
			{comes(4*m, resolves("b", 3*m)), "skip b: resolved: no run of this alert is known"},
			entryIs(1, 1, 1),
		}},
	} {
		t.Run(tt.name, func(t *testing.T) { tell(t, Policy{Retries: 1}, append(sent[:2:2], tt.story...)) })
	}
}

// The store may forget an entry when nothing in it is wanted any more.
func TestExpiry(t *testing.T) {
	sent := []line{
		{comes(1*m, fires("a", 0)), "run r1 for a: firing"},
		{answers("r1", "c1"), "r1 c1"},
	}
	for _, tt := range []struct {
		name  string
		story []line
		want  time.Duration
	}{
		{"open", nil, 1*m + 30*d},
		{"resolved, and not stopped yet", []line{{comes(5*m, resolves("a", 4*m)), "cancel r1 for a: resolved"}}, 1*m + 30*d},
		{"resolved and stopped", []line{
			{comes(5*m, resolves("a", 4*m)), "cancel r1 for a: resolved"},
			{stops("r1", 5*m, "c1"), "r1 to cancel c1 (done), stopped true"},
		}, 4*m + 7*d},
		{"with a run that may wait longer for its node", []line{
			{func(s *teller) string { s.entry.run("r1").Until = at(31 * d); return "" }, ""},
			{comes(5*m, resolves("a", 4*m)), "cancel r1 for a: resolved"},
		}, 31 * d},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := tell(t, Policy{}, append(sent[:2:2], tt.story...))
			if _, expires := s.entry.Encode(); !expires.Equal(at(tt.want)) {
				t.Errorf("got %v, want %v", expires.Sub(epoch), tt.want)
			}
		})
	}
}
