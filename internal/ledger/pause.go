package ledger

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"
)

// PauseKey is the store's key of the [Pauses].
const PauseKey = "pause"

// A Pause holds back new runs. It never holds back a resolve, a cancel or a signal.
type Pause struct {
	Who   string    `json:"who"`
	Why   string    `json:"why,omitempty"`
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
}

// Pauses has the pause of everything and those of single commands. It is one record of
// the store, so a deployment does not end a pause.
type Pauses struct {
	All      *Pause           `json:"all,omitempty"`
	Commands map[string]Pause `json:"commands,omitempty"` // :: command → its pause
}

// DecodePauses reads the pauses from a store's value. An empty value has none.
func DecodePauses(value []byte) (*Pauses, error) {
	p := new(Pauses)
	if len(value) == 0 {
		return p, nil
	}
	if err := json.Unmarshal(value, p); err != nil {
		return nil, fmt.Errorf("decoding the pauses: %w", err)
	}
	return p, nil
}

// Encode returns the value for the store, and when the store may forget it. It leaves
// out pauses that have ended before now.
func (p *Pauses) Encode(now time.Time) (value []byte, expires time.Time) {
	kept := p.Current(now)
	value, err := json.Marshal(kept)
	if err != nil {
		panic("ledger: encoding the pauses: " + err.Error()) // strings and times of this millennium
	}
	expires = now
	if kept.All != nil {
		expires = later(expires, kept.All.Until)
	}
	for _, c := range kept.Commands {
		expires = later(expires, c.Until)
	}
	return value, expires
}

// Current returns the pauses that have not ended.
func (p *Pauses) Current(now time.Time) *Pauses {
	out := &Pauses{Commands: maps.Clone(p.Commands)}
	if p.All != nil && p.All.holds(now) {
		out.All = p.All
	}
	maps.DeleteFunc(out.Commands, func(_ string, c Pause) bool { return !c.holds(now) })
	return out
}

// Paused reports whether the command is paused. It returns the command's own pause or
// that of everything, whichever ends later.
func (p *Pauses) Paused(command string, now time.Time) (Pause, bool) {
	own := p.Commands[command]
	if p.All != nil && p.All.holds(now) && !own.Until.After(p.All.Until) {
		return *p.All, true
	}
	return own, own.holds(now)
}

func (p *Pause) holds(now time.Time) bool { return now.Before(p.Until) }

// Set pauses a command, or everything where command is empty. It replaces an
// earlier pause of the same.
func (p *Pauses) Set(command string, pause Pause) {
	if command == "" {
		p.All = &pause
		return
	}
	if p.Commands == nil {
		p.Commands = map[string]Pause{}
	}
	p.Commands[command] = pause
}

// Lift ends the pause of a command, or the pause of everything if command is empty. It
// reports whether there was one. Pauses of single commands stay when the pause of
// everything ends.
func (p *Pauses) Lift(command string, now time.Time) (Pause, bool) {
	if command == "" {
		was := p.All
		p.All = nil
		if was == nil || !was.holds(now) {
			return Pause{}, false
		}
		return *was, true
	}
	was := p.Commands[command]
	delete(p.Commands, command)
	return was, was.holds(now)
}
