package ledger

import (
	"slices"
	"strings"
	"time"
)

// complete says that a command is known for every chunk that SSM did not
// refuse.
func (r *Run) complete() bool {
	return !slices.ContainsFunc(r.Chunks, func(c Chunk) bool { return c.missing() })
}

// Missing is the chunks, from 0, for which no command is known.
func (r *Run) Missing() []int {
	var chunks []int
	for i, c := range r.Chunks {
		if c.missing() {
			chunks = append(chunks, i)
		}
	}
	return chunks
}

// NeedsLook says that a chunk without a command may have been sent all the
// same, so that SSM's list is to be read before anything is sent for it.
func (r *Run) NeedsLook() bool {
	return slices.ContainsFunc(r.Chunks, func(c Chunk) bool { return c.missing() && !c.Unsent })
}

// toStop says that the run was to be cancelled, and may go on all the same.
func (r *Run) toStop() bool {
	return r.CancelAsked && !r.Over() && (r.Unsure || r.NeedsLook() || len(r.Uncancelled()) > 0)
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

// merge adds a command to what is known of the chunk; it never replaces one.
func (c *Chunk) merge(id string) {
	if !slices.ContainsFunc(c.Commands, func(cmd SSMCommand) bool { return cmd.ID == id }) {
		c.Commands = append(c.Commands, SSMCommand{ID: id})
	}
	c.Unsent, c.Refused = false, false
}

// Stopped says that the resolve of the run may be acknowledged: nobody is
// sending it, nothing of it can be unknown, and every command of it is over or
// its cancellation was accepted. All of it is read in one entry.
func (r *Run) Stopped(now time.Time, process string) bool {
	return r.Over() || !r.live(now, process) && !r.Unsure && !r.NeedsLook() && len(r.Uncancelled()) == 0
}

// Sent is what became of the SendCommand of one chunk.
type Sent struct {
	Chunk   int
	Command string // the command ID; empty: not known
	Unsent  bool   // it was certainly not sent
	Refused bool   // and never will be
	Part    bool   // it was for a part of the chunk's nodes, and another part is in the list
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
		switch c := &r.Chunks[s.Chunk]; {
		case s.Command != "":
			c.merge(s.Command)
		case len(c.Commands) == 0:
			// A refusal says nothing of an unknown send before it: the chunk is
			// wanted until a look proves that there was none.
			c.Unsent, c.Refused = s.Unsent, s.Refused && !r.Unsure
		case s.Part && !s.Unsent:
			r.Unsure = true
		}
	}
	if r.Holder == holder {
		r.Holder = ""
	}
	return e.dropUnsent(r)
}

// Looked enters what a look, begun at that time, showed: the command IDs of
// each chunk. A look that was begun one window after the last sending lease
// ended is proof; the window is by how much SSM's list may lag a send. The
// answer is nil where the run turns out never to have been sent.
func (e *Entry) Looked(id string, found map[int][]string, begun time.Time, window time.Duration, process string) *Run {
	r := e.Run(id)
	if r == nil {
		return nil
	}
	for chunk, ids := range found {
		if chunk < len(r.Chunks) {
			for _, command := range ids {
				if r.Outcome != nil && !slices.Contains(r.Commands(), command) {
					r.Outcome = nil // it was the outcome of less than this
				}
				r.Chunks[chunk].merge(command)
			}
		}
	}
	if begun.Before(r.sendingEnded(process).Add(window)) {
		return r
	}
	r.Unsure = false
	for i := range r.Chunks {
		r.Chunks[i].Unsent = r.Chunks[i].missing()
	}
	return e.dropUnsent(r)
}

// Merge adds a command that turned out to be the one that really runs.
func (e *Entry) Merge(id string, chunk int, command string) {
	if r := e.Run(id); r != nil && chunk < len(r.Chunks) {
		r.Chunks[chunk].merge(command)
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
// makes the run unsure in the same write.
func (e *Entry) Renew(id, holder string, lease, now time.Time, process string) bool {
	r := e.Run(id)
	if r == nil || r.CancelAsked || r.live(now, process) && r.Holder != holder {
		return false
	}
	r.Unsure = r.Unsure || r.NeedsLook()
	r.Holder, r.Lease = holder, lease
	for i := range r.Chunks {
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
		r.Outcome = &o
		e.Done(id, r.Commands())
	}
}
