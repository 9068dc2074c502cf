package amx

import (
	"fmt"
	"time"

	"gopkg.in/yaml.v3"
)

// MaxRuns bounds max and the runs of a window: a gate remembers each of them, and
// has to fit into one item of the table.
const MaxRuns = 5000

// leastLimit is the shortest time that a limit can count in: the ledger keeps
// whole seconds.
const leastLimit = time.Second

// Limits holds over all commands together.
type Limits struct {
	Max       int      // runs at once, up to MaxRuns; 0 or less: no limit
	RateLimit []Window // every one holds; nil: none
}

// Window is a limit of a rate: at most Runs starts in any time of length Per.
type Window struct {
	Runs int           // 1 to MaxRuns
	Per  time.Duration // 1s or more
}

// WhenLimited says what becomes of an alert that max, rate_limit, cooldown or a
// pause holds back.
type WhenLimited string

// The values of when_limited.
const (
	LimitedWait WhenLimited = "wait" // it waits on the queue
	LimitedSkip WhenLimited = "skip" // this notification is skipped; the next one may run
)

// Breaker stops a command that keeps failing.
type Breaker struct {
	Failures int           // runs in a row that fail before it opens, 1 to 100; 0: there is no breaker
	For      time.Duration // how long it stays open, 1s or more
}

// Mode says whether a command is sent.
type Mode string

// The modes of a command.
const (
	ModeRun     Mode = "run"
	ModeObserve Mode = "observe" // everything but the sending
)

// OnStop says what becomes of a run that stopping amx serve killed.
type OnStop string

// The values of on_stop.
const (
	StopCancelled OnStop = "cancelled" // it stays cancelled
	StopRerun     OnStop = "rerun"     // it is due again at the next start, unless its alert has resolved
)

var limitsKeys = []key[Limits]{
	{"max", within(minInt, MaxRuns, func(l *Limits) *int { return &l.Max })},
	{"rate_limit", rates(func(l *Limits) *[]Window { return &l.RateLimit })},
}

func readLimits(r *reader, path string, n *yaml.Node, c *Config) {
	if isNull(n) {
		r.fail(n.Line, path, "no value: want max, rate_limit or both, or remove it")
		return
	}
	readKeys(r, path, n, limitsKeys, &c.Limits)
}

var windowKeys = []key[Window]{
	{"runs", within(1, MaxRuns, func(w *Window) *int { return &w.Runs })},
	{"per", duration(leastLimit, 0, 1, func(w *Window) *time.Duration { return &w.Per })},
}

// rates takes one window, or a list of them.
func rates[T any](field func(*T) *[]Window) read[T] {
	return func(r *reader, path string, n *yaml.Node, into *T) {
		windows := []Window{}
		one := func(at string, n *yaml.Node) {
			if n.Kind != yaml.MappingNode {
				r.fail(n.Line, at, "%s: want {runs: 3, per: 1h}", described(n))
				return
			}
			var w Window
			lines := readKeys(r, at, n, windowKeys, &w)
			if lines["runs"] == 0 || lines["per"] == 0 {
				r.fail(n.Line, at, `want both "runs" and "per"`)
			}
			windows = append(windows, w)
		}
		if n.Kind != yaml.SequenceNode {
			one(path, n)
		} else {
			for i, element := range r.elements(path, n) {
				one(fmt.Sprintf("%s[%d]", path, i), element)
			}
		}
		*field(into) = windows
	}
}

// maxFailures bounds the row of failures that a breaker remembers.
const maxFailures = 100

var breakerKeys = []key[Breaker]{
	{"failures", within(1, maxFailures, func(b *Breaker) *int { return &b.Failures })},
	{"for", duration(leastLimit, 0, 1, func(b *Breaker) *time.Duration { return &b.For })},
}

// readBreaker takes false, or a mapping whose missing keys keep their defaults.
func readBreaker(r *reader, path string, n *yaml.Node, c *Command) {
	if n.Kind == yaml.MappingNode {
		readKeys(r, path, n, breakerKeys, &c.Breaker)
		return
	}
	on := true
	if n.ShortTag() == "!!bool" && n.Decode(&on) == nil && !on {
		c.Breaker = Breaker{}
		return
	}
	r.fail(n.Line, path, "%s: want false, or {failures: 3, for: 1h}", described(n))
}

// cooldown takes 0, which is none, or a time of at least leastLimit.
func cooldown(r *reader, path string, n *yaml.Node, c *Command) {
	duration(0, 0, 1, func(c *Command) *time.Duration { return &c.Cooldown })(r, path, n, c)
	if 0 < c.Cooldown && c.Cooldown < leastLimit {
		r.fail(n.Line, path, "%s: want 0s, or %s or more", n.Value, ShortDuration(leastLimit))
	}
}
