package ledger

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
)

// A run is one running of the command, for one or more episodes.
type run struct {
	ID      string    `json:"id"`
	Prev    string    `json:"prev,omitempty"` // the run that this one retries or repeats
	Attempt int       `json:"attempt"`        // 1; one more with each retry
	Claimed time.Time `json:"claimed"`        // when it was first claimed
	Until   time.Time `json:"until,omitzero"` // past it, SSM is asked whether it is over

	// Holder names who is sending now: "<process>/<delivery>", the process
	// empty on Lambda. Empty: nobody. Lease is when the last sending lease
	// ends, or ended; it stays when the holder has let go.
	Holder string    `json:"holder,omitempty"`
	Lease  time.Time `json:"lease"`
	// Earlier is the lease before the holder's, if there was one. Where SSM takes
	// nothing of what the holder sends, that was no sending lease, and the window
	// counts from the end of the earlier one.
	Earlier time.Time `json:"earlier,omitzero"`

	// InDoubt: there may be commands of this run that nobody knows. It is then
	// neither over, nor retried, nor repeated.
	InDoubt bool `json:"doubt,omitempty"`

	// CancelAsked: every episode that it covers has ended. It is not sent any
	// more, and who records a command of it cancels that command.
	CancelAsked bool `json:"cancel,omitempty"`

	// Slot: it has a slot of its command's gate, which is free once the entry
	// has no such run. So it stays until it is known to be over.
	Slot bool `json:"slot,omitempty"`

	// Before is the nodes on which the runs that it retries succeeded.
	Before []string `json:"before,omitempty"`

	Sends    string `json:"sends,omitempty"`    // the policy's, when it was claimed
	Observed bool   `json:"observed,omitempty"` // nothing of it was or will be sent

	// StoppedBy is who asked for its end, where it was a person, and why.
	StoppedBy  string `json:"stopped_by,omitempty"`
	StoppedWhy string `json:"stopped_why,omitempty"`

	Targets []amx.Target `json:"targets,omitempty"` // as they were rendered
	Parts   []part       `json:"parts"`             // one for each SendCommand
	Outcome *outcome     `json:"outcome,omitempty"` // nil: not known to be over
}

// An outcome is how a run ended.
type outcome struct {
	Status    string    `json:"status"` // SSM's StatusDetails without spaces
	Failed    bool      `json:"failed,omitempty"`
	Ended     time.Time `json:"ended"`             // about when
	Succeeded []string  `json:"ok,omitempty"`      // the nodes on which a failed run, or one that it retries, succeeded
	Remaining []string  `json:"missing,omitempty"` // the nodes on which it did not
}

// over says that the run has ended, and that nothing of it can still come.
func (r *run) over() bool { return r.Outcome != nil && !r.InDoubt }

// live says that somebody may be sending the run now. In a process that owns
// its ledger alone (amx serve), another process's claim has run out: the lock
// on the ledger proves it dead.
func (r *run) live(now time.Time, process string) bool {
	return r.Holder != "" && !now.After(r.Lease) && (process == "" || ownedBy(r.Holder, process))
}

func ownedBy(holder, process string) bool { return strings.HasPrefix(holder, process+"/") }

// sendingEnded is the time from which no send of this run can be under way.
func (r *run) sendingEnded(process string) time.Time {
	if process != "" && r.Holder != "" && !ownedBy(r.Holder, process) {
		return r.Claimed // it died before this process began
	}
	return r.Lease
}

// unknown says that SSM may have commands of the run that the entry does not.
func (r *run) unknown() bool { return r.InDoubt || r.needsLook() }

// toStop says that a cancel was asked for the run, and that it may still go on.
func (r *run) toStop() bool {
	return r.CancelAsked && !r.over() && (r.unknown() || len(r.uncancelled()) > 0)
}

// stopped says that the resolve of the run may be settled: nobody is sending it,
// nothing of it can be unknown, and every command of it is over or its
// cancellation was accepted.
func (r *run) stopped(now time.Time, process string) bool {
	return r.over() || !r.live(now, process) && !r.unknown() && len(r.uncancelled()) == 0
}

// idle says that nothing of the run goes on or can come, but for a part that is
// still to be sent.
func (r *run) idle(now time.Time, process string) bool {
	return !r.CancelAsked && !r.over() && r.stopped(now, process)
}

// commands is the IDs of all SSM commands known for the run, in their order.
func (r *run) commands() []string {
	var ids []string
	for _, p := range r.Parts {
		for _, c := range p.Commands {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

// uncancelled is the commands of the run that are neither known to be over nor
// cancelled.
func (r *run) uncancelled() []string {
	var ids []string
	for _, p := range r.Parts {
		for _, c := range p.Commands {
			if !c.Done {
				ids = append(ids, c.ID)
			}
		}
	}
	return ids
}

// asked is the commands of a run, with the nodes of each.
func (r *run) asked() []Command {
	var all []Command
	for i, p := range r.Parts {
		for _, c := range p.Commands {
			nodes := c.Nodes
			if nodes == nil {
				nodes = r.nodes(i)
			}
			all = append(all, Command{ID: c.ID, Nodes: nodes})
		}
	}
	return all
}

// done enters that these commands are over or that their cancellation was
// accepted.
func (r *run) done(ids []string) {
	for i := range r.Parts {
		for j := range r.Parts[i].Commands {
			if c := &r.Parts[i].Commands[j]; slices.Contains(ids, c.ID) {
				c.Done = true
			}
		}
	}
}

// finish enters how the run ended, if all of it was sent.
func (r *run) finish(o outcome) {
	if !r.complete() {
		return
	}
	if o.Failed {
		o.Succeeded = append(slices.Clone(o.Succeeded), r.Before...)
		slices.Sort(o.Succeeded)
		o.Succeeded = slices.Compact(o.Succeeded)
	}
	r.Outcome = &o
	r.done(r.commands())
}

// giveUp enters that the unsent parts will never be sent.
func (r *run) giveUp() {
	for _, p := range r.missing() {
		if r.Parts[p.Part].State == unsent {
			r.Parts[p.Part].State = refused
		}
	}
}

// stoppedBefore is the reason of a resolve whose run was stopped before.
func (r *run) stoppedBefore() Reason {
	if r.StoppedBy == "" {
		return SkipStopped
	}
	return Reason(fmt.Sprintf("resolved: its run was cancelled before by %s: %s", r.StoppedBy, r.StoppedWhy))
}

// drop takes a run that was never sent out of the entry: no attempt is used, and its
// episodes are as they were before it. It answers nil if it has done so, else r.
func (e *Entry) drop(r *run) *run {
	if r.unknown() || len(r.commands()) > 0 {
		return r
	}
	id, prev := r.ID, r.Prev
	e.episodes = slices.DeleteFunc(e.episodes, func(p episode) bool { return p.Run == id && prev == "" })
	for i := range e.episodes {
		if e.episodes[i].Run == id {
			e.episodes[i].Run = prev
		}
	}
	e.begun = slices.DeleteFunc(e.begun, func(b began) bool { return b.Run == id })
	e.runs = slices.DeleteFunc(e.runs, func(r *run) bool { return r.ID == id })
	return nil
}
