package ledger

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// A Gate is the runs of one command that count against its limits. It is one
// entry for each command that has a limit.
type Gate struct {
	Slots []Slot `json:"slots,omitempty"`
}

// A Slot is taken before the run is claimed, so that whoever finds a claim in an
// entry and sends it finds its slot taken too. It is free when the run is over,
// or when its lease has ended and the entry has no such run, or has of it only
// what is still to be sent, for which a slot is taken again. A cancellation that
// was accepted frees nothing: the end does.
type Slot struct {
	Run    string    `json:"run"`
	Entry  ID        `json:"entry"`
	Holder string    `json:"holder"`
	Lease  time.Time `json:"lease"`
}

// GateKey is the store's key of a command's gate.
func GateKey(command string) string { return "gate/" + command }

// DecodeGate reads a gate from a store's value; an empty one is an empty gate.
func DecodeGate(value []byte) (*Gate, error) {
	g := new(Gate)
	if len(value) == 0 {
		return g, nil
	}
	if err := json.Unmarshal(value, g); err != nil {
		return nil, fmt.Errorf("decoding a gate: %w", err)
	}
	return g, nil
}

// keepSlot is how long a slot is kept after its lease: SSM delivers a command for
// up to 30 days, and lets it go on then.
const keepSlot = KeepOpen + longest

// Encode is the value that a store keeps of g, and when it may forget it.
func (g *Gate) Encode() (value []byte, expires time.Time) {
	value, err := json.Marshal(g)
	if err != nil {
		panic("ledger: encoding a gate: " + err.Error()) // strings and times of this millennium
	}
	for _, s := range g.Slots {
		expires = later(expires, s.Lease.Add(keepSlot))
	}
	return value, expires
}

// Take takes a slot, and says whether there was one. A run that has one keeps
// it, under the lease of who asks.
func (g *Gate) Take(s Slot, limit int) bool {
	if i := slices.IndexFunc(g.Slots, func(o Slot) bool { return o.Run == s.Run }); i >= 0 {
		s.Lease = later(s.Lease, g.Slots[i].Lease)
		g.Slots[i] = s
		return true
	}
	if len(g.Slots) >= limit {
		return false
	}
	g.Slots = append(g.Slots, s)
	return true
}

// Has says that the run has a slot.
func (g *Gate) Has(run string) bool {
	return slices.ContainsFunc(g.Slots, func(s Slot) bool { return s.Run == run })
}

// Free gives up the slots of these runs.
func (g *Gate) Free(runs ...string) {
	g.Slots = slices.DeleteFunc(g.Slots, func(s Slot) bool { return slices.Contains(runs, s.Run) })
}

// Free says that the slot is free, by what the run's entry has of it.
func (s *Slot) Free(e *Entry, now time.Time, process string) bool {
	switch r := e.Run(s.Run); {
	case r == nil:
	case r.Over():
		return true
	case !r.idle(now, process):
		return false
	}
	return now.After(s.Lease) || process != "" && !ownedBy(s.Holder, process)
}
