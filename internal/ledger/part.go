package ledger

import (
	"slices"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
)

// The state of what is left of a part. Nodes with a known command are not left,
// and neither are nodes that SSM refused.
type state string

const (
	claimed state = "claimed"  // a claim is to send it, or died while it did
	inDoubt state = "in doubt" // it was sent, and nobody has the answer
	sent    state = "sent"     // nothing is left
	unsent  state = "unsent"   // it was certainly not sent
	refused state = "refused"  // SSM will not have it: the run goes on without it
)

// A part is what one SendCommand carries of a run. Where SSM refuses some of its
// nodes, it takes several.
type part struct {
	State state `json:"state"`
	// Commands are the SSM commands known for it: none before the first is
	// recorded, more than one where an answer was lost.
	Commands []command `json:"commands,omitempty"`
	// Without is the nodes that SSM will not have. The part goes on without them.
	Without []string `json:"without,omitempty"`
}

// A command is one command in SSM.
type command struct {
	ID string `json:"id"`
	// Nodes are those it was sent to, where they are not all of the part's.
	Nodes []string `json:"nodes,omitempty"`
	// Done: over, or its cancellation was accepted (for another signal than
	// SIGKILL: the command that signals was).
	Done bool `json:"done,omitempty"`
}

// Parts cuts targets into what one SendCommand takes of instance IDs; other
// targets are one part.
func Parts(targets []amx.Target) [][]amx.Target {
	if !ByInstance(targets) {
		return [][]amx.Target{targets}
	}
	var parts [][]amx.Target
	for ids := range slices.Chunk(targets[0].Values, amx.MaxInstanceValues) {
		parts = append(parts, []amx.Target{{Key: amx.KeyInstanceIDs, Values: ids}})
	}
	return parts
}

// ByInstance says that the targets name their nodes.
func ByInstance(targets []amx.Target) bool {
	return len(targets) == 1 && targets[0].Key == amx.KeyInstanceIDs
}

// nodes is the nodes of a part, from 0; nil where only SSM knows them.
func (r *run) nodes(i int) []string {
	if parts := Parts(r.Targets); ByInstance(r.Targets) && i < len(parts) {
		return parts[i][0].Values
	}
	return nil
}

// left is the nodes of a part for which no command is known, and whether there
// are any; nil nodes are all of the part's.
func (r *run) left(i int) (nodes []string, any bool) {
	p := &r.Parts[i]
	if len(p.Commands) == 0 && len(p.Without) == 0 {
		return nil, true
	}
	rest := slices.Clone(r.nodes(i))
	for _, c := range p.Commands {
		if c.Nodes == nil {
			return nil, false
		}
		rest = less(rest, c.Nodes)
	}
	rest = less(rest, p.Without)
	return rest, len(rest) > 0
}

// A Portion is what is to be sent of a part: to these nodes, or to all of it.
type Portion struct {
	Part  int      // from 0
	Nodes []string // nil: all of the part's
}

// missing answers the portions of a run that still have to be sent. A part that was
// to be cancelled before it was sent is not among them.
func (r *run) missing() []Portion {
	var all []Portion
	for i, p := range r.Parts {
		if p.State == refused || r.CancelAsked && p.State == unsent {
			continue
		}
		if nodes, any := r.left(i); any {
			all = append(all, Portion{i, nodes})
		}
	}
	return all
}

// complete says that a command is known for every part, but for what SSM refused.
func (r *run) complete() bool { return len(r.missing()) == 0 }

// needsLook says that a missing part may have been sent all the same. SSM's list
// has to be read before the part is sent again.
func (r *run) needsLook() bool {
	return slices.ContainsFunc(r.missing(), func(p Portion) bool { return r.Parts[p.Part].State != unsent })
}

// merge adds a command to what is known of a part; it never replaces one. Nodes
// that are all of the part's, or nil, stand for all of them.
func (r *run) merge(i int, id string, nodes []string) {
	if i >= len(r.Parts) {
		return
	}
	p := &r.Parts[i]
	if all := r.nodes(i); len(nodes) == 0 || len(less(slices.Clone(all), nodes)) == 0 {
		nodes = nil
	}
	if !slices.ContainsFunc(p.Commands, func(c command) bool { return c.ID == id }) {
		p.Commands = append(p.Commands, command{ID: id, Nodes: nodes})
	}
	switch _, any := r.left(i); {
	case !any:
		p.State = sent
	case p.State == refused:
		p.State = claimed // SSM has one all the same: the rest may be there too
	}
}

// record enters SSM's answers to the sends of a claim, and lets go of the claim. A
// run of which nothing can have been sent leaves the entry. record answers nil if
// the run has left the entry, now or before.
func (e *Entry) record(id, holder string, answers []Answer) *run {
	r := e.run(id)
	if r == nil {
		return nil
	}
	unknown := map[int]bool{} // :: part → something of it may have been sent
	for _, a := range answers {
		if a.Command != "" {
			r.merge(a.Part, a.Command, a.Nodes)
		}
	}
	for _, a := range answers {
		p := &r.Parts[a.Part]
		all := len(a.Nodes) == 0 || len(a.Nodes) == len(r.nodes(a.Part))
		switch {
		case a.Verdict == Refused && all && len(p.Commands) == 0:
			p.State = refused
		case a.Verdict == Refused:
			p.Without = append(p.Without, a.Nodes...)
		case a.Verdict == Unknown:
			unknown[a.Part] = true
		}
	}
	for _, a := range answers {
		p := &r.Parts[a.Part]
		_, any := r.left(a.Part)
		switch {
		case p.State == refused:
		case !any && len(p.Commands) == 0:
			p.State = refused // node by node
		case !any:
			p.State = sent
		case unknown[a.Part]:
			p.State = inDoubt
		default:
			p.State = unsent
		}
	}
	if r.Holder == holder {
		nothing := !slices.ContainsFunc(answers, func(a Answer) bool { return a.Verdict != Unsent && a.Verdict != Refused })
		if nothing && !r.Earlier.IsZero() {
			r.Lease = r.Earlier
		}
		r.Holder, r.Earlier = "", time.Time{}
	}
	return e.drop(r)
}

// looked reconciles a run with SSM's list, whose reading began at that time: it
// adds the commands found of each part. A list is proof if its reading began one
// window after the last sending lease ended, because SSM's list may lag a send by
// that much. looked answers nil if the run was certainly never sent.
func (e *Entry) looked(r *run, found map[int][]Command, begun time.Time, a *Actor) *run {
	for i, commands := range found {
		for _, c := range commands {
			if r.Outcome != nil && !slices.Contains(r.commands(), c.ID) {
				r.Outcome = nil // it was the outcome of less than this
			}
			r.merge(i, c.ID, c.Nodes)
		}
	}
	if begun.Before(r.sendingEnded(a.Process).Add(a.Window)) {
		return r
	}
	r.InDoubt = false
	for _, p := range r.missing() {
		r.Parts[p.Part].State = unsent
	}
	return e.drop(r)
}

// renew claims a run whose sender is gone, so that its missing parts can be sent. If
// one of them may have been sent before, the same write puts the run in doubt.
func (r *run) renew(a *Actor) {
	r.InDoubt = r.InDoubt || r.needsLook()
	for _, p := range r.missing() {
		r.Parts[p.Part].State = claimed
	}
	r.Earlier = r.Lease
	r.Holder, r.Lease, r.Until = a.holder(), later(r.Lease, a.Lease), later(r.Until, a.Until)
}

func less(nodes, without []string) []string {
	return slices.DeleteFunc(nodes, func(n string) bool { return slices.Contains(without, n) })
}
