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

// tell plays a story; each line is checked, and so is that the entry survives
// its store.
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

// delayed is a delivery that was sent at one time and arrives at another. What
// is due is claimed, with run IDs r1, r2 …
func delayed(sent, arrives time.Duration, alerts ...amx.Alert) event {
	return func(s *teller) string { return s.deliver(sent, arrives, nil, alerts) }
}

// asked is a delivery for which SSM was asked about the run before.
func asked(d time.Duration, run string, alerts ...amx.Alert) event {
	return func(s *teller) string { return s.deliver(d, d, map[string]bool{run: true}, alerts) }
}

func (s *teller) deliver(sent, arrives time.Duration, asked map[string]bool, alerts amx.Alerts) string {
	s.now = arrives
	in := Input{
		Now: at(arrives), SentAt: at(sent), Alerts: alerts, Policy: s.policy,
		Holder: s.process + "/delivery", Process: s.process, Asked: asked,
	}
	plan := s.entry.Decide(in)
	var words []string
	for _, d := range plan.Due {
		s.runs++
		id := fmt.Sprintf("r%d", s.runs)
		s.entry.Claim(d, Run{
			ID: id, Holder: s.process + "/sender of " + id, Lease: at(arrives + lease), Chunks: make([]Chunk, 1), Until: at(arrives + time.Hour),
		}, at(arrives))
		of := ""
		if d.Prev != "" {
			of = fmt.Sprintf(" after %s, attempt %d", d.Prev, d.Attempt)
		}
		words = append(words, fmt.Sprintf("run %s for %s%s: %s", id, names(fingerprintsOf(d.Alerts)), of, d.Reason))
	}
	for _, k := range plan.Skips {
		words = append(words, fmt.Sprintf("skip %s: %s", strings.TrimSpace(names(k.Alerts)+" "+k.Run), k.Reason))
	}
	for verb, steps := range map[string][]Step{"cancel": plan.Cancels, "wait for": plan.Waits, "adopt": plan.Adopts, "ask for": plan.Asks} {
		for _, p := range steps {
			words = append(words, fmt.Sprintf("%s %s for %s: %s", verb, p.Run, names(fingerprintsOf(p.Alerts)), p.Reason))
		}
	}
	slices.Sort(words)
	return strings.Join(words, "; ")
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
// chunk: a command ID, "lost", "throttled" or "refused".
func answers(run string, words ...string) event {
	return func(s *teller) string {
		var sent []Sent
		for i, w := range words {
			switch w {
			case "lost":
				sent = append(sent, Sent{Chunk: i})
			case "throttled":
				sent = append(sent, Sent{Chunk: i, Unsent: true})
			case "refused":
				sent = append(sent, Sent{Chunk: i, Unsent: true, Refused: true})
			default:
				sent = append(sent, Sent{Chunk: i, Command: w})
			}
		}
		holder := s.process + "/sender of " + run
		if r := s.entry.Run(run); r != nil && strings.Contains(r.Holder, "renewer of "+run) {
			holder = r.Holder
		}
		return describe(s.entry.Record(run, holder, sent))
	}
}

// looks is a look begun at that time that showed these commands of the first
// chunk.
func looks(run string, d time.Duration, found ...string) event {
	return func(s *teller) string {
		s.now = d
		var commands []Found
		for _, id := range found {
			commands = append(commands, Found{ID: id})
		}
		return describe(s.entry.Looked(run, map[int][]Found{0: commands}, at(d), window, s.process))
	}
}

// renews is a claim of a run whose sender is gone.
func renews(run string, d time.Duration) event {
	return func(s *teller) string {
		s.now = d
		if !s.entry.Renew(run, s.process+"/renewer of "+run, at(d+lease), at(d+time.Hour), at(d), s.process) {
			return "no"
		}
		return describe(s.entry.Run(run))
	}
}

// ends is the outcome of a run.
func ends(run, status string) event {
	return func(s *teller) string {
		s.entry.Finish(run, Outcome{Status: status, Failed: status == "Failed", Ended: at(s.now)})
		return describe(s.entry.Run(run))
	}
}

// stops is the acceptance of the cancellation of these commands.
func stops(run string, d time.Duration, commands ...string) event {
	return func(s *teller) string {
		s.now = d
		s.entry.Done(run, commands)
		r := s.entry.Run(run)
		return fmt.Sprintf("%s, stopped %v", describe(r), r.Stopped(at(d), s.process))
	}
}

func describe(r *Run) string {
	if r == nil {
		return "gone"
	}
	words := []string{r.ID}
	if r.Holder != "" {
		words = append(words, "claimed")
	}
	if r.Unsure {
		words = append(words, "unsure")
	}
	if r.CancelAsked {
		words = append(words, "to cancel")
	}
	for _, c := range r.Chunks {
		switch {
		case c.Refused:
			words = append(words, "refused")
		case c.Unsent:
			words = append(words, "unsent")
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
