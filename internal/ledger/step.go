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
	Policy   Policy
}

// A Policy is what a command's configuration says about its runs.
type Policy struct {
	Retries        int
	RepeatAfter    time.Duration // 0: never
	IgnoreResolved bool
	Limited        bool   // it has a gate: a slot is taken before each claim
	Unguarded      bool   // it is a document: nothing on the node makes one effect of two
	Signal         string // resolved_signal, where it is another than SIGKILL
}

func (a *Actor) holder() string { return a.Process + "/" + a.Delivery }

// A step is one call of Step: the entry, and what is known only now.
type step struct {
	Actor
	entry   *Entry
	changed bool // by what prune may clear up after
	actions []Action

	looked string // the run for which SSM's list was just read
	asked  string // the run of which SSM was just asked
	state  *State // what it said
}

// Step enters what happened, in the order of the events, and answers what is to
// be done.
//
// The way of a run, where nothing goes wrong, and what each step writes:
//
//	Delivered   nothing, or the episodes that a resolve ended   -> Prepare
//	Prepared    the claim, if the command has no limit          -> Send
//	Taken       the claim, once a slot is taken                 -> Send
//	Sent        the command IDs                                 -> Await
//	Awaited     the outcome, where a later decision needs it    -> Settle
//
// What happens when a sender dies after SendCommand: its claim stays in the
// entry, with a lease. Whoever reads the entry before the lease ends waits a
// moment, and puts its alerts off. Whoever reads it later takes the run over: it
// looks for the run's token in SSM's list (Look), enters what that shows
// (Looked), and only for a part that it does not show renews the claim and sends
// it again under the same run ID (Prepare, Send). The run is then in doubt,
// because SSM may have both commands: on the node, the guard makes one effect of
// the two, and a document, which has no guard, is not sent again before the list
// is proof. A resolve is settled only when the list, read one window after the
// last lease, has left no doubt.
func (e *Entry) Step(a Actor, events ...Event) []Action {
	s := &step{Actor: a, entry: e}
	for _, ev := range events {
		ev.apply(s)
	}
	if s.changed {
		e.prune(a.Now)
	}
	return s.actions
}

func (s *step) do(a Action) { s.actions = append(s.actions, a) }

// proceed takes a case up again, after what was done about it.
func (s *step) proceed(c Case) {
	switch c.aim {
	case toSend:
		s.takeOver(c)
	case toStop:
		s.stop(c)
	case toCheck:
		s.check(c)
	default:
		s.decide(c)
	}
}

func (d Delivered) apply(s *step) { s.decide(Case{Alerts: d.Alerts}) }

func (w Waited) apply(s *step) { s.proceed(w.Case) }

func (c Check) apply(s *step) { s.check(Case{Run: c.Run, aim: toCheck}) }

// live says that another delivery may be sending the run.
func (s *step) live(r *run) bool { return r.live(s.Now, s.Process) && r.Holder != s.holder() }

// patience is how long a delivery waits for the record of a run that another is
// sending.
const patience = 2 * time.Second

// wait waits for another's live claim while there is patience, and else puts the
// case off.
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

func (s *step) putOff(c Case, err error) { s.do(Defer{c, err}) }

// skip reports alerts for which nothing is done; those of one reason and one run
// are one result.
func (s *step) skip(reason Reason, run string, alerts ...string) {
	for i, a := range s.actions {
		if k, ok := a.(Settle); ok && k.Verb == VerbSkip && k.Reason == reason && k.Run == run {
			k.Alerts = append(k.Alerts, alerts...)
			s.actions[i] = k
			return
		}
	}
	s.do(Settle{Verb: VerbSkip, Reason: reason, Run: run, Alerts: alerts})
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
