package model

import (
	"fmt"
	"hash/maphash"
	"strings"
)

// exploration is what a search found.
type exploration struct {
	states int
	rest   int            // states in which nothing happens any more
	taken  map[string]int // :: step → how often
	broken invariant
	steps  []string // a shortest way to what is broken
}

// node is a state that was reached: as which successor of which other.
type node struct {
	parent int32
	nth    int32
}

// edge is a step that needs neither a fault nor the world.
type edge struct{ from, to int32 }

type explorer struct {
	turn
	seed     maphash.Seed
	first    state
	nodes    []node
	index    map[uint64]int32 // by the state's hash. Two of 10 million share one once in 100,000 explorations
	frontier []state
	numbers  []int32 // of the frontier's states
	edges    []edge
	rest     []int32
	taken    map[string]int
}

// explore visits, breadth first, all states that faults can lead to.
func explore(r rules, faults int) exploration {
	e := &explorer{turn: turn{rules: r}, seed: maphash.MakeSeed(), index: map[uint64]int32{}, taken: map[string]int{}}
	e.first.faults = uint8(faults)
	e.frontier, e.numbers, e.nodes = []state{e.first}, []int32{0}, []node{{parent: -1}}
	e.index[e.hash(&e.first)] = 0
	for len(e.frontier) > 0 {
		states, numbers := e.frontier, e.numbers
		e.frontier, e.numbers = nil, nil
		for i := range states {
			if broken, at := e.visit(&states[i], numbers[i]); broken != 0 {
				return exploration{len(e.nodes), len(e.rest), e.taken, broken, e.way(at)}
			}
		}
	}
	if at := e.endless(); at >= 0 {
		return exploration{len(e.nodes), len(e.rest), e.taken, ends, e.way(at)}
	}
	return exploration{states: len(e.nodes), rest: len(e.rest), taken: e.taken}
}

// visit reaches the successors of a state.
func (e *explorer) visit(s *state, number int32) (broken invariant, at int32) {
	nth, steps, own := int32(0), 0, true
	e.yield = func(n *state, _ int, step string) {
		e.taken[step]++
		if own {
			steps++
		}
		h := e.hash(n)
		to, seen := e.index[h]
		if !seen {
			to = int32(len(e.nodes))
			e.index[h] = to
			e.nodes = append(e.nodes, node{number, nth})
			e.frontier, e.numbers = append(e.frontier, *n), append(e.numbers, to)
		}
		if own && n.faults == s.faults {
			e.edges = append(e.edges, edge{number, to})
		}
		if n.facts.broken != 0 && broken == 0 {
			broken, at = n.facts.broken, to
		}
		nth++
	}
	e.steps(s)
	own = false
	e.happenings(s)
	if steps == 0 {
		e.rest = append(e.rest, number)
		if i := s.atRest(); i != 0 && broken == 0 {
			return i, number
		}
	}
	return broken, at
}

// hash is the same for a state and for the one in which the workers have changed
// places.
func (e *explorer) hash(s *state) uint64 {
	t := *s
	t.worker[0], t.worker[1] = t.worker[1], t.worker[0]
	for x := range t.entry.runs {
		if r := &t.entry.runs[x]; r.holder == 1 || r.holder == 2 {
			r.holder = 3 - r.holder
		}
	}
	return min(maphash.Comparable(e.seed, *s), maphash.Comparable(e.seed, t))
}

// endless finds a state from which no steps lead to rest, or -1. Faults and the
// world do not help: what waits has to end without them.
func (e *explorer) endless() int32 {
	begins := make([]int32, len(e.nodes)+1)
	for _, d := range e.edges {
		begins[d.to+1]++
	}
	for i := range e.nodes {
		begins[i+1] += begins[i]
	}
	before, next := make([]int32, len(e.edges)), append([]int32(nil), begins...)
	for _, d := range e.edges {
		before[next[d.to]] = d.from
		next[d.to]++
	}
	ends := make([]bool, len(e.nodes))
	todo := append([]int32(nil), e.rest...)
	for len(todo) > 0 {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if !ends[i] {
			ends[i] = true
			todo = append(todo, before[begins[i]:begins[i+1]]...)
		}
	}
	for i, ok := range ends {
		if !ok {
			return int32(i)
		}
	}
	return -1
}

// way plays the steps that led to a state again, and tells them.
func (e *explorer) way(at int32) []string {
	var path []int32
	for ; e.nodes[at].parent >= 0; at = e.nodes[at].parent {
		path = append([]int32{e.nodes[at].nth}, path...)
	}
	names := map[int]string{theWorld: "world", theSource: "Alertmanager", theSSM: "SSM"}
	var steps []string
	s := e.first
	for _, want := range path {
		nth := int32(0)
		var chosen state
		e.yield = func(n *state, who int, step string) {
			if nth == want {
				name := names[who]
				if who >= 0 {
					name = fmt.Sprintf("worker %d, message %d", who+1, max(s.worker[who].message, n.worker[who].message))
				}
				steps, chosen = append(steps, name+": "+step), *n
			}
			nth++
		}
		e.steps(&s)
		e.happenings(&s)
		s = chosen
	}
	return steps
}

func (x exploration) String() string {
	return fmt.Sprintf("%s (%d states, %d at rest)\n  %s", x.broken, x.states, x.rest, strings.Join(x.steps, "\n  "))
}
