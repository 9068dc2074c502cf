package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
)

// A LastStart keeps for one alert which run was begun for it last, and in which entry, so
// that its cooldown holds in whatever group the alert comes. It is one record for a
// command and an alert, written before the claim. The entry has the last word: a run
// that was never sent is not there, and does not count.
type LastStart struct {
	entry  ID
	run    string
	holder string
	lease  time.Time
	at     time.Time
}

type encodedStart struct {
	Form   int       `json:"v"`
	Entry  ID        `json:"entry,omitempty"`
	Run    string    `json:"run,omitempty"`
	Holder string    `json:"holder,omitempty"`
	Lease  time.Time `json:"lease,omitzero"`
	At     time.Time `json:"at,omitzero"`
}

// HasStarts says that the starts of the command's runs are also kept by alert: it has a
// cooldown, and one alert may be in several of its entries.
func HasStarts(c *amx.Command, m *amx.Message) bool {
	return c.Cooldown > 0 && c.Scope != amx.ScopeAlert && m.DedupKey == ""
}

// StartKey is the store's key of the last start for an alert.
func StartKey(command, alert string) string {
	return "start/" + command + "/" + string(AlertID(command, alert))
}

// DecodeStart reads a last start from a store's value; an empty one is none. It answers
// [ErrNewer] for one that a newer release wrote.
func DecodeStart(value []byte) (LastStart, error) {
	var f encodedStart
	if len(value) == 0 {
		return LastStart{}, nil
	}
	if err := json.Unmarshal(value, &f); err != nil {
		return LastStart{}, fmt.Errorf("decoding the last start for an alert: %w", err)
	}
	if f.Form > form {
		return LastStart{}, ErrNewer
	}
	return LastStart{f.Entry, f.Run, f.Holder, f.Lease, f.At}, nil
}

// Encode is the value that a store keeps of l, and when it may forget it.
func (l LastStart) Encode(a Actor) (value []byte, expires time.Time) {
	value, err := json.Marshal(encodedStart{form, l.entry, l.run, l.holder, l.lease, l.at})
	if err != nil {
		panic("ledger: encoding the last start for an alert: " + err.Error()) // strings, and times that this process made
	}
	return value, later(l.lease, l.at.Add(a.Policy.Cooldown))
}

// Elsewhere is the entry that knows until when the command leaves the alert alone,
// where that is another one than this; "" where there is none.
func (l LastStart) Elsewhere(here ID, a Actor) ID {
	if l.entry == here || !l.at.Add(a.Policy.Cooldown).After(a.Now) {
		return ""
	}
	return l.entry
}

// Until is until when the command leaves the alert alone, by what the entry has that
// [LastStart.Elsewhere] named; zero if it does not. A run of which the entry knows
// nothing may be about to be claimed while its lease goes on.
func (l LastStart) Until(e *Entry, alert string, a Actor) time.Time {
	i := slices.IndexFunc(e.begun, func(b began) bool { return b.Alert == alert })
	switch {
	case i >= 0:
		return e.begun[i].At.Add(a.Policy.Cooldown)
	case a.Now.After(l.lease), a.Process != "" && !ownedBy(l.holder, a.Process):
		return time.Time{}
	}
	return l.at.Add(a.Policy.Cooldown)
}

var errJustBegun = errors.New("another delivery has just begun a run for this alert in another group")

// Begins is the last start for an alert when this run is claimed, or an error where
// somebody has begun one in another entry since: known is what was read before.
func (l LastStart) Begins(known LastStart, entry ID, run string, a Actor) (LastStart, error) {
	if l.run != known.run && l.Elsewhere(entry, a) != "" {
		return l, errJustBegun
	}
	return LastStart{entry, run, a.holder(), a.Lease, a.Now}, nil
}
