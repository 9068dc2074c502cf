package ledger

import (
	"reflect"
	"testing"

	"github.com/amx-lambda/amx/internal/amx"
)

func tag(values ...string) []amx.Target { return []amx.Target{{Key: "tag:role", Values: values}} }

func nodes(ids ...string) []amx.Target {
	return []amx.Target{{Key: amx.KeyInstanceIDs, Values: ids}}
}

// A signal goes wherever the run may still run or begin.
func TestWhereASignalGoes(t *testing.T) {
	for _, tt := range []struct {
		name            string
		targets         []amx.Target
		state           State
		targets2, other []amx.Target
	}{
		{
			"of a tag's nodes SSM lists those that max_concurrency has let begin, and the others are not to begin", tag("web"),
			State{Nodes: []NodeState{{Command: "c1", Node: "n1"}, {Command: "c1", Node: "n2", Over: true}}},
			nodes("n1"), tag("web"),
		},
		{"SSM lists no node of the tag yet", tag("web"), State{}, tag("web"), nil},
		{
			"to the named nodes on which it is not over", nodes("n1", "n2"),
			State{Nodes: []NodeState{{Command: "c1", Node: "n2", Over: true}}},
			nodes("n1"), nil,
		},
		{
			"also where another command runs in its place", nodes("n1"),
			State{Nodes: []NodeState{{Command: "c1", Node: "n1", Over: true, Elsewhere: true}}},
			nodes("n1"), nil,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &run{ID: "r1", Targets: tt.targets, CancelAsked: true, Parts: []part{{State: sent, Commands: []command{{ID: "c1"}}}}}
			e := &Entry{runs: []*run{r}}
			got := e.Step(Actor{Policy: Policy{Signal: "SIGTERM"}}, Asked{Ask: Ask{Case: Case{Run: "r1", aim: toStop}}, State: tt.state})
			sig, ok := got[0].(Signal)
			if !ok || !reflect.DeepEqual(sig.Targets, tt.targets2) || !reflect.DeepEqual(sig.Others, tt.other) {
				t.Errorf("got %+v", got[0])
			}
		})
	}
}

// A command is cancelled as a whole where it goes on at no other node than those
// that SSM has lost.
func TestANodeThatCannotBeSignalled(t *testing.T) {
	state := State{Nodes: []NodeState{{Command: "c1", Node: "n1"}, {Command: "c1", Node: "n2"}, {Command: "c2", Node: "n3"}}}
	for _, tt := range []struct {
		name string
		lost []string
		want []Command
		err  bool
	}{
		{"one of a command's two", []string{"n1"}, []Command{{ID: "c1", Nodes: []string{"n1"}}}, false},
		{"both of them", []string{"n1", "n2"}, []Command{{ID: "c1"}}, false},
		{"each of two commands", []string{"n1", "n3"}, []Command{{ID: "c1", Nodes: []string{"n1"}}, {ID: "c2"}}, false},
		{"one that SSM does not list", []string{"n9"}, nil, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &run{ID: "r1", Targets: nodes("n1", "n2", "n3"), CancelAsked: true, Parts: []part{{State: sent, Commands: []command{{ID: "c1"}, {ID: "c2"}}}}}
			e := &Entry{runs: []*run{r}}
			var got []Command
			failed := false
			for _, a := range e.Step(Actor{}, Signalled{Signal: Signal{Case: Case{Run: "r1", aim: toStop}, state: state}, Lost: tt.lost}) {
				switch a := a.(type) {
				case Cancel:
					got = a.Commands
				case Defer:
					failed = true
				}
			}
			if !reflect.DeepEqual(got, tt.want) || failed != tt.err {
				t.Errorf("cancels %v, put off %v", got, failed)
			}
		})
	}
}
