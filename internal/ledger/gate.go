package ledger

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
)

// A Gate is the record of one command's latest runs, for its limits and its breaker.
// The gate without a command covers all commands together. A gate is one record, and
// a state machine like an [Entry]. A command without limits and without failures never
// writes its gate.
type Gate struct {
	slots   []slot
	asked   time.Time // when SSM was last asked whether its runs still go on
	breaker breaker
}

type encodedGate struct {
	Form    int       `json:"v"`
	Slots   []slot    `json:"slots,omitempty"`
	Asked   time.Time `json:"asked,omitzero"`
	Breaker breaker   `json:"breaker,omitzero"`
}

// A slot is the place of one run in the gate. It is taken before the run is claimed,
// so a delivery that takes the claim over finds the slot taken too. A slot is free
// when the run is over. It is also free when its lease has ended and the entry has no
// such run, or only unsent parts of it: to send them, a slot is taken again. A
// cancelled run keeps its slot until it has ended. After that, the slot of a run that
// was sent still counts against rate_limit, for as long as the windows reach.
type slot struct {
	Run     string    `json:"run"`
	Command string    `json:"cmd,omitempty"`
	Entry   ID        `json:"entry,omitempty"`
	Holder  string    `json:"holder,omitempty"`
	Lease   time.Time `json:"lease,omitzero"`
	At      time.Time `json:"at"`               // when it was first taken
	Spread  string    `json:"spread,omitempty"` // the value of spread_by
	Over    bool      `json:"over,omitempty"`
}

// askAgain is how often SSM is asked at most whether the runs in a full gate still go
// on, for all deliveries that wait.
const askAgain = 30 * time.Second

// GateKey is the store's key of a command's gate. "" names the gate of all commands.
func GateKey(command string) string { return "gate/" + command }

// DecodeGate reads a gate from a store's value. An empty value is an empty gate.
// DecodeGate returns [ErrNewer] for a value that a newer release wrote.
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
	return &Gate{f.Slots, f.Asked, f.Breaker}, nil
}

// keepSlot is how long a slot is kept after its lease: SSM delivers a command for
// up to 30 days, and lets it go on then.
const keepSlot = KeepOpen + longest

// Encode returns the value for the store, and when the store may forget it. The time
// is zero if g is empty.
func (g *Gate) Encode() (value []byte, expires time.Time) {
	value, err := json.Marshal(encodedGate{form, g.slots, g.asked, g.breaker})
	if err != nil {
		panic("ledger: encoding a gate: " + err.Error()) // strings, and times that this process made
	}
	for _, s := range g.slots {
		expires = later(expires, later(s.Lease, s.At).Add(keepSlot))
	}
	return value, later(expires, g.breaker.expires())
}

// Limits are the configuration's limits at a gate.
type Limits struct {
	Max     int // runs at once; 0: any number
	Windows []amx.Window
	Breaker amx.Breaker
	Spread  bool // only one value of spread_by at a time has runs
}

// Counts reports whether the gate keeps a slot for each run.
func (l *Limits) Counts() bool { return l.Max > 0 || len(l.Windows) > 0 || l.Spread }

// reach is how long a run counts after its start.
func (l *Limits) reach() (longest time.Duration) {
	for _, w := range l.Windows {
		longest = max(longest, w.Per)
	}
	return longest
}

// A GateEvent is something that happens to a gate.
type GateEvent interface {
	applyTo(g *Gate, a *Actor) GateAction
}

// A GateAction is the result of a [GateEvent]: an answer, or [Refresh].
type GateAction interface{ gateAction() }

// A SlotWanted is a run that is about to be claimed.
type SlotWanted struct {
	Run, Command string
	All          bool // at the gate of all commands
	Entry        ID
	Spread       string
	Limits       Limits
	// Asked: SSM was just asked whether the gate's runs still go on. Unknown: for
	// some of them it could not tell.
	Asked   bool
	Unknown error
}

// SlotsFree says that these runs are over, or were not sent after all. Runs that were
// not sent do not count against rate_limit.
type SlotsFree struct {
	Over, Unsent []string
	Asked        bool // SSM was just asked whether the gate's runs still go on
}

// A RunEnded says how a run ended. Last: no retry follows.
type RunEnded struct {
	Run          string
	Ended        time.Time
	Failed, Last bool // Failed: it failed, or its outcome is unknown
	Limits       Limits
}

// Refresh finds out which of these holders still count. After it the caller sends
// SlotsFree, and SlotWanted again.
type Refresh struct{ Holders []Holder }

// A Holder is a run that has a slot.
type Holder struct {
	Run, Command string
	Entry        ID
	slot         slot
}

// SlotTaken says that the run may be claimed. Slot: tell the gate when it ends.
type SlotTaken struct{ Slot bool }

// SlotRefused says that the run may not be claimed. Final: it does not wait. Err: it
// is unknown whether all holders still run.
type SlotRefused struct {
	Reason Reason
	Final  bool
	Err    error
}

// BreakerOpened says that the end of the run opened the breaker, until that time.
type BreakerOpened struct {
	Failures int
	Until    time.Time
}

func (Refresh) gateAction()       {}
func (SlotTaken) gateAction()     {}
func (SlotRefused) gateAction()   {}
func (BreakerOpened) gateAction() {}

// Step enters events and returns the resulting action. The rules for writing are
// those of [Entry.Step].
func (g *Gate) Step(a Actor, events ...GateEvent) (last GateAction) {
	for _, ev := range events {
		last = ev.applyTo(g, &a)
	}
	return last
}

func (w SlotWanted) applyTo(g *Gate, a *Actor) GateAction {
	own := slices.IndexFunc(g.slots, func(o slot) bool { return o.Run == w.Run })
	trial := g.breaker.Trial.Run == w.Run
	if own < 0 && !trial {
		if why := g.breaker.refuses(w.Limits.Breaker, a.Now); why != "" {
			return SlotRefused{Reason: why, Final: true}
		}
	}
	if own < 0 || g.slots[own].Over {
		if why := g.against(&w, own, a.Now); why != "" {
			return g.refuse(&w, why, a.Now)
		}
	}
	tried := g.breaker.try(w.Run, w.Limits.Breaker, a)
	if !w.Limits.Counts() {
		return SlotTaken{tried || trial}
	}
	s := slot{Run: w.Run, Command: w.Command, Entry: w.Entry, Holder: a.holder(), Lease: a.Lease, At: a.Now, Spread: w.Spread}
	if own >= 0 {
		was := g.slots[own]
		if s.Lease, s.At = later(s.Lease, was.Lease), was.At; !was.Over {
			s.Spread = was.Spread // whoever takes the run over may have fewer of its alerts
		}
		g.slots[own] = s
	} else {
		g.forget(&w.Limits, a.Now)
		g.slots = append(g.slots, s)
	}
	return SlotTaken{true}
}

// against returns the limit that forbids one run more, or "". own is the slot that the
// run has already, if the gate counted that slot as over.
func (g *Gate) against(w *SlotWanted, own int, now time.Time) Reason {
	running := 0
	for i, s := range g.slots {
		if s.Over || i == own {
			continue
		}
		if running++; w.Limits.Spread && s.Spread != w.Spread {
			return limitSpread(s.Spread)
		}
	}
	if w.Limits.Max > 0 && running >= w.Limits.Max {
		return limitMax(w.Limits.Max, w.All)
	}
	if own >= 0 {
		return ""
	}
	for _, window := range w.Limits.Windows {
		n := 0
		for _, s := range g.slots {
			if now.Sub(s.At) < window.Per {
				n++
			}
		}
		if n >= window.Runs {
			return limitRate(window, w.All)
		}
	}
	return ""
}

// refuse refuses a run, but first has SSM asked whether the gate's runs still go on.
func (g *Gate) refuse(w *SlotWanted, why Reason, now time.Time) GateAction {
	if w.Asked || now.Sub(g.asked) < askAgain {
		return SlotRefused{Reason: why, Err: w.Unknown}
	}
	var r Refresh
	for _, s := range g.slots {
		if !s.Over {
			r.Holders = append(r.Holders, Holder{s.Run, s.Command, s.Entry, s})
		}
	}
	if len(r.Holders) == 0 {
		return SlotRefused{Reason: why}
	}
	return r
}

func (f SlotsFree) applyTo(g *Gate, a *Actor) GateAction {
	g.slots = slices.DeleteFunc(g.slots, func(s slot) bool { return slices.Contains(f.Unsent, s.Run) })
	for i := range g.slots {
		if slices.Contains(f.Over, g.slots[i].Run) {
			g.slots[i].free()
		}
	}
	if slices.Contains(f.Unsent, g.breaker.Trial.Run) {
		g.breaker.Trial = trial{}
	}
	if f.Asked {
		g.asked = a.Now
	}
	return nil
}

// free frees a slot. It keeps the fields that rate_limit counts.
func (s *slot) free() { *s = slot{Run: s.Run, At: s.At, Over: true} }

func (e RunEnded) applyTo(g *Gate, a *Actor) GateAction {
	for i := range g.slots {
		if g.slots[i].Run == e.Run && !g.slots[i].Over {
			if g.slots[i].free(); e.Limits.Counts() {
				g.forget(&e.Limits, a.Now)
			}
			break
		}
	}
	return g.breaker.ended(e, a.Now)
}

// forget drops the slots that no window counts any more. If there is still no room
// for one, it drops the oldest runs that are over.
func (g *Gate) forget(l *Limits, now time.Time) {
	reach := l.reach()
	g.slots = slices.DeleteFunc(g.slots, func(s slot) bool { return s.Over && now.Sub(s.At) >= reach })
	over := len(g.slots) - amx.MaxRuns + 1
	g.slots = slices.DeleteFunc(g.slots, func(s slot) bool {
		if !s.Over || over <= 0 {
			return false
		}
		over--
		return true
	})
}

// Free reports whether the holder's slot is free, by the run in its entry. A run that
// the entry does not have was not claimed, or is over and forgotten: nobody can tell
// which, so it still counts against rate_limit.
func (h *Holder) Free(e *Entry, now time.Time, process string) bool {
	r := e.run(h.Run)
	switch {
	case r == nil:
	case r.over():
		return true
	case !r.idle(now, process):
		return false
	}
	return now.After(h.slot.Lease) || process != "" && !ownedBy(h.slot.Holder, process)
}
