package ledger

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// A Gate is the runs of one command that count against its limits. It is one
// record for each command that has a limit, and a state machine as an [Entry]
// is.
type Gate struct {
	slots []slot
}

type encodedGate struct {
	Form  int    `json:"v"`
	Slots []slot `json:"slots,omitempty"`
}

// A slot is taken before the run is claimed, so that whoever finds a claim in an
// entry and sends it finds its slot taken too. It is free when the run is over,
// or when its lease has ended and the entry has no such run, or has of it only
// what is still to be sent, for which a slot is taken again. A cancellation that
// was accepted frees nothing: the end does.
type slot struct {
	Run    string    `json:"run"`
	Entry  ID        `json:"entry"`
	Holder string    `json:"holder"`
	Lease  time.Time `json:"lease"`
}

// GateKey is the store's key of a command's gate.
func GateKey(command string) string { return "gate/" + command }

// DecodeGate reads a gate from a store's value; an empty one is an empty gate.
// It answers [ErrNewer] for one that a newer release wrote.
func DecodeGate(value []byte) (*Gate, error) {
	if len(value) == 0 {
		return &Gate{}, nil
	}
	var f encodedGate
	if err := json.Unmarshal(value, &f); err != nil {
		return nil, fmt.Errorf("decoding a gate: %w", err)
	}
	if f.Form > form {
		return nil, ErrNewer
	}
	return &Gate{f.Slots}, nil
}

// keepSlot is how long a slot is kept after its lease: SSM delivers a command for
// up to 30 days, and lets it go on then.
const keepSlot = KeepOpen + longest

// Encode is the value that a store keeps of g, and when it may forget it; zero
// where g says nothing.
func (g *Gate) Encode() (value []byte, expires time.Time) {
	value, err := json.Marshal(encodedGate{form, g.slots})
	if err != nil {
		panic("ledger: encoding a gate: " + err.Error()) // strings, and times that this process made
	}
	for _, s := range g.slots {
		expires = later(expires, s.Lease.Add(keepSlot))
	}
	return value, expires
}

// A GateEvent is something that happens to a gate.
type GateEvent interface {
	applyTo(g *Gate, a *Actor) GateAction
}

// A GateAction is what a [GateEvent] comes to: an answer, or [Refresh].
type GateAction interface{ gateAction() }

// A SlotWanted is a run that is about to be claimed.
type SlotWanted struct {
	Run   string
	Entry ID
	Max   int
	// Refreshed says that the runs that hold the gate have just been asked for,
	// and Unknown that some could not be told of.
	Refreshed bool
	Unknown   error
}

// SlotsFree says that these runs do not count any more.
type SlotsFree struct{ Runs []string }

// Refresh is to find out which of these still count. It is followed by SlotsFree
// and SlotWanted again.
type Refresh struct{ Holders []Holder }

// A Holder is a run that has a slot.
type Holder struct {
	Run   string
	Entry ID
	slot  slot
}

// SlotTaken answers that the run may be claimed.
type SlotTaken struct{}

// SlotRefused answers that it may not. Err: it is not known of all holders
// whether they still run.
type SlotRefused struct {
	Reason Reason
	Err    error
}

func (Refresh) gateAction()     {}
func (SlotTaken) gateAction()   {}
func (SlotRefused) gateAction() {}

// Step enters what happened and answers what comes of it. The rules of writing
// are those of [Entry.Step].
func (g *Gate) Step(a Actor, events ...GateEvent) (last GateAction) {
	for _, ev := range events {
		last = ev.applyTo(g, &a)
	}
	return last
}

func (w SlotWanted) applyTo(g *Gate, a *Actor) GateAction {
	s := slot{Run: w.Run, Entry: w.Entry, Holder: a.holder(), Lease: a.Lease}
	if i := slices.IndexFunc(g.slots, func(o slot) bool { return o.Run == w.Run }); i >= 0 {
		s.Lease = later(s.Lease, g.slots[i].Lease)
		g.slots[i] = s
		return SlotTaken{}
	}
	switch {
	case len(g.slots) < w.Max:
		g.slots = append(g.slots, s)
		return SlotTaken{}
	case w.Refreshed:
		return SlotRefused{SkipMax(w.Max), w.Unknown}
	}
	var r Refresh
	for _, s := range g.slots {
		r.Holders = append(r.Holders, Holder{s.Run, s.Entry, s})
	}
	return r
}

func (f SlotsFree) applyTo(g *Gate, _ *Actor) GateAction {
	g.slots = slices.DeleteFunc(g.slots, func(s slot) bool { return slices.Contains(f.Runs, s.Run) })
	return nil
}

// Free says that the holder's slot is free, by what the entry has of its run.
func (h *Holder) Free(e *Entry, now time.Time, process string) bool {
	switch r := e.run(h.Run); {
	case r == nil:
	case r.over():
		return true
	case !r.idle(now, process):
		return false
	}
	return now.After(h.slot.Lease) || process != "" && !ownedBy(h.slot.Holder, process)
}
