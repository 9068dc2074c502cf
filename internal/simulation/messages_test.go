package simulation

import (
	"maps"
	"slices"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
)

// seenBy is the news as the sender of that number has it: the second of a pair of
// Prometheis has a clock of its own.
func (s *schedule) seenBy(sender int, n news) news {
	if !s.shape.pair || sender == 0 {
		return n
	}
	n.alerts = slices.Clone(n.alerts)
	for i := range n.alerts {
		a := &n.alerts[i]
		apart := between(s.draw("apart", a.Fingerprint), -time.Minute, time.Minute).Round(time.Second)
		a.StartsAt = a.StartsAt.Add(apart)
		if !a.EndsAt.IsZero() {
			a.EndsAt = a.EndsAt.Add(apart)
		}
	}
	return n
}

// news is what Alertmanager has to say of a group.
type news struct {
	at     time.Duration
	group  string
	alerts amx.Alerts
}

func (h *history) fires(origin time.Time, e episode) amx.Alert {
	return amx.Alert{Status: amx.Firing, Fingerprint: h.name, Labels: h.labels, StartsAt: origin.Add(e.start + h.skew)}
}

func (h *history) resolves(origin time.Time, e episode) amx.Alert {
	a := h.fires(origin, e)
	a.Status, a.EndsAt = amx.Resolved, origin.Add(e.end+h.skew)
	return a
}

// messages is what Alertmanager sends: after each change of a group all of its
// alerts, the resolved once; and now and then the firing ones again.
func (s *schedule) messages() (all []news) {
	groups := s.groups()
	for _, g := range slices.Sorted(maps.Keys(groups)) {
		all = append(all, s.messagesOf(g, groups[g])...)
	}
	return all
}

func (s *schedule) groups() map[string][]*history {
	groups := map[string][]*history{}
	for _, h := range s.alerts {
		groups[h.group] = append(groups[h.group], h)
	}
	return groups
}

func (s *schedule) messagesOf(group string, alerts []*history) (all []news) {
	r := s.draw("messages", group)
	var times []time.Duration
	for _, h := range alerts {
		for _, e := range h.episodes {
			times = append(times, e.start+between(r, time.Millisecond, 2*time.Second), e.end+between(r, time.Millisecond, 2*time.Second))
			if e.end-e.start > time.Minute && r.IntN(2) == 0 {
				times = append(times, e.start+between(r, 10*time.Second, e.end-e.start))
			}
			if s.shape.repeat > 0 {
				for t := e.start + s.shape.repeat/2; t < e.end; t += between(r, s.shape.repeat/4, s.shape.repeat) {
					times = append(times, t)
				}
			}
		}
	}
	for _, t := range times {
		n := news{at: t, group: group}
		for _, h := range alerts {
			for _, e := range h.episodes {
				switch {
				case e.start <= t && t < e.end:
					n.alerts = append(n.alerts, h.fires(s.origin, e))
				case e.end <= t && t < e.end+2*time.Second:
					n.alerts = append(n.alerts, h.resolves(s.origin, e))
				}
			}
		}
		if len(n.alerts) > 0 {
			all = append(all, n)
		}
	}
	return all
}

func (s *schedule) message(group string, sent time.Duration, alerts ...amx.Alert) *amx.Message {
	m := message(alerts...)
	m.GroupLabels = amx.KV{"g": group}
	if sent > 0 {
		m.SentAt = s.origin.Add(sent)
	}
	return s.formed(group, m)
}
