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
	// About returns the case of the event. If the entry cannot be read or written,
	// this case is put off.
	About() Case
}

// An Action is a thing to do after the entry is written; a [Note] may be done beside
// that. The set is closed. Some actions have an event, which brings their result.
type Action interface{ action() }

// A Case is the subject of an action. The event that answers the action hands it
// back, so that the machine keeps only the entry between two steps.
type Case struct {
	Run    string
	Alerts amx.Alerts // of the delivery; they may be put off or decided on again
	Reason Reason

	aim     aim
	shown   []string  // the fingerprints that results name; nil: those of Alerts
	because error     // the error that led here, such as a lost answer
	refused []error   // SSM's refusals of parts of the run, in this delivery
	patient time.Time // how long it waits for another delivery's live claim
	retries string    // the run that is retried
	acted   bool      // in a stop: this delivery has cancelled or signalled the run
	ended   bool      // in a check: SSM said that a command of the run ended
	aside   bool      // in a stop: whoever asked for it has put it off, or was not answered
}

// About returns c itself.
func (c Case) About() Case { return c }

// About returns all alerts that were delivered.
func (d Delivered) About() Case { return Case{Alerts: d.Alerts} }

// About returns the alerts that were prepared, and those that have no place to run.
func (p Prepared) About() Case {
	c := p.Case
	c.Alerts = slices.Clone(c.Alerts)
	for _, u := range p.Without {
		c.Alerts = append(c.Alerts, u.Alert)
	}
	return c
}

// About returns the run, without alerts.
func (c Check) About() Case { return Case{Run: c.Run, aim: toCheck, ended: c.Ended} }

// About returns the run with its alerts.
func (r Reminded) About() Case { return Case{Run: r.Run, Alerts: r.Alerts, aim: toRetry} }

// About returns the run, without alerts.
func (k KillDue) About() Case { return Case{Run: k.Run, aim: toKill} }

// About returns an empty case.
func (DropWaiting) About() Case { return Case{} }

// About returns the run, without alerts.
func (o Stop) About() Case { return Case{Run: o.Run, aim: toStop} }

// The kinds of items in which a case waits on the queue.
const (
	AsNotification = "notification"
	AsReminder     = "reminder"
	AsStop         = "stop"
	AsCheck        = "check"
)

// Shown returns the fingerprints of the alerts, as results show them.
func (c Case) Shown() []string { return c.fingerprints() }

// Retries returns the run that the case retries.
func (c Case) Retries() string { return cmp.Or(c.retries, c.Run) }

// As returns the kind of item in which the case waits on the queue.
func (c Case) As() string {
	switch {
	case c.aim == toCheck:
		return AsCheck
	case c.aim == toRetry || c.retries != "" && c.aim == toDecide:
		return AsReminder
	case c.aim == toStop && len(c.Alerts) == 0:
		return AsCheck // the check finishes a cancel that was asked
	case c.aim == toKill:
		return AsStop
	}
	return AsNotification
}

// Stops reports whether the case stops a run. Such a case stays on the queue until
// the run has ended.
func (c Case) Stops() bool { return c.aim == toStop || c.aim == toKill }

// Aside says that the case is another's too, who sees to it: what cannot be settled of
// it here is not put off once more, or each delivery would double the items.
func (c Case) Aside() bool { return c.aside }

// An aim is the purpose of a case.
type aim int

const (
	toDecide aim = iota // decide what is due for the alerts
	toSend              // send the missing parts of the run
	toStop              // stop the run
	toCheck             // find out whether the run is over
	toRetry             // retry the run, if it failed
	toKill              // cancel the run, if its signal did not end it
)

// A Start is a run to begin or to take over.
type Start struct {
	Case
	Attempt int
	Prev    string // the run that this one retries or repeats
	// Targets are the recorded targets of a run that is taken over. nil: render
	// them, and call [Start.Narrow].
	Targets   []amx.Target
	TakenOver bool

	opens map[string]episode // :: alert → the episode that it opens
	lease time.Time          // if the run is taken over: when its last sending lease ends
	prev  *outcome           // of the run that this one retries
}

// Delivered says that alerts arrived. They match the command.
type Delivered struct {
	Alerts amx.Alerts
	More   bool // other alerts of the same message were delivered before
}

// Check asks whether a run is over, and enters the answer. Ended: SSM said that a
// command of the run has ended, so the check is repeated until the entry has the end.
type Check struct {
	Run   string
	Ended bool
}

// Reminded says that the reminder of a run is due, with its alerts, as firing. If the
// run failed and attempts are left, a retry begins.
type Reminded struct {
	Run    string
	Alerts amx.Alerts
}

// KillDue says that kill_after has passed since resolved_signal was sent.
type KillDue struct{ Run string }

// DropWaiting drops the alerts of the entry that wait for a run. Their items are
// skipped when they come. Firings that are sent from now on are not.
type DropWaiting struct{}

// Stop cancels a run, even if its alerts fire and whatever its resolved_signal is.
type Stop struct{ Run, Who, Why string }

// Prepare renders a run: its targets and its scripts. A run that cannot be rendered
// is refused before anything is claimed. If the targets of only one alert cannot be
// rendered, only that alert is refused.
type Prepare struct{ Start }

// Prepared answers [Prepare].
type Prepared struct {
	Start
	Parts   int        // how many SendCommands it takes
	Spread  string     // the value of spread_by
	NoNodes bool       // every node that the retry would target has succeeded
	Err     error      // why it cannot be rendered
	Again   bool       // but perhaps later
	Without []Unplaced // alerts whose own targets cannot be rendered or found; Alerts has the others
}

// An Unplaced is an alert whose targets cannot be rendered or found.
type Unplaced struct {
	Alert amx.Alert
	Err   error
	Again bool // they may be found later
}

// Take takes a slot in the command's gates. Remind: it then puts a reminder of the run
// on the queue, due when the lease has ended.
type Take struct {
	Prepared
	Remind bool
}

// Taken answers [Take].
type Taken struct {
	Prepared
	OK     bool
	Slot   bool   // it has a slot in a gate, which its end frees
	Reason Reason // why not
	Final  bool   // refuse it, it does not wait
	Err    error  // why nobody knows whether there is a slot
}

// Finished says that the entry has learned that a run is over.
type Finished struct {
	Run
	Slot  bool // it has a slot in a gate
	Last  bool // no retry follows
	Again bool // this was said before, but perhaps not recorded
}

// Note writes a run to the history: it was sent, or a cancel was asked.
type Note struct {
	Run
	// Beside says that SSM has the run, whatever becomes of the entry's write: the
	// note may be written beside that, so that nobody waits for it.
	Beside bool
}

// Remind puts a reminder of the run on the queue, due at that time.
type Remind struct {
	Case
	At time.Time
}

// GiveUp gives up alerts that waited until their firing was too old.
type GiveUp struct{ Case }

// Release gives up the slots of a run that was not sent after all. If that fails, the
// slots are free when their lease has ended.
type Release struct{ Run string }

// Send sends these portions of a run, side by side.
type Send struct {
	Start
	Portions []Portion
}

// Sent answers [Send].
type Sent struct {
	Send
	Answers []Answer
}

// An Answer is the outcome of a SendCommand for a part, or for some of its nodes.
type Answer struct {
	Part    int
	Nodes   []string // to which it was sent; nil: all nodes of the part
	Command string   // the command ID, if SSM answered one
	Verdict Verdict
	Err     error
}

// A Verdict says what an answer proves.
type Verdict int

// The verdicts.
const (
	Accepted Verdict = iota
	Unknown          // it may have been sent
	Unsent           // it was certainly not sent; another try may succeed
	Refused          // it was not sent, and no try will succeed
)

// Look reconciles a run: it reads SSM's list of commands from the run's first claim
// to the end of its last lease.
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

// A Command is a command in SSM, with the nodes that it was sent to, if they are
// known.
type Command struct {
	ID    string
	Nodes []string
}

// Ask asks SSM for the state of a run's commands.
type Ask struct {
	Case
	Commands []Command
	Forget   bool // their time is up: commands that SSM no longer knows are over
}

// Asked answers [Ask].
type Asked struct {
	Ask
	State State
	Err   error
}

// A State is the state of a run's commands.
type State struct {
	Over      bool
	Status    string // of the run, as SSM's StatusDetails without spaces
	Failed    bool
	Ended     time.Time // of the last node, by the nodes' clocks; zero: SSM does not say
	Succeeded []string  // nodes
	Other     []string  // nodes on which it has not succeeded
	Nodes     []NodeState
	Owners    map[string]string // :: command → the command that runs in its place
}

// A NodeState is the state of a command on a node.
type NodeState struct {
	Command, Node string
	Over          bool
	Elsewhere     bool // another command owns the run there
}

// Await waits for the end of a run that was sent, as long as the caller waits. It
// comes last, when no other action is left.
type Await struct{ Ask }

// Awaited answers [Await]. State is nil if nobody waited.
type Awaited struct {
	Await
	State *State
}

// Cancel cancels commands, each on all or on some of its nodes.
type Cancel struct {
	Case
	Commands []Command

	Forget bool // their time is up: if SSM knows none of them any more, they are over

	settles []string // commands that are done once these are cancelled
}

// Cancelled answers [Cancel].
type Cancelled struct {
	Cancel
	Done []string // accepted, or over
	Err  error
}

// Signal sends the command's resolved_signal to Targets, and to Others if there are
// any: a tag may have nodes that Targets does not name.
type Signal struct {
	Case
	Targets, Others []amx.Target
	KillAt          time.Time // when to cancel a run that still goes on; zero: never

	state State
}

// Signalled answers [Signal]. Lost has the nodes that SSM did not send to.
type Signalled struct {
	Signal
	Lost []string
	Err  error
}

// Confirm asks SSM whether a cancelled command has ended by now, if the caller waits
// for the answer.
type Confirm struct{ Ask }

// Confirmed answers [Confirm].
type Confirmed struct {
	Confirm
	State State
}

// Wait waits a moment for another delivery that is sending the run, and then reads
// the entry again.
type Wait struct{ Case }

// Waited answers [Wait].
type Waited struct{ Wait }

// Defer puts a case off that a delivery cannot settle now.
type Defer struct {
	Case
	Err  error
	Held bool // by a limit or a pause
}

// Settle is a result, for the answer and the log.
type Settle struct {
	Verb     Verb
	Reason   Reason
	Run      string
	Alerts   []string // fingerprints
	Commands []string // in SSM
	Status   string   // of the run, if known
	// Ill: the run did not succeed, and nobody resolved it meanwhile. GoesOn: a run of these
	// alerts still goes on or has a retry left, as far as amx knows.
	Ill, GoesOn bool
	Of          Case // in a refusal: the alerts that have no run
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

// A Run is a run as its entry has it, for the history.
type Run struct {
	ID, Prev    string
	Attempt     int
	Reason      Reason
	Alerts      amx.Alerts // of the delivery that started it
	Targets     []amx.Target
	Commands    []string // in SSM
	Claimed     time.Time
	Ended       time.Time // zero: it goes on
	Status      string    // SSM's StatusDetails without spaces, of a run that has ended
	Failed      bool
	Observed    bool
	CancelAsked bool
	StoppedBy   string // the person who stopped it
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
