package ssmexec

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

func TestStatusesAreMappedExactly(t *testing.T) {
	for text, over := range map[string]bool{
		"Success": true, "Failed": true, "Cancelled": true, "Delivery Timed Out": true, "DeliveryTimedOut": true,
		"Execution Timed Out": true, "ExecutionTimedOut": true, "Undeliverable": true, "Terminated": true,
		"Invalid Platform": true, "Access Denied": true, "AccessDenied": true, "Incomplete": true, "Rate Exceeded": true,
		"Limit Exceeded": true, "LimitExceeded": true, "No Instances In Tag": true, "NoInstancesInTag": true, "TimedOut": true,
		"Pending": false, "In Progress": false, "InProgress": false, "Delayed": false, "Cancelling": false, "Something New": false, "": false,
	} {
		if got := Terminal(status(text, "")); got != over {
			t.Errorf("%q is over: %v, want %v", text, got, over)
		}
	}
	if got := status("", "Timed Out"); got != "TimedOut" {
		t.Errorf("without details the status is %q", got)
	}
}

func TestWhereARunStands(t *testing.T) {
	const owner = "00000000-0000-4000-8000-00000000000a"
	listed := func(details string) types.Command {
		return types.Command{CommandId: aws.String(cmd0), StatusDetails: aws.String(details)}
	}
	for _, tt := range []struct {
		name        string
		nodes       int
		command     types.Command
		invocations []types.CommandInvocation
		over        bool
		status      string
		ok, other   []string
	}{
		{"nothing is listed yet", 2, listed("Pending"), nil, false, "Pending", nil, nil},
		{"one of two is listed, and done", 2, listed("InProgress"), []types.CommandInvocation{on("a", "Success", 0, "")}, false, "InProgress", []string{"a"}, nil},
		{"one of two runs", 2, listed("InProgress"), []types.CommandInvocation{on("a", "Success", 0, ""), on("b", "In Progress", -1, "")}, false, "InProgress", []string{"a"}, []string{"b"}},
		{"a cancel was asked", 1, listed("Cancelling"), []types.CommandInvocation{on("a", "Cancelling", -1, "")}, false, "Cancelling", nil, []string{"a"}},
		{"both succeeded", 2, listed("Success"), []types.CommandInvocation{on("a", "Success", 0, ""), on("b", "Success", 0, "")}, true, "Success", []string{"a", "b"}, nil},
		{"one failed", 2, listed("Failed"), []types.CommandInvocation{on("a", "Success", 0, ""), on("b", "Failed", 3, "")}, true, "Failed", []string{"a"}, []string{"b"}},
		{"max_errors ended it before the second node", 2, listed("Failed"), []types.CommandInvocation{on("a", "Failed", 3, "")}, true, "Failed", nil, []string{"a"}},
		{"a tag that selects nothing", 0, listed("No Instances In Tag"), nil, true, "NoInstancesInTag", nil, nil},
		{"a tag, whose nodes are not all listed", 0, listed("InProgress"), []types.CommandInvocation{on("a", "Success", 0, "")}, false, "InProgress", []string{"a"}, nil},
		{"a tag, all done", 0, listed("Success"), []types.CommandInvocation{on("a", "Success", 0, "")}, true, "Success", []string{"a"}, nil},
		{"an unknown status", 1, listed("Success"), []types.CommandInvocation{on("a", "Something New", 0, "")}, false, "SomethingNew", nil, []string{"a"}},
		{"a pass that gave way to another command", 1, listed("Success"), []types.CommandInvocation{on("a", "Success", 0, "amx: runs here: "+owner+"\n")}, true, "Success", nil, nil},
		{"a pass that reports the first", 1, listed("Failed"), []types.CommandInvocation{on("a", "Failed", 4, "amx: already run here, exit 4\n")}, true, "Failed", nil, []string{"a"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &fake{commands: []types.Command{tt.command}, invocations: map[string][][]types.CommandInvocation{cmd0: {tt.invocations}}}
			s, err := (&Executor{Client: f}).State(t.Context(), []Asked{{cmd0, []string{"a", "b"}[:tt.nodes]}})
			if err != nil {
				t.Fatal(err)
			}
			ok, other := s.Nodes()
			if s.Over != tt.over || s.Status != tt.status || !slices.Equal(ok, tt.ok) || !slices.Equal(other, tt.other) {
				t.Errorf("over %v, %s, succeeded %q, other %q", s.Over, s.Status, ok, other)
			}
			gave := strings.Contains(tt.name, "gave way")
			if want := map[string]string{cmd0: owner}; gave != reflect.DeepEqual(s.Owners, want) {
				t.Errorf("owners %v", s.Owners)
			}
		})
	}
}

// A command that was sent twice, because an answer was lost, and of which one
// never reached its node: the run went as the other did.
func TestANodeOnWhichOneCommandSucceededHasSucceeded(t *testing.T) {
	const cmd1 = "00000000-0000-4000-8000-000000000001"
	for _, tt := range []struct {
		name      string
		first     []types.CommandInvocation
		status    string
		ok, other []string
	}{
		{"it was not delivered", []types.CommandInvocation{on("a", "Delivery Timed Out", -1, "")}, "Success", []string{"a"}, nil},
		{"another node failed", []types.CommandInvocation{on("a", "Delivery Timed Out", -1, ""), on("b", "Failed", 3, "")}, "Failed", []string{"a"}, []string{"b"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &fake{invocations: map[string][][]types.CommandInvocation{cmd0: {tt.first}, cmd1: {{on("a", "Success", 0, "")}}}}
			var nodes []string
			for _, i := range tt.first {
				nodes = append(nodes, *i.InstanceId)
			}
			s, err := (&Executor{Client: f}).State(t.Context(), []Asked{{cmd0, nodes}, {cmd1, []string{"a"}}})
			if err != nil {
				t.Fatal(err)
			}
			if ok, other := s.Nodes(); !s.Over || s.Status != tt.status || !slices.Equal(ok, tt.ok) || !slices.Equal(other, tt.other) {
				t.Errorf("over %v, %s, succeeded %q, other %q", s.Over, s.Status, ok, other)
			}
		})
	}
}

// An agent that tells no command ID leaves an owner that is no command.
func TestAnOwnerThatIsNoCommandIsNotAskedFor(t *testing.T) {
	f := &fake{invocations: map[string][][]types.CommandInvocation{cmd0: {{on("a", "Success", 0, "amx: runs here: 5f3c.1234.567\n")}}}}
	s, err := (&Executor{Client: f}).State(t.Context(), []Asked{{cmd0, []string{"a"}}})
	if err != nil || len(s.Owners) != 0 || s.Invocations[0].Owner == "" {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestOfADocumentTheStepThatFailedIsShown(t *testing.T) {
	i := on("a", "Failed", 0, "first")
	i.CommandPlugins[0].Status = types.CommandPluginStatusSuccess
	i.CommandPlugins = append(i.CommandPlugins,
		types.CommandPlugin{Status: types.CommandPluginStatusFailed, ResponseCode: 3, Output: aws.String("second")},
		types.CommandPlugin{Status: types.CommandPluginStatusPending, Output: aws.String("third")})
	if got := invocation(cmd0, i); got.Output != "second" || got.ExitCode != 3 {
		t.Errorf("it shows %q, exit %d", got.Output, got.ExitCode)
	}
}

func TestWaitingAsksOftenAtFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		states := slices.Repeat([][]types.CommandInvocation{{on("a", "InProgress", -1, "")}}, 20)
		f := &fake{invocations: map[string][][]types.CommandInvocation{cmd0: append(states, []types.CommandInvocation{on("a", "Success", 0, "")})}}
		begun := time.Now()
		s, err := (&Executor{Client: f}).Await(t.Context(), []Asked{{cmd0, []string{"a"}}})
		if err != nil || !s.Over || f.asked != 21 {
			t.Errorf("%+v, %v, asked %d times", s, err, f.asked)
		}
		// 200 300 450 675 1012.5 1518.75 ms, and then 2 s each.
		if took := time.Since(begun).Round(time.Millisecond); took != 4156*time.Millisecond+14*2*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

func TestSomebodyWhoKnowsTheEndSavesTheWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{invocations: map[string][][]types.CommandInvocation{cmd0: {{on("a", "InProgress", -1, "")}, {on("a", "Success", 0, "")}}}}
		ended, released := make(chan struct{}), 0
		x := &Executor{Client: f, Ended: func(string) (<-chan struct{}, func()) { return ended, func() { released++ } }}
		time.AfterFunc(50*time.Millisecond, func() { close(ended) })
		begun := time.Now()
		s, err := x.Await(t.Context(), []Asked{{cmd0, []string{"a"}}})
		if took := time.Since(begun); err != nil || !s.Over || took != 50*time.Millisecond || released != f.asked {
			t.Errorf("%+v, %v, after %v, released %d of %d", s, err, took, released, f.asked)
		}
	})
}

func TestALookReadsEveryPage(t *testing.T) {
	f := &fake{}
	comment := func(id, text string) {
		f.commands = append(f.commands, types.Command{CommandId: aws.String(id), Comment: aws.String(text), StatusDetails: aws.String("In Progress")})
	}
	comment("c0", "somebody's own")
	comment("c1", "amx 3f2a9c0d1e2b4a5c "+runA+" 2/2 fix")
	comment("c2", "amx 3f2a9c0d1e2b4a5c 01JD8Z5T3M6Q9W2X4Y7B0C1D2F 1/2 fix")
	comment("c3", "amx ffffffffffffffff "+runA+" 1/2 fix")
	comment("c4", "amx 3f2a9c0d1e2b4a5c "+runA+" 1/2 fix")
	comment("c5", "amx 3f2a9c0d1e2b4a5c "+runA+" 1/2 fix")
	f.commands[len(f.commands)-1].InstanceIds = []string{"a"}
	comment("c6", "amx-signal 3f2a9c0d1e2b4a5c "+runA+" SIGTERM fix")
	x := &Executor{Client: f}
	found, err := x.List(t.Context(), noon, noon.Add(time.Minute))
	var got []string
	for _, f := range found {
		got = append(got, fmt.Sprint(f.CommandID, f.Token.Chunk, f.Nodes))
	}
	if want := []string{"c11 []", "c20 []", "c30 []", "c40 []", "c50 [a]"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	from, to := *f.lists[0].Filters[0].Value, *f.lists[0].Filters[1].Value
	if len(f.lists) != 4 || from != "2026-11-05T11:58:00Z" || to != "2026-11-05T12:03:00Z" {
		t.Errorf("%d pages, from %s to %s", len(f.lists), from, to)
	}
}

func TestErrorsNameTheirSubject(t *testing.T) {
	f := &fake{}
	x := &Executor{Client: f}
	if err := x.Cancel(t.Context(), cmd0); err != nil || fmt.Sprint(f.cancelled) != "["+cmd0+"]" {
		t.Errorf("%v, cancelled %v", err, f.cancelled)
	}
}

// A run has ended when its last node was done. A node of which SSM does not say it, or
// on which another command runs, leaves the answer open, or does not count.
func TestWhenARunEnded(t *testing.T) {
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	for name, tt := range map[string]struct {
		nodes []Invocation
		want  time.Time
	}{
		"the last":                       {[]Invocation{{Ended: at(20)}, {Ended: at(30)}, {Ended: at(10)}}, at(30)},
		"one that SSM says nothing of":   {[]Invocation{{Ended: at(20)}, {}}, time.Time{}},
		"one that had run before":        {[]Invocation{{Ended: at(20)}, {Ended: at(90), Output: "amx: already run here, exit 0\n"}}, time.Time{}},
		"one on which another runs":      {[]Invocation{{Ended: at(20)}, {Owner: "c2"}, {Ended: at(40), Owner: "c3"}}, at(20)},
		"no node is known to have begun": {nil, time.Time{}},
	} {
		if got := (&State{Invocations: tt.nodes}).Ended(); !got.Equal(tt.want) {
			t.Errorf("%s: ended %v, not %v", name, got, tt.want)
		}
	}
}
