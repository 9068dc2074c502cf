package ledger

import (
	"cmp"
	"slices"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
)

// An Event is something that has happened. The set is closed: Delivered, Reminded,
// KillDue, Check, Stop and DropWaiting come from outside, and each of the others
// answers the action of its name.
type Event interface {
	apply(*step)
	// About is the case that the event is about: what is to be put off where
	// the entry cannot be read or written.
	About() Case
}

// An Action is something to be done, after the entry is written. The set is
// closed; an action that has an event is answered by it.
type Action interface{ action() }

// A Case is the subject of an action. The event that answers the action hands it
// back, so that the machine keeps only the entry between two steps.
type Case struct {
	Run    string
	Alerts amx.Alerts // of the delivery: put off or decided on again, if need be
	Reason Reason

	aim     aim
	shown   []string  // the fingerprints that results name; nil: those of Alerts
	because error     // the error that led here, such as a lost answer
	refused []error   // what SSM refused of the run in this delivery
	patient time.Time // until when another's live claim is waited for
	retries string    // the run that is retried
	acted   bool      // of a stop: this delivery has cancelled or signalled it
	ended   bool      // of a check: SSM said that a command of it ended
	aside   bool      // of a stop: whoever asked for it has put it off, or was not answered
}

// About is c itself.
func (c Case) About() Case { return c }

// About is all alerts that were delivered.
func (d Delivered) About() Case { return Case{Alerts: d.Alerts} }

// About is the alerts that were prepared, and those that have no place to run.
func (p Prepared) About() Case {
	c := p.Case
	c.Alerts = slices.Clone(c.Alerts)
	for _, u := range p.Without {
		c.Alerts = append(c.Alerts, u.Alert)
	}
	return c
}

// About is no alert.
func (c Check) About() Case { return Case{Run: c.Run, aim: toCheck, ended: c.Ended} }

// About is the alerts of the run.
func (r Reminded) About() Case { return Case{Run: r.Run, Alerts: r.Alerts, aim: toRetry} }

// About is no alert.
func (k KillDue) About() Case { return Case{Run: k.Run, aim: toKill} }

// About is no alert.
func (DropWaiting) About() Case { return Case{} }

// About is no alert.
func (o Stop) About() Case { return Case{Run: o.Run, aim: toStop} }

// The kinds of items as which a case waits on the queue.
const (
	AsNotification = "notification"
	AsReminder     = "reminder"
	AsStop         = "stop"
	AsCheck        = "check"
)

// Shown is the alerts as results show them, by their fingerprints.
func (c Case) Shown() []string { return c.fingerprints() }

// Retries is the run that the case is to retry.
func (c Case) Retries() string { return cmp.Or(c.retries, c.Run) }

// As is the kind of item as which the case waits on the queue.
func (c Case) As() string {
	switch {
	case c.aim == toCheck:
		return AsCheck
	case c.aim == toRetry || c.retries != "" && c.aim == toDecide:
		return AsReminder
	case c.aim == toStop && len(c.Alerts) == 0:
		return AsCheck // which finishes what was asked for
	case c.aim == toKill:
		return AsStop
	}
	return AsNotification
}

// Stops says that the case is to end a run: it does not end before the run does.
func (c Case) Stops() bool { return c.aim == toStop || c.aim == toKill }

// Aside says that the case is another's too, who sees to it: what cannot be settled of
// it here is not put off once more, or each delivery would double the items.
func (c Case) Aside() bool { return c.aside }

// An aim is the purpose of a case.
type aim int

const (
	toDecide aim = iota // what is due for the alerts
	toSend              // the missing parts of the run are sent
	toStop              // the run ends
	toCheck             // the entry knows whether the run is over
	toRetry             // the run is retried, if it failed
	toKill              // the run is cancelled, if its signal did not end it
)

// A Start is a run that is to be begun, or taken over.
type Start struct {
	Case
	Attempt int
	Prev    string // the run that is retried or repeated
	// Targets are the recorded ones of a run that is taken over; else nil: they
	// are to be rendered, and narrowed by [Start.Narrow].
	Targets   []amx.Target
	TakenOver bool

	opens map[string]episode // :: alert → the episode that it opens
	lease time.Time          // of the run that is taken over: when the last sending lease ends
	prev  *outcome           // of the run that is retried
}

// Delivered says that alerts of a message arrived, those that match the command.
type Delivered struct {
	Alerts amx.Alerts
	More   bool // of a message of which other alerts were delivered before
}

// Check asks that the entry come to know whether a run is over. Ended: SSM said
// that a command of it is, so that it is asked about again until it is known.
type Check struct {
	Run   string
	Ended bool
}

// Reminded says that the reminder of a run came due, with the alerts that it is
// for, firing: where the run failed and attempts are left, it is retried.
type Reminded struct {
	Run    string
	Alerts amx.Alerts
}

// KillDue says that kill_after has passed since resolved_signal was sent.
type KillDue struct{ Run string }

// DropWaiting drops the alerts of the entry that wait for a run: their items are
// skipped. Firings that are sent from now on count again.
type DropWaiting struct{}

// Stop asks that a run be cancelled, whatever its alerts do and whatever signal
// it has.
type Stop struct{ Run, Who, Why string }

// Prepare is to render a run: its targets and its scripts. A run that cannot be
// rendered is refused before anything is claimed. If only one alert's own targets
// cannot be, that alert is refused alone.
type Prepare struct{ Start }

// Prepared answers [Prepare].
type Prepared struct {
	Start
	Parts   int        // how many SendCommands it takes
	Spread  string     // the value of spread_by
	NoNodes bool       // every node that the retry would target has succeeded
	Err     error      // it cannot be rendered
	Again   bool       // and may be later
	Without []Unplaced // alerts whose own targets cannot be rendered or found; Alerts has the others
}

// An Unplaced is an alert that has no place to run.
type Unplaced struct {
	Alert amx.Alert
	Err   error
	Again bool // it may have one later
}

// Take is to take a slot of the command's gates. Remind: then a reminder of the run
// is put on the queue, due when the lease has ended.
type Take struct {
	Prepared
	Remind bool
}

// Taken answers [Take].
type Taken struct {
	Prepared
	OK     bool
	Slot   bool   // the gate has a slot for it, which its end frees
	Reason Reason // why not
	Final  bool   // it is refused, and does not wait
	Err    error  // it is not known whether there is one
}

// Finished says that the entry has learned that a run is over.
type Finished struct {
	Run
	Slot  bool // it has a slot of the gate
	Last  bool // no retry follows
	Again bool // it was said before, and may not have been recorded
}

// Note is to tell the history of a run: it was sent, or is to be cancelled.
type Note struct{ Run }

// Remind is to put a reminder of the run on the queue, due then.
type Remind struct {
	Case
	At time.Time
}

// GiveUp is to give up alerts that waited until their firing was too old.
type GiveUp struct{ Case }

// Release is to give up the slots of a run that was not sent after all. Where
// that fails they are free when their lease has ended.
type Release struct{ Run string }

// Send is to send these portions of a run, side by side.
type Send struct {
	Start
	Portions []Portion
}

// Sent answers [Send].
type Sent struct {
	Send
	Answers []Answer
}

// An Answer is what became of the SendCommand of a part, or of some of its nodes.
type Answer struct {
	Part    int
	Nodes   []string // that it was for; nil: all of the part's
	Command string   // the command ID, where SSM answered one
	Verdict Verdict
	Err     error
}

// A Verdict says what an answer proves.
type Verdict int

// The verdicts.
const (
	Accepted Verdict = iota
	Unknown          // it may have been sent
	Unsent           // it was certainly not sent, and may be later
	Refused          // it was not sent, and never will be
)

// Look is to reconcile a run: to read SSM's list of commands from its first claim to
// the end of its last lease.
type Look struct {
	Case
	Claimed, Lease time.Time
}

// Looked answers [Look].
type Looked struct {
	Look
	Begun time.Time
	Found map[int][]Command // :: part → commands
	Err   error
}

// A Command is one in SSM, and the nodes that it was sent to, where they are
// named.
type Command struct {
	ID    string
	Nodes []string
}

// Ask is to ask SSM where the commands of a run stand.
type Ask struct {
	Case
	Commands []Command
	Forget   bool // their time is up: if SSM knows none of them any more, they are over
}

// Asked answers [Ask].
type Asked struct {
	Ask
	State State
	Err   error
}

// A State is where the commands of a run stand.
type State struct {
	Over      bool
	Status    string // of the run, as SSM's StatusDetails without spaces
	Failed    bool
	Succeeded []string // nodes
	Other     []string // nodes on which it did not succeed
	Nodes     []NodeState
	Owners    map[string]string // :: command → the command that runs in its place
}

// A NodeState is a command on a node.
type NodeState struct {
	Command, Node string
	Over          bool
	Elsewhere     bool // another command runs there in its place
}

// Await is to wait for the end of a run that was sent, as long as the caller
// waits. It is done last, when nothing else is left to be done.
type Await struct{ Ask }

// Awaited answers [Await]. State is nil where nobody waited.
type Awaited struct {
	Await
	State *State
}

// Cancel is to cancel commands: all of each, or on some of its nodes.
type Cancel struct {
	Case
	Commands []Command

	Forget bool // their time is up: if SSM knows none of them any more, they are over

	settles []string // commands that need nothing more once these are cancelled
}

// Cancelled answers [Cancel].
type Cancelled struct {
	Cancel
	Done []string // accepted, or over
	Err  error
}

// Signal is to send the command's resolved_signal to these targets, and to these
// others, of which the first do not name all nodes.
type Signal struct {
	Case
	Targets, Others []amx.Target
	KillAt          time.Time // when what goes on is to be cancelled; zero: never

	state State
}

// Signalled answers [Signal]. Lost is the nodes that SSM would not send to.
type Signalled struct {
	Signal
	Lost []string
	Err  error
}

// Confirm is to see, where the caller waits to hear it, whether a cancelled
// command is gone by now.
type Confirm struct{ Ask }

// Confirmed answers [Confirm].
type Confirmed struct {
	Confirm
	State State
}

// Wait is to wait a moment for another delivery that is sending the run, and to
// read the entry again.
type Wait struct{ Case }

// Waited answers [Wait].
type Waited struct{ Wait }

// Defer is to put off what a delivery cannot settle now.
type Defer struct {
	Case
	Err  error
	Held bool // by a limit or a pause
}

// Settle is a result: it is answered and logged.
type Settle struct {
	Verb     Verb
	Reason   Reason
	Run      string
	Alerts   []string // fingerprints
	Commands []string // in SSM
	Status   string   // of the run, where it is known
	// Ill: the run ended, and not well, and nobody resolved it meanwhile. GoesOn:
	// as far as is known a run of these alerts goes on, or is tried again.
	Ill, GoesOn bool
	Of          Case // of a refusal: the alerts that have no run
}

// A Verb is what a [Settle] reports.
type Verb string

// The verbs, as answers show them.
const (
	VerbRun     Verb = "run"
	VerbCancel  Verb = "cancel"
	VerbSkip    Verb = "skip"
	VerbRefuse  Verb = "refuse"
	VerbLater   Verb = "later"
	VerbObserve Verb = "observe"
)

// A Run is one as its entry knows it, for the history.
type Run struct {
	ID, Prev    string
	Attempt     int
	Reason      Reason
	Alerts      amx.Alerts // of the delivery that launched it
	Targets     []amx.Target
	Commands    []string // in SSM
	Claimed     time.Time
	Ended       time.Time // zero: it goes on
	Status      string    // SSM's StatusDetails without spaces, of a run that has ended
	Failed      bool
	Observed    bool
	CancelAsked bool
	StoppedBy   string // a person who asked for its end
	StoppedWhy  string
}

func (Prepare) action()  {}
func (Take) action()     {}
func (Release) action()  {}
func (Send) action()     {}
func (Look) action()     {}
func (Ask) action()      {}
func (Await) action()    {}
func (Cancel) action()   {}
func (Signal) action()   {}
func (Confirm) action()  {}
func (Finished) action() {}
func (Note) action()     {}
func (Remind) action()   {}
func (GiveUp) action()   {}
func (Wait) action()     {}
func (Defer) action()    {}
func (Settle) action()   {}
