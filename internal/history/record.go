// Package history keeps what amx did: a [Record] for each run, and one for each
// alert whose run was refused, waits, or was given up. The ledger forgets an
// episode soon after its end; the history is what people read.
//
// A record is written several times, by several processes: when the run was
// sent, when it was cancelled, when it ended. [Merge] joins such writes, whatever
// their order, so that no earlier state replaces a later one.
package history

import (
	"errors"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
)

// ErrNotFound is a store's answer for a run without a record.
var ErrNotFound = errors.New("no such run in the history")

// A State says how far a run has come, or why there is none.
type State string

// The states of a [Record].
const (
	Waiting   State = "waiting"   // no run yet: put off until a limit, a pause or an error is gone
	Running   State = "running"   // sent, and not known to have ended
	Succeeded State = "succeeded" // ended: every node succeeded
	Failed    State = "failed"    // ended: a node failed, timed out, or could not be reached
	Cancelled State = "cancelled" // ended: by a resolve, a person, or the stop of amx
	Refused   State = "refused"   // no run: this alert has none
	Expired   State = "expired"   // no run: it waited until its firing was too old
	Observed  State = "observed"  // a command with `mode: observe`: nothing was sent
	Unknown   State = "unknown"   // ended, and SSM cannot tell how
)

// States is all states, in the order in which they are documented.
var States = []State{Waiting, Running, Succeeded, Failed, Cancelled, Refused, Expired, Observed, Unknown}

// A Record is what is known of one run. Its JSON is the form that users see; a
// field without a value is left out. Times are zero where they are not known.
type Record struct {
	Run         string       `json:"run"` // the run ID, or [WaitingID] or [RefusedID]
	Command     string       `json:"command"`
	State       State        `json:"state"`
	Reason      string       `json:"reason,omitempty"` // why it has this state, in words
	Status      string       `json:"status,omitempty"` // SSM's StatusDetails without spaces
	Alerts      []Alert      `json:"alerts,omitempty"`
	AlertsTotal int          `json:"alerts_total,omitempty"` // where more than those in Alerts
	Source      Source       `json:"source,omitzero"`
	Targets     []Target     `json:"targets,omitempty"` // as they were rendered
	Nodes       []Node       `json:"nodes,omitempty"`
	NodesTotal  int          `json:"nodes_total,omitempty"` // where more than those in Nodes
	CommandIDs  []string     `json:"command_ids,omitempty"`
	Attempt     int          `json:"attempt,omitempty"` // 1; one more with each retry
	RetryOf     string       `json:"retry_of,omitempty"`
	CancelledBy *CancelledBy `json:"cancelled_by,omitempty"`
	Claimed     time.Time    `json:"claimed,omitzero"` // without a run: when it was refused or began to wait
	Sent        time.Time    `json:"sent,omitzero"`    // when the first SendCommand was answered
	Ended       time.Time    `json:"ended,omitzero"`   // of Waiting: when the waiting was over
	Updated     time.Time    `json:"updated"`          // when the writer learned the state; required
	Entry       string       `json:"entry,omitempty"`  // the ledger entry's ID
}

// An Alert is one that the run is for, as its message described it.
type Alert struct {
	Fingerprint  string    `json:"fingerprint"`
	Labels       amx.KV    `json:"labels,omitempty"`
	Annotations  amx.KV    `json:"annotations,omitempty"`
	StartsAt     time.Time `json:"starts_at,omitzero"`
	GeneratorURL string    `json:"generator_url,omitempty"`
}

// A Source says where the message came from.
type Source struct {
	Receiver    string `json:"receiver,omitempty"`
	Topic       string `json:"topic,omitempty"` // the SNS topic's ARN
	Token       string `json:"token,omitempty"` // the token's name, never the token
	ExternalURL string `json:"external_url,omitempty"`
}

// A Target is SSM's: a key and its values.
type Target struct {
	Key    string   `json:"key"`
	Values []string `json:"values"`
}

// A Node is what became of the run on one node.
type Node struct {
	Node      string    `json:"node"`
	CommandID string    `json:"command_id,omitempty"` // of those of the run, the one that this node has
	Status    string    `json:"status,omitempty"`     // SSM's StatusDetails without spaces
	ExitCode  *int      `json:"exit_code,omitempty"`  // nil: none is known
	Started   time.Time `json:"started,omitzero"`
	Ended     time.Time `json:"ended,omitzero"`
	// Output is standard output, then standard error, cut to [MaxOutput]. Lists
	// leave it out.
	Output string `json:"output,omitempty"`
}

// A CancelledBy says who stopped the run. The earliest to ask is kept.
type CancelledBy struct {
	Who string    `json:"who"` // a person's name, ByResolve or ByStop
	Why string    `json:"why,omitempty"`
	At  time.Time `json:"at,omitzero"`
}

// Who cancels a run, where it is nobody by name.
const (
	ByResolve = "resolve"     // every alert of the run has resolved
	ByStop    = "amx stopped" // amx serve was stopped while it ran
)

// Alerts is a message's alerts as a record shows them.
func Alerts(alerts amx.Alerts) []Alert {
	out := make([]Alert, 0, len(alerts))
	for _, a := range alerts {
		out = append(out, Alert{
			Fingerprint: a.Fingerprint, Labels: a.Labels, Annotations: a.Annotations,
			StartsAt: a.StartsAt, GeneratorURL: a.GeneratorURL,
		})
	}
	return out
}

// Over says that nothing of the record's run goes on or is still to come.
func (r *Record) Over() bool { return r.State != Running && !r.IsWaiting() }

// IsWaiting says that the alert still waits for its run.
func (r *Record) IsWaiting() bool { return r.State == Waiting && r.Ended.IsZero() }

// Listed says that lists show the record. One that waited and got its run is
// not shown beside that run.
func (r *Record) Listed() bool { return r.State != Waiting || r.IsWaiting() }

// Took is how long the run took from its claim to its end; ok is false while it
// has not ended, and where there is no run.
func (r *Record) Took() (took time.Duration, ok bool) {
	if !IsRun(r.Run) || r.Ended.IsZero() || r.Claimed.IsZero() {
		return 0, false
	}
	return max(0, r.Ended.Sub(r.Claimed)), true
}
