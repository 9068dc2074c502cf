package ledger

import (
	"slices"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
)

// A reminder asks SSM about its run again after a quarter of the run's age, within
// these bounds.
const (
	soonest = 5 * time.Second
	seldom  = 2 * time.Minute
)

func (ev Reminded) apply(s *step) {
	s.others()
	s.retry(ev.About())
}

// retry begins the retry of a failed run. It ends with the episode, or when no attempt
// is left. It opens no episode, and never is stale.
func (s *step) retry(c Case) {
	r := s.entry.run(c.Run)
	switch {
	case r == nil || r.CancelAsked:
	case s.entry.allEnded(r.ID): // or its retry has its episodes
		if next := s.entry.retryOf(r.ID); next != nil {
			s.claimedBefore(next, c)
		}
	case r.over():
		s.retryOf(r, c)
	case s.live(r):
		s.do(Remind{c, r.Lease})
	case r.orphaned():
		s.claimedBefore(r, c)
		if r.Attempt <= s.Policy.Retries {
			s.do(Remind{c, s.Now.Add(seldom)})
		}
	case !r.complete(): // a delivery that was not settled sends the rest
		s.do(Remind{c, s.Now.Add(seldom)})
	case s.asked == r.ID:
		s.do(Remind{c, s.Now.Add(min(seldom, max(soonest, s.Now.Sub(r.Claimed)/4)))})
	default:
		s.know(c)
	}
}

// claimedBefore goes on with a run that a reminder finds claimed. If its sender died,
// nobody else may know: a retry has no delivery of the source that comes again.
func (s *step) claimedBefore(r *run, c Case) {
	switch alerts := s.entry.openOf(r.ID, c.Alerts); {
	case r.CancelAsked || !r.orphaned() || len(alerts) == 0:
	case s.live(r):
		s.do(Remind{c, r.Lease})
	default:
		s.takeOver(Case{Run: r.ID, Alerts: alerts, Reason: RunTakenOver, aim: toSend})
	}
}

// orphaned says that whoever sends the run has not let go of it: it sends, or it died.
func (r *run) orphaned() bool { return r.Holder != "" && !r.complete() }

// retryOf is the retry of the run of that ID; nil where there is none.
func (e *Entry) retryOf(id string) *run {
	for _, r := range e.runs {
		if retried(r.Prev, r.Attempt) == id {
			return r
		}
	}
	return nil
}

func (s *step) retryOf(r *run, c Case) {
	reason, due := RunRetry, r.Outcome.Found.Add(s.Policy.RetryDelay<<min(r.Attempt-1, 20))
	switch {
	case s.Policy.Rerun && r.Outcome.Status == "Cancelled": // and nobody asked for it: amx was stopped
		reason, due = RunAgain, r.Outcome.Found
	case !r.Outcome.Failed || r.Attempt > s.Policy.Retries:
		return
	}
	if s.Now.Before(due) {
		s.do(Remind{c, due})
		return
	}
	start := Start{Case: Case{Reason: reason, Alerts: s.entry.openOf(r.ID, c.Alerts), retries: r.ID}, Prev: r.ID, Attempt: r.Attempt + 1, prev: r.Outcome}
	if len(start.Alerts) > 0 {
		start.opens = map[string]episode{}
		s.begin(start)
	}
}

// retryLater has the retry of a run begun later that was refused, or never sent. It
// used no attempt, and no delivery of the source begins it: without another reminder
// it would be pending for ever.
func (s *step) retryLater(c Case, failed string) {
	c.Run, c.Alerts, c.aim = failed, c.Alerts.Firing(), toRetry
	if failed != "" && len(c.Alerts) > 0 {
		s.do(Remind{c, s.Now.Add(max(seldom, s.Policy.RetryDelay))})
	}
}

// retried is the run that a run retries; "" of a first run and of a repeat.
func retried(prev string, attempt int) string {
	if attempt > 1 {
		return prev
	}
	return ""
}

// openOf returns the alerts whose open episode has the run.
func (e *Entry) openOf(run string, alerts amx.Alerts) (open amx.Alerts) {
	for _, a := range alerts {
		if slices.ContainsFunc(e.episodes, func(p episode) bool { return p.Run == run && p.EndsAt.IsZero() && p.Alert == a.ID() }) {
			open = append(open, a)
		}
	}
	return open
}

func (ev KillDue) apply(s *step) {
	s.others()
	s.kill(ev.About())
}

// kill cancels the commands that resolved_signal has not ended.
func (s *step) kill(c Case) {
	r := s.entry.run(c.Run)
	switch {
	case r == nil || r.over():
	case s.asked != r.ID:
		s.know(c)
	default:
		var left []Command
		for _, n := range s.state.Nodes {
			if !n.Over && !slices.ContainsFunc(left, func(c Command) bool { return c.ID == n.Command }) {
				left = append(left, Command{ID: n.Command})
			}
		}
		if len(left) == 0 {
			left = bare(r.commands())
		}
		c.Reason = CancelKilled
		s.do(Cancel{Case: c, Commands: left})
	}
}

func (DropWaiting) apply(s *step) {
	for i := range s.entry.waits {
		s.entry.waits[i].SentAt, s.changed = s.Now, true
	}
}

func (ev Stop) apply(s *step) {
	r := s.entry.run(ev.Run)
	if r == nil {
		return
	}
	if r.StoppedBy == "" {
		r.StoppedBy, r.StoppedWhy = ev.Who, ev.Why
	}
	r.CancelAsked, s.changed = true, true
	s.stop(Case{Run: ev.Run, Reason: Reason("cancelled by " + ev.Who), shown: s.entry.covers(ev.Run), aim: toStop})
}
