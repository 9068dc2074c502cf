package ledger

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
)

// A Gate is what one command has run lately, for its limits and its breaker. The
// gate without a command covers all commands together. It is one record, and a
// state machine as an [Entry] is. A command without limits and without failures
// never writes it.
type Gate struct {
	slots   []slot
	asked   time.Time // when those who hold it were last asked for
	breaker breaker
}

type encodedGate struct {
	Form    int       `json:"v"`
	Slots   []slot    `json:"slots,omitempty"`
	Asked   time.Time `json:"asked,omitzero"`
	Breaker breaker   `json:"breaker,omitzero"`
}

// A slot is taken before the run is claimed. Whoever takes that claim over finds
// its slot taken too. A slot is free when the run is over. It is also free when its
// lease has ended and the entry has no such run, or only unsent parts of it, for
// which a slot is taken again. An accepted cancellation frees nothing: the end does.
// The slot of a run that was sent counts against rate_limit after it is free, for
// as long as the windows reach.
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

// askAgain is how often those who hold a full gate are asked for, whoever waits.
const askAgain = 30 * time.Second

// GateKey is the store's key of a command's gate; "" names the one over all.
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
	return &Gate{f.Slots, f.Asked, f.Breaker}, nil
}

// keepSlot is how long a slot is kept after its lease: SSM delivers a command for
// up to 30 days, and lets it go on then.
const keepSlot = KeepOpen + longest

// Encode is the value that a store keeps of g, and when it may forget it; zero
// where g says nothing.
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

// Limits is what a configuration allows at a gate.
type Limits struct {
	Max     int // runs at once; 0: any number
	Windows []amx.Window
	Breaker amx.Breaker
	Spread  bool // runs go on for one value of spread_by at a time
}

// Counts says that the gate keeps a slot for each run.
func (l *Limits) Counts() bool { return l.Max > 0 || len(l.Windows) > 0 || l.Spread }

// reach is for how long a run counts after its start.
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

// A GateAction is what a [GateEvent] comes to: an answer, or [Refresh].
type GateAction interface{ gateAction() }

// A SlotWanted is a run that is about to be claimed.
type SlotWanted struct {
	Run, Command string
	All          bool // at the gate over all commands
	Entry        ID
	Spread       string
	Limits       Limits
	// Asked says that the runs that hold the gate have just been asked for, and
	// Unknown that some could not be told of.
	Asked   bool
	Unknown error
}

// SlotsFree says that these runs are over, or were not sent after all. Unsent ones
// do not count against rate_limit.
type SlotsFree struct {
	Over, Unsent []string
	Asked        bool // those who hold the gate have just been asked for
}

// A RunEnded says how a run ended. Last: no retry follows.
type RunEnded struct {
	Run          string
	Ended        time.Time
	Failed, Last bool // Failed: or it is not known how it ended
	Limits       Limits
}

// Refresh is to find out which of these still count. It is followed by SlotsFree
// and SlotWanted again.
type Refresh struct{ Holders []Holder }

// A Holder is a run that has a slot.
type Holder struct {
	Run, Command string
	Entry        ID
	slot         slot
}

// SlotTaken answers that the run may be claimed. Slot: its end is to be told.
type SlotTaken struct{ Slot bool }

// SlotRefused answers that it may not. Final: it does not wait. Err: it is not
// known of all holders whether they still run.
type SlotRefused struct {
	Reason Reason
	Final  bool
	Err    error
}

// BreakerOpened says that the run that ended opened the breaker, until then.
type BreakerOpened struct {
	Failures int
	Until    time.Time
}

func (Refresh) gateAction()       {}
func (SlotTaken) gateAction()     {}
func (SlotRefused) gateAction()   {}
func (BreakerOpened) gateAction() {}

// Step enters what happened and answers what comes of it. The rules of writing
// are those of [Entry.Step].
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

// against says which limit is against one run more; own is its slot, if it has
// one whose run is over as far as was known.
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

// refuse refuses a run, once those have been asked for who hold the gate.
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

// free leaves of a slot what rate_limit counts.
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

// forget drops what no window counts any more, and then the oldest runs that are
// over, until there is room for one.
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

// Free says that the holder's slot is free, by what the entry has of its run, and
// whether the run was sent.
func (h *Holder) Free(e *Entry, now time.Time, process string) (free, unsent bool) {
	r := e.run(h.Run)
	switch {
	case r == nil:
		unsent = true
	case r.over():
		return true, false
	case !r.idle(now, process):
		return false, false
	}
	return now.After(h.slot.Lease) || process != "" && !ownedBy(h.slot.Holder, process), unsent
}
