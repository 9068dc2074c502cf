package ledger

import (
	"slices"
	"strings"
	"time"
)

// toStop says that the run was to be cancelled, and may go on all the same.
func (r *Run) toStop() bool {
	return r.CancelAsked && !r.Over() && (r.Unsure || r.NeedsLook() || len(r.Uncancelled()) > 0)
}

// idle says that nothing of the run goes on or can come, but for a part that is
// still to be sent.
func (r *Run) idle(now time.Time, process string) bool {
	return !r.CancelAsked && !r.live(now, process) && !r.Unsure && !r.NeedsLook() && len(r.Uncancelled()) == 0
}

// Over says that the run has ended, and that nothing of it can still come.
func (r *Run) Over() bool { return r.Outcome != nil && !r.Unsure }

// live says that somebody may be sending the run now. In a process that owns
// its ledger alone (amx serve), another process's claim has run out: the lock
// on the ledger proves it dead.
func (r *Run) live(now time.Time, process string) bool {
	return r.Holder != "" && !now.After(r.Lease) && (process == "" || ownedBy(r.Holder, process))
}

// Live says that a delivery other than the asking one may be sending the run.
func (r *Run) Live(now time.Time, process, asking string) bool {
	return r.live(now, process) && r.Holder != asking
}

func ownedBy(holder, process string) bool { return strings.HasPrefix(holder, process+"/") }

// sendingEnded is the time from which no send of this run can be under way.
func (r *Run) sendingEnded(process string) time.Time {
	if process != "" && r.Holder != "" && !ownedBy(r.Holder, process) {
		return r.Claimed // it died before this process began
	}
	return r.Lease
}

// Commands is the IDs of all SSM commands known for the run, in their order.
func (r *Run) Commands() []string {
	var ids []string
	for _, c := range r.Chunks {
		for _, cmd := range c.Commands {
			ids = append(ids, cmd.ID)
		}
	}
	return ids
}

// Uncancelled is the commands of the run that are neither known to be over nor
// cancelled.
func (r *Run) Uncancelled() []string {
	var ids []string
	for _, c := range r.Chunks {
		for _, cmd := range c.Commands {
			if !cmd.Done {
				ids = append(ids, cmd.ID)
			}
		}
	}
	return ids
}

// Stopped says that the resolve of the run may be acknowledged: nobody is
// sending it, nothing of it can be unknown, and every command of it is over or
// its cancellation was accepted. All of it is read in one entry.
func (r *Run) Stopped(now time.Time, process string) bool {
	return r.Over() || !r.live(now, process) && !r.Unsure && !r.NeedsLook() && len(r.Uncancelled()) == 0
}

// Sent is what became of the SendCommand of one chunk, or of a part of it.
type Sent struct {
	Chunk   int
	Nodes   []string // that it was for; nil: all of the chunk's
	Command string   // the command ID; empty: not known
	Unsent  bool     // it was certainly not sent
	Refused bool     // and never will be
}

// Record enters what SSM answered to the sends of a claim and lets go of the
// claim. Where nothing of the run can have been sent it leaves the entry, and
// its alerts are due again; the answer is then nil. It is nil too where the run
// had left the entry before.
func (e *Entry) Record(id, holder string, sent []Sent) *Run {
	r := e.Run(id)
	if r == nil {
		return nil
	}
	for _, s := range sent {
		if s.Command != "" {
			r.merge(s.Chunk, s.Command, s.Nodes)
		}
	}
	unknown := map[int]bool{} // :: chunk → something of it may have been sent
	for _, s := range sent {
		c := &r.Chunks[s.Chunk]
		switch all := len(s.Nodes) == 0 || len(s.Nodes) == len(r.Nodes(s.Chunk)); {
		case s.Command != "":
		case s.Refused && all && len(c.Commands) == 0:
			c.Refused = true
		case s.Refused:
			c.Without = append(c.Without, s.Nodes...)
		case !s.Unsent:
			unknown[s.Chunk] = true
		}
	}
	for _, s := range sent {
		c := &r.Chunks[s.Chunk]
		if _, wanted := r.Rest(s.Chunk); wanted || c.Refused {
			c.Unsent = !unknown[s.Chunk]
		}
		if c.Without != nil && len(c.Commands) == 0 && len(less(slices.Clone(r.Nodes(s.Chunk)), c.Without)) == 0 {
			c.Refused, c.Unsent = true, true // node by node
		}
	}
	if r.Holder == holder {
		r.Holder = ""
	}
	return e.dropUnsent(r)
}

// Found is a command of a run that SSM's list shows.
type Found struct {
	ID    string
	Nodes []string // that it was sent to, where they are named
}

// Looked enters what a look, begun at that time, showed: the commands of each
// chunk. A look that was begun one window after the last sending lease ended is
// proof; the window is by how much SSM's list may lag a send. The answer is nil
// where the run turns out never to have been sent.
func (e *Entry) Looked(id string, found map[int][]Found, begun time.Time, window time.Duration, process string) *Run {
	r := e.Run(id)
	if r == nil {
		return nil
	}
	for chunk, commands := range found {
		if chunk < len(r.Chunks) {
			for _, f := range commands {
				if r.Outcome != nil && !slices.Contains(r.Commands(), f.ID) {
					r.Outcome = nil // it was the outcome of less than this
				}
				r.merge(chunk, f.ID, f.Nodes)
			}
		}
	}
	if begun.Before(r.sendingEnded(process).Add(window)) {
		return r
	}
	r.Unsure = false
	for i := range r.Chunks {
		_, wanted := r.Rest(i)
		r.Chunks[i].Unsent = wanted || r.Chunks[i].Unsent
	}
	return e.dropUnsent(r)
}

// Merge adds a command that turned out to be the one that really runs in the
// place of another.
func (e *Entry) Merge(id string, chunk int, command Found) {
	if r := e.Run(id); r != nil && chunk < len(r.Chunks) {
		r.merge(chunk, command.ID, command.Nodes)
	}
}

// dropUnsent takes a run of which nothing was sent out of the entry: no attempt
// is used, and its episodes are again what they were before it.
func (e *Entry) dropUnsent(r *Run) *Run {
	if r.Unsure || r.NeedsLook() || len(r.Commands()) > 0 {
		return r
	}
	id, prev := r.ID, r.Prev
	e.Episodes = slices.DeleteFunc(e.Episodes, func(p Episode) bool { return p.Run == id && prev == "" })
	for i := range e.Episodes {
		if e.Episodes[i].Run == id {
			e.Episodes[i].Run = prev
		}
	}
	e.Runs = slices.DeleteFunc(e.Runs, func(r Run) bool { return r.ID == id })
	return nil
}

// Renew claims a run whose sender is gone, so that its missing chunks can be
// sent. It must be written on the version that was read before the look, so
// that a cancel asked meanwhile is not missed. A chunk that may have been sent
// makes the run unsure in the same write. What is sent now may run until the time
// given.
func (e *Entry) Renew(id, holder string, lease, until, now time.Time, process string) bool {
	r := e.Run(id)
	if r == nil || r.CancelAsked || r.live(now, process) && r.Holder != holder {
		return false
	}
	r.Unsure = r.Unsure || r.NeedsLook()
	r.Holder, r.Lease, r.Until = holder, later(r.Lease, lease), later(r.Until, until)
	for _, i := range r.Missing() {
		r.Chunks[i].Unsent = false
	}
	return true
}

// Done enters that these commands are over or that their cancellation was
// accepted.
func (e *Entry) Done(id string, commands []string) {
	r := e.Run(id)
	if r == nil {
		return
	}
	for i := range r.Chunks {
		for j := range r.Chunks[i].Commands {
			if cmd := &r.Chunks[i].Commands[j]; slices.Contains(commands, cmd.ID) {
				cmd.Done = true
			}
		}
	}
}

// Finish enters how the run ended.
func (e *Entry) Finish(id string, o Outcome) {
	if r := e.Run(id); r != nil && r.complete() {
		if o.Failed {
			o.Succeeded = append(o.Succeeded, r.Before...)
			slices.Sort(o.Succeeded)
			o.Succeeded = slices.Compact(o.Succeeded)
		}
		r.Outcome = &o
		e.Done(id, r.Commands())
	}
}
