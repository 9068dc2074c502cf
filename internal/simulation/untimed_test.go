package simulation

import (
	"slices"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
)

// drawForm draws the form of the source's messages: one without times in one schedule
// of ten. Only SNS has them.
func (s *schedule) drawForm() {
	r := s.draw("form")
	if r.IntN(10) == 0 {
		s.shape.untimed = []string{"text", "block"}[r.IntN(2)]
		s.shape.pair = false
	}
}

// formed is the message as its form has it, decoded.
func (s *schedule) formed(group string, m *amx.Message) *amx.Message {
	if s.shape.untimed == "" {
		return m
	}
	m.Alerts = slices.Clone(m.Alerts)
	for i := range m.Alerts {
		m.Alerts[i].StartsAt, m.Alerts[i].EndsAt = time.Time{}, time.Time{}
	}
	if m.GroupLabels = nil; s.shape.untimed == "text" {
		m.Ungrouped = true
	} else {
		m.DedupKey = group
	}
	if m.SentAt.IsZero() {
		m.SentAt = time.Now()
	}
	return m
}

// stamped is the alerts of a message, with the times that count for them: without
// their own, when it was sent.
func (s *schedule) stamped(m *amx.Message) amx.Alerts {
	if s.shape.untimed == "" {
		return m.Alerts
	}
	alerts := slices.Clone(m.Alerts)
	for i := range alerts {
		if alerts[i].StartsAt = m.SentAt; alerts[i].Status == amx.Resolved {
			alerts[i].EndsAt = m.SentAt
		}
	}
	return alerts
}

// attemptOf is a delivery of the message that begins now.
func (s *schedule) attemptOf(name string, m *amx.Message) *attempt {
	return &attempt{name: name, sent: m.SentAt, alerts: s.stamped(m), begun: time.Now()}
}

// startOf is when the episode begins, by the clock that its messages go by.
func (s *schedule) startOf(h *history, e episode) time.Time {
	if s.shape.untimed != "" {
		return s.origin.Add(e.start)
	}
	return s.origin.Add(e.start + h.skew)
}

// isOf says that a firing is of the episode that begins at start: in a form without
// times, one that was sent before its end.
func (s *schedule) isOf(f *amx.Alert, start, end time.Time) bool {
	if s.shape.untimed == "" {
		return f.StartsAt.Equal(start)
	}
	return !f.StartsAt.Before(start) && !f.StartsAt.After(end)
}

// overtaken says that a resolve without times ends nothing: a firing that was sent
// after it was delivered before, or at the same time.
func (s *schedule) overtaken(resolve *attempt, r *amx.Alert) bool {
	if s.shape.untimed == "" {
		return false
	}
	return slices.ContainsFunc(s.attempts, func(a *attempt) bool {
		return a.begun.Before(resolve.ended) && slices.ContainsFunc(a.alerts, func(f amx.Alert) bool {
			return f.Status == amx.Firing && f.Fingerprint == r.Fingerprint && f.StartsAt.After(r.EndsAt)
		})
	})
}
