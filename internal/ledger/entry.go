package ledger

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Keep is how long the record of a resolve is kept, and an episode that has ended
// while its run may not have: far longer than any queue holds back a delivery.
const Keep = 7 * 24 * time.Hour

// KeepOpen is how long an episode whose resolve never comes is kept after the
// last firing of it that was seen. Alertmanager repeats a firing group every
// repeat_interval, 4 h unless it is set.
const KeepOpen = 30 * 24 * time.Hour

// longest is how long SSM lets a command go on at the most, which may have begun
// at the last moment of its time.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/documents-command-ssm-plugin-reference.html
const longest = 48 * time.Hour

// touch is the age at which a firing's "last seen" is written anew: a repeat
// costs a write once a day, not each time.
const touch = 24 * time.Hour

// An Entry is what is known of one command and one alert or group of alerts.
type Entry struct {
	Episodes []Episode `json:"episodes,omitempty"`
	Resolves []Resolve `json:"resolves,omitempty"`
	Runs     []Run     `json:"runs,omitempty"`
}

// An Episode is one time that an alert fired, from its start to its end, as
// far as the deliveries show it.
type Episode struct {
	Fingerprint string    `json:"fp"`
	StartsAt    time.Time `json:"start"`         // moves to the later of the firings that belong to it
	EndsAt      time.Time `json:"end,omitzero"`  // zero while it is open
	Seen        time.Time `json:"seen,omitzero"` // about when a firing of it was last seen
	Run         string    `json:"run"`           // its latest run
}

// A Resolve is the latest end of an alert that was delivered, whether or not a
// run was known for it: the tombstone that a late firing meets.
type Resolve struct {
	Fingerprint string    `json:"fp"`
	EndsAt      time.Time `json:"end"`
	SentAt      time.Time `json:"sent"` // SNS timestamp, else arrival
}

// A Run is one running of the command, for one or more episodes.
type Run struct {
	ID      string    `json:"id"`
	Prev    string    `json:"prev,omitempty"` // the run that this one retries or repeats
	Attempt int       `json:"attempt"`        // 1; one more with each retry
	Claimed time.Time `json:"claimed"`        // when it was first claimed
	Until   time.Time `json:"until,omitzero"` // past it, SSM is asked whether it is over

	// Holder names who is sending now: "<process>/<delivery>", the process
	// empty on Lambda. Empty: nobody. Lease is when the last sending lease
	// ends, or ended; it stays when the holder has let go.
	Holder string    `json:"holder,omitempty"`
	Lease  time.Time `json:"lease"`

	// Unsure: there may be commands of this run that nobody knows. It is then
	// neither over, nor retried, nor repeated.
	Unsure bool `json:"unsure,omitempty"`

	// CancelAsked: every episode that it covers has ended. It is not sent any
	// more, and who records a command of it cancels that command.
	CancelAsked bool `json:"cancel,omitempty"`

	// Slot: it has a slot of its command's gate, which is free once the entry has
	// no such run. So it stays until it is known to be over.
	Slot bool `json:"slot,omitempty"`

	// Before is the nodes on which the runs that it retries succeeded.
	Before []string `json:"before,omitempty"`

	Targets []Target `json:"targets,omitempty"` // as they were rendered
	Chunks  []Chunk  `json:"chunks"`            // one for each SendCommand
	Outcome *Outcome `json:"outcome,omitempty"` // nil: not known to be over
}

// A Target is SSM's: a key and its values.
type Target struct {
	Key    string   `json:"key"`
	Values []string `json:"values"`
}

// A Chunk is the part of a run that one SendCommand carries. Where SSM refuses
// some of its nodes, it takes several.
type Chunk struct {
	// Commands are the SSM commands known for it: none before the first is
	// recorded, more than one where an answer was lost.
	Commands []SSMCommand `json:"commands,omitempty"`
	// Unsent: what no command is known for is known not to have been sent, because
	// SSM refused it, or because a look that came late enough did not show it.
	Unsent bool `json:"unsent,omitempty"`
	// Refused: SSM will not have it, now or later. The run goes on without it.
	Refused bool `json:"refused,omitempty"`
	// Without is the nodes that SSM will not have. The chunk goes on without them.
	Without []string `json:"without,omitempty"`
}

// An SSMCommand is one command in SSM.
type SSMCommand struct {
	ID string `json:"id"`
	// Nodes are those it was sent to, where they are not all of the chunk's.
	Nodes []string `json:"nodes,omitempty"`
	// Done: over, or its cancellation was accepted (for another signal than
	// SIGKILL: the command that signals was).
	Done bool `json:"done,omitempty"`
}

// An Outcome is how a run ended.
type Outcome struct {
	Status    string    `json:"status"` // SSM's StatusDetails without spaces
	Failed    bool      `json:"failed,omitempty"`
	Ended     time.Time `json:"ended"`             // about when
	Succeeded []string  `json:"ok,omitempty"`      // the nodes on which a failed run, or one that it retries, succeeded
	Remaining []string  `json:"missing,omitempty"` // the nodes on which it did not
}

// Decode reads an entry from a store's value; an empty one is an empty entry.
func Decode(value []byte) (*Entry, error) {
	e := new(Entry)
	if len(value) == 0 {
		return e, nil
	}
	if err := json.Unmarshal(value, e); err != nil {
		return nil, fmt.Errorf("decoding a ledger entry: %w", err)
	}
	return e, nil
}

// Encode is the value that a store keeps of e, and when it may forget it.
func (e *Entry) Encode() (value []byte, expires time.Time) {
	value, err := json.Marshal(e)
	if err != nil {
		panic("ledger: encoding an entry: " + err.Error()) // strings, times of this millennium and booleans
	}
	for _, p := range e.Episodes {
		expires = later(expires, p.keptUntil())
	}
	for _, r := range e.Resolves {
		expires = later(expires, r.SentAt.Add(Keep))
	}
	for i := range e.Runs {
		r := &e.Runs[i]
		expires = later(expires, r.Claimed.Add(Keep))
		if !r.Over() {
			expires = later(expires, r.Until)
		}
		if r.toStop() {
			expires = later(expires, r.Claimed.Add(KeepOpen))
		}
	}
	return value, expires
}

func (p *Episode) keptUntil() time.Time {
	if p.EndsAt.IsZero() {
		return later(p.Seen, p.StartsAt).Add(KeepOpen)
	}
	return later(p.EndsAt, p.Seen).Add(Keep)
}

// prune forgets what no delivery can ask for any more. An episode stays while
// its run may still have to be stopped, also by a resolve that was redriven
// from a queue after a week. One that has ended, and its run with it, stays only
// to tell those who repeat the resolve: an alert that flaps would else fill its
// entry.
func (e *Entry) prune(now time.Time) {
	latest := map[string]time.Time{} // :: fingerprint → start of its latest episode
	for _, p := range e.Episodes {
		latest[p.Fingerprint] = later(latest[p.Fingerprint], p.StartsAt)
	}
	e.Episodes = slices.DeleteFunc(e.Episodes, func(p Episode) bool {
		r := e.Run(p.Run)
		over := r == nil || r.Over()
		past := over || r.Until.Before(now) && !r.toStop()
		settled := over || !r.Slot && (past || r.CancelAsked && !r.toStop())
		ended := !p.EndsAt.IsZero() && later(p.EndsAt, p.Seen).Add(Late).Before(now)
		// One that another follows has ended too, though nobody said so, and nobody
		// has asked its run to stop.
		followed := p.StartsAt.Before(latest[p.Fingerprint]) && p.Seen.Add(Late).Before(now) && (over || r.Until.Add(longest).Before(now))
		return (ended || followed) && settled || past && p.keptUntil().Before(now)
	})
	e.Resolves = slices.DeleteFunc(e.Resolves, func(r Resolve) bool {
		return r.SentAt.Add(Keep).Before(now)
	})
	used := map[string]bool{}
	for _, p := range e.Episodes {
		used[p.Run] = true
		// A retry that turns out never to have been sent gives the episode back
		// to the run before it.
		if r := e.Run(p.Run); r != nil && (!r.complete() || len(r.Commands()) == 0) {
			used[r.Prev] = true
		}
	}
	e.Runs = slices.DeleteFunc(e.Runs, func(r Run) bool { return !used[r.ID] })
}

// Run is the run of that ID, nil where the entry has none.
func (e *Entry) Run(id string) *Run {
	for i := range e.Runs {
		if e.Runs[i].ID == id {
			return &e.Runs[i]
		}
	}
	return nil
}

// Covers is the fingerprints of the episodes whose latest run is the one of
// that ID, sorted.
func (e *Entry) Covers(id string) []string {
	var fps []string
	for _, p := range e.Episodes {
		if p.Run == id {
			fps = append(fps, p.Fingerprint)
		}
	}
	slices.Sort(fps)
	return slices.Compact(fps)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
