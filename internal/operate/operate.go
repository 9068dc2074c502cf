// Package operate is what people see of amx and do with it: what ran, with its
// output; cancel, pause, resume; what waits and what is limited. There is one
// interface, and two ways to it: a [Desk] at the stores themselves, and a
// [Client] that asks the Desk of an amx serve through [Handler].
package operate

import (
	"context"
	"errors"
	"time"

	"github.com/amx-lambda/amx/internal/history"
)

// A Viewer shows what amx did and what it does now.
type Viewer interface {
	// Runs lists records, the newest first, without output.
	Runs(context.Context, history.Query) (history.Page, error)
	// Run is all that is known of one run; [history.ErrNotFound] where it is
	// nothing.
	Run(ctx context.Context, run string) (Detail, error)
	Status(context.Context) (Status, error)
}

// An Actor does what a person decided.
type Actor interface {
	Cancel(context.Context, CancelRequest) (Cancelled, error)
	// Pause and Resume answer what is paused afterwards.
	Pause(context.Context, PauseRequest) ([]Pause, error)
	Resume(context.Context, ResumeRequest) ([]Pause, error)
}

// An Operator is both.
type Operator struct {
	Viewer
	Actor
}

// A Detail is a record with the streams of its nodes, as far as SSM keeps them.
type Detail struct {
	history.Record
	Streams []Stream `json:"streams,omitempty"`
}

// A Stream is what the command wrote on one node. SSM keeps the first 24,000
// characters of standard output and 8,000 of standard error, for 30 days.
type Stream struct {
	Node   string `json:"node"`
	Stdout string `json:"stdout,omitempty"`
	Stderr string `json:"stderr,omitempty"`
	Error  string `json:"error,omitempty"` // why there is none
}

// ErrNothing is answered where there is nothing to do: a run that is over is not
// cancelled, and what is not paused does not resume.
var ErrNothing = errors.New("nothing to do")

// A CancelRequest names a run, or a command, all of whose runs are cancelled and
// all of whose waiting alerts are dropped.
type CancelRequest struct {
	Run     string `json:"run,omitempty"`
	Command string `json:"command,omitempty"`
	Why     string `json:"why"`
	Who     string `json:"-"` // set by who knows it, never by the request
}

// Cancelled is what became of the asking. A cancelled command ends later: its
// record says so.
type Cancelled struct {
	Runs []CancelledRun `json:"runs"`
}

// A CancelledRun is one run, or one alert that waited.
type CancelledRun struct {
	Run     string        `json:"run"`
	Command string        `json:"command"`
	State   history.State `json:"state"` // before
	Error   string        `json:"error,omitempty"`
}

// A PauseRequest holds back what starts, of one command or of everything.
type PauseRequest struct {
	Command string        `json:"command,omitempty"` // empty: everything
	For     time.Duration `json:"-"`
	Why     string        `json:"why"`
	Who     string        `json:"-"`
}

// A ResumeRequest lifts a pause. With a command it also closes its breaker.
type ResumeRequest struct {
	Command string `json:"command,omitempty"` // empty: everything
	Who     string `json:"-"`
}

// A Status is what holds runs back, and what waits.
type Status struct {
	Paused   []Pause   `json:"paused"`
	Commands []Command `json:"commands"` // those with a limit or a breaker that says something
	Waiting  []Waiting `json:"waiting"`
	Queue    Queue     `json:"queue"`
}

// A Pause is of one command, or of everything.
type Pause struct {
	Command string    `json:"command,omitempty"` // empty: everything
	Who     string    `json:"who"`
	Why     string    `json:"why,omitempty"`
	Since   time.Time `json:"since"`
	Until   time.Time `json:"until"`
}

// A Command is what the gate of a command says.
type Command struct {
	Command string     `json:"command"`
	Running int        `json:"running"`                 // runs that hold a slot
	Max     int        `json:"max,omitempty"`           // 0: no limit, or it is not known here
	Breaker *time.Time `json:"breaker_until,omitempty"` // open until; nil: closed
	Failed  int        `json:"failed,omitempty"`        // runs in a row that failed
}

// Waiting is the alerts of one command that wait for a run.
type Waiting struct {
	Command string    `json:"command"`
	Count   int       `json:"count"`
	Since   time.Time `json:"since"`  // the one that waits longest
	Reason  string    `json:"reason"` // of the one that waits longest
}

// A Queue is the state of the store of what is put off. A count of -1 is not
// known.
type Queue struct {
	Items       int        `json:"items"`        // due, or not yet
	DeadLetters int        `json:"dead_letters"` // given up, or not readable
	Oldest      *time.Time `json:"oldest,omitempty"`
}
