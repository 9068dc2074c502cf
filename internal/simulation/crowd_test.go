package simulation

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/runner"
)

// Acts are what the command does when the faults are over.
type acts struct {
	long bool // it takes up to two minutes, and else a second
	fail bool
}

func (a acts) lasts(r *rand.Rand) (time.Duration, int) {
	d := time.Second
	if a.long {
		d = between(r, 20*time.Second, 2*time.Minute)
	}
	return d, btoi(a.fail)
}

// act has the command do so from now on.
func (s *schedule) act(a acts) {
	s.cloud.Mu.Lock()
	defer s.cloud.Mu.Unlock()
	s.acts, s.over = a, true
}

// placed are the alerts that have a node.
func (s *schedule) placed() (placed []*history) {
	for _, h := range s.alerts {
		if lost := s.shape.lost && h.name == "a"; !h.blank && !lost {
			placed = append(placed, h)
		}
	}
	return placed
}

// episodeNow has begun just now, and goes on for as long as the schedule says.
func (s *schedule) episodeNow(h *history) episode {
	now := time.Since(s.origin).Round(time.Second) - h.skew
	return episode{start: now - 61*time.Second, end: now + 3*time.Minute}
}

// fires brings a firing of the alert, and answers what became of it for its command.
func (s *schedule) fires(h *history, name string, e episode) *attempt {
	m := s.message(h.group, 0, h.fires(s.origin, e))
	return s.delivers(s.attemptOf(name, m), m, false)
}

// own is what became of the alerts of the message. Whoever reads an entry also finishes
// cancels of other runs.
func (a *attempt) own() []runner.Result {
	return slices.DeleteFunc(slices.Clone(a.answer.Results), func(r runner.Result) bool {
		return r.Command == "other" || !slices.ContainsFunc(a.alerts, func(x amx.Alert) bool { return slices.Contains(r.Alerts, x.Fingerprint) })
	})
}

// runsAtOnce brings a firing that nothing holds back.
func (s *schedule) runsAtOnce(h *history, name string, e episode) {
	a, want := s.fires(h, name, e), runner.ActionRun
	if s.shape.rails.observe {
		want = runner.ActionObserve
	}
	heard := a.acknowledged || s.acts.fail // notify_on_failure
	if own := a.own(); !heard || len(own) != 1 || own[0].Action != want || own[0].Reason != string(ledger.RunFiring) {
		s.violation("%s does not run at once: %s", a.name, says(a.answer))
	}
}

// began says that a run of the alert was claimed since then, and sent.
func (s *schedule) began(h *history, since time.Time) bool {
	s.cloud.Mu.Lock()
	defer s.cloud.Mu.Unlock()
	for run, covers := range s.books.covers {
		for _, a := range covers {
			if a.Fingerprint == h.name && s.books.claimed[run].After(since) && (s.shape.rails.observe || s.accepted(run)) {
				return true
			}
		}
	}
	return false
}

// accepted says that SSM took a command of the run. The caller holds the cloud's lock.
func (s *schedule) accepted(run string) bool {
	for _, c := range s.cloud.Commands {
		if c.Token.Run == run && c.Signal == "" {
			return true
		}
	}
	return false
}

// A crowd is all alerts at once, where something holds runs back. Nothing fails any
// more: each alert has its run as soon as there is room. A pause before that holds
// everything back until it is lifted, or until the alerts are too old to wait. It
// never holds back a resolve.
func (s *schedule) crowd() {
	if !s.shape.holdsBack() || s.shape.lost {
		return
	}
	r := s.draw("crowd")
	s.act(acts{long: true})
	defer s.act(acts{})
	since := time.Now().Add(-time.Second)
	expires := r.IntN(16) == 0
	pauses := expires || r.IntN(4) == 0
	crowd := s.placed()
	crowd = crowd[:min(len(crowd), s.shape.max+3)] // more than there is room for
	switch {
	case len(crowd) == 0:
		return
	case expires:
		crowd = crowd[:1]
	}
	episodes := map[string]episode{}
	if pauses {
		s.pausesBeside(crowd[0], expires)
		crowd = crowd[btoi(!expires):]
	}
	s.atOnce(crowd, "crowd", episodes)
	switch {
	case expires:
		s.rests(ledger.Stale + ledger.Late + 10*time.Minute)
		s.lifts()
		s.rests(10 * time.Minute)
		for _, h := range crowd {
			if s.began(h, since) {
				s.violation("%s has a run, and was paused until it was too old to wait", h.name)
			}
		}
	case pauses && len(crowd) == 0:
		s.lifts()
	case pauses:
		s.rests(between(r, time.Minute, 20*time.Minute))
		resolved := crowd[0]
		s.resolvesAtOnce(resolved, "crowd's last "+resolved.name, episodes[resolved.name])
		crowd = crowd[1:]
		s.lifts()
		s.waits(crowd, since, episodes)
		if s.began(resolved, since) {
			s.violation("%s has a run, and had resolved while it was paused", resolved.name)
		}
	default:
		s.waits(crowd, since, episodes)
	}
	for _, h := range crowd {
		s.resolvesAtOnce(h, "crowd's last "+h.name, episodes[h.name])
	}
	s.rests(4 * time.Hour)
}

// pausesBeside pauses everything while a run of the alert goes on, whose resolve ends
// it all the same; or just pauses.
func (s *schedule) pausesBeside(h *history, just bool) {
	if just {
		s.sets("", 24*time.Hour)
		return
	}
	e := s.episodeNow(h)
	s.runsAtOnce(h, "crowd's first "+h.name, e)
	s.rests(5 * time.Second)
	s.sets("", 24*time.Hour)
	s.resolvesAtOnce(h, "crowd's last "+h.name, e)
}

// atOnce has all of the alerts fire at the same moment.
func (s *schedule) atOnce(crowd []*history, what string, episodes map[string]episode) {
	var all sync.WaitGroup
	for _, h := range crowd {
		e := s.episodeNow(h)
		episodes[h.name] = e
		all.Go(func() { s.fires(h, what+" "+h.name, e) })
	}
	all.Wait()
}

// resolvesAtOnce brings a resolve, which nothing holds back.
func (s *schedule) resolvesAtOnce(h *history, name string, e episode) {
	e.end = time.Since(s.origin).Round(time.Second) - h.skew
	m := s.message(h.group, 0, h.resolves(s.origin, e))
	a := s.delivers(s.attemptOf(name, m), m, false)
	if !a.acknowledged || a.putsOff(h.name) && !a.needsTime() {
		s.violation("%s is not settled at once: %s", name, says(a.answer))
	}
}

// needsTime says that what the answer put off is being sent by another delivery, or
// that SSM does not show yet what has become of it.
func (a *attempt) needsTime() bool {
	return slices.ContainsFunc(a.answer.Results, func(r runner.Result) bool {
		return r.Action == runner.ActionLater && slices.ContainsFunc([]string{"another delivery", "may have been sent", "does not say yet", "InvalidCommandId"}, func(why string) bool {
			return strings.Contains(r.Reason, why)
		})
	})
}

// waits has time pass until each of the alerts has its run. Alerts that were skipped,
// or refused by the breaker, come again with the next notification.
func (s *schedule) waits(crowd []*history, since time.Time, episodes map[string]episode) {
	// A run ends within two minutes. It may take two more until SSM shows that, and
	// two until who waits asks again.
	each := 6*time.Minute + s.shape.rails.longest()
	// And a failure that is heard of late may open the breaker.
	until := time.Now().Add(time.Duration(len(crowd))*each + s.shape.rails.cooldown + cmp.Or(s.shape.rails.breaker.For, time.Hour) + 10*time.Minute)
	for n := 0; ; n++ {
		waiting := slices.DeleteFunc(slices.Clone(crowd), func(h *history) bool { return s.began(h, since) })
		switch {
		case len(waiting) == 0:
			return
		case time.Now().After(until):
			for _, h := range waiting {
				s.violation("%s has no run at %v, and there was room for it", h.name, s.since(time.Now()))
			}
			return
		}
		for _, h := range waiting {
			if s.comesAgain(h, episodes[h.name]) {
				s.fires(h, fmt.Sprintf("crowd %s again %d", h.name, n), episodes[h.name])
			}
		}
		s.rests(time.Minute)
	}
}

// comesAgain says that the alert was held back or refused, and nothing of it waits:
// its next notification may run.
func (s *schedule) comesAgain(h *history, e episode) (again bool) {
	start := s.origin.Add(e.start + h.skew)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.attempts {
		if !slices.ContainsFunc(a.alerts, func(f amx.Alert) bool {
			return f.Fingerprint == h.name && f.Status == amx.Firing && s.isOf(&f, start, time.Now())
		}) {
			continue
		}
		for _, r := range a.own() {
			if slices.Contains(r.Alerts, h.name) {
				again = r.Action == runner.ActionRefuse || r.Action == runner.ActionSkip && ledger.Reason(r.Reason).Holds() != "other"
			}
		}
	}
	return again
}
