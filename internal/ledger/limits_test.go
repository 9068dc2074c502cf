package ledger

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
)

// A gatekeeper plays what happens at a gate.
type gatekeeper struct {
	gate   *Gate
	limits Limits
}

// A passage is something that happens at a gate, and what comes of it.
type passage struct {
	at   time.Duration
	what string // "want r1", "want r1 in a" (spread_by), "free r1", "unsent r1", "asked", "ok r1", "fails r1", "fails r1, retried", "close"
	want string
}

func (k *gatekeeper) play(t *testing.T, passages []passage) {
	t.Helper()
	for i, p := range passages {
		if got := k.happens(p); got != p.want {
			t.Fatalf("%d, %q:\n got %s\nwant %s", i+1, p.what, got, p.want)
		}
		value, _ := k.gate.Encode()
		again, err := DecodeGate(value)
		if err != nil {
			t.Fatal(err)
		}
		k.gate = again
	}
}

func (k *gatekeeper) happens(p passage) string {
	a := Actor{Delivery: "d", Now: at(p.at), Lease: at(p.at + lease), Until: at(p.at + 5*m), Window: window}
	verb, rest, _ := strings.Cut(p.what, " ")
	rest, retried := strings.CutSuffix(rest, ", retried")
	run, spread, _ := strings.Cut(rest, " in ")
	end := RunEnded{Run: run, Ended: at(p.at), Failed: verb == "fails", Last: !retried, Limits: k.limits}
	events := map[string]GateEvent{
		"want": SlotWanted{Run: run, Command: "fix", Spread: spread, Limits: k.limits}, "again": SlotWanted{Run: run, Command: "fix", Limits: k.limits, Asked: true},
		"free": SlotsFree{Over: []string{run}, Asked: true}, "unsent": SlotsFree{Unsent: []string{run}}, "asked": SlotsFree{Asked: true},
		"ok": end, "fails": end, "close": CloseBreaker{},
	}
	switch got := k.gate.Step(a, events[verb]).(type) {
	case SlotTaken:
		return "taken"
	case SlotRefused:
		return fmt.Sprint(map[bool]string{true: "refused: ", false: "held: "}[got.Final], got.Reason)
	case Refresh:
		var runs []string
		for _, h := range got.Holders {
			runs = append(runs, h.Run)
		}
		return "ask for " + strings.Join(runs, " ")
	case BreakerOpened:
		return fmt.Sprintf("opens until %v", got.Until.Sub(epoch))
	case BreakerClosed:
		return fmt.Sprint("was open ", got.Was)
	}
	return ""
}

func TestLimits(t *testing.T) {
	per := func(runs int, d time.Duration) []amx.Window { return []amx.Window{{Runs: runs, Per: d}} }
	for _, tt := range []struct {
		name     string
		limits   Limits
		passages []passage
	}{
		{"max counts runs until they are over", Limits{Max: 2}, []passage{
			{0, "want r1", "taken"},
			{0, "want r2", "taken"},
			{1 * m, "want r3", "ask for r1 r2"},
			{1 * m, "free r1", ""},
			{1 * m, "want r3", "taken"},
			{2 * m, "ok r2", ""},
			{2 * m, "want r4", "taken"},
		}},
		{"those who hold a full gate are asked for once in 30 s, whoever waits", Limits{Max: 1}, []passage{
			{0, "want r1", "taken"},
			{1 * m, "want r2", "ask for r1"},
			{1 * m, "asked", ""},
			{1*m + 29*s, "want r3", "held: concurrency limit reached (max: 1)"},
			{1*m + 30*s, "want r3", "ask for r1"},
		}},
		{"rate_limit counts starts, also of runs that are over", Limits{Windows: per(2, time.Hour)}, []passage{
			{0, "want r1", "taken"},
			{1 * m, "ok r1", ""},
			{2 * m, "want r2", "taken"},
			{3 * m, "ok r2", ""},
			{4 * m, "want r3", "held: rate limit reached (rate_limit: 2 per 1h)"},
			{59 * m, "want r3", "held: rate limit reached (rate_limit: 2 per 1h)"},
			{1 * h, "want r3", "taken"},
			{1*h + 1*m, "want r4", "ask for r3"},
		}},
		{"but not what was never sent", Limits{Windows: per(1, time.Hour)}, []passage{
			{0, "want r1", "taken"},
			{0, "unsent r1", ""},
			{1 * m, "want r2", "taken"},
		}},
		{"every window holds", Limits{Windows: []amx.Window{{Runs: 1, Per: time.Minute}, {Runs: 2, Per: time.Hour}}}, []passage{
			{0, "want r1", "taken"},
			{0, "ok r1", ""},
			{30 * s, "want r2", "held: rate limit reached (rate_limit: 1 per 1m)"},
			{1 * m, "want r2", "taken"},
			{1 * m, "ok r2", ""},
			{5 * m, "want r3", "held: rate limit reached (rate_limit: 2 per 1h)"},
		}},
		{"a run that has its slot has it again, whatever the limits say", Limits{Max: 1, Windows: per(1, time.Hour)}, []passage{
			{0, "want r1", "taken"},
			{5 * m, "want r1", "taken"},
		}},
		{"spread_by: runs go on for one value at a time", Limits{Spread: true}, []passage{
			{0, "want r1 in eu-1a", "taken"},
			{0, "want r2 in eu-1a", "taken"},
			{0, "want r3 in eu-1b", "ask for r1 r2"},
			{0, "asked", ""},
			{1 * s, "want r3 in eu-1b", `held: spread_by: runs go on for "eu-1a"`},
			{1 * m, "ok r1", ""},
			{1 * m, "ok r2", ""},
			{1 * m, "want r3 in eu-1b", "taken"},
		}},
		{"spread_by: a run that is taken over with fewer of its alerts goes on for all of them", Limits{Spread: true}, []passage{
			{0, "want r1 in eu-1a,eu-1b", "taken"},
			{1 * m, "want r1 in eu-1a", "taken"},
			{2 * m, "want r2 in eu-1a", "ask for r1"},
			{2 * m, "asked", ""},
			{2 * m, "want r2 in eu-1a", `held: spread_by: runs go on for "eu-1a,eu-1b"`},
		}},
		{"without a limit nothing is kept", Limits{}, []passage{
			{0, "want r1", "taken"},
			{0, "want r2", "taken"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) { (&gatekeeper{&Gate{}, tt.limits}).play(t, tt.passages) })
	}
}

func TestTheBreaker(t *testing.T) {
	row := []passage{
		{1 * m, "fails r1", ""},
		{2 * m, "fails r2", ""},
		{3 * m, "fails r3", "opens until 1h3m0s"},
	}
	for _, tt := range []struct {
		name     string
		passages []passage
	}{
		{"it opens after three failures in a row", append(row[:3:3],
			passage{4 * m, "want r4", "refused: breaker: 3 runs in a row failed, until 2026-11-01T13:03:00Z"},
			passage{1*h + 3*m - 1, "want r4", "refused: breaker: 3 runs in a row failed, until 2026-11-01T13:03:00Z"},
		)},
		{"a success ends the row", []passage{
			{1 * m, "fails r1", ""},
			{2 * m, "fails r2", ""},
			{3 * m, "ok r3", ""},
			{4 * m, "fails r4", ""},
			{5 * m, "want r5", "taken"},
		}},
		{"an end that is told twice counts once", []passage{
			{1 * m, "fails r1", ""},
			{1 * m, "fails r1", ""},
			{2 * m, "fails r2", ""},
			{2 * m, "fails r1", ""},
			{3 * m, "want r3", "taken"},
		}},
		{"a run that has retries left does not count", []passage{
			{1 * m, "fails r1, retried", ""},
			{2 * m, "fails r2, retried", ""},
			{3 * m, "fails r3, retried", ""},
			{4 * m, "want r4", "taken"},
		}},
		{"when its time is up one run may try, and its success closes it", append(row[:3:3],
			passage{1*h + 3*m, "want r4", "taken"},
			passage{1*h + 4*m, "want r5", "refused: breaker: 3 runs in a row failed, and run r4 tries whether it still does"},
			passage{1*h + 4*m, "want r4", "taken"},
			passage{1*h + 5*m, "ok r4", ""},
			passage{1*h + 5*m, "want r5", "taken"},
		)},
		{"its failure opens it for as long again", append(row[:3:3],
			passage{1*h + 3*m, "want r4", "taken"},
			passage{1*h + 5*m, "fails r4", "opens until 2h5m0s"},
			passage{1*h + 6*m, "want r5", "refused: breaker: 3 runs in a row failed, until 2026-11-01T14:05:00Z"},
			passage{2*h + 5*m, "want r5", "taken"},
		)},
		{"another may try when the one that may was not sent, or its time is up", append(row[:3:3],
			passage{1*h + 3*m, "want r4", "taken"},
			passage{1*h + 3*m, "unsent r4", ""},
			passage{1*h + 4*m, "want r5", "taken"},
			passage{1*h + 11*m - 1, "want r6", "refused: breaker: 3 runs in a row failed, and run r5 tries whether it still does"},
			passage{1*h + 11*m, "want r6", "taken"},
		)},
		{"a run that began before it opened changes nothing", append(row[:3:3],
			passage{4 * m, "ok r0", ""},
			passage{5 * m, "fails r9", ""},
			passage{6 * m, "want r4", "refused: breaker: 3 runs in a row failed, until 2026-11-01T13:03:00Z"},
		)},
		{"amx resume closes it", append(row[:3:3],
			passage{4 * m, "close", "was open true"},
			passage{5 * m, "want r4", "taken"},
			passage{6 * m, "close", "was open false"},
		)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			(&gatekeeper{&Gate{}, Limits{Breaker: amx.Breaker{Failures: 3, For: time.Hour}}}).play(t, tt.passages)
		})
	}
}

// A gate of as many runs as it may count fits into an item of the store, gzipped.
func TestAFullGateIsBounded(t *testing.T) {
	g := &Gate{}
	limits := Limits{Windows: []amx.Window{{Runs: amx.MaxRuns, Per: 24 * time.Hour}}}
	for i := range amx.MaxRuns + 100 {
		run := fmt.Sprintf("01JD8Z5T3M6Q9W2X4Y7B%06d", i)
		a := Actor{Delivery: "0123456789abcdef", Now: at(time.Duration(i) * s), Lease: at(time.Duration(i) * s)}
		if _, ok := g.Step(a, SlotWanted{Run: run, Command: "fix", Entry: "3f2a9c0d1e2b4a5c", Limits: limits}).(SlotTaken); ok {
			g.Step(a, RunEnded{Run: run, Ended: a.Now, Last: true, Limits: limits})
		}
	}
	if value, _ := g.Encode(); len(g.slots) > amx.MaxRuns || len(value) > 600<<10 {
		t.Errorf("%d runs, %d bytes", len(g.slots), len(value))
	}
}

// Runs that go on for longer than a window stay, and what is over makes room.
func TestRunsThatGoOnDoNotKeepAFullGateFromForgetting(t *testing.T) {
	g := &Gate{}
	for i := range 10 {
		g.slots = append(g.slots, slot{Run: fmt.Sprintf("long%d", i), At: at(-48 * h)})
	}
	for i := range amx.MaxRuns - 1 {
		g.slots = append(g.slots, slot{Run: fmt.Sprintf("r%d", i), At: at(0), Over: true})
	}
	limits := Limits{Windows: []amx.Window{{Runs: amx.MaxRuns, Per: 24 * time.Hour}}}
	if got := g.Step(Actor{Now: at(1 * m)}, SlotWanted{Run: "new", Limits: limits}); got != (SlotTaken{Slot: true}) {
		t.Fatalf("got %v", got)
	}
	if n := len(g.slots); n != amx.MaxRuns || g.slots[9].Run != "long9" || g.slots[10].Run != "r10" {
		t.Errorf("%d slots, after the runs that go on %s", n, g.slots[10].Run)
	}
}

// A cooldown holds for an alert's new episodes too, and a run that was never sent
// does not count.
func TestCooldown(t *testing.T) {
	tell(t, Policy{Cooldown: 10 * time.Minute}, []line{
		{comes(1*m, fires("a", 0)), "run r1 for a: firing"},
		{answers("r1", "c1"), "r1 c1"},
		{ends("r1", "Success"), "r1 c1 (done) Success"},
		{comes(3*m, resolves("a", 2*m)), "skip a r1: resolved: its run is over"},
		{prepared(5*m, fires("a", 4*m)), "held a: cooldown: not before 2026-11-01T12:11:00Z"},
		{prepared(5*m, fires("b", 4*m)), "take b"},
		{prepared(11*m, fires("a", 4*m)), "take a"},
	})
}

// prepared is a delivery of one alert whose run is rendered, as far as it comes
// without a gate.
func prepared(d time.Duration, a amx.Alert) event {
	return func(s *teller) string {
		by := s.actor(d, d, "x")
		next := s.entry.Step(by, Delivered{Alerts: amx.Alerts{a}})
		if d, ok := next[0].(Defer); ok {
			return fmt.Sprintf("held %s: %v", names(fingerprintsOf(d.Alerts)), d.Err)
		}
		p, ok := next[0].(Prepare)
		if !ok {
			return fmt.Sprintf("%T", next[0])
		}
		p.Run = "prepared"
		switch got := s.entry.Step(by, Prepared{Start: p.Start, Parts: 1})[0].(type) {
		case Take:
			return "take " + names(fingerprintsOf(got.Alerts))
		case Defer:
			return fmt.Sprintf("held %s: %v", names(fingerprintsOf(got.Alerts)), got.Err)
		default:
			return fmt.Sprintf("%T", got)
		}
	}
}
