package simulation

import (
	"math/rand/v2"
	"time"
)

// drawHundreds draws now and then a schedule of one to two hundred alerts, for which an
// entry of the ledger may have no room.
func (s *schedule) drawHundreds() {
	r := s.draw("hundreds")
	s.shape.hundreds = r.IntN(1000) == 0 && !s.shape.chunked
	if s.shape.hundreds && r.IntN(2) == 0 {
		s.shape.room = 5_000 + r.IntN(20_000)
	}
}

// drawAtOnce has hundreds of alerts begin and end together, as when a zone fails.
func (s *schedule) drawAtOnce(r *rand.Rand) {
	s.cloud.Page = 50 // as SSM has it: a look fails where one of its pages does
	var starts, lengths [3]time.Duration
	for i := range starts {
		starts[i] = between(r, 0, 5*time.Minute).Round(time.Second)
		lengths[i] = between(r, 10*time.Second, 10*time.Minute).Round(time.Second)
	}
	for i := range 100 + r.IntN(100) {
		h := s.newHistory(r, i)
		start := starts[r.IntN(len(starts))]
		h.episodes = []episode{{start, start + lengths[r.IntN(len(lengths))]}}
		s.alerts = append(s.alerts, h)
	}
}
