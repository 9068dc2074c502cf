package ledger

import (
	"slices"
	"time"
)

// prune drops the parts of the entry that no delivery can need any more. Otherwise an
// alert that flaps, or a group whose labels change, would fill its entry. It keeps:
//
//   - an episode that is not forgettable
//   - a tombstone, while a late firing can still arrive
//   - the run of a kept episode, and the run before it, while it can still turn out
//     that a retry was never sent
func (e *Entry) prune(now time.Time) {
	latest := map[string]time.Time{} // :: alert → start of its latest episode
	for _, p := range e.episodes {
		latest[p.Alert] = later(latest[p.Alert], p.StartsAt)
	}
	e.episodes = slices.DeleteFunc(e.episodes, func(p episode) bool {
		return e.forgettable(&p, p.StartsAt.Before(latest[p.Alert]), now)
	})
	e.resolves = slices.DeleteFunc(e.resolves, func(t tombstone) bool {
		return t.SentAt.Add(keepResolve).Before(now)
	})
	e.waits = slices.DeleteFunc(e.waits, func(w waiting) bool { return w.SentAt.Add(keepResolve).Before(now) })
	e.begun = slices.DeleteFunc(e.begun, func(b began) bool { return b.Until.Before(now) })
	used := map[string]bool{}
	for _, p := range e.episodes {
		used[p.Run] = true
		if r := e.run(p.Run); r != nil && (!r.complete() || len(r.commands()) == 0) {
			used[r.Prev] = true // it gets the episode back if this run was never sent
		}
	}
	e.runs = slices.DeleteFunc(e.runs, func(r *run) bool { return !used[r.ID] })
}

// forgettable reports whether no delivery can need the episode any more. followed: a
// later episode of its alert has begun.
func (e *Entry) forgettable(p *episode, followed bool, now time.Time) bool {
	r := e.run(p.Run)
	// The run is over, or the entry has forgotten it.
	over := r == nil || r.over()
	// The run's time is up, and nobody has asked it to stop.
	past := over || r.Until.Before(now) && !r.toStop()
	// The run needs no further stop, and no slot depends on it.
	settled := over || !r.Slot && (past || r.CancelAsked && !r.toStop())
	// The episode has ended, so long ago that only its resolve can come again.
	ended := !p.EndsAt.IsZero() && later(p.EndsAt, p.Seen).Add(Late).Before(now)
	// Another episode has followed, so this one has ended without a resolve, and SSM
	// lets no command run for longer.
	replaced := followed && p.Seen.Add(Late).Before(now) && (over || r.Until.Add(longest).Before(now))

	switch {
	case (ended || replaced) && settled:
		return true
	case past && p.keptUntil().Before(now):
		return true
	}
	return false
}

// makeRoom drops the oldest tombstones from an entry that is larger than size. It
// keeps the latest SentAt of those, because a firing that was sent soon after it may
// be late.
func (e *Entry) makeRoom(size int) {
	for {
		value, _ := e.Encode()
		if size == 0 || len(value) <= size || len(e.resolves) == 0 {
			return
		}
		slices.SortStableFunc(e.resolves, func(a, b tombstone) int { return a.SentAt.Compare(b.SentAt) })
		drop := len(e.resolves)/2 + 1
		e.forgot = later(e.forgot, e.resolves[drop-1].SentAt)
		e.resolves = e.resolves[drop:]
	}
}
