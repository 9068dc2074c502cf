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
	Until   time.Time `json:"until,omitzero"` // after it, SSM is asked whether the run is over

	// Holder names the delivery that is sending now: "<process>/<delivery>", with an
	// empty process on Lambda. Empty: nobody is sending. Lease is when the last
	// sending lease ends or ended. It stays after the holder is done.
	Holder string    `json:"holder,omitempty"`
	Lease  time.Time `json:"lease"`
	// Earlier is the lease before the holder's, if there was one. If SSM takes nothing
	// from the holder, the holder's lease does not count as a sending lease, and the
	// window starts at the end of Earlier.
	Earlier time.Time `json:"earlier,omitzero"`

	// InDoubt: the run may have commands whose IDs nobody knows. Such a run does not
	// count as over, and is neither retried nor repeated.
	InDoubt bool `json:"doubt,omitempty"`

	// CancelAsked: every episode of the run has ended. Nothing more of it is sent. A
	// delivery that records a command of it also cancels that command.
	CancelAsked bool `json:"cancel,omitempty"`

	// Slot: it has a slot in its command's gate. The slot is free once the entry has
	// no such run, so the run stays in the entry until its end is known.
	Slot bool `json:"slot,omitempty"`

	// Before has the nodes on which the runs that it retries succeeded.
	Before []string `json:"before,omitempty"`

	Sends    string `json:"sends,omitempty"`    // of the policy, when the run was claimed
	Observed bool   `json:"observed,omitempty"` // mode: observe: no part was or will be sent

	// StoppedBy is who asked for its end, where it was a person, and why.
	StoppedBy  string `json:"stopped_by,omitempty"`
	StoppedWhy string `json:"stopped_why,omitempty"`

	Targets []amx.Target `json:"targets,omitempty"` // as they were rendered
	Parts   []part       `json:"parts"`             // one for each SendCommand
	Outcome *outcome     `json:"outcome,omitempty"` // nil: its end is unknown
}

// An outcome is how a run ended.
type outcome struct {
	Status    string    `json:"status"` // SSM's StatusDetails without spaces
	Failed    bool      `json:"failed,omitempty"`
	Found     time.Time `json:"ended"`             // when that was found out
	Ended     time.Time `json:"finished,omitzero"` // when it was, by the nodes' clocks; zero: about when it was found out
	Succeeded []string  `json:"ok,omitempty"`      // the nodes on which a failed run, or one that it retries, succeeded
	Remaining []string  `json:"missing,omitempty"` // the nodes on which it did not
}

// over reports whether the run has ended, and no command of it can still show up.
func (r *run) over() bool { return r.Outcome != nil && !r.InDoubt }

// live reports whether somebody may be sending the run now. If the process owns its
// ledger alone (amx serve), claims of other processes have ended: the lock on the
// ledger proves those processes dead.
func (r *run) live(now time.Time, process string) bool {
	return r.Holder != "" && !now.After(r.Lease) && (process == "" || ownedBy(r.Holder, process))
}

func ownedBy(holder, process string) bool { return strings.HasPrefix(holder, process+"/") }

// sendingEnded is the time after which no send of this run can be under way.
func (r *run) sendingEnded(process string) time.Time {
	if process != "" && r.Holder != "" && !ownedBy(r.Holder, process) {
		return r.Claimed // it died before this process began
	}
	return r.Lease
}

// unknown reports whether SSM may have commands of the run that the entry lacks.
func (r *run) unknown() bool { return r.InDoubt || r.needsLook() }

// toStop reports whether a cancel was asked for the run and it may still go on.
func (r *run) toStop() bool {
	return r.CancelAsked && !r.over() && (r.unknown() || len(r.uncancelled()) > 0)
}

// stopped reports whether the resolve of the run may be settled: nobody is sending the
// run, it has no unknown commands, and each of its commands is over or SSM accepted
// its cancellation.
func (r *run) stopped(now time.Time, process string) bool {
	return r.over() || !r.live(now, process) && !r.unknown() && len(r.uncancelled()) == 0
}

// idle reports whether no command of the run goes on or can still show up. Parts may
// still have to be sent.
func (r *run) idle(now time.Time, process string) bool {
	return !r.CancelAsked && !r.over() && r.stopped(now, process)
}

// commands returns the IDs of all known SSM commands of the run, in their order.
func (r *run) commands() []string {
	var ids []string
	for _, p := range r.Parts {
		for _, c := range p.Commands {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

// uncancelled returns the commands of the run that are neither over, as far as is
// known, nor cancelled.
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

// asked returns the commands of a run, each with its nodes.
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

// done enters that these commands are over, or that SSM accepted their cancellation.
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

// stoppedBefore returns the reason for a resolve whose run was stopped before.
func (r *run) stoppedBefore() Reason {
	if r.StoppedBy == "" {
		return SkipStopped
	}
	return Reason(fmt.Sprintf("resolved: its run was cancelled before by %s: %s", r.StoppedBy, r.StoppedWhy))
}

// drop takes a run that was never sent out of the entry. It does not count as an
// attempt, and its episodes are as they were before it. drop returns nil if it has
// done so, otherwise r.
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
