package simulation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/cloudtest"
	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/queue"
	"github.com/amx-lambda/amx/internal/runner"
)

// visibility is how long an item is another's after its delivery: then it is
// delivered again.
const visibility = 2 * time.Minute

// arrived has an item delivered: when it is due or late, and now and then twice.
func (s *schedule) arrived(q *cloudtest.Queued) {
	if s.closed {
		return
	}
	newer := s.shape.newer && !s.shape.serve && s.deployed(q.By) // a newer release has put it
	r := s.draw("item", q.ID)
	late := between(r, time.Millisecond, time.Second)
	if r.IntN(4) == 0 {
		late = between(r, time.Second, time.Minute)
	}
	twice := !s.shape.serve && !s.calm.Load() && r.IntN(8) == 0
	double := late + between(r, time.Millisecond, time.Minute)
	again := visibility
	if s.shape.serve {
		again = time.Second
	}
	go func() {
		if !s.sleeps(time.Until(q.Due) + late) {
			return
		}
		for i := 0; !s.closed && !s.worked(q, fmt.Sprintf("%s/%d", q.ID, i), newer); i++ {
			if !s.sleeps(again) {
				return
			}
		}
	}()
	if twice {
		go func() {
			if s.sleeps(time.Until(q.Due) + double) {
				s.worked(q, q.ID+" again", newer)
			}
		}()
	}
}

// sleeps waits, and answers false where the world ends meanwhile.
func (s *schedule) sleeps(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.cloud.Gone():
		return false
	}
}

// worked is one delivery of an item to the worker, and says whether it is done
// with.
func (s *schedule) worked(q *cloudtest.Queued, name string, newer bool) bool {
	s.cloud.Delivered(q)
	if newer && !s.deployed(name) {
		s.count("an item of a newer release")
		return false // it stays on the queue
	}
	a := &attempt{name: name, begun: time.Now(), sent: q.SentAt, item: &q.Item}
	if q.Kind == queue.Notification && q.Command != "other" {
		// The resolve of a dedup_key asks every command.
		a.alerts = slices.DeleteFunc(slices.Clone(s.stamped(q.Message)), func(f amx.Alert) bool {
			return s.shape.rails.second && f.Labels["for"] != q.Command
		})
	}
	var err error
	s.invoke(a, timeout, func(ctx context.Context, run *runner.Runner) runner.Answer {
		log := &decisions{}
		err = run.HandleItem(log.of(ctx), q.Item)
		if errors.Is(err, queue.ErrGivenUp) {
			return runner.Answer{Results: log.results()}
		}
		return runner.Answer{Results: log.results(), Err: err}
	})
	if a.acknowledged {
		if s.bug.forever && !s.closed {
			it := q.Item
			it.Due = time.Now().Add(20 * time.Minute)
			_ = s.cloud.Process("bug", func(cloudtest.Call) cloudtest.Fate { return cloudtest.Fate{} }).Queue().Put(context.Background(), it)
		}
		s.cloud.Settled(q, err != nil)
	}
	return a.acknowledged
}

// commandEnded has SSM tell of the end of a command: once, twice, or, before all is
// over, never; at once or late. Lambda tries an event three times.
func (s *schedule) commandEnded(c *cloudtest.Command) {
	r := s.draw("event", c.ID)
	if s.closed || c.Signal != "" || c.Token.Run == "" {
		return
	}
	if r.IntN(6) == 0 && !s.over && !c.Foreign {
		s.untold[ledger.EntryKey(c.Token.Command, c.Token.Entry)]++
		return
	}
	times := 1
	if r.IntN(6) == 0 || s.over && r.IntN(2) == 0 {
		times = 2
	}
	for n := range times {
		late := between(r, time.Millisecond, 2*time.Second)
		if r.IntN(6) == 0 {
			late = between(r, time.Second, time.Minute)
		}
		go func() {
			if !s.sleeps(late) {
				return
			}
			for i := range 3 {
				a := &attempt{name: fmt.Sprintf("%s ended.%d/%d", c.ID, n, i), begun: time.Now()}
				s.invoke(a, timeout, func(ctx context.Context, run *runner.Runner) runner.Answer {
					return runner.Answer{Err: run.Ended(ctx, string(c.Token.Entry), c.Token.Run, c.Token.Command)}
				})
				if a.acknowledged {
					return
				}
				if !s.sleeps(time.Duration(i+1) * time.Minute) {
					return
				}
			}
		}()
	}
}

// nothingIsLost: the source has done its part for a resolve that was acknowledged.
// Once there are no faults its run is over soon, without another word.
func (s *schedule) nothingIsLost() {
	if s.shape.ignore {
		return
	}
	for _, r := range s.runs() {
		if at := s.lastResolve(r); at.IsZero() {
			continue
		}
		for _, p := range r.passes {
			if p.Running() {
				s.violation("%s runs on %s at %v, and every resolve of its alerts was acknowledged by %v", p.Command.ID, p.Node, s.since(time.Now()), s.since(s.lastResolve(r)))
			}
		}
	}
}

// lastResolve is when the last of a run's alerts had a resolve of it acknowledged;
// zero: not all had.
func (s *schedule) lastResolve(r *run) (last time.Time) {
	for _, a := range r.alerts {
		_, acknowledged := s.resolved(a.Fingerprint, s.serves(r, a), true)
		if acknowledged.IsZero() {
			return acknowledged
		}
		if acknowledged.After(last) {
			last = acknowledged
		}
	}
	return last
}

// stoppedInTheEnd: every alert has resolved in the world, and the source said so.
func (s *schedule) stoppedInTheEnd() {
	for _, r := range s.runs() {
		for _, p := range r.passes {
			if p.Running() && !s.shape.ignore {
				s.violation("%s runs on %s at %v, and everything has resolved", p.Command.ID, p.Node, s.since(time.Now()))
			}
		}
	}
}

// queueEnds: every item of the queue is done with in the end.
func (s *schedule) queueEnds() {
	if s.shape.other {
		time.Sleep(7 * time.Hour) // it is given up
	}
	s.cloud.Mu.Lock()
	s.closed = true
	s.cloud.Mu.Unlock()
	for _, q := range s.cloud.Waiting() {
		s.violation("%s, put at %v by %s, is on the queue for ever: %s, due at %v, after %d tries: %s", q.ID, s.since(q.Put), q.By, q.Subject(), s.since(q.Due), q.Tries, q.Reason)
	}
	for _, q := range s.cloud.Queued {
		if unavailable := s.shape.lost && strings.Contains(q.Reason, nodeOf("a")); q.GivenUp && q.Command != "other" && !unavailable {
			s.violation("%s, put at %v by %s, was given up: %s: %s", q.ID, s.since(q.Put), q.By, q.Subject(), q.Reason)
		}
	}
}
