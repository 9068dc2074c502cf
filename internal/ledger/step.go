package ledger

import (
	"slices"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
)

// An Actor steps an entry: a delivery, at a certain time, with a command's
// configuration.
type Actor struct {
	Process  string // if it owns the ledger alone (amx serve); empty on Lambda
	Delivery string // its claims have Process and Delivery as their holder
	Now      time.Time
	SentAt   time.Time            // when the message was sent: SNS timestamp, else arrival
	Lease    time.Time            // when a claim that is made now ends
	ClaimBy  time.Time            // after it no claim is made
	Until    time.Time            // when SSM ends a command that is sent now, at the latest
	Window   time.Duration        // how long a sent command may be missing from SSM's list
	MaxEntry int                  // an entry takes new runs up to this encoded size; 0: any size
	Queued   bool                 // the delivery is of an item: its alerts were put off before
	Cooling  map[string]time.Time // :: alert → until when a run of another entry holds it back
	Policy   Policy
}

// A Policy is the part of a command's configuration that concerns its runs.
type Policy struct {
	Sends          string // a hash of the script or document; if it changes, a claimed run is not sent
	Retries        int
	RetryDelay     time.Duration // from the end of a run to its first retry; doubles with each
	RepeatAfter    time.Duration // 0: never
	Cooldown       time.Duration // minimum time between the starts of two runs for one alert
	IgnoreResolved bool
	Unguarded      bool          // it sends a document, which has no guard on the node
	Observe        bool          // mode: observe: do everything except sending
	Signal         string        // resolved_signal, if it is not SIGKILL
	KillAfter      time.Duration // time from that signal to a cancel, if the run still goes on; 0: never
	Rerun          bool          // on_stop: rerun: run again a run that was cancelled although nobody asked a cancel
	Skips          bool          // when_limited: skip: an alert that a limit holds back does not wait
}

func (a *Actor) holder() string { return a.Process + "/" + a.Delivery }

// A step is the state of one call of Step, beside the entry.
type step struct {
	Actor
	entry   *Entry
	changed bool // the entry has changed, so prune it
	actions []Action

	first  bool   // this is the delivery's first event
	looked string // the run for which SSM's list was just read
	asked  string // the run whose state SSM has just answered
	state  *State // that state
	told   string // the run whose end this step has told
}

// Step enters the events in their order, and returns the actions to do.
//
// If nothing goes wrong, a run takes these steps. The middle column is the change that
// the step writes:
//
//	Delivered   nothing, or the episodes that a resolve ended   -> Prepare
//	Prepared    nothing                                         -> Take
//	Taken       the claim, once the gate has a place for it     -> Send
//	Sent        the command IDs                                 -> Await, Note
//	Awaited     the outcome, if a later decision needs it       -> Settle
//
// If a sender dies after SendCommand, its claim stays in the entry, with a lease. A
// delivery that reads the entry before the lease ends waits up to [patience], then puts
// its alerts off. A delivery that reads it later takes the run over, in these steps:
//
//   - It reconciles: it reads SSM's list for the run's token (Look), and enters
//     the commands that the list shows (Looked).
//   - If the list does not show a part, it checks that nobody has renewed the claim
//     since the list was read; otherwise it reads the list again.
//   - It renews the claim. The same write puts the run in doubt, because SSM may have
//     a command that the list does not show yet. Then it sends the missing part again,
//     under the same run ID (Prepare, Take, Send).
//   - On the node, the guard lets only one of the two commands run. A document has no
//     guard, so it is sent again only after the list is proof.
//   - The list is proof if its reading began at least one window after the last
//     sending lease ended. A part that such a list does not show was never sent, and
//     the run is no longer in doubt. If no part of the run was sent, it leaves the
//     entry, and its alerts are due again.
//
// A resolve never sends missing parts. It reconciles as well, and cancels the commands
// that are known. It is settled only when nobody is sending the run, the run is not in
// doubt, and each of its commands is over or SSM has accepted its cancellation. Until
// then it is put off.
func (e *Entry) Step(a Actor, events ...Event) []Action {
	s := &step{Actor: a, entry: e}
	for _, ev := range events {
		ev.apply(s)
	}
	if s.changed {
		e.prune(a.Now)
		e.makeRoom(a.MaxEntry)
	}
	return s.actions
}

func (s *step) do(a Action) { s.actions = append(s.actions, a) }

// proceed continues a case after its action.
func (s *step) proceed(c Case) {
	switch c.aim {
	case toSend:
		s.takeOver(c)
	case toStop:
		s.stop(c)
	case toCheck:
		s.check(c)
	case toRetry:
		s.retry(c)
	case toKill:
		s.kill(c)
	default:
		s.decide(c)
	}
}

func (d Delivered) apply(s *step) {
	s.first = !d.More
	s.decide(Case{Alerts: d.Alerts})
}

func (w Waited) apply(s *step) { s.proceed(w.Case) }

func (c Check) apply(s *step) {
	if c.Ended {
		s.others()
	}
	s.check(c.About())
}

// others finishes earlier cancels of other runs of the entry.
func (s *step) others() {
	p := plan{}
	s.unfinished(&p, Case{})
	for _, stop := range p.stops {
		stop.aside = true
		s.stop(stop)
	}
}

// live reports whether another delivery may be sending the run.
func (s *step) live(r *run) bool { return r.live(s.Now, s.Process) && r.Holder != s.holder() }

// patience is how long a delivery waits for the result of another delivery that is
// sending the run.
const patience = 2 * time.Second

// wait waits up to [patience] for another delivery's live claim, then puts the case
// off.
func (s *step) wait(c Case) {
	if c.patient.IsZero() {
		c.patient = s.Now.Add(patience)
	}
	if s.Now.After(c.patient) {
		s.putOff(c, errSending(c))
		return
	}
	s.do(Wait{c})
}

// putOff puts off a case that cannot be settled now. The entry notes for each alert
// when its latest waiting firing was sent.
func (s *step) putOff(c Case, err error) { s.hold(Defer{Case: c, Err: err}) }

func (s *step) hold(d Defer) {
	for i := range d.Alerts {
		if a := &d.Alerts[i]; a.Status == amx.Firing && d.aim != toCheck {
			s.note(a.ID())
		}
	}
	s.do(d)
}

func (s *step) note(alert string) {
	for i := range s.entry.waits {
		if w := &s.entry.waits[i]; w.Alert == alert {
			if w.SentAt.Before(s.SentAt) {
				w.SentAt, s.changed = s.SentAt, true
			}
			return
		}
	}
	s.entry.waits, s.changed = append(s.entry.waits, waiting{alert, s.SentAt}), true
}

// superseded reports whether a later firing of the alert waits. This one then ends.
func (s *step) superseded(alert string) bool {
	return s.Queued && slices.ContainsFunc(s.entry.waits, func(w waiting) bool {
		return w.Alert == alert && w.SentAt.After(s.SentAt)
	})
}

// waitsNoMore forgets that an alert waits, because it has its run or has resolved.
func (e *Entry) waitsNoMore(alert string) {
	e.waits = slices.DeleteFunc(e.waits, func(w waiting) bool { return w.Alert == alert })
}

// skip reports alerts, by fingerprint, for which nothing is done.
func (s *step) skip(reason Reason, run string, alerts ...string) {
	s.skipped(Settle{Reason: reason, Run: run, Alerts: alerts})
}

// goesOn skips an alert whose run may still go on.
func (s *step) goesOn(reason Reason, r *run, a *amx.Alert) {
	s.skipped(Settle{Reason: reason, Run: r.ID, Alerts: []string{a.Fingerprint}, GoesOn: true})
}

// skipped reports skipped alerts. It makes one result for each reason and run.
func (s *step) skipped(k Settle) {
	k.Verb = VerbSkip
	for i, a := range s.actions {
		if was, ok := a.(Settle); ok && was.Verb == k.Verb && was.Reason == k.Reason && was.Run == k.Run {
			was.Alerts, was.GoesOn = append(was.Alerts, k.Alerts...), was.GoesOn || k.GoesOn
			s.actions[i] = was
			return
		}
	}
	s.do(k)
}

// fingerprints returns the alerts of the case as results show them.
func (c *Case) fingerprints() []string {
	if c.shown != nil {
		return c.shown
	}
	fps := make([]string, len(c.Alerts))
	for i := range c.Alerts {
		fps[i] = c.Alerts[i].Fingerprint
	}
	return fps
}

// join adds an alert to the case of a run, or begins one.
func join(cases []Case, c Case, a *amx.Alert) []Case {
	i := slices.IndexFunc(cases, func(o Case) bool { return o.Run == c.Run })
	if i < 0 {
		cases = append(cases, c)
		i = len(cases) - 1
	}
	cases[i].Alerts = append(cases[i].Alerts, *a)
	return cases
}
