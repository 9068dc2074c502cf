package ledger

import (
	"slices"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
)

// A Policy is what a command's configuration says about its runs.
type Policy struct {
	Retries        int
	RepeatAfter    time.Duration // 0: never
	IgnoreResolved bool
}

// An Input is what a decision depends on, beside the entry.
type Input struct {
	Now    time.Time
	SentAt time.Time  // SNS timestamp, else arrival
	Alerts amx.Alerts // of the message, those that match the command
	Policy Policy

	Holder  string // this delivery, as it signs its claims
	Process string // the process that owns the ledger alone; empty on Lambda

	// Asked is the runs whose state was asked of SSM for this delivery.
	Asked map[string]bool
}

// A Plan is what a decision comes to.
type Plan struct {
	Changed bool // the entry is to be written
	Due     []Due
	Skips   []Skip
	Cancels []Step // runs that a resolve ends; each is verified, also one that was cancelled before
	Waits   []Step // runs that another delivery is sending now
	Adopts  []Step // runs whose sender is gone
	Asks    []Step // runs of which SSM must say whether they are over
}

// Due is alerts that are due a run, one run for all of them.
type Due struct {
	Reason  Reason
	Prev    string // the run that is retried or repeated
	Attempt int
	Alerts  amx.Alerts
	opens   map[string]time.Time // fingerprint → start of the episode that it opens
}

// A Skip is alerts for which nothing is done.
type Skip struct {
	Reason Reason
	Run    string
	Alerts []string // fingerprints
}

// A Step is something to do about a run that the entry knows.
type Step struct {
	Run    string
	Reason Reason
	Alerts amx.Alerts // those that led to it
}

// Decide enters the alerts of a delivery and says what is to be done. It
// changes the entry only by what the alerts themselves tell; a run is entered
// by [Entry.Claim] once it has been rendered.
//
// Resolves go before firings. An alert that is absent proves nothing, and
// neither does the message's own status: Alertmanager cuts messages
// (truncatedAlerts) and computes the status after the cut.
func (e *Entry) Decide(in Input) Plan {
	var p Plan
	for i := range in.Alerts {
		if a := &in.Alerts[i]; a.Status == amx.Resolved {
			p.Changed = e.end(a, in.SentAt) || p.Changed
		}
	}
	for i := range in.Alerts {
		if a := &in.Alerts[i]; a.Status == amx.Resolved {
			e.decideResolved(&p, a, &in)
		}
	}
	stale := in.Now.Sub(in.SentAt) > Stale
	for i := range in.Alerts {
		switch a := &in.Alerts[i]; {
		case a.Status == amx.Resolved:
		case stale:
			p.skip(SkipStale, "", a)
		default:
			e.decideFiring(&p, a, &in)
		}
	}
	if p.Changed {
		e.prune(in.Now)
	}
	return p
}

func (e *Entry) decideResolved(p *Plan, a *amx.Alert, in *Input) {
	runs, goesOn := e.endedBy(a, in.SentAt)
	// Of runs that are long stopped nothing is said beside one that is not.
	if len(runs) > 1 {
		last := runs[len(runs)-1]
		runs = slices.DeleteFunc(runs, func(id string) bool { return id != last && e.stopped(id, in) })
	}
	if len(runs) == 0 {
		if goesOn {
			p.skip(SkipLaterFiring, "", a)
		} else {
			p.skip(SkipNothing, "", a)
		}
		return
	}
	for _, id := range runs {
		r := e.Run(id)
		switch {
		case r == nil || r.Over():
			p.skip(SkipEnded, id, a)
		case in.Policy.IgnoreResolved:
			p.skip(SkipIgnored, id, a)
		case !e.allEnded(id):
			p.skip(SkipStillFiring, id, a)
		case e.stopped(id, in):
			p.skip(SkipStopped, id, a)
		default:
			p.Changed = p.Changed || !r.CancelAsked
			r.CancelAsked = true
			step(&p.Cancels, CancelEnded, id, a)
		}
	}
}

// stopped says that a run is over, or was stopped by an earlier resolve.
func (e *Entry) stopped(id string, in *Input) bool {
	r := e.Run(id)
	return r == nil || r.Over() || r.CancelAsked && r.Stopped(in.Now, in.Process)
}

func (e *Entry) decideFiring(p *Plan, a *amx.Alert, in *Input) {
	ep, opens, against := e.place(a, in.SentAt)
	if against != "" {
		p.skip(against, "", a)
		return
	}
	if ep == nil {
		p.due(Due{Reason: RunFiring, Attempt: 1}, a, opens)
		return
	}
	// In a form without times too: a resolve stamped before this firing, and
	// overtaken by it, is not the end of what fires now.
	if start := startOf(a, in.SentAt); start.After(ep.StartsAt) {
		ep.StartsAt, p.Changed = start, true
	}
	if in.Now.Sub(ep.Seen) > touch {
		ep.Seen, p.Changed = in.Now, true
	}
	r := e.Run(ep.Run)
	switch {
	case r == nil:
		p.skip(SkipRan, ep.Run, a)
	case r.Over():
		e.decideAgain(p, r, a, in)
	case r.live(in.Now, in.Process) && r.Holder != in.Holder:
		step(&p.Waits, SkipRunning, r.ID, a)
	case !r.complete():
		step(&p.Adopts, RunAdopted, r.ID, a)
	case !in.Asked[r.ID] && r.mustAsk(in):
		step(&p.Asks, SkipRunning, r.ID, a)
	case in.Asked[r.ID]:
		p.skip(SkipRunning, r.ID, a)
	default:
		p.skip(SkipRan, r.ID, a)
	}
}

// decideAgain is about a run that is over while its alert fires on.
func (e *Entry) decideAgain(p *Plan, r *Run, a *amx.Alert, in *Input) {
	switch {
	case r.repeats(in):
		p.due(Due{Reason: RunRepeat, Prev: r.ID, Attempt: 1}, a, time.Time{})
	case !r.Outcome.Failed:
		p.skip(SkipRan, r.ID, a)
	case r.Attempt <= in.Policy.Retries:
		p.due(Due{Reason: RunRetry, Prev: r.ID, Attempt: r.Attempt + 1}, a, time.Time{})
	default:
		p.skip(SkipFailed, r.ID, a)
	}
}

// repeats says that repeat_after has passed. 95 % of it counts, because
// Alertmanager's repeat_interval is only looked at every group_interval and
// the two would else beat against each other.
func (r *Run) repeats(in *Input) bool {
	d := in.Policy.RepeatAfter
	return d > 0 && in.Now.Sub(r.Claimed) >= d/100*95
}

// mustAsk says that the decision depends on whether the run is over, which the
// entry does not know. No run is over by the clock alone.
func (r *Run) mustAsk(in *Input) bool {
	return r.Unsure && len(r.Commands()) == 0 || in.Policy.Retries > 0 || r.repeats(in) || in.Now.After(r.Until)
}

// due adds the alert to the run that it shares with others: alerts without a
// run have one together, and those of a failed run have its retry together.
func (p *Plan) due(d Due, a *amx.Alert, opens time.Time) {
	i := slices.IndexFunc(p.Due, func(q Due) bool { return q.Prev == d.Prev && q.Reason == d.Reason })
	if i < 0 {
		d.opens = map[string]time.Time{}
		p.Due = append(p.Due, d)
		i = len(p.Due) - 1
	}
	q := &p.Due[i]
	if _, twice := q.opens[a.Fingerprint]; twice {
		return // the same alert twice in one message
	}
	q.opens[a.Fingerprint] = opens
	q.Alerts = append(q.Alerts, *a)
}

func (p *Plan) skip(reason Reason, run string, a *amx.Alert) {
	i := slices.IndexFunc(p.Skips, func(s Skip) bool { return s.Reason == reason && s.Run == run })
	if i < 0 {
		p.Skips = append(p.Skips, Skip{Reason: reason, Run: run})
		i = len(p.Skips) - 1
	}
	p.Skips[i].Alerts = append(p.Skips[i].Alerts, a.Fingerprint)
}

func step(steps *[]Step, reason Reason, run string, a *amx.Alert) {
	i := slices.IndexFunc(*steps, func(s Step) bool { return s.Run == run })
	if i < 0 {
		*steps = append(*steps, Step{Run: run, Reason: reason})
		i = len(*steps) - 1
	}
	(*steps)[i].Alerts = append((*steps)[i].Alerts, *a)
}

// Holds says that the entry takes the run that is due, and does not grow past a
// size with it: that of its encoding, in bytes.
func (e *Entry) Holds(d Due, r Run, now time.Time, size int) bool {
	with := Entry{Episodes: slices.Clone(e.Episodes), Resolves: slices.Clone(e.Resolves), Runs: slices.Clone(e.Runs)}
	with.Claim(d, r, now)
	value, _ := with.Encode()
	return len(value) <= size
}

// Claim enters a run for the alerts that are due, before it is sent.
func (e *Entry) Claim(d Due, r Run, now time.Time) {
	r.Prev, r.Attempt, r.Claimed = d.Prev, d.Attempt, now
	if prev := e.Run(d.Prev); prev != nil && d.Reason == RunRetry && prev.Outcome != nil {
		r.Before = prev.Outcome.Succeeded
	}
	for _, a := range d.Alerts {
		if d.Prev == "" {
			e.Episodes = append(e.Episodes, Episode{
				Fingerprint: a.Fingerprint, StartsAt: d.opens[a.Fingerprint], Seen: now, Run: r.ID,
			})
			continue
		}
		for i := range e.Episodes {
			p := &e.Episodes[i]
			if p.Fingerprint == a.Fingerprint && p.Run == d.Prev && p.EndsAt.IsZero() {
				p.Run = r.ID
			}
		}
	}
	e.Runs = append(e.Runs, r)
	e.prune(now)
}
