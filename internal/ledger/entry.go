package ledger

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// form is the version of what [Entry.Encode] writes. Two releases may run side
// by side during a deployment: a form that is newer is neither used nor written.
const form = 1

// ErrNewer is answered by [Decode] and [DecodeGate] for a value that a newer
// release wrote.
var ErrNewer = errors.New("ledger: written by a newer release of amx: deploy that release everywhere")

const (
	// KeepOpen is how long an episode whose resolve never comes is kept after
	// the last firing of it that was seen. Alertmanager repeats a firing group
	// every repeat_interval, 4 h unless it is set.
	KeepOpen = 30 * 24 * time.Hour

	// keepEnded is how long an episode is kept that has ended while its run may
	// go on: far longer than a queue holds back a delivery.
	keepEnded = 7 * 24 * time.Hour

	// keepResolve is how long a resolve is kept for a firing that it overtook: a
	// firing is stale after 6 h, and late for 15 min.
	keepResolve = Stale + Late

	// longest is how long SSM lets a command go on at the most, which may have
	// begun at the last moment of its time.
	// https://docs.aws.amazon.com/systems-manager/latest/userguide/documents-command-ssm-plugin-reference.html
	longest = 48 * time.Hour

	// touch is the age at which a firing's "last seen" is written anew: a repeat
	// costs a write once a day, not each time.
	touch = 24 * time.Hour
)

// An Entry is what is known of one command and one alert or group of alerts.
type Entry struct {
	episodes []episode
	resolves []tombstone
	forgot   time.Time // the latest sending time of the tombstones that made room
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

// A waiting is an alert that was put off: of two items of the queue for one
// episode, the one that was sent earlier ends without a word.
type waiting struct {
	Alert  string    `json:"fp"`
	SentAt time.Time `json:"sent"`
}

// A began is the last start of a run for an alert, for the command's cooldown.
type began struct {
	Alert string    `json:"fp"`
	Run   string    `json:"run"`
	At    time.Time `json:"at"`
	Until time.Time `json:"until"` // as the cooldown was then
}

// Decode reads an entry from a store's value; an empty one is an empty entry.
// It answers [ErrNewer] for one that a newer release wrote.
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

// Encode is the value that a store keeps of e, and when it may forget it; zero
// where e says nothing.
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

// run is the run of that ID, nil where the entry has none.
func (e *Entry) run(id string) *run {
	for _, r := range e.runs {
		if r.ID == id {
			return r
		}
	}
	return nil
}

// covers is the alerts of the episodes whose latest run is the one of that ID, by
// their fingerprints as they were sent, sorted.
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
