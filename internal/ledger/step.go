package ledger

import (
	"slices"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
)

// An Actor is who steps an entry: a delivery, at a moment, under a command's
// configuration.
type Actor struct {
	Process  string // that owns the ledger alone (amx serve); empty on Lambda
	Delivery string // of this process; it signs its claims with both
	Now      time.Time
	SentAt   time.Time     // of the message: SNS timestamp, else arrival
	Lease    time.Time     // until when a claim made now holds
	ClaimBy  time.Time     // no claim is made after it
	Until    time.Time     // when what is sent now is over at the latest, as far as SSM can tell
	Window   time.Duration // by how much SSM's list of commands may lag a send
	MaxEntry int           // the size, encoded, up to which an entry takes new runs; 0: any
	Queued   bool          // its alerts were put off before: it is an item of the queue
	Policy   Policy
}

// A Policy is what a command's configuration says about its runs.
type Policy struct {
	Sends          string // what it sends, told apart: what was claimed is sent only as long as it is the same
	Retries        int
	RetryDelay     time.Duration // from the end of a run to its first retry; doubles with each
	RepeatAfter    time.Duration // 0: never
	Cooldown       time.Duration // least time between the starts of two runs for one alert
	IgnoreResolved bool
	Unguarded      bool          // it is a document: nothing on the node makes one effect of two
	Observe        bool          // all but the sending
	Signal         string        // resolved_signal, where it is another than SIGKILL
	KillAfter      time.Duration // after that signal, until what goes on is cancelled; 0: never
	Rerun          bool          // on_stop: a run that ended as cancelled, though nobody asked for it, is run again
	Skips          bool          // when_limited: what a limit holds back is skipped, and does not wait
}

func (a *Actor) holder() string { return a.Process + "/" + a.Delivery }

// A step is one call of Step: the entry, and what is known only now.
type step struct {
	Actor
	entry   *Entry
	changed bool // the entry: prune clears up after it
	actions []Action

	first  bool   // a delivery begins
	looked string // the run for which SSM's list was just read
	asked  string // the run whose state SSM has just answered
	state  *State // that state
}

// Step enters what happened, in the order of the events, and answers what is to
// be done.
//
// The way of a run, where nothing goes wrong, and what each step writes:
//
//	Delivered   nothing, or the episodes that a resolve ended   -> Prepare
//	Prepared    nothing                                         -> Take
//	Taken       the claim, once the gate has a place for it     -> Send
//	Sent        the command IDs                                 -> Await, Note
//	Awaited     the outcome, where a later decision needs it    -> Settle
//
// If a sender dies after SendCommand, its claim stays in the entry, with a lease.
// Whoever reads the entry before the lease ends waits a moment, and puts its alerts
// off. Whoever reads it later takes the run over, in these steps:
//
//   - It reconciles: it reads SSM's list for the run's token (Look), and enters
//     the commands that the list shows (Looked).
//   - If a part is still missing, it renews the claim and sends that part again,
//     under the same run ID (Prepare, Take, Send). The write that renews the claim
//     also puts the run in doubt, because SSM may have a command that the list
//     does not show yet. If somebody else renewed the claim since the list was
//     read, the list is read again first.
//   - On the node, the guard makes one effect of two commands. A document has no
//     guard: it is not sent again before the list is proof.
//   - The list is proof if its reading began at least one window after the end of
//     the last lease under which something was sent. A part that it does not show
//     then was never sent, and the run is in doubt no more. A run of which nothing
//     was sent leaves the entry: its alerts are due again.
//
// A resolve sends nothing. It reconciles too, cancels what is known, and is settled
// only when nobody is sending the run, it is not in doubt, and each of its commands
// is over or has accepted its cancellation; until then it is put off.
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

// proceed goes on with a case when its action is done.
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

// others finishes cancels of other runs that were asked before.
func (s *step) others() {
	p := plan{}
	s.unfinished(&p, Case{})
	for _, stop := range p.stops {
		stop.aside = true
		s.stop(stop)
	}
}

// live says that another delivery may be sending the run.
func (s *step) live(r *run) bool { return r.live(s.Now, s.Process) && r.Holder != s.holder() }

// patience is how long a delivery waits for the record of a run that another is
// sending.
const patience = 2 * time.Second

// wait waits for another's live claim, up to [patience], and then puts the case off.
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

// putOff puts off a case that cannot be settled now. For each alert the entry notes
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

// superseded says that a later firing of the alert waits: this one ends.
func (s *step) superseded(alert string) bool {
	return s.Queued && slices.ContainsFunc(s.entry.waits, func(w waiting) bool {
		return w.Alert == alert && w.SentAt.After(s.SentAt)
	})
}

// waitsNoMore forgets that an alert waits: it has its run, or has resolved.
func (e *Entry) waitsNoMore(alert string) {
	e.waits = slices.DeleteFunc(e.waits, func(w waiting) bool { return w.Alert == alert })
}

// skip reports alerts for which nothing is done, by their fingerprints.
func (s *step) skip(reason Reason, run string, alerts ...string) {
	s.skipped(Settle{Reason: reason, Run: run, Alerts: alerts})
}

// goesOn skips an alert whose run may go on.
func (s *step) goesOn(reason Reason, r *run, a *amx.Alert) {
	s.skipped(Settle{Reason: reason, Run: r.ID, Alerts: []string{a.Fingerprint}, GoesOn: true})
}

// skipped reports what is skipped: for one reason and one run, as one result.
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

// fingerprints is what results say of the case's alerts.
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
