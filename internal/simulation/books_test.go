package simulation

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"github.com/amx-lambda/amx/internal/cloudtest"
	"github.com/amx-lambda/amx/internal/ledger"
)

// books are what the ledger's entries said of runs, as they were written: an
// entry forgets. The cloud's mutex guards them.
type books struct {
	covers  map[string][]cloudtest.Alert // :: run → the episodes that it was claimed for
	before  map[string]string            // :: run → the run that it retries
	claimed map[string]time.Time         // :: run → when it was claimed
	refused map[string]bool              // :: run → SSM refused a part of it
	names   map[string]string            // :: fingerprint of an alert's labels → the one that its message gives it
	gates   map[string]*gateBook         // :: key of a gate →
}

// A gateBook is what a gate said, as it was written.
type gateBook struct {
	taken    map[string][]taking // :: run → its slots, where it had to take one again
	breakers []breakerAt         // in the order of their writes
}

type taking struct{ at, landed time.Time }

// A breakerAt is a breaker from a moment on.
type breakerAt struct {
	landed     time.Time
	until      time.Time // zero: it is closed
	trial      string
	trialUntil time.Time
}

// gate is the book of a command's gate; "" names the one over all.
func (b *books) gate(command string) *gateBook {
	key := ledger.GateKey(command)
	if b.gates[key] == nil {
		b.gates[key] = &gateBook{taken: map[string][]taking{}}
	}
	return b.gates[key]
}

// last is the breaker as it is.
func (g *gateBook) last() breakerAt {
	if len(g.breakers) == 0 {
		return breakerAt{}
	}
	return g.breakers[len(g.breakers)-1]
}

func (g *gateBook) enter(is *cloudtest.Gate) {
	now := time.Now()
	for _, slot := range is.Slots {
		all := g.taken[slot.Run]
		if len(all) == 0 || !all[len(all)-1].at.Equal(slot.At) {
			g.taken[slot.Run] = append(all, taking{slot.At, now})
		}
	}
	b := breakerAt{now, is.Breaker.Until, is.Breaker.Trial.Run, is.Breaker.Trial.Until}
	if last := g.last(); !b.until.Equal(last.until) || b.trial != last.trial {
		g.breakers = append(g.breakers, b)
	}
}

func keepBooks(c *cloudtest.Cloud) *books {
	b := &books{map[string][]cloudtest.Alert{}, map[string]string{}, map[string]time.Time{}, map[string]bool{}, map[string]string{}, map[string]*gateBook{}}
	c.Written = b.enter
	return b
}

// enter notes for which episodes a run is claimed. A command that is sent for it
// may carry fewer of them.
func (b *books) enter(r ledger.Record) {
	if command, ok := strings.CutPrefix(r.Key, "gate/"); ok {
		if is, err := cloudtest.ReadGate(r); err == nil {
			b.gate(command).enter(is)
		}
		return
	}
	if !strings.HasPrefix(r.Key, "entry/") {
		return
	}
	e, err := cloudtest.ReadEntry(r)
	if err != nil {
		return
	}
	for _, run := range e.Runs {
		b.refused[run.ID] = b.refused[run.ID] || run.Refused
		if _, known := b.covers[run.ID]; known {
			continue
		}
		b.covers[run.ID], b.before[run.ID], b.claimed[run.ID] = []cloudtest.Alert{}, run.Prev, run.Claimed
		for _, p := range e.Episodes {
			if p.Run == run.ID {
				// The entry tells alerts apart by both.
				labels, _, _ := strings.Cut(p.Fingerprint(), "-")
				b.covers[run.ID] = append(b.covers[run.ID], cloudtest.Alert{Fingerprint: cmp.Or(b.names[labels], p.Fingerprint()), Start: strconv.FormatInt(p.StartsAt.Unix(), 10)})
			}
		}
	}
}
