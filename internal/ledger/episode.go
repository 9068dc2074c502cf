package ledger

import (
	"slices"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
)

const (
	// Skew is what Alertmanager's clock and ours may differ by.
	Skew = 60 * time.Second
	// Late is how long after a resolve a firing of the same episode counts as
	// overtaken by it. No delivery that is retried takes longer; a firing sent
	// later is the alert firing again under its old start, as a pair of
	// Prometheis makes it.
	Late = 15 * time.Minute
	// Stale is the age past which a firing is not acted on: a queue was
	// redriven. Lambda retries a throttled SNS delivery for up to 6 h.
	Stale = 6 * time.Hour
)

// startOf is the time at which the alert says it began: in a form without
// times, when the message was sent.
func startOf(a *amx.Alert, sent time.Time) time.Time {
	if a.StartsAt.IsZero() {
		return sent
	}
	return a.StartsAt
}

func endOf(a *amx.Alert, sent time.Time) time.Time {
	if a.EndsAt.IsZero() {
		return sent
	}
	return a.EndsAt
}

// place finds the episode that a firing belongs to. Where it is nil, the
// firing opens one at the time answered, unless there is a reason against it.
//
// Equality of startsAt would not do: Alertmanager merges overlapping alerts to
// the earliest startsAt, and sends a quick resolve and refire as one firing
// (https://github.com/prometheus/alertmanager, types.Alert.Merge).
func (e *Entry) place(a *amx.Alert, sent time.Time) (p *episode, opens time.Time, against Reason) {
	start := startOf(a, sent)
	for i := range e.episodes {
		q := &e.episodes[i]
		if q.Fingerprint != a.Fingerprint || !q.EndsAt.IsZero() {
			continue
		}
		// What began before the run was claimed is what the run is for.
		until := q.StartsAt
		if r := e.run(q.Run); r != nil {
			until = later(until, r.Claimed.Add(Skew))
		}
		if !a.StartsAt.IsZero() && start.After(until) {
			continue
		}
		if p == nil || q.StartsAt.After(p.StartsAt) {
			p = q
		}
	}
	if p != nil {
		return p, time.Time{}, ""
	}
	if r := e.resolve(a.Fingerprint); r != nil && !r.EndsAt.Before(start) {
		if sent.Before(r.SentAt.Add(Late)) {
			return nil, time.Time{}, SkipLate
		}
		// Just after the end of the episode before, so that the resolve that
		// ended that one, delivered again, does not end this one.
		return nil, r.EndsAt.Add(1), ""
	}
	return nil, start, ""
}

// end records a resolve: it ends every episode that began before it, and no
// later one.
func (e *Entry) end(a *amx.Alert, sent time.Time) (changed bool) {
	ends := endOf(a, sent)
	for i := range e.episodes {
		p := &e.episodes[i]
		if p.Fingerprint == a.Fingerprint && p.EndsAt.IsZero() && !p.StartsAt.After(ends) {
			p.EndsAt, changed = ends, true
		}
	}
	switch r := e.resolve(a.Fingerprint); {
	case r == nil:
		e.resolves = append(e.resolves, tombstone{Fingerprint: a.Fingerprint, EndsAt: ends, SentAt: sent})
		changed = true
	case r.EndsAt.Before(ends):
		r.EndsAt, r.SentAt, changed = ends, sent, true
	}
	return changed
}

func (e *Entry) resolve(fingerprint string) *tombstone {
	for i := range e.resolves {
		if e.resolves[i].Fingerprint == fingerprint {
			return &e.resolves[i]
		}
	}
	return nil
}

// endedBy lists the runs of the alert's episodes that began before its resolve,
// and whether an episode of it goes on that began later.
func (e *Entry) endedBy(a *amx.Alert, sent time.Time) (runs []string, goesOn bool) {
	ends := endOf(a, sent)
	for _, p := range e.episodes {
		switch {
		case p.Fingerprint != a.Fingerprint:
		case p.StartsAt.After(ends):
			goesOn = goesOn || p.EndsAt.IsZero()
		case !slices.Contains(runs, p.Run):
			runs = append(runs, p.Run)
		}
	}
	return runs, goesOn
}

// allEnded says that no episode of the run is open.
func (e *Entry) allEnded(run string) bool {
	return !slices.ContainsFunc(e.episodes, func(p episode) bool {
		return p.Run == run && p.EndsAt.IsZero()
	})
}
