package simulation

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/ledger"
)

// Rails are the guard rails of a schedule's commands, beside max.
type rails struct {
	drawn    bool
	windows  []amx.Window // rate_limit
	cooldown time.Duration
	skips    bool       // when_limited: skip
	all      amx.Limits // over all commands
	breaker  amx.Breaker
	spread   bool // spread_by the zone of an alert
	observe  bool // mode: observe
	second   bool // every other alert has a command of its own, under the same rails
}

// drawRails draws them in one schedule of three.
func (s *schedule) drawRails() {
	r := s.draw("rails")
	if r.IntN(3) > 0 {
		return
	}
	one := func(n int) bool { return r.IntN(n) == 0 }
	g := rails{drawn: true, skips: one(5), spread: one(5), observe: one(8), second: one(3)}
	if one(2) {
		g.windows = windows(r)
	}
	if one(4) {
		g.cooldown = []time.Duration{time.Minute, 10 * time.Minute}[r.IntN(2)]
	}
	if one(3) {
		g.second = true
		if one(2) {
			g.all.Max = 1 + r.IntN(4)
		}
		if g.all.Max == 0 || one(2) {
			g.all.RateLimit = windows(r)
		}
	}
	if one(3) {
		g.breaker = amx.Breaker{Failures: 1 + r.IntN(3), For: []time.Duration{2 * time.Minute, 10 * time.Minute}[r.IntN(2)]}
	}
	if one(3) {
		s.shape.max = 1 + r.IntN(4)
	}
	if one(4) {
		s.shape.pauses = between(r, time.Second, 10*time.Minute)
	}
	s.shape.rails = g
}

// windows are one window or two, the longer of which lets fewer runs begin on
// average.
func windows(r *rand.Rand) []amx.Window {
	all := []amx.Window{{Runs: 1 + r.IntN(3), Per: []time.Duration{20 * time.Second, time.Minute, 3 * time.Minute}[r.IntN(3)]}}
	if r.IntN(2) == 0 {
		all = append(all, amx.Window{Runs: all[0].Runs + r.IntN(3), Per: 5 * time.Minute})
	}
	return all
}

// labels are those of the alert of that number.
func (g *rails) labels(h *history, i int) amx.KV {
	kv := amx.KV{"alertname": h.name}
	if !h.blank {
		kv["node"] = nodeOf(h.name)
	}
	if g.spread {
		kv["zone"] = fmt.Sprint("z", i/2%2)
	}
	if g.second {
		kv["for"] = []string{"fix", "second"}[i%2]
	}
	return kv
}

// on puts the rails on the command of a configuration.
func (g *rails) on(config string) string {
	if len(g.windows) > 0 {
		config += "    rate_limit: " + written(g.windows) + "\n"
	}
	if g.cooldown > 0 {
		config += fmt.Sprintf("    cooldown: %v\n", g.cooldown)
	}
	if g.skips {
		config += "    when_limited: skip\n"
	}
	if g.breaker.Failures > 0 {
		config += fmt.Sprintf("    breaker: {failures: %d, for: %v}\n", g.breaker.Failures, g.breaker.For)
	}
	if g.spread {
		config += "    spread_by: \"{{ .Labels.zone }}\"\n"
	}
	if g.observe {
		config += "    mode: observe\n"
	}
	if g.second {
		config += "    match_labels: {for: fix}\n"
		_, command, _ := strings.Cut(config, "commands:\n")
		config += strings.NewReplacer("name: fix", "name: second", "{for: fix}", "{for: second}").Replace(command)
	}
	if g.all.Max > 0 || len(g.all.RateLimit) > 0 {
		limits := fmt.Sprintf("limits: {max: %d", g.all.Max)
		if len(g.all.RateLimit) > 0 {
			limits += ", rate_limit: " + written(g.all.RateLimit)
		}
		config = limits + "}\n" + config
	}
	return config
}

func written(windows []amx.Window) string {
	var all []string
	for _, w := range windows {
		all = append(all, fmt.Sprintf("{runs: %d, per: %v}", w.Runs, w.Per))
	}
	return "[" + strings.Join(all, ", ") + "]"
}

// holdsBack says that something may hold back what is due.
func (s *shape) holdsBack() bool { return s.max > 0 || s.pauses > 0 || s.rails.drawn }

// longest is how long it takes at the most until a window has room for one run.
func (g *rails) longest() (longest time.Duration) {
	for _, w := range slices.Concat(g.windows, g.all.RateLimit) {
		longest = max(longest, w.Per)
	}
	return longest
}

// A paused is a time in which a command was paused; an empty one: everything.
type paused struct {
	command  string
	from, to time.Time
}

func (p *paused) holds(command string) bool { return p.command == "" || p.command == command }

// sets pauses a command, as people do, and lifts lifts its pause.
func (s *schedule) sets(command string, d time.Duration) {
	now := time.Now()
	s.paused = append(s.paused, paused{command, now, now.Add(d)})
	s.changesPauses(func(p *ledger.Pauses) {
		p.Set(command, ledger.Pause{Who: "op", Why: "work", Since: now, Until: now.Add(d)})
	})
}

func (s *schedule) lifts() {
	p := &s.paused[len(s.paused)-1]
	s.changesPauses(func(all *ledger.Pauses) { all.Lift(p.command, time.Now()) })
	p.to = time.Now()
}

func (s *schedule) changesPauses(change func(*ledger.Pauses)) {
	s.cloud.Mu.Lock()
	defer s.cloud.Mu.Unlock()
	r := s.cloud.Records[ledger.PauseKey]
	p, err := ledger.DecodePauses(r.Value)
	if err != nil {
		panic(err)
	}
	change(p)
	value, _ := p.Encode(time.Now())
	s.cloud.Records[ledger.PauseKey] = ledger.Record{Key: ledger.PauseKey, Version: r.Version + 1, Value: value}
	s.cloud.Note("paused: %s", value)
}

// Each of the rails is one that the configuration knows.
func TestTheRailsAreDrawn(t *testing.T) {
	drawn := map[string]int{}
	for seed := range uint64(2000) {
		s := newSchedule(seed, bug{})
		c, g := s.config.Commands[0], &s.shape.rails
		for rail, on := range map[string]bool{
			"a window": len(c.RateLimit) == 1, "two windows": len(c.RateLimit) == 2, "a cooldown": c.Cooldown > 0, "skip": c.WhenLimited == amx.LimitedSkip,
			"a max over 2": c.Max > 2, "a max over all": s.config.Limits.Max > 0, "a rate over all": len(s.config.Limits.RateLimit) > 0,
			"a breaker": c.Breaker.Failures > 0 && c.Breaker.For < time.Hour, "a spread": c.SpreadBy != "", "observe": c.Mode == amx.ModeObserve,
			"two commands": g.second && len(s.config.Commands) == 2, "a pause": s.shape.pauses > 0,
		} {
			if on {
				drawn[rail]++
			} else if drawn[rail] == 0 {
				drawn[rail] = 0
			}
		}
	}
	for rail, n := range drawn {
		if n < 20 {
			t.Errorf("2000 schedules have %s %d times", rail, n)
		}
	}
}
