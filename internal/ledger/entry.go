package ledger

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// form is the version of the form that [Entry.Encode] writes. Two releases may run
// side by side during a deployment. A release neither uses nor overwrites an entry of
// a newer form.
const form = 1

// [Decode] and [DecodeGate] return ErrNewer for a value that a newer release wrote.
var ErrNewer = errors.New("ledger: written by a newer release of amx: deploy that release everywhere")

const (
	// KeepOpen is how long an episode is kept after its last firing if no resolve
	// comes. Alertmanager repeats a firing group
	// every repeat_interval, 4 h unless it is set.
	KeepOpen = 30 * 24 * time.Hour

	// keepEnded is how long an episode is kept after its end if its run may still go
	// on. No queue holds a delivery back for nearly as long.
	keepEnded = 7 * 24 * time.Hour

	// keepResolve is how long a tombstone is kept, for a firing that arrives after its
	// resolve. A firing is stale after 6 h, and late for 15 min.
	keepResolve = Stale + Late

	// longest is the longest time that SSM lets a command run, even if it began at
	// the last moment of its delivery time.
	// https://docs.aws.amazon.com/systems-manager/latest/userguide/documents-command-ssm-plugin-reference.html
	longest = 48 * time.Hour

	// touch is the age at which an episode's "last seen" is written again, so that
	// repeats cost one write a day, not one each.
	touch = 24 * time.Hour
)

// An Entry is the record of one command and one alert, or one group of alerts.
type Entry struct {
	episodes []episode
	resolves []tombstone
	forgot   time.Time // the latest SentAt of the tombstones that makeRoom dropped
	waits    []waiting
	begun    []began
	runs     []*run
}

// encoded is an entry as a store keeps it.
type encoded struct {
	Form     int         `json:"v"`
	Episodes []episode   `json:"episodes,omitempty"`
	Resolves []tombstone `json:"resolves,omitempty"`
	Forgot   time.Time   `json:"forgot,omitzero"`
	Waits    []waiting   `json:"waits,omitempty"`
	Begun    []began     `json:"begun,omitempty"`
	Runs     []*run      `json:"runs,omitempty"`
}

// A waiting is an alert that was put off. If the queue has two items for one episode,
// the one that was sent earlier ends without a result.
type waiting struct {
	Alert  string    `json:"fp"`
	SentAt time.Time `json:"sent"`
}

// A began is the last start of a run for an alert, for the command's cooldown.
type began struct {
	Alert string    `json:"fp"`
	Run   string    `json:"run"`
	At    time.Time `json:"at"`
	Until time.Time `json:"until"` // with the cooldown of that time
}

// Decode reads an entry from a store's value. An empty value is an empty entry.
// Decode returns [ErrNewer] for a value that a newer release wrote.
func Decode(value []byte) (*Entry, error) {
	if len(value) == 0 {
		return &Entry{}, nil
	}
	var f encoded
	if err := json.Unmarshal(value, &f); err != nil {
		return nil, fmt.Errorf("decoding a ledger entry: %w", err)
	}
	if f.Form > form {
		return nil, ErrNewer
	}
	return &Entry{f.Episodes, f.Resolves, f.Forgot, f.Waits, f.Begun, f.Runs}, nil
}

// Encode returns the value for the store, and when the store may forget it. The time
// is zero if e is empty.
func (e *Entry) Encode() (value []byte, expires time.Time) {
	value, err := json.Marshal(encoded{form, e.episodes, e.resolves, e.forgot, e.waits, e.begun, e.runs})
	if err != nil {
		panic("ledger: encoding an entry: " + err.Error()) // strings, times that amx.Decode has bounded, and booleans
	}
	for _, p := range e.episodes {
		expires = later(expires, p.keptUntil())
	}
	for _, t := range e.resolves {
		expires = later(expires, t.SentAt.Add(keepResolve))
	}
	for _, w := range e.waits {
		expires = later(expires, w.SentAt.Add(keepResolve))
	}
	for _, b := range e.begun {
		expires = later(expires, b.Until)
	}
	for _, r := range e.runs {
		expires = later(expires, r.Claimed.Add(keepEnded))
		if !r.over() {
			expires = later(expires, r.Until)
		}
		if r.toStop() {
			expires = later(expires, r.Claimed.Add(KeepOpen))
		}
	}
	return value, expires
}

func (p *episode) keptUntil() time.Time {
	if p.EndsAt.IsZero() {
		return later(p.Seen, p.StartsAt).Add(KeepOpen)
	}
	return later(p.EndsAt, p.Seen).Add(keepEnded)
}

// run returns the run with this ID, or nil.
func (e *Entry) run(id string) *run {
	for _, r := range e.runs {
		if r.ID == id {
			return r
		}
	}
	return nil
}

// covers returns the alerts of the episodes whose latest run has this ID: their
// fingerprints as they were sent, sorted.
func (e *Entry) covers(id string) []string {
	var fps []string
	for _, p := range e.episodes {
		if p.Run == id {
			fps = append(fps, cmp.Or(p.Shown, p.Alert))
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
