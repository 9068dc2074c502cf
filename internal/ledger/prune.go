package ledger

import (
	"slices"
	"time"
)

// prune forgets what no delivery can ask for any more. An alert that flaps, or a
// group whose labels change, would fill its entry otherwise. It keeps:
//
//   - an episode that is not forgettable
//   - a resolve for as long as a firing can be late after it
//   - a run that a kept episode has, and the run before it for as long as
//     a retry may turn out never to have been sent
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
			used[r.Prev] = true // it gets the episode back if this one was never sent
		}
	}
	e.runs = slices.DeleteFunc(e.runs, func(r *run) bool { return !used[r.ID] })
}

// forgettable says that nobody can ask for an episode any more. followed: a
// later episode of its alert has begun.
func (e *Entry) forgettable(p *episode, followed bool, now time.Time) bool {
	r := e.run(p.Run)
	// The run is over, or the entry has forgotten it.
	over := r == nil || r.over()
	// The run's time is up, and nobody has asked it to stop.
	past := over || r.Until.Before(now) && !r.toStop()
	// Nothing of the run is left to be stopped, and no slot depends on it.
	settled := over || !r.Slot && (past || r.CancelAsked && !r.toStop())
	// The episode has ended, so long ago that only a repeat of its resolve asks.
	ended := !p.EndsAt.IsZero() && later(p.EndsAt, p.Seen).Add(Late).Before(now)
	// Another episode has followed: it has ended too, though nobody said so, and
	// SSM lets no command go on for longer.
	replaced := followed && p.Seen.Add(Late).Before(now) && (over || r.Until.Add(longest).Before(now))

	switch {
	case (ended || replaced) && settled:
		return true
	case past && p.keptUntil().Before(now):
		return true
	}
	return false
}

// makeRoom drops tombstones, the oldest first, from an entry that is over a size.
// It keeps the latest sending time of those it dropped: a firing that was sent
// soon after it may be one that they would have met.
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
