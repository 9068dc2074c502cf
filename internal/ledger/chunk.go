package ledger

import (
	"slices"

	"github.com/amx-lambda/amx/internal/amx"
)

// Chunks cuts targets into what one SendCommand takes of instance IDs; other
// targets are one chunk.
func Chunks(targets []Target) [][]Target {
	if !ByInstance(targets) {
		return [][]Target{targets}
	}
	var chunks [][]Target
	for ids := range slices.Chunk(targets[0].Values, amx.MaxInstanceValues) {
		chunks = append(chunks, []Target{{Key: amx.KeyInstanceIDs, Values: ids}})
	}
	return chunks
}

// ByInstance says that the targets name their nodes.
func ByInstance(targets []Target) bool {
	return len(targets) == 1 && targets[0].Key == amx.KeyInstanceIDs
}

// Nodes is the nodes of a chunk, from 0; nil where only SSM knows them.
func (r *Run) Nodes(chunk int) []string {
	if !ByInstance(r.Targets) {
		return nil
	}
	if chunks := Chunks(r.Targets); chunk < len(chunks) {
		return chunks[chunk][0].Values
	}
	return nil
}

// Rest is the nodes of a chunk for which a command is wanted and none is known,
// and whether there are any; nil nodes are all of the chunk's. What was to be
// cancelled before it was sent is not wanted any more.
func (r *Run) Rest(chunk int) (nodes []string, wanted bool) {
	c := &r.Chunks[chunk]
	if c.Refused || r.CancelAsked && c.Unsent {
		return nil, false
	}
	if len(c.Commands) == 0 && len(c.Without) == 0 {
		return nil, true
	}
	rest := slices.Clone(r.Nodes(chunk))
	for _, cmd := range c.Commands {
		if cmd.Nodes == nil {
			return nil, false
		}
		rest = less(rest, cmd.Nodes)
	}
	rest = less(rest, c.Without)
	return rest, len(rest) > 0
}

func less(nodes, without []string) []string {
	return slices.DeleteFunc(nodes, func(n string) bool { return slices.Contains(without, n) })
}

// complete says that a command is known for every chunk, but for what SSM refused.
func (r *Run) complete() bool { return len(r.Missing()) == 0 }

// Missing is the chunks, from 0, for which a command is wanted and none is known,
// or none for a part of their nodes.
func (r *Run) Missing() []int {
	var chunks []int
	for i := range r.Chunks {
		if _, wanted := r.Rest(i); wanted {
			chunks = append(chunks, i)
		}
	}
	return chunks
}

// NeedsLook says that a chunk without a command may have been sent all the
// same, so that SSM's list is to be read before anything is sent for it.
func (r *Run) NeedsLook() bool {
	return slices.ContainsFunc(r.Missing(), func(i int) bool { return !r.Chunks[i].Unsent })
}

// merge adds a command to what is known of a chunk; it never replaces one. Nodes
// that are all of the chunk's, or nil, stand for all of them.
func (r *Run) merge(chunk int, id string, nodes []string) {
	c := &r.Chunks[chunk]
	if all := r.Nodes(chunk); len(nodes) == 0 || len(less(slices.Clone(all), nodes)) == 0 {
		nodes = nil
	}
	i := slices.IndexFunc(c.Commands, func(cmd SSMCommand) bool { return cmd.ID == id })
	if i < 0 {
		c.Commands = append(c.Commands, SSMCommand{ID: id, Nodes: nodes})
	}
	c.Refused = false
	if _, wanted := r.Rest(chunk); !wanted {
		c.Unsent = false
	}
}
