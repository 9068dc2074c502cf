package simulation

import (
	"fmt"
	"time"

	"github.com/amx-lambda/amx/internal/cloudtest"
	"github.com/amx-lambda/amx/internal/ledger"
)

// manyDays has one group fire for days, each time under other labels: each alert has
// its run at once, and what it leaves in the ledger goes.
func (s *schedule) manyDays() {
	if !s.shape.days || s.shape.lost || s.shape.holdsBack() {
		return
	}
	r := s.draw("many days")
	var resolved []time.Time
	for i := range 50 {
		h := &history{name: fmt.Sprint("d", i), group: "g"}
		h.labels = s.shape.rails.labels(h, i)
		if s.shape.untimed == "block" {
			h.group = h.name
		}
		e := s.episodeNow(h)
		s.runsAtOnce(h, "day of "+h.name, e)
		s.rests(between(r, time.Minute, 10*time.Minute))
		s.resolvesAtOnce(h, "last day of "+h.name, e)
		resolved = append(resolved, time.Now())
		recent := 0
		for _, t := range resolved {
			recent += btoi(time.Since(t) < ledger.Stale+2*ledger.Late)
		}
		s.smallEntries(2500 + 300*recent)
		s.rests(between(r, time.Second, []time.Duration{time.Minute, 3 * time.Hour}[r.IntN(2)]))
	}
	s.rests(ledger.Stale + 2*ledger.Late) // until the last of what they leave is gone
}

// smallEntries: no entry is larger than that.
func (s *schedule) smallEntries(most int) {
	s.cloud.Mu.Lock()
	defer s.cloud.Mu.Unlock()
	for key, r := range s.cloud.Records {
		if len(r.Value) > most+500*s.untold[key] && !s.shape.chunked {
			s.violation("%s has %d bytes at %v, over %d", key, len(r.Value), s.since(time.Now()), most)
		}
	}
}

// Bugs that show after days.
var bugsOfDays = []bug{{
	name: "a tombstone that is never dropped", tables: func(t cloudtest.Table) ledger.Store {
		return edits{t, func(e *cloudtest.Entry) {
			for _, t := range e.Resolves {
				t["sent"] = time.Now().Add(24 * time.Hour)
			}
		}, nil}
	},
	shape: func(s *shape) {
		*s = shape{days: true, groups: 1, calm: true}
	},
}}
