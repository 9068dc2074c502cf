package ledger

import (
	"slices"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
)

const (
	// Skew is what Alertmanager's clock and ours may differ by.
	Skew = 60 * time.Second
	// Late is how long after a resolve a firing of the same episode counts as late:
	// the resolve overtook it. No source retries a delivery for longer. If a firing
	// is sent later, the alert fires again under its old start, as a pair of
	// Prometheis can make it.
	Late = 15 * time.Minute
	// Stale is the age past which a firing is skipped: somebody redrove a queue.
	// Lambda retries a throttled SNS delivery for up to 6 h.
	Stale = 6 * time.Hour
)

// An episode is one time that an alert fired, from its start to its end, as
// far as the deliveries show it.
type episode struct {
	Alert    string    `json:"fp"`              // [amx.Alert.ID]
	Shown    string    `json:"shown,omitempty"` // its fingerprint as it was sent, if it differs
	StartsAt time.Time `json:"start"`           // of the latest firing that belongs to it
	Sent     time.Time `json:"raw,omitzero"`    // StartsAt as it was sent, if amx bounded it
	EndsAt   time.Time `json:"end,omitzero"`    // zero while it is open
	Seen     time.Time `json:"seen,omitzero"`   // about when its last firing came
	Again    time.Time `json:"again,omitzero"`  // if it began under the start of an ended episode: when its first firing was sent
	Run      string    `json:"run"`             // its latest run
}

// A tombstone is the record of an alert's resolves, even if there was no run for
// them. It shows that a firing is late.
type tombstone struct {
	Alert  string    `json:"fp"`
	EndsAt time.Time `json:"end"`            // the latest
	SentAt time.Time `json:"sent"`           // the latest; SNS timestamp, else arrival
	Start  time.Time `json:"start,omitzero"` // of the last, as it was sent
}

// startOf returns when the alert began. In a form without times that is when the
// message was sent.
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

// sentStart returns the episode's start as it was sent.
func (p *episode) sentStart() time.Time {
	if p.Sent.IsZero() {
		return p.StartsAt
	}
	return p.Sent
}

// belongs reports whether a firing belongs to the open episode.
//
// Comparing startsAt is not enough: Alertmanager merges overlapping alerts to the
// earliest startsAt, and sends a quick resolve and refire as one firing
// (https://github.com/prometheus/alertmanager, types.Alert.Merge). But equal starts
// always belong together. They are compared as they were sent: if a clock is ahead,
// amx bounds each repeat to another time.
func (e *Entry) belongs(p *episode, a *amx.Alert) bool {
	if a.StartsAt.IsZero() || p.sentStart().Equal(a.SentStart()) {
		return true
	}
	// A run serves every firing that began before its claim.
	until := p.StartsAt
	if r := e.run(p.Run); r != nil {
		until = later(until, r.Claimed.Add(Skew))
	}
	return !a.StartsAt.After(until)
}

// place returns the episode that a firing belongs to. If there is none, it returns
// the episode that the firing opens, or the reason why it opens none.
func (e *Entry) place(a *amx.Alert, sent time.Time) (p *episode, opens episode, against Reason) {
	id := a.ID()
	for i := range e.episodes {
		q := &e.episodes[i]
		if q.Alert == id && q.EndsAt.IsZero() && e.belongs(q, a) && (p == nil || q.StartsAt.After(p.StartsAt)) {
			p = q
		}
	}
	opens = episode{Alert: id, StartsAt: startOf(a, sent)}
	if a.Fingerprint != id {
		opens.Shown = a.Fingerprint
	}
	if raw := a.SentStart(); !raw.Equal(a.StartsAt) {
		opens.Sent = raw
	}
	t := e.tombstone(id)
	ended := t != nil && (!t.EndsAt.Before(opens.StartsAt) || !t.Start.IsZero() && t.Start.Equal(a.SentStart()))
	switch {
	case p != nil:
		return p, episode{}, ""
	case ended && sent.Before(t.SentAt.Add(Late)):
		return nil, episode{}, SkipLate
	case ended:
		// Only a resolve that was sent after this firing ends it. The resolve of the
		// episode before may be delivered again, and must not end this one.
		opens.Again = sent
	case t == nil && sent.Before(e.forgot.Add(Late)):
		return nil, episode{}, SkipLate // makeRoom may have dropped its tombstone
	}
	return nil, opens, ""
}

// joins adds a firing to the episode: a later start becomes the episode's.
func (p *episode) joins(a *amx.Alert, sent time.Time) (changed bool) {
	// This also holds for a form without times: a resolve that was sent before this
	// firing, and arrives after it, must not end it.
	start := startOf(a, sent)
	if !start.After(p.StartsAt) {
		return false
	}
	p.StartsAt, p.Sent = start, time.Time{}
	if raw := a.SentStart(); !raw.Equal(a.StartsAt) {
		p.Sent = raw
	}
	if start.After(p.Again) {
		p.Again = time.Time{} // it has a start of its own, which tells its resolve
	}
	return true
}

// endedBy reports whether a resolve ends the episode, by the resolve's end and the
// time that it was sent. A resolve ends episodes that began before its end.
func (p *episode) endedBy(ends, sent time.Time) bool {
	if !p.Again.IsZero() {
		return sent.After(p.Again)
	}
	return !p.StartsAt.After(ends)
}

// end records a resolve.
func (e *Entry) end(a *amx.Alert, sent time.Time) (changed bool) {
	ends, id := endOf(a, sent), a.ID()
	for i := range e.episodes {
		p := &e.episodes[i]
		if p.Alert == id && p.EndsAt.IsZero() && p.endedBy(ends, sent) {
			p.EndsAt, changed = later(ends, p.StartsAt), true
		}
	}
	t := e.tombstone(id)
	if t == nil {
		e.resolves = append(e.resolves, tombstone{Alert: id, EndsAt: ends, SentAt: sent, Start: a.SentStart()})
		return true
	}
	if t.EndsAt.Before(ends) {
		t.EndsAt, t.Start, changed = ends, a.SentStart(), true
	}
	// Only to the minute, so that a resolve sent twice costs no second write.
	if sent.Sub(t.SentAt) > time.Minute {
		t.SentAt, changed = sent, true
	}
	return changed
}

func (e *Entry) tombstone(id string) *tombstone {
	for i := range e.resolves {
		if e.resolves[i].Alert == id {
			return &e.resolves[i]
		}
	}
	return nil
}

// runsEndedBy returns the runs of the episodes that the resolve ends. goesOn: it
// leaves another episode of the alert open.
func (e *Entry) runsEndedBy(a *amx.Alert, sent time.Time) (runs []string, goesOn bool) {
	ends, id := endOf(a, sent), a.ID()
	for i := range e.episodes {
		switch p := &e.episodes[i]; {
		case p.Alert != id:
		case !p.endedBy(ends, sent):
			goesOn = goesOn || p.EndsAt.IsZero()
		case !slices.Contains(runs, p.Run):
			runs = append(runs, p.Run)
		}
	}
	return runs, goesOn
}

// allEnded reports whether no episode of the run is open.
func (e *Entry) allEnded(run string) bool {
	return !slices.ContainsFunc(e.episodes, func(p episode) bool {
		return p.Run == run && p.EndsAt.IsZero()
	})
}
