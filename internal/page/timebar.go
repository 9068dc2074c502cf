package page

import (
	"time"

	"github.com/amx-lambda/amx/internal/history"
)

// A bar is a line of the picture of a run's time. X and Width are thousandths.
type bar struct {
	Name  string
	Class string // sending, good, bad, open
	X     float64
	Width float64
	Took  time.Duration
	Open  bool // it goes on
}

// maxBars limits the nodes of the picture. Failed nodes come first.
const maxBars = 20

// bars returns the bars of a run, from its claim to its end or to now: first the sending,
// then each node.
func bars(now time.Time, r history.Record) (out []bar) {
	if !history.IsRun(r.Run) || r.Claimed.IsZero() {
		return nil
	}
	end := r.Ended
	if end.IsZero() {
		end = now
	}
	for _, n := range r.Nodes {
		if n.Ended.After(end) {
			end = n.Ended
		}
	}
	whole := max(end.Sub(r.Claimed), time.Millisecond)
	add := func(name, class string, from, to time.Time, open bool) {
		from = later(from, r.Claimed)
		if to = later(to, from); to.After(end) {
			to = end
		}
		b := bar{Name: name, Class: class, Took: to.Sub(from), Open: open}
		b.X = 1000 * float64(from.Sub(r.Claimed)) / float64(whole)
		b.Width = max(4, 1000*float64(to.Sub(from))/float64(whole)) // show even a moment
		b.X = min(b.X, 1000-b.Width)
		out = append(out, b)
	}
	if !r.Sent.IsZero() {
		add("sending", "sending", r.Claimed, r.Sent, false)
	}
	for _, n := range r.Nodes[:min(len(r.Nodes), maxBars)] {
		if n.Started.IsZero() {
			continue
		}
		to, open := n.Ended, n.Ended.IsZero()
		if open {
			to = end
		}
		add(n.Node, []string{"bad", "open", "good"}[n.Order()], n.Started, to, open && r.State == history.Running)
	}
	return out
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
