package model

// rules are the protocol's. A test takes one out.
type rules struct {
	events message // of the world
	topic  bool    // SNS between Alertmanager and amx: it takes what is flushed, at once

	noClaim        bool // sends first, and enters the run with its command ID
	noGuard        bool // the node runs every pass
	noDoubt        bool // forgets that it has sent a part twice
	noWindow       bool // takes any list for proof
	anyVersion     bool // renews a claim on the version read after the list
	noTombstone    bool
	noQueue        bool // answers 500 instead of putting off
	anyResolveEnds bool // also one that was sent before the firing that reopened the episode
	startStays     bool // a later firing does not move the start of its episode
}

// turn collects the states that may follow one state.
type turn struct {
	rules
	yield func(next *state, who int, step string)
}

// Who takes a step; workers are 0 and 1.
const (
	theWorld = -1 - iota
	theSource
	theSSM
)

// fault gives the state with one fault less, if there is one left.
func fault(s *state) (state, bool) {
	n := *s
	if n.faults == 0 {
		return n, false
	}
	n.faults--
	return n, true
}

// happenings are what may happen to the alert. None of them has to.
func (t turn) happenings(s *state) {
	if s.world == t.events {
		return
	}
	n := *s
	n.world++
	n.starts[n.world] = n.world
	if !fires(n.world) {
		t.yield(&n, theWorld, "the alert resolves")
		return
	}
	t.yield(&n, theWorld, "the alert fires")
	if s.world > 0 && s.entry.tomb.end == s.world {
		n.starts[n.world] = s.starts[s.world-1]
		t.yield(&n, theWorld, "the alert fires again under its old start")
	}
}

// steps are what else may happen. If there is none, the state is at rest.
func (t turn) steps(s *state) {
	t.alertmanager(s)
	t.deliveries(s)
	t.runCommand(s)
	for i := range s.worker {
		if s.worker[i].at == idle {
			continue
		}
		t.work(s, i)
		if n, ok := fault(s); ok {
			n.die(i)
			t.yield(&n, i, "dies")
		}
	}
}

func (t turn) alertmanager(s *state) {
	n := *s
	switch a := &n.source; a.phase {
	case sourceIdle:
		// It sends a resolve only for what its log has as fired.
		if fires(s.world) == a.fired || s.world == 0 {
			return
		}
		a.snapshot = s.world
		if t.topic {
			n.queue[s.world]++
			a.fired = fires(s.world)
			t.yield(&n, theSource, "flushes to the topic")
			return
		}
		a.phase = sourceTrying
		t.yield(&n, theSource, "flushes")
		if c, ok := fault(&n); ok {
			c.queue[s.world]++
			t.yield(&c, theSource, "flushes, and its pair does, by way of the topic")
		}
	case sourceTrying:
		for i := range s.worker {
			if s.worker[i].at == idle {
				n.source.phase = sourceWaiting
				n.worker[i] = worker{at: deciding, message: a.snapshot}
				t.yield(&n, i, "takes the notification")
				break
			}
		}
		if a.failed {
			n = *s
			n.facts.lost = a.faulted
			a.phase, a.failed, a.faulted = sourceIdle, false, false
			t.yield(&n, theSource, "gives up the notification")
		}
	}
}

func (t turn) deliveries(s *state) {
	free := -1
	for i := range s.worker {
		if s.worker[i].at == idle {
			free = i
		}
	}
	if free < 0 {
		return
	}
	for m, count := range s.queue {
		if count == 0 {
			continue
		}
		n := *s
		n.worker[free] = worker{at: deciding, message: message(m), queued: true}
		if c, ok := fault(&n); ok {
			t.yield(&c, free, "takes an item that will come again")
		}
		n.queue[m]--
		t.yield(&n, free, "takes an item")
	}
}

// runCommand has the steps of SSM, its node and the passing of time.
func (t turn) runCommand(s *state) {
	for id, c := range s.ssm {
		n := *s
		switch {
		case c.stage == pending && c.cancel:
			n.ssm[id].stage = over
			t.yield(&n, theSSM, "a cancelled command never begins")
		case c.stage == pending:
			step := n.begin(id, !t.noGuard)
			t.yield(&n, theSSM, step)
		case c.stage == running && c.cancel:
			n.ssm[id].stage = over
			t.yield(&n, theSSM, "the agent kills a cancelled command")
		}
	}
	for x, r := range s.entry.runs {
		n := *s
		switch {
		case r.holder == gone:
			n.entry.runs[x].holder = 0
			t.yield(&n, theSSM, "time passes: a dead sender's lease ends")
		case r.in && r.holder == 0 && !s.window[x] && (r.doubt || r.unknown):
			n.window[x] = true
			for id := range n.ssm {
				n.ssm[id].listed = n.ssm[id].listed || n.ssm[id].stage != 0 && int(n.ssm[id].run) == x
			}
			t.yield(&n, theSSM, "time passes: a run's window is over, the list shows all of it")
		}
	}
}
