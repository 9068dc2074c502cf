package simulation

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
)

// A shape is what a schedule is about.
type shape struct {
	perAlert  bool
	retries   int
	ignore    bool
	max       int
	term      bool // resolved_signal: SIGTERM
	chunked   bool
	document  bool          // a document, which no guard keeps from running twice
	repeat    time.Duration // repeat_after
	wait      time.Duration
	calm      bool          // no fault but reordering and duplicates
	serve     bool          // amx serve: one process at a time, which is killed and started again
	lost      bool          // SSM has lost the node of an alert
	pair      bool          // of Prometheis, whose clocks are up to a minute apart
	real      bool          // the source is Alertmanager as it is, and not whatever may be
	cluster   bool          // of two Alertmanagers
	other     bool          // there is a second command, that SSM may not send
	throttles bool          // SSM takes two calls of an operation in a second
	changes   time.Duration // when a deployment begins that changes what the command sends; 0: never
	newer     bool          // and the release, to one that writes newer entries
	days      bool          // alerts whose labels change come for days
	hundreds  bool          // of alerts, most of them in the same messages
	room      int           // bytes of an entry of the ledger; 0: any number
	pauses    time.Duration // when the command is paused, for five minutes or until it is resumed; 0: never
	blank     bool          // an alert does not say where to run
	groups    int
	rails     rails
	reboots   bool   // nodes restart under what they run, and commands ask for it
	forgets   bool   // nodes lose their guards
	foreign   bool   // others send commands too
	untimed   string // the source has a form without times: "text", or "block" with one alert in each message; "": it has none
}

// drawShape draws what the schedule is about.
func (s *schedule) drawShape(r *rand.Rand) {
	s.shape = shape{perAlert: r.IntN(2) == 0, ignore: r.IntN(12) == 0, term: r.IntN(8) == 0, chunked: r.IntN(10) == 0, calm: r.IntN(10) == 0}
	if r.IntN(3) == 0 {
		s.shape.retries = 1 + r.IntN(2)
	}
	if r.IntN(4) == 0 {
		s.shape.max = 1 + r.IntN(4)
	}
	if r.IntN(2) == 0 {
		s.shape.wait = 5 * time.Second
	}
	if r.IntN(6) == 0 {
		s.shape.repeat = 5 * time.Minute
	}
	s.shape.document = !s.shape.term && r.IntN(6) == 0
	s.shape.serve, s.shape.pair, s.shape.lost = r.IntN(8) == 0, r.IntN(8) == 0, r.IntN(8) == 0
	s.shape.real, s.shape.cluster, s.shape.other = r.IntN(2) == 0, r.IntN(3) == 0, r.IntN(12) == 0
	s.shape.throttles, s.shape.blank, s.shape.groups = r.IntN(6) == 0, r.IntN(8) == 0, 1+r.IntN(3)
	if r.IntN(6) == 0 {
		s.shape.changes = between(r, time.Minute, 10*time.Minute)
	}
	if r.IntN(8) == 0 {
		s.shape.pauses = between(r, time.Second, 10*time.Minute)
	}
	if s.shape.real {
		s.shape.pair = false
	}
	s.drawRails()
	s.drawNodes()
	s.drawForm()
	s.drawHundreds()
	s.shape.newer, s.shape.days = s.draw("release").IntN(2) == 0, s.draw("days").IntN(60) == 0
	s.shape.foreign = s.draw("foreign").IntN(8) == 0
	if s.bug.shape != nil {
		s.bug.shape(&s.shape)
	}
	s.shape.agree()
}

// configure makes the configuration, and the one that a deployment changes it to.
func (s *schedule) configure() {
	config := s.shape.yaml()
	var err error
	if s.config, err = amx.ParseConfig("amx.yaml", []byte(config)); err != nil {
		panic(err)
	}
	if s.shape.changes > 0 {
		changed := strings.Replace(config, "cmd: /bin/fix", "cmd: /bin/fix\n    args: [changed]", 1)
		if s.changed, err = amx.ParseConfig("amx.yaml", []byte(changed)); err != nil {
			panic(err)
		}
	}
}

// yaml is the configuration.
func (s *shape) yaml() string {
	config := group
	if s.chunked {
		config = chunked()
	}
	config = strings.Replace(config, "wait: 0s", fmt.Sprintf("wait: %v\n    retries: %d\n    max: %d\n    ignore_resolved: %v", s.wait, s.retries, s.max, s.ignore), 1)
	if s.repeat > 0 {
		config += fmt.Sprintf("    repeat_after: %v\n", s.repeat)
	}
	if s.document {
		config = strings.Replace(config, "cmd: /bin/fix", "document: Fix", 1)
	}
	if s.perAlert {
		config += "    scope: alert\n"
	}
	if s.term {
		config += "    resolved_signal: SIGTERM\n"
	}
	config = s.rails.on(config)
	if s.other {
		config += strings.TrimPrefix(strings.Replace(one, "name: fix", "name: other", 1), "\ncommands:\n")
	}
	return config
}

// agree takes out what does not go together.
func (s *shape) agree() {
	if s.chunked {
		s.perAlert = false
		s.rails.second = false
	}
	if s.rails.drawn || s.hundreds { // each of which would be tried again for hours
		s.other = false
	}
	if s.chunked { // which takes two alerts in a message
		s.untimed = ""
	}
	if s.hundreds { // whatever may be has a message for each
		s.real, s.pair = true, false
	}
	if s.document { // nothing keeps an agent from repeating one
		s.reboots = false
	}
	if s.term { // a signal goes by what the guard has
		s.reboots, s.forgets = false, false
	}
}
