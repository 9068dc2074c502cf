// Package operate lets people see and control amx: the runs with their output; cancel,
// pause and resume; the alerts that wait and the limits. It has one interface and two
// implementations: a [Desk] reads and writes the stores themselves, and a [Client] asks
// the Desk of an amx serve through [Handler].
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
	// Run returns one run with all details, or [history.ErrNotFound].
	Run(ctx context.Context, run string) (Detail, error)
	Status(context.Context) (Status, error)
}

// An Actor does what an operator asks.
type Actor interface {
	Cancel(context.Context, CancelRequest) (Cancelled, error)
	// Pause and Resume return the pauses afterwards.
	Pause(context.Context, PauseRequest) ([]Pause, error)
	Resume(context.Context, ResumeRequest) ([]Pause, error)
}

// An Operator is both.
type Operator struct {
	Viewer
	Actor
}

// A Detail is a record with the output of its nodes, as far as SSM keeps it.
type Detail struct {
	history.Record
	Streams []Stream `json:"streams,omitempty"`
}

// A Stream is the output of the command on one node. SSM keeps the first 24,000
// characters of standard output and 8,000 of standard error, for 30 days.
type Stream struct {
	Node   string `json:"node"`
	Stdout string `json:"stdout,omitempty"`
	Stderr string `json:"stderr,omitempty"`
	Error  string `json:"error,omitempty"` // why there is no output
}

// ErrNothing says that there is nothing to do: the run is over already, or the command is
// not paused.
var ErrNothing = errors.New("nothing to do")

// A CancelRequest names a run, or a command. For a command, all runs are cancelled and
// all waiting alerts are dropped.
type CancelRequest struct {
	Run     string `json:"run,omitempty"`
	Command string `json:"command,omitempty"`
	Why     string `json:"why"`
	Who     string `json:"-"` // set by the server, never by the request
}

// Cancelled is the result of a cancel. A cancelled command ends a little later: its
// record says when.
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

// A PauseRequest holds back new runs, of one command or of everything.
type PauseRequest struct {
	Command string        `json:"command,omitempty"` // empty: everything
	For     time.Duration `json:"-"`
	Why     string        `json:"why"`
	Who     string        `json:"-"`
}

// A ResumeRequest ends a pause. With a command it also closes the command's breaker.
type ResumeRequest struct {
	Command string `json:"command,omitempty"` // empty: everything
	Who     string `json:"-"`
}

// A Status says what holds runs back, and which alerts wait.
type Status struct {
	Paused   []Pause   `json:"paused"`
	Commands []Command `json:"commands"` // commands whose gate is not empty
	Waiting  []Waiting `json:"waiting"`
	Queue    Queue     `json:"queue"`
}

// A Pause of one command, or of everything.
type Pause struct {
	Command string    `json:"command,omitempty"` // empty: everything
	Who     string    `json:"who"`
	Why     string    `json:"why,omitempty"`
	Since   time.Time `json:"since"`
	Until   time.Time `json:"until"`
}

// A Command is the state of a command's gate.
type Command struct {
	Command string     `json:"command"`
	Running int        `json:"running"`                 // runs that hold a slot
	Max     int        `json:"max,omitempty"`           // 0: no limit, or unknown here
	Breaker *time.Time `json:"breaker_until,omitempty"` // open until; nil: closed
	Failed  int        `json:"failed,omitempty"`        // runs in a row that failed
}

// Waiting has the alerts of one command that wait for a run.
type Waiting struct {
	Command string    `json:"command"`
	Count   int       `json:"count"`
	Since   time.Time `json:"since"`  // the one that waits longest
	Reason  string    `json:"reason"` // of the one that waits longest
}

// A Queue is the state of the queue. A count of -1 is unknown.
type Queue struct {
	Items       int        `json:"items"`        // due or not due yet
	DeadLetters int        `json:"dead_letters"` // given up, or not readable
	Oldest      *time.Time `json:"oldest,omitempty"`
}
