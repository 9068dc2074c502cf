package ledger

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
)

// A step that only asks for a place at the gate changes nothing: a run that the
// gate then refuses has begun no cooldown, and its alert still waits.
func TestAskingForAPlaceChangesNothing(t *testing.T) {
	s := tell(t, Policy{Cooldown: time.Hour}, []line{
		{comes(1*m, fires("a", 0)), "run r1 for a: firing"},
		{answers("r1", "c1"), "r1 c1"},
		{ends("r1", "Success"), "r1 c1 (done) Success"},
		{comes(3*m, resolves("a", 2*m)), "skip a r1: resolved: its run is over"},
	})
	by := s.actor(2*h, 2*h, "x")
	by.MaxEntry = 1 << 10 // so that it is checked
	prepare := s.entry.Step(by, Delivered{Alerts: amx.Alerts{fires("a", 119*m)}})[0].(Prepare)
	prepare.Run = "r2"
	before, _ := s.entry.Encode()
	if _, ok := s.entry.Step(by, Prepared{Start: prepare.Start, Parts: 1})[0].(Take); !ok {
		t.Fatal("it asks for no place")
	}
	if after, _ := s.entry.Encode(); string(after) != string(before) {
		t.Errorf("the entry was\n%s\nand is\n%s", before, after)
	}
}

// One alert that the cooldown holds back does not keep another from its run.
func TestACooldownHoldsOneAlertOfAGroup(t *testing.T) {
	tell(t, Policy{Cooldown: time.Hour}, []line{
		{comes(1*m, fires("a", 0)), "run r1 for a: firing"},
		{answers("r1", "c1"), "r1 c1"},
		{ends("r1", "Success"), "r1 c1 (done) Success"},
		{comes(3*m, resolves("a", 2*m)), "skip a r1: resolved: its run is over"},
		{comes(5*m, fires("a", 4*m), fires("b", 4*m)), "put off a: cooldown: not before 2026-11-01T13:01:00Z; run r2 for b: firing"},
	})
}

// The rest of a run that has begun waits, even if new runs are refused.
func TestTheRestOfARunWaitsForTheBreaker(t *testing.T) {
	s := tell(t, Policy{Skips: true}, []line{
		{comes(1*m, fires("a", 0)), "run r1 for a: firing"},
		{answers("r1", "lost"), "r1 ?"},
	})
	by := s.actor(4*m, 4*m, "x")
	taken := Taken{Prepared: Prepared{Start: Start{Case: Case{Run: "r1", Alerts: amx.Alerts{fires("a", 0)}, aim: toSend}, TakenOver: true}}, Reason: "breaker", Final: true}
	if d, ok := s.entry.Step(by, taken)[0].(Defer); !ok || !d.Held {
		t.Error("it does not wait")
	}
}

// A person who cancels a run means now, also where its command is another
// delivery's for a moment: no signal takes the place of the cancellation.
func TestAPersonsCancelIsNoSignal(t *testing.T) {
	s := tell(t, Policy{Signal: "SIGTERM"}, []line{
		{comes(1*m, fires("a", 0)), "run r1 for a: firing"},
	})
	by := s.actor(61*s0, 61*s0, "x")
	wait, ok := s.entry.Step(by, Stop{Run: "r1", Who: "ann", Why: "wrong"})[0].(Wait)
	if !ok {
		t.Fatal("it does not wait for the sender")
	}
	answers("r1", "c1")(s)
	cancel, ok := s.entry.Step(by, Waited{wait})[0].(Cancel)
	if !ok {
		t.Fatal("it does not cancel")
	}
	confirm := s.entry.Step(by, Cancelled{Cancel: cancel, Done: []string{"c1"}})[0].(Confirm)
	for _, a := range s.entry.Step(by, Confirmed{Confirm: confirm}) {
		if k, ok := a.(Settle); ok && k.Reason != "cancelled by ann: cancel requested" {
			t.Errorf("it says %q", k.Reason)
		}
	}
}

const s0 = time.Second

// A cancel that was asked is finished by whoever next reads the entry, an event of
// SSM about another run included.
func TestAnEventFinishesACancelThatWasAsked(t *testing.T) {
	s := tell(t, Policy{}, []line{
		{comes(1*m, fires("a", 0)), "run r1 for a: firing"},
		{answers("r1", "c1"), "r1 c1"},
		{comes(2*m, fires("b", 1*m+30*s0)), "run r2 for b: firing"},
		{answers("r2", "c2"), "r2 c2"},
		{comes(5*m, resolves("a", 4*m)), "cancel r1 for a: resolved"},
	})
	var cancelled []Command
	for _, a := range s.entry.Step(s.actor(6*m, 6*m, "x"), Check{Run: "r2", Ended: true}) {
		if c, ok := a.(Cancel); ok {
			cancelled = c.Commands
			if !c.Aside() { // else each event would put it off once more
				t.Error("it is the event's own")
			}
		}
	}
	if len(cancelled) != 1 || cancelled[0].ID != "c1" {
		t.Errorf("cancels %v", cancelled)
	}
}

// asksAtItsEnd has SSM's event of the end of r1 come, and answers what is asked of SSM.
func (s *teller) asksAtItsEnd(t *testing.T, by Actor) Ask {
	t.Helper()
	ask, ok := s.entry.Step(by, Check{Run: "r1", Ended: true})[0].(Ask)
	if !ok {
		t.Fatal("it does not ask SSM")
	}
	return ask
}

// told is the ends that these actions tell.
func told(actions []Action) (ends []Finished) {
	for _, a := range actions {
		if f, ok := a.(Finished); ok {
			ends = append(ends, f)
		}
	}
	return ends
}

// An event of SSM tells the end of a run once. One that comes again tells it again:
// whoever told it may have died before it was recorded.
func TestAnEventTellsAnEndOnce(t *testing.T) {
	s := tell(t, Policy{}, []line{
		{comes(1*m, fires("a", 0)), "run r1 for a: firing"},
		{answers("r1", "c1"), "r1 c1"},
	})
	by := s.actor(2*m, 2*m, "x")
	ask := s.asksAtItsEnd(t, by)
	for _, ev := range []Event{Asked{Ask: ask, State: State{Over: true, Status: "Success"}}, Check{Run: "r1", Ended: true}} {
		if n := len(told(s.entry.Step(by, ev))); n != 1 {
			t.Errorf("%T tells the end %d times", ev, n)
		}
	}
}

// SSM's event was lost, and the end of a run is found out hours later: it is told as of
// when it was. A node's clock that puts it before the claim or after now does not count.
func TestAnEndThatIsFoundLateIsToldAsOfWhenItWas(t *testing.T) {
	for name, tt := range map[string]struct{ says, want time.Duration }{
		"in time":                 {3 * m, 3 * m},
		"the node's clock is off": {-90 * m, 300 * m},
		"and ahead":               {900 * m, 300 * m},
		"found at once":           {299*m + 30*time.Second, 300 * m},
	} {
		s := tell(t, Policy{}, []line{
			{comes(1*m, fires("a", 0)), "run r1 for a: firing"},
			{answers("r1", "c1"), "r1 c1"},
		})
		by := s.actor(300*m, 300*m, "x")
		ask := s.asksAtItsEnd(t, by)
		ends := told(s.entry.Step(by, Asked{Ask: ask, State: State{Over: true, Status: "Success", Ended: at(tt.says)}}))
		if len(ends) != 1 || !ends[0].Ended.Equal(at(tt.want)) {
			t.Errorf("%s: told %+v, not %v", name, ends, at(tt.want))
		}
	}
}

// The end of a run that failed may be told again when its retry has begun: the
// attempt that is left of it is still to come, and the breaker does not count it.
func TestTheEndOfARetriedRunIsNotTheLast(t *testing.T) {
	s := tell(t, Policy{Retries: 1, RetryDelay: 30 * time.Second}, []line{
		{comes(1*m, fires("a", 0)), "run r1 for a: firing"},
		{answers("r1", "c1"), "r1 c1"},
		{ends("r1", "Failed"), "r1 c1 (done) Failed"},
		{reminded(2*m, "r1", fires("a", 0)), "run r2 for a after r1, attempt 2: failed before, tried again"},
	})
	for _, a := range s.entry.Step(s.actor(3*m, 3*m, "x"), Check{Run: "r1", Ended: true}) {
		if f, ok := a.(Finished); !ok || f.Last {
			t.Errorf("it says %+v", a)
		}
	}
}

// The write that enters an observed run may meet its own earlier attempt: the run is
// answered all the same, and its slot is freed.
func TestAnObservedRunIsToldThoughItsWriteMetItself(t *testing.T) {
	s := tell(t, Policy{Observe: true}, nil)
	by := s.actor(1*m, 1*m, "x")
	prepare := s.entry.Step(by, Delivered{Alerts: amx.Alerts{fires("a", 0)}})[0].(Prepare)
	prepare.Run = "r1"
	taken := Taken{Prepared: s.entry.Step(by, Prepared{Start: prepare.Start})[0].(Take).Prepared, OK: true, Slot: true}
	first := s.entry.Step(by, taken)
	again := s.entry.Step(by, taken)
	if len(first) != 2 || !reflect.DeepEqual(first, again) {
		t.Errorf("it says\n%+v\nand then\n%+v", first, again)
	}
}

// The outcome of a run cannot be entered, and SSM shows that another command of it
// runs on the node: the answer does not say that the run has ended.
func TestAnOutcomeThatIsAnothersIsNotTold(t *testing.T) {
	ev := Awaited{Await: Await{Ask{Commands: []Command{{ID: "c2"}}}}, State: &State{Over: true, Status: "Success", Owners: map[string]string{"c2": "c1"}}}
	if got := ev.Unrecorded().Status; got != "" {
		t.Errorf("it says %s of a run that goes on", got)
	}
	ev.Commands = append(ev.Commands, Command{ID: "c1"})
	if got := ev.Unrecorded().Status; got != "Success" {
		t.Errorf("it says %q of a run of which all commands were asked about", got)
	}
}

// SSM was asked about c2 alone. The guard shows that c1 runs in its place, and somebody
// has entered c1 meanwhile: the state is still not the run's, and c1 is asked about.
func TestTheStateOfARunThatAnotherCommandOwnsIsAskedFor(t *testing.T) {
	s := tell(t, Policy{}, []line{
		{comes(1*m, fires("a", 0)), "run r1 for a: firing"},
		{answers("r1", "c2"), "r1 c2"},
	})
	by := s.actor(2*m, 2*m, "x")
	ask := s.asksAtItsEnd(t, by)
	ended := State{Over: true, Status: "Success", Owners: map[string]string{"c2": "c1"}}
	for range 2 { // it enters c1; then it is there
		actions := s.entry.Step(by, Asked{Ask: ask, State: ended})
		again, ok := actions[0].(Ask)
		if !ok || len(actions) != 1 || !slices.ContainsFunc(again.Commands, func(c Command) bool { return c.ID == "c1" }) {
			t.Fatalf("it says %+v, want to ask about c1", actions)
		}
	}
	for _, a := range s.entry.Step(by, Awaited{Await: Await{ask}, State: &ended}) {
		if _, ok := a.(Await); !ok {
			t.Errorf("it says %+v, want to wait for c1", a)
		}
	}
}

// The step that settles alerts without a place to run may fail to be written: they
// are put off with the others. Once it is written, they are settled.
func TestAlertsWithoutAPlaceArePutOffWithTheOthers(t *testing.T) {
	s := tell(t, Policy{}, nil)
	by := s.actor(1*m, 1*m, "x")
	start := s.entry.Step(by, Delivered{Alerts: amx.Alerts{fires("a", 0), fires("b", 0)}})[0].(Prepare).Start
	start.Run, start.Alerts = "r1", start.Alerts[:1]
	ev := Prepared{Start: start, Parts: 1, Without: []Unplaced{{Alert: fires("b", 0), Again: true, Err: errNoTime}}}
	if got := names(fingerprintsOf(ev.About().Alerts)); got != "a b" {
		t.Errorf("it is about %q", got)
	}
	took := false
	for _, a := range s.entry.Step(by, ev) {
		if take, ok := a.(Take); ok {
			took = true
			if got := names(fingerprintsOf(Taken{Prepared: take.Prepared}.About().Alerts)); got != "a" {
				t.Errorf("when b is put off, it is about %q", got)
			}
		}
	}
	if !took {
		t.Error("a takes no slot")
	}
}
