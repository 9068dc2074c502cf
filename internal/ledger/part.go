package ledger

import (
	"slices"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
)

// A state of the rest of a part. The rest are the nodes without a known command,
// except those that SSM refused.
type state string

const (
	claimed state = "claimed"  // a claim sends it now, or its sender died
	inDoubt state = "in doubt" // it was sent, without an answer
	sent    state = "sent"     // there is no rest
	unsent  state = "unsent"   // it was certainly not sent
	refused state = "refused"  // SSM refuses it; the run goes on without it
)

// A part is the share of a run that one SendCommand carries. If SSM refuses some of
// its nodes, it takes several SendCommands.
type part struct {
	State state `json:"state"`
	// Commands are the known SSM commands of the part: none before the first is
	// recorded, more than one if an answer was lost.
	Commands []command `json:"commands,omitempty"`
	// Without has the nodes that SSM refused. The part goes on without them.
	Without []string `json:"without,omitempty"`
}

// A command is one command in SSM.
type command struct {
	ID string `json:"id"`
	// Nodes are the nodes that it was sent to, if not all nodes of the part.
	Nodes []string `json:"nodes,omitempty"`
	// Done: it is over, or SSM accepted its cancellation. (For another signal than
	// SIGKILL: SSM accepted the command that signals.)
	Done bool `json:"done,omitempty"`
}

// Parts splits instance IDs into as many as one SendCommand takes. Other targets are
// one part.
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

// ByInstance reports whether the targets name their nodes.
func ByInstance(targets []amx.Target) bool {
	return len(targets) == 1 && targets[0].Key == amx.KeyInstanceIDs
}

// nodes returns the nodes of a part, counted from 0. nil: only SSM knows them.
func (r *run) nodes(i int) []string {
	if parts := Parts(r.Targets); ByInstance(r.Targets) && i < len(parts) {
		return parts[i][0].Values
	}
	return nil
}

// left returns the nodes of a part that have no known command, and whether there are
// any. nil nodes: all nodes of the part.
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

// A Portion is a part, or some nodes of it, to send to.
type Portion struct {
	Part  int      // from 0
	Nodes []string // nil: all of the part's
}

// missing returns the portions of a run that still have to be sent. It leaves out
// parts that were cancelled before they were sent.
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

// complete reports whether every part has a known command, except those that SSM
// refused.
func (r *run) complete() bool { return len(r.missing()) == 0 }

// needsLook reports whether a missing part may have been sent. If so, SSM's list has
// to be read before the part is sent again.
func (r *run) needsLook() bool {
	return slices.ContainsFunc(r.missing(), func(p Portion) bool { return r.Parts[p.Part].State != unsent })
}

// merge adds a command to a part. It never replaces one. If nodes is nil or has all
// nodes of the part, the command is for the whole part.
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
		p.State = claimed // SSM has one of its commands, so it may have the others
	}
}

// record enters SSM's answers to the sends of a claim, and ends the claim. If no part
// of the run can have been sent, the run leaves the entry. record returns nil if the
// run has left the entry, now or before.
func (e *Entry) record(id, holder string, answers []Answer) *run {
	r := e.run(id)
	if r == nil {
		return nil
	}
	unknown := map[int]bool{} // :: part → it may have been sent in part or whole
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

// looked reconciles a run with SSM's list: it adds the commands that were found for
// each part. begun is when the reading of the list began. The list is proof if that was
// at least one window after the last sending lease ended, because a sent command may
// be missing from the list for that long. looked returns nil if the run was certainly
// never sent.
func (e *Entry) looked(r *run, found map[int][]Command, begun time.Time, a *Actor) *run {
	for i, commands := range found {
		for _, c := range commands {
			if r.Outcome != nil && !slices.Contains(r.commands(), c.ID) {
				r.Outcome = nil // it was the outcome of fewer commands
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

// renew claims a run whose sender is gone, to send its missing parts. If one of them
// may have been sent before, the same write puts the run in doubt.
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
