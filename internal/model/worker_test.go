package model

// worker is one invocation, with what it remembers of its delivery.
type worker struct {
	at      uint8
	message message
	queued  bool  // from the queue; else Alertmanager waits for the answer
	claims  uint8 // run + 1 that it is to send or to take over
	sends   bool  // it holds the claim
	reopens bool
	answer  uint8 // of SendCommand: command + 1, noAnswer or throttled
	cancels uint8 // bits: runs to cancel
	reads   uint8 // run whose list it reads
	read    uint8 // bits: runs whose list it has read
	found   uint8 // bits: commands
	proof   bool
	stale   bool  // the other worker has written the entry since this one read it, before the list
	entered uint8 // bits: cancellations that are accepted and not yet written
	trouble bool  // a cancellation failed
	left    bool  // something is to be put off
	failed  bool  // could not put off
	faulted bool  // because of a fault
}

const (
	idle uint8 = iota
	deciding
	sending
	recording
	cancelling
	listing
	learning
	finishing
	answering
)

const (
	noAnswer  uint8 = 100
	throttled uint8 = 101
)

func (t turn) work(s *state, i int) {
	switch s.worker[i].at {
	case deciding:
		t.decide(s, i)
	case sending:
		t.send(s, i)
	case recording:
		t.record(s, i)
	case listing:
		t.list(s, i)
	case learning:
		t.learn(s, i)
	case cancelling:
		t.cancel(s, i)
	case finishing:
		t.finish(s, i)
	case answering:
		t.reply(s, i)
	}
}

// wrote tells the other worker that the entry is not what it read. A write is
// conditional, and its loser reads and decides again, so each read and write is
// one step here; only what was decided on a list can be out of date.
func (t turn) wrote(s, n *state, i int, step string) {
	if other := &n.worker[1-i]; n.entry != s.entry && other.at >= cancelling && other.at <= learning {
		other.stale = true
	}
	n.forget(i)
	t.yield(n, i, step)
}

// forget drops what no later step reads: states that differ in it alone are one.
func (s *state) forget(i int) {
	w := &s.worker[i]
	if w.at != recording {
		w.answer = 0
	}
	if w.at != learning {
		w.found, w.proof = 0, false
	}
	w.stale = w.stale && (w.claims != 0 && !w.sends || w.at == listing || w.at == learning)
	if w.at >= finishing {
		*w = worker{at: w.at, message: w.message, queued: w.queued, left: w.left}
	}
	for x, r := range s.entry.runs {
		s.window[x] = s.window[x] && (r.doubt || r.unknown)
	}
}

// die is the end of a worker: its claims hold until their leases end, and its
// delivery comes again.
func (s *state) die(i int) {
	s.abandon(i)
	if w := s.worker[i]; w.queued {
		s.queue[w.message]++
	} else {
		s.source.fail(true)
	}
	s.worker[i] = worker{}
}

// fail ends an attempt of Alertmanager's without an answer of 200.
func (a *source) fail(faulted bool) {
	a.phase, a.failed, a.faulted = sourceTrying, true, faulted
}

// abandon is what its death or a lost write makes of a worker's claim.
func (s *state) abandon(i int) {
	for x, r := range s.entry.runs {
		if int(r.holder) == i+1 {
			s.entry.runs[x].holder = gone
		}
	}
}

// putOff ends the delivery with something left.
func (w *worker) putOff() { w.left, w.at, w.claims, w.sends = true, finishing, 0, false }

func (t turn) decide(s *state, i int) {
	if n, ok := fault(s); ok {
		n.worker[i].putOff()
		t.yield(&n, i, "cannot reach the ledger")
	}
	n := *s
	w := &n.worker[i]
	w.claims, w.sends, w.cancels, w.stale = 0, false, 0, false
	step := "enters the resolve"
	if fires(w.message) {
		step = t.fire(&n, i)
	} else {
		n.resolve(w.message, t.rules)
	}
	for x, r := range n.entry.runs {
		if r.in && r.cancel && !n.stopped(x) && (!fires(w.message) || !r.live(i)) {
			w.cancels |= 1 << x
		}
	}
	w.at = cancelling
	t.wrote(s, &n, i, step)
	if c, ok := fault(&n); ok && w.sends && !t.noClaim {
		c.abandon(i)
		c.worker[i].putOff()
		t.wrote(s, &c, i, "claims a run; the write's answer is lost")
	}
}

// fire decides on a firing: to claim a run, to take one over, to wait, or nothing.
func (t turn) fire(n *state, i int) string {
	w := &n.worker[i]
	at, late, reopens := n.place(w.message, t.rules)
	switch {
	case late:
		return "skips a late firing"
	case at < 0:
		x := n.newRun(w.message)
		w.claims, w.sends, w.reopens = uint8(x+1), true, reopens
		if !t.noClaim {
			n.enter(x, w.message, reopens, i)
		}
		return "claims a run"
	}
	e := &n.entry.episodes[at]
	if !t.startStays {
		e.start = max(e.start, n.starts[w.message])
	}
	x := int(e.run)
	n.facts.firing[x] = max(n.facts.firing[x], w.message)
	switch r := n.entry.runs[x]; {
	case r.live(i):
		w.left = true
		return "meets a live claim"
	case r.commands == 0:
		w.claims = e.run + 1
		return "finds a run whose sender is gone"
	}
	return "finds the run sent"
}

func (t turn) send(s *state, i int) {
	id := 0
	for id < maxCommands && s.ssm[id].stage != 0 {
		id++
	}
	n := *s
	w := &n.worker[i]
	w.at = recording
	if id == maxCommands {
		n.facts.broken = bounds
		t.yield(&n, i, "sends")
		return
	}
	if c, ok := fault(&n); ok {
		c.worker[i].answer = throttled
		t.yield(&c, i, "sends: throttled")
		c.worker[i].answer = noAnswer
		t.yield(&c, i, "sends: no answer, SSM has not heard it")
		c.ssm[id] = command{stage: pending, run: w.claims - 1}
		t.yield(&c, i, "sends: no answer, SSM has accepted it")
	}
	n.ssm[id] = command{stage: pending, run: w.claims - 1}
	w.answer = uint8(id + 1)
	t.yield(&n, i, "sends: accepted")
}

func (t turn) record(s *state, i int) {
	if n, ok := fault(s); ok {
		n.abandon(i)
		n.worker[i].putOff()
		t.yield(&n, i, "cannot record what it sent")
	}
	n := *s
	w := &n.worker[i]
	x := int(w.claims - 1)
	if t.noClaim && !n.entry.runs[x].in {
		n.enter(x, w.message, w.reopens, i)
	}
	r := &n.entry.runs[x]
	r.holder, w.sends, w.stale = 0, false, false
	switch w.answer {
	case noAnswer:
	case throttled:
		r.unknown = false
	default:
		r.learn(1 << (w.answer - 1))
	}
	switch sent := r.commands != 0; {
	case !sent && !r.unknown && !r.doubt:
		n.leave(x)
		w.putOff()
	case r.cancel:
		w.cancels, w.claims, w.at = 1<<x, 0, cancelling
	case sent:
		w.claims, w.at = 0, finishing
	case w.answer == throttled, w.read>>x&1 == 1:
		w.putOff()
	default:
		w.reads, w.at = uint8(x), listing
	}
	t.wrote(s, &n, i, "records what it sent")
}

// finish puts off what is left. Nothing left of a resolve means that it is settled.
func (t turn) finish(s *state, i int) {
	n := *s
	w := &n.worker[i]
	w.at = answering
	switch {
	case !w.left:
		if !fires(w.message) {
			n.settle(w.message)
		}
		t.yield(&n, i, "is done")
	case t.noQueue:
		w.failed = true
		t.yield(&n, i, "has something left, and no queue")
	default:
		if c, ok := fault(&n); ok {
			c.worker[i].failed, c.worker[i].faulted = true, true
			t.yield(&c, i, "cannot put off what is left")
		}
		n.queue[w.message]++
		t.yield(&n, i, "puts off what is left")
	}
}

func (t turn) reply(s *state, i int) {
	n := *s
	w := n.worker[i]
	n.worker[i] = worker{}
	if c, ok := fault(&n); ok {
		if w.queued {
			c.queue[w.message]++
		} else {
			c.source.fail(true)
		}
		t.yield(&c, i, "answers, which nobody hears")
	}
	switch {
	case w.queued && w.failed:
		n.queue[w.message]++
		t.yield(&n, i, "leaves the item on the queue")
	case w.queued:
		t.yield(&n, i, "deletes the item")
	case w.failed:
		n.source.fail(w.faulted)
		t.yield(&n, i, "answers 500")
	default:
		n.source = source{fired: fires(w.message), snapshot: w.message}
		n.facts.lost = false
		t.yield(&n, i, "answers 200")
	}
}
