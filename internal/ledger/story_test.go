package ledger

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
)

// epoch is when every story begins; its times are counted from here.
var epoch = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

const (
	lease  = 30 * time.Second // of the claims that a story makes
	window = 2 * time.Minute
	never  = time.Duration(-1 << 62) // a form without times
)

func at(d time.Duration) time.Time {
	if d == never {
		return time.Time{}
	}
	return epoch.Add(d)
}

func fires(name string, start time.Duration) amx.Alert {
	return amx.Alert{Status: amx.Firing, Fingerprint: name, StartsAt: at(start)}
}

func resolves(name string, end time.Duration) amx.Alert {
	return amx.Alert{Status: amx.Resolved, Fingerprint: name, EndsAt: at(end)}
}

// A teller keeps one entry and plays to it what happens, as the runner would.
type teller struct {
	entry   *Entry
	policy  Policy
	process string
	runs    int
	now     time.Duration
}

// An event is something that happens; it answers in words what came of it.
type event func(*teller) string

// A line of a story is an event and what is to come of it.
type line struct {
	event event
	want  string
}

// tell plays a story. It checks each line, and also that the entry survives its
// store.
func tell(t *testing.T, policy Policy, story []line) *teller {
	t.Helper()
	s := &teller{entry: &Entry{}, policy: policy}
	s.tell(t, story)
	return s
}

func (s *teller) tell(t *testing.T, story []line) {
	t.Helper()
	for i, l := range story {
		if got := l.event(s); got != l.want {
			t.Fatalf("line %d:\n got %s\nwant %s", i+1, got, l.want)
		}
		value, _ := s.entry.Encode()
		again, err := Decode(value)
		if err != nil {
			t.Fatalf("line %d: %v", i+1, err)
		}
		if value2, _ := again.Encode(); string(value2) != string(value) {
			t.Fatalf("line %d: the entry is another after its store:\n%s\n%s", i+1, value, value2)
		}
		s.entry = again
	}
}

// comes is a delivery that arrives at that time, and was sent then.
func comes(d time.Duration, alerts ...amx.Alert) event { return delayed(d, d, alerts...) }

// delayed is a delivery that was sent at one time and arrives at another. It claims
// the alerts that are due, with run IDs r1, r2 …
func delayed(sent, arrives time.Duration, alerts ...amx.Alert) event {
	return func(s *teller) string { return s.deliver(sent, arrives, "", alerts) }
}

// asked is a delivery for which SSM was asked about the run before.
func asked(d time.Duration, run string, alerts ...amx.Alert) event {
	return func(s *teller) string { return s.deliver(d, d, run, alerts) }
}

// reminded is the reminder of a run that comes due.
func reminded(d time.Duration, run string, alerts ...amx.Alert) event {
	return func(s *teller) string { return s.step(d, d, "", Reminded{run, alerts}) }
}

func (s *teller) actor(now, sent time.Duration, holder string) Actor {
	return Actor{
		Process: s.process, Delivery: holder, Now: at(now), SentAt: at(sent), Lease: at(now + lease), ClaimBy: at(now + time.Hour),
		Until: at(now + time.Hour), Window: window, Policy: s.policy,
	}
}

func (s *teller) deliver(sent, arrives time.Duration, asked string, alerts amx.Alerts) string {
	return s.step(sent, arrives, asked, Delivered{Alerts: alerts})
}

func (s *teller) step(sent, arrives time.Duration, asked string, ev Event) string {
	s.now = arrives
	first := &step{Actor: s.actor(arrives, sent, "delivery"), entry: s.entry, asked: asked}
	ev.apply(first)
	if first.changed {
		s.entry.prune(at(arrives))
	}
	var words []string
	for _, a := range first.actions {
		words = append(words, s.tells(a, sent, arrives))
	}
	slices.Sort(words)
	return strings.Join(words, "; ")
}

// tells is an action in words. A run that is due is claimed.
func (s *teller) tells(a Action, sent, arrives time.Duration) string {
	about := func(verb string, c Case) string {
		return fmt.Sprintf("%s %s for %s: %s", verb, c.Run, names(fingerprintsOf(c.Alerts)), c.Reason)
	}
	switch a := a.(type) {
	case Prepare:
		if a.TakenOver {
			return about("take over", a.Case)
		}
		s.runs++
		a.Run = fmt.Sprintf("r%d", s.runs)
		by := s.actor(arrives, sent, "sender of "+a.Run)
		next := s.entry.Step(by, Prepared{Start: a.Start, Parts: 1})
		s.entry.Step(by, Taken{Prepared: next[0].(Take).Prepared, OK: true})
		of := ""
		if a.Prev != "" {
			of = fmt.Sprintf(" after %s, attempt %d", a.Prev, a.Attempt)
		}
		return fmt.Sprintf("run %s for %s%s: %s", a.Run, names(fingerprintsOf(a.Alerts)), of, a.Reason)
	case Settle:
		return fmt.Sprintf("%s %s: %s", a.Verb, strings.TrimSpace(names(a.Alerts)+" "+a.Run), a.Reason)
	case Wait:
		return about("wait for", a.Case)
	case Look:
		return about(map[aim]string{toSend: "take over", toStop: "cancel", toDecide: "ask for", toRetry: "look for"}[a.aim], a.Case)
	case Ask:
		return about("ask for", a.Case)
	case Remind:
		return fmt.Sprintf("remind of %s for %s at %v", a.Run, names(fingerprintsOf(a.Alerts)), a.At.Sub(epoch))
	case Cancel:
		return about("cancel", a.Case)
	case Confirm:
		return about("cancel", a.Case)
	case Defer:
		return fmt.Sprintf("put off %s: %v", names(fingerprintsOf(a.Alerts)), a.Err)
	}
	return fmt.Sprintf("%T", a)
}

func fingerprintsOf(alerts amx.Alerts) []string {
	var fps []string
	for _, a := range alerts {
		fps = append(fps, a.Fingerprint)
	}
	return fps
}

func names(fps []string) string {
	fps = slices.Clone(fps)
	slices.Sort(fps)
	return strings.Join(fps, " ")
}

// answers is what SSM said to the sends of a run's claim, one word for each
// part: a command ID, "lost", "throttled" or "refused".
func answers(run string, words ...string) event {
	return func(s *teller) string {
		var answered []Answer
		for i, w := range words {
			switch w {
			case "lost":
				answered = append(answered, Answer{Part: i, Verdict: Unknown})
			case "throttled":
				answered = append(answered, Answer{Part: i, Verdict: Unsent})
			case "refused":
				answered = append(answered, Answer{Part: i, Verdict: Refused})
			default:
				answered = append(answered, Answer{Part: i, Command: w})
			}
		}
		holder := s.process + "/sender of " + run
		if r := s.entry.run(run); r != nil && strings.Contains(r.Holder, "renewer of "+run) {
			holder = r.Holder
		}
		return describe(s.entry.record(run, holder, answered))
	}
}

// looks is a look begun at that time that showed these commands of the first part.
func looks(run string, d time.Duration, found ...string) event {
	return func(s *teller) string {
		s.now = d
		commands := bare(found)
		r := s.entry.run(run)
		a := s.actor(d, d, "")
		return describe(s.entry.looked(r, map[int][]Command{0: commands}, at(d), &a))
	}
}

// renews is a claim of a run whose sender is gone.
func renews(run string, d time.Duration) event {
	return func(s *teller) string {
		s.now = d
		a := s.actor(d, d, "renewer of "+run)
		r := (&step{Actor: a, entry: s.entry}).ready(Prepared{Start: Start{Case: Case{Run: run}, lease: s.entry.run(run).Lease}})
		if r == nil {
			return "no"
		}
		r.renew(&a)
		return describe(r)
	}
}

// ends is the outcome of a run.
func ends(run, status string) event {
	return func(s *teller) string {
		r := s.entry.run(run)
		r.finish(outcome{Status: status, Failed: status == "Failed", Found: at(s.now)})
		return describe(r)
	}
}

// stops is the acceptance of the cancellation of these commands.
func stops(run string, d time.Duration, commands ...string) event {
	return func(s *teller) string {
		s.now = d
		r := s.entry.run(run)
		r.done(commands)
		return fmt.Sprintf("%s, stopped %v", describe(r), r.stopped(at(d), s.process))
	}
}

func describe(r *run) string {
	if r == nil {
		return "gone"
	}
	words := []string{r.ID}
	if r.Holder != "" {
		words = append(words, "claimed")
	}
	if r.InDoubt {
		words = append(words, "in doubt")
	}
	if r.CancelAsked {
		words = append(words, "to cancel")
	}
	for _, c := range r.Parts {
		switch {
		case c.State == refused || c.State == unsent:
			words = append(words, string(c.State))
		case len(c.Commands) == 0:
			words = append(words, "?")
		}
		for _, cmd := range c.Commands {
			word := cmd.ID
			if cmd.Done {
				word += " (done)"
			}
			words = append(words, word)
		}
	}
	if r.Outcome != nil {
		words = append(words, r.Outcome.Status)
	}
	return strings.Join(words, " ")
}
