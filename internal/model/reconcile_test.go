package model

import "math/bits"

// list reads SSM's list for the commands of a run. It may leave out what is
// younger than the window.
func (t turn) list(s *state, i int) {
	n := *s
	w := &n.worker[i]
	x := w.reads
	w.read |= 1 << x
	if c, ok := fault(&n); ok {
		c.worker[i].at = cancelling // of what is known
		if w.claims != 0 {
			c.worker[i].putOff()
		}
		t.yield(&c, i, "cannot read the list")
	}
	w.found, w.at = 0, learning
	w.proof = s.window[x] || t.noWindow
	w.stale = w.stale && !t.anyVersion
	lags := false
	for id, c := range s.ssm {
		if c.stage != 0 && c.run == x && c.listed {
			w.found |= 1 << id
		}
		lags = lags || c.stage != 0 && c.run == x && !c.listed
	}
	t.yield(&n, i, "reads the list")
	if !lags {
		return
	}
	for id, c := range s.ssm {
		if c.stage != 0 && c.run == x {
			w.found |= 1 << id
		}
	}
	t.yield(&n, i, "reads the list, which has all")
}

// learn enters what the list showed. A taker over continues the run, on the
// version of the entry that it read before the list.
func (t turn) learn(s *state, i int) {
	n := *s
	w := &n.worker[i]
	x := int(w.reads)
	r := &n.entry.runs[x]
	takes := w.claims != 0
	if takes && (w.stale || !r.in) {
		w.at = deciding
		t.wrote(s, &n, i, "decides again: the entry has changed")
		return
	}
	if r.in {
		r.learn(w.found)
	}
	if r.in && w.proof && !w.stale && r.holder == 0 {
		r.doubt, r.unknown = false, false
		if r.commands == 0 {
			n.leave(x)
		}
	}
	step := "enters what the list shows"
	switch {
	case !takes:
		w.at = cancelling
	case !r.in:
		w.at = deciding
	case r.cancel:
		w.cancels, w.claims, w.at = 1<<x, 0, cancelling
	case r.commands != 0:
		w.claims, w.at = 0, finishing
	default:
		step = "takes the run over"
		r.holder, r.unknown, r.doubt, n.window[x] = uint8(i+1), true, !t.noDoubt, false
		w.sends, w.at = true, sending
	}
	t.wrote(s, &n, i, step)
}

// cancel does the next thing for the first run that is to be cancelled, then
// goes on to what is to be sent.
func (t turn) cancel(s *state, i int) {
	n := *s
	w := &n.worker[i]
	if w.cancels == 0 {
		switch {
		case w.claims == 0:
			w.at = finishing
		case w.sends:
			w.at = sending
		default:
			w.reads, w.at = w.claims-1, listing
		}
		t.work(&n, i)
		return
	}
	x := bits.TrailingZeros8(w.cancels)
	r := &n.entry.runs[x]
	known := r.commands &^ r.cancelled &^ w.entered
	switch {
	case n.stopped(x):
		w.cancels &^= 1 << x
		t.yield(&n, i, "finds the run stopped")
	case r.live(i):
		w.cancels &^= 1 << x
		w.left = true
		t.yield(&n, i, "meets a live claim of a run to be cancelled")
	case (r.doubt || r.unknown) && w.read>>x&1 == 0:
		w.reads, w.claims, w.stale, w.at = uint8(x), 0, false, listing
		w.left = w.left || fires(w.message)
		t.work(&n, i)
	case known != 0 && !w.trouble:
		id := bits.TrailingZeros8(known)
		if c, ok := fault(&n); ok {
			c.worker[i].trouble = true
			t.yield(&c, i, "cancels: throttled")
			c.ssm[id].cancel = true
			t.yield(&c, i, "cancels: accepted, the answer is lost")
		}
		n.ssm[id].cancel = true
		w.entered |= 1 << id
		t.yield(&n, i, "cancels: accepted")
	case r.commands&w.entered != 0:
		r.cancelled |= r.commands & w.entered
		w.entered &^= r.commands
		t.wrote(s, &n, i, "enters the accepted cancellation")
	default:
		w.cancels &^= 1 << x
		w.left, w.trouble = true, false
		t.yield(&n, i, "cannot settle the cancellation now")
	}
}
