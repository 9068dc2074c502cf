package simulation

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing/synctest"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
)

// play plays the schedule to its end.
func (s *schedule) play() {
	defer s.cloud.Close()
	s.nodes()
	if s.shape.foreign {
		s.others()
	}
	var all sync.WaitGroup
	if s.shape.pauses > 0 {
		all.Go(s.pause)
	}
	if s.shape.real {
		groups := s.groups()
		for _, g := range slices.Sorted(maps.Keys(groups)) {
			for _, m := range s.cluster(g, groups[g]) {
				all.Go(m.run)
			}
		}
		all.Wait()
		s.work.Wait()
	} else {
		s.whatever(&all)
	}
	s.end()
}

// pause pauses the command, or everything, and now and then resumes it in the middle.
func (s *schedule) pause() {
	r := s.draw("pause of")
	time.Sleep(s.shape.pauses)
	s.sets([]string{"fix", "fix", ""}[r.IntN(3)], 5*time.Minute)
	if r.IntN(2) == 0 {
		time.Sleep(between(r, time.Second, 4*time.Minute))
		s.lifts()
	}
}

// whatever is a source from which anything may come: doubled, late, in any order.
func (s *schedule) whatever(all *sync.WaitGroup) {
	for i, m := range s.messages() {
		r := s.draw("ways", i)
		ways := 1 + r.IntN(2) // pairs of Alertmanagers, a webhook beside a topic
		for w := range ways {
			m := s.seenBy(w, m)
			sns := r.IntN(2) == 0 || s.shape.untimed != ""
			delay := between(r, time.Millisecond, 2*time.Second)
			if r.IntN(4) == 0 {
				delay = between(r, time.Millisecond, 3*time.Minute)
			}
			if sns && r.IntN(5) == 0 {
				d2 := delay + between(r, time.Millisecond, 2*time.Minute)
				all.Go(func() { s.bring(fmt.Sprintf("%d.%d again", i, w), m, d2, true) })
			}
			all.Go(func() { s.bring(fmt.Sprintf("%d.%d", i, w), m, delay, sns) })
		}
	}
	all.Wait()
}

func (s *schedule) end() {
	// The faults are over, and so is every window. Items that were put off are done
	// soon, whatever became of them before. Then each resolve comes once more, and
	// this time has to be acknowledged.
	s.rests(2*window + 2*timeout)
	s.calm.Store(true)
	s.rests(settles)
	s.nothingIsLost()
	s.sourcesLoss()
	s.read()
	for _, h := range s.alerts {
		last := h.episodes[len(h.episodes)-1]
		for sender := range 1 + btoi(s.shape.pair) {
			m := s.seenBy(sender, news{alerts: amx.Alerts{h.resolves(s.origin, last)}})
			s.attempt(fmt.Sprint("last ", h.name, sender), s.message(h.group, 0, m.alerts...), false)
		}
	}
	s.rests(settles)
	s.stoppedInTheEnd()
	s.read()
	s.rests(4 * time.Hour)
	s.act(acts{})
	s.crowd()
	s.breaks()
	s.manyDays()
	s.fireAgain()
	s.queueEnds()
}

// rests lets d pass, and everybody finish the work that is due by then. Their writes
// may be read then.
func (s *schedule) rests(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
	s.read()
}

// read is around what is read without the cloud's lock: it comes after all that was
// written under it, and before all that will be.
func (s *schedule) read() {
	s.cloud.Mu.Lock()
	defer s.cloud.Mu.Unlock()
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// settles is how long what was put off takes at the most once there are no faults:
// the time until it is delivered again, a lease, the window, and the delay of an
// item.
const settles = visibility + timeout + window + 5*time.Minute

// fireAgain: once all is over each alert, of hundreds the first eight, fires once more,
// and resolves. It runs at once, so that nothing has kept its slot, and its entry is
// small again.
func (s *schedule) fireAgain() {
	if s.shape.lost {
		return // the firing would be refused
	}
	again := s.placed()
	for _, h := range again[:min(len(again), 8)] {
		e := s.episodeNow(h)
		s.runsAtOnce(h, "again "+h.name, e)
		time.Sleep(4 * time.Minute)
		s.attempt("last of "+h.name, s.message(h.group, 0, h.resolves(s.origin, e)), false)
		s.rests(3 * time.Hour)
	}
	s.cloud.Mu.Lock()
	records := maps.Clone(s.cloud.Records)
	s.cloud.Mu.Unlock()
	for key, r := range records {
		// Room for the run just now, for one whose end it has found out, and for those
		// whose end it may not have, which keep their slot.
		if limit := 1500 + 200*len(s.alerts) + 500*s.untold[key]; len(r.Value) > limit && !s.shape.chunked {
			s.violation("%s has %d bytes in the end: %s", key, len(r.Value), r.Value)
		}
	}
}
