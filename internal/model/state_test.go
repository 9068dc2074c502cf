// Package model explores the protocol of docs/architecture.md apart from the
// code: one group with one alert in Alertmanager, two workers that may die
// between any two steps, the ledger, SSM with one node, and the queue. It visits
// every state that a few faults can reach, in whatever order the steps happen.
//
// The model has no clock. A wait is a step that may happen at any time after
// the steps that the rules demand before it:
//
//   - The lease of a dead sender ends in a step of its own. A living sender is
//     done before its lease ends.
//   - The window of a run passes at some time after the last lease ended. SSM's
//     list is complete by then. Before, it may leave out any command.
//   - A message was sent at the event of the world that it tells of. Alertmanager
//     flushes a group in sequence, so later news is sent later.
//   - An alert that fires under its old start does so 15 minutes after amx has
//     entered the resolve. Sooner it is cut off, which is accepted.
//
// A command runs until it is cancelled. So a forgotten run is never hidden by an
// end of its own.
package model

// The most that one exploration needs. A state that wants more is an error.
const (
	maxMessages = 6
	maxEpisodes = 5
	maxRuns     = 6
	maxCommands = 6
	workers     = 2
)

// message is the number of the world's event that it tells of: odd ones fire,
// even ones resolve. Its times are such numbers too.
type message = uint8

func fires(m message) bool { return m%2 == 1 }

// state is all that the next step depends on. It has no pointers and no padding,
// so that two states are equal if their bytes are.
type state struct {
	world  message            // the last event
	starts [maxMessages]uint8 // startsAt, by the message that fires
	faults uint8              // how many may still happen
	source source
	queue  [maxMessages]uint8 // items in nobody's hands, by message
	entry  entry
	window [maxRuns]bool // has passed since the last lease ended
	ssm    [maxCommands]command
	guard  [maxRuns]bool // taken on the node
	worker [workers]worker
	facts  facts
}

// source is Alertmanager's pipeline for the group.
type source struct {
	phase    uint8 // sourceIdle, sourceTrying or sourceWaiting
	snapshot message
	fired    bool // its log has the alert as firing
	failed   bool // an attempt did. It gives up no notification before
	faulted  bool // a fault spoiled the last attempt, not an answer of amx
}

const (
	sourceIdle uint8 = iota
	sourceTrying
	sourceWaiting
)

// entry is what the ledger keeps.
type entry struct {
	episodes [maxEpisodes]episode
	tomb     tombstone
	runs     [maxRuns]run
}

type episode struct {
	used     bool
	start    uint8
	ended    bool
	reopened message // the firing under an old start that opened it, or 0
	run      uint8
}

type tombstone struct{ end, sent uint8 }

type run struct {
	used      bool  // its ID is taken
	in        bool  // of the entry. One that was never sent leaves it
	holder    uint8 // of the claim: worker + 1, or gone while the lease of a dead one goes on
	claimed   uint8
	unknown   bool  // no command ID, and nobody knows that there is none
	doubt     bool  // sent once more while unknown
	cancel    bool  // asked
	commands  uint8 // bits
	cancelled uint8 // bits: commands whose cancellation was accepted
}

// gone is a holder that has died.
const gone = workers + 1

type command struct {
	stage  uint8 // 0: does not exist
	run    uint8
	listed bool // for certain
	cancel bool // accepted
}

const (
	pending uint8 = iota + 1
	running
	over
)

// facts is what really happened. No rule reads it, the invariants do.
type facts struct {
	firing  [maxRuns]message   // the latest firing that the run is for
	claimed [maxRuns]message   // the firing that claimed it
	effects [maxMessages]uint8 // passes that ran the command, by the firing that claimed them
	settled message            // the latest resolve that amx has settled
	lost    bool               // Alertmanager gave up its last notification because of a fault
	broken  invariant
}

// invariant is a promise of the protocol. The zero value says that all hold.
type invariant uint8

const (
	once invariant = iota + 1
	settled
	stopped
	served
	ends
	bounds
)

func (i invariant) String() string {
	return [...]string{
		"all invariants hold",
		"no second effect: a firing runs the command once on the node",
		"settled: after a settled resolve nothing of the run goes on or starts",
		"stopped: the run of a resolved alert is cancelled in the end, unless Alertmanager alone lost the resolve",
		"served: an alert that fires in the end has its run",
		"ends: every item of the queue ends",
		"the bounds of the model are too small",
	}[i]
}

// atRest checks a state in which nothing happens any more.
func (s *state) atRest() invariant {
	goesOn := false
	for _, c := range s.ssm {
		goesOn = goesOn || c.stage == running && !c.cancel
	}
	switch {
	case s.facts.lost:
		return 0
	case fires(s.world) && !goesOn:
		return served
	case !fires(s.world) && goesOn:
		return stopped
	}
	return 0
}

// settle notes that amx is done with a resolve.
func (s *state) settle(m message) {
	s.facts.settled = max(s.facts.settled, m)
	for _, c := range s.ssm {
		if (c.stage == pending || c.stage == running) && !c.cancel && s.facts.firing[c.run] < s.facts.settled {
			s.facts.broken = settled
		}
	}
}

// begin starts a pass on the node, unless the guard holds it back.
func (s *state) begin(id int, guarded bool) string {
	c := &s.ssm[id]
	if guarded && s.guard[c.run] {
		c.stage = over
		return "the pass finds the guard taken"
	}
	c.stage, s.guard[c.run] = running, true
	firing := s.facts.claimed[c.run]
	s.facts.effects[firing]++
	if s.facts.effects[firing] > 1 {
		s.facts.broken = once
	} else if s.facts.firing[c.run] < s.facts.settled {
		s.facts.broken = settled
	}
	return "the command begins"
}
