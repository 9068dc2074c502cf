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

// An episode is one time that an alert fired, from its start to its end, as
// far as the deliveries show it.
type episode struct {
	Alert    string    `json:"fp"`              // [amx.Alert.ID]
	Shown    string    `json:"shown,omitempty"` // its fingerprint as it was sent, where that is another
	StartsAt time.Time `json:"start"`           // moves to the later of the firings that belong to it
	Sent     time.Time `json:"raw,omitzero"`    // the start as the latest of them was sent, where that was bounded
	EndsAt   time.Time `json:"end,omitzero"`    // zero while it is open
	Seen     time.Time `json:"seen,omitzero"`   // about when a firing of it was last seen
	Again    time.Time `json:"again,omitzero"`  // it began under the start of one that had ended: when the firing that opened it was sent
	Run      string    `json:"run"`             // its latest run
}

// A tombstone is what is known of an alert's resolves, whether or not a run was
// known for them: a late firing meets it.
type tombstone struct {
	Alert  string    `json:"fp"`
	EndsAt time.Time `json:"end"`            // the latest
	SentAt time.Time `json:"sent"`           // the latest; SNS timestamp, else arrival
	Start  time.Time `json:"start,omitzero"` // of the last, as it was sent
}

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

// sentStart is the episode's start as its alert sent it.
func (p *episode) sentStart() time.Time {
	if p.Sent.IsZero() {
		return p.StartsAt
	}
	return p.Sent
}

// belongs says that a firing belongs to the open episode.
//
// Equality of startsAt would not do: Alertmanager merges overlapping alerts to
// the earliest startsAt, and sends a quick resolve and refire as one firing
// (https://github.com/prometheus/alertmanager, types.Alert.Merge). But where it is
// equal it decides, as it was sent: a clock that is ahead has each repeat bounded
// to another time.
func (e *Entry) belongs(p *episode, a *amx.Alert) bool {
	if a.StartsAt.IsZero() || p.sentStart().Equal(a.SentStart()) {
		return true
	}
	// The run is for every firing that began before its claim.
	until := p.StartsAt
	if r := e.run(p.Run); r != nil {
		until = later(until, r.Claimed.Add(Skew))
	}
	return !a.StartsAt.After(until)
}

// place finds the episode that a firing belongs to. Where it is nil, the firing
// opens the one answered, unless there is a reason against it.
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
		// Only a resolve that is sent after this firing ends it, so that the one
		// that ended the episode before does not, delivered again.
		opens.Again = sent
	case t == nil && sent.Before(e.forgot.Add(Late)):
		return nil, episode{}, SkipLate // its tombstone may be one of those that made room
	}
	return nil, opens, ""
}

// joins enters that a firing belongs to the episode.
func (p *episode) joins(a *amx.Alert, sent time.Time) (changed bool) {
	// In a form without times too: a resolve stamped before this firing, and
	// overtaken by it, is not the end of what fires now.
	start := startOf(a, sent)
	if !start.After(p.StartsAt) {
		return false
	}
	p.StartsAt, p.Sent = start, time.Time{}
	if raw := a.SentStart(); !raw.Equal(a.StartsAt) {
		p.Sent = raw
	}
	if start.After(p.Again) {
		p.Again = time.Time{} // it began of its own: times tell its resolve again
	}
	return true
}

// endedBy says that a resolve with this end, sent then, ends the episode: one that
// began before it, and no later one.
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
	// To the minute: the resolve that is sent again at once costs no write.
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

// runsEndedBy lists the runs of the alert's episodes that its resolve ends, and
// whether an episode of it goes on that it does not.
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

// allEnded says that no episode of the run is open.
func (e *Entry) allEnded(run string) bool {
	return !slices.ContainsFunc(e.episodes, func(p episode) bool {
		return p.Run == run && p.EndsAt.IsZero()
	})
}
