package simulation

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/runner"
)

// breaks plays the breaker: it opens after so many failures in a row, of which the
// ends are told once or twice; one run tries, and fails; another tries, and closes
// it.
func (s *schedule) breaks() {
	limit, g := s.shape.rails.breaker, &s.shape.rails
	if limit.Failures == 0 || g.observe || s.shape.lost {
		return
	}
	own := slices.DeleteFunc(s.placed(), func(h *history) bool { return h.labels["for"] == "second" })
	if len(own) == 0 {
		return
	}
	own = own[:min(len(own), 3)]
	defer s.act(acts{})
	b := &breaking{schedule: s, own: own, clear: g.longest() + g.cooldown + 2*time.Minute}
	// Until all attempts have ended, and been heard of.
	b.settled = time.Duration(1+s.shape.retries)*(10*time.Minute+g.longest()) + g.cooldown
	b.plays(false)
	for range limit.Failures - 1 {
		b.plays(true)
	}
	until := b.opens(true, b.openUntil("fix"))
	b.refused()
	time.Sleep(max(time.Until(until.Add(time.Second)), b.clear))
	b.tries()
	time.Sleep(max(time.Until(b.opens(false, until).Add(time.Second)), b.clear))
	b.plays(false)
	b.plays(false)
}

type breaking struct {
	*schedule
	own            []*history // the alerts of the command
	n              int
	settled, clear time.Duration // clear: no other limit is against a run after it
}

func (b *breaking) next() string {
	b.n++
	return fmt.Sprint("breaks ", b.n)
}

// plays has one run, to its end.
func (b *breaking) plays(fails bool) {
	b.act(acts{fail: fails})
	e := b.episodeNow(b.own[0])
	b.runsAtOnce(b.own[0], b.next(), e)
	b.rests(b.settled)
	b.resolved(e, b.own[0])
}

func (b *breaking) resolved(e episode, h *history) {
	b.resolvesAtOnce(h, "last of "+b.next(), e)
	b.rests(2 * time.Minute)
}

// opens has one run fail, or one has just done so, and answers until when the
// breaker is open: later than it was.
func (b *breaking) opens(plays bool, was time.Time) time.Time {
	b.act(acts{fail: true})
	e := b.episodeNow(b.own[0])
	if plays {
		b.runsAtOnce(b.own[0], b.next(), e)
	}
	for from := time.Now(); ; b.rests(10 * time.Second) {
		until := b.openUntil("fix")
		switch {
		case until.After(was):
			b.resolvesAtOnce(b.own[0], "last of "+b.next(), e)
			return until
		case time.Since(from) > b.settled:
			b.violation("the breaker is not open at %v, after the last of %d failures in a row", b.since(time.Now()), b.shape.rails.breaker.Failures)
			return until
		}
	}
}

func (b *breaking) openUntil(command string) time.Time {
	b.cloud.Mu.Lock()
	defer b.cloud.Mu.Unlock()
	return b.books.gate(command).last().until
}

// refused has a firing meet the open breaker.
func (b *breaking) refused() {
	b.rests(5 * time.Second)
	e := b.episodeNow(b.own[0])
	e.start += time.Minute
	a := b.fires(b.own[0], b.next(), e)
	own := a.own()
	// The cooldown, and the limits over all commands, come before it.
	refused := len(own) == 1 && (own[0].Action == runner.ActionRefuse && strings.HasPrefix(own[0].Reason, "breaker: ") || ledger.Reason(own[0].Reason).Holds() == "limit")
	if !refused {
		b.violation("%s meets an open breaker: %s", a.name, says(a.answer))
	}
	b.rests(5 * time.Second)
	b.resolvesAtOnce(b.own[0], "last of "+b.next(), e)
}

// tries has all alerts fire at once when the breaker's time is up: one run is let
// through, and fails.
func (b *breaking) tries() {
	b.act(acts{long: true, fail: true})
	try := b.own
	if all := b.shape.rails.all; all.Max > 0 || len(all.RateLimit) > 0 {
		try = try[:1] // others would wait for the limits over all commands
	}
	since := time.Now().Add(-time.Second)
	episodes := map[string]episode{}
	b.atOnce(try, "tries", episodes)
	began := 0
	for _, h := range try {
		began += btoi(b.began(h, since))
	}
	if began != 1 {
		b.violation("%d runs try whether they still fail at %v, not one", began, b.since(time.Now()))
	}
	b.rests(b.settled)
	for _, h := range try {
		b.resolved(episodes[h.name], h)
	}
}
