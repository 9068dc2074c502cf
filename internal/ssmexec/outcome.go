package ssmexec

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/amx-lambda/amx/internal/awserr"
)

// terminal is the StatusDetails after which nothing more happens. An unknown
// one is not among them.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/monitor-commands.html
var terminal = []string{
	"Success", "Failed", "Cancelled", "TimedOut", "DeliveryTimedOut", "ExecutionTimedOut", "Undeliverable",
	"Terminated", "InvalidPlatform", "AccessDenied", "Incomplete", "RateExceeded", "LimitExceeded", "NoInstancesInTag",
}

// Terminal says that a command or invocation of that status is over.
func Terminal(status string) bool { return slices.Contains(terminal, status) }

// status is StatusDetails without the spaces that SSM's prose writes, or the
// coarser Status where there is none.
func status(details, coarse string) string {
	if s := strings.ReplaceAll(details, " ", ""); s != "" {
		return s
	}
	return strings.ReplaceAll(coarse, " ", "")
}

// An Invocation is a command on one node.
type Invocation struct {
	CommandID string
	Node      string
	Status    string // StatusDetails without spaces
	Output    string // what SSM lists of it: 2,500 characters
	ExitCode  int32
	Started   time.Time // zero: SSM does not say
	Ended     time.Time
	Owner     string // the command that really runs there, where the guard found one; this one then does not count
}

// State is where the commands of a run stand.
type State struct {
	Over        bool
	Status      string // of the run: the first that is not Success, in the order of the nodes
	Invocations []Invocation
	Owners      map[string]string // :: command → the command that runs in its place

	running int // the first that is not over, in the order that was asked
}

// Failed says that the run ended, and not well. A run that was cancelled did
// not fail, and of one that SSM has forgotten nobody knows that it did.
func (s *State) Failed() bool {
	return s.Over && s.Status != "Success" && s.Status != "Cancelled" && s.Status != ""
}

// Ended answers when the last of the listed nodes was done, by their clocks; zero: SSM
// does not say it of each. A second pass is over later than the run.
func (s *State) Ended() (last time.Time) {
	for _, i := range s.Invocations {
		switch {
		case i.Owner != "":
		case i.Ended.IsZero() || strings.HasPrefix(i.Output, "amx: already run here"):
			return time.Time{}
		case i.Ended.After(last):
			last = i.Ended
		}
	}
	return last
}

// Nodes answers the nodes on which the run succeeded and those on which it did
// not, each sorted.
func (s *State) Nodes() (succeeded, other []string) {
	ok := map[string]bool{}
	for _, i := range s.Invocations {
		if i.Owner == "" {
			ok[i.Node] = ok[i.Node] || i.Status == "Success"
		}
	}
	for node, good := range ok {
		if good {
			succeeded = append(succeeded, node)
		} else {
			other = append(other, node)
		}
	}
	slices.Sort(succeeded)
	slices.Sort(other)
	return succeeded, other
}

// An Asked is a command whose state is asked, and the nodes that it was sent to
// run on: none where only SSM knows.
type Asked struct {
	CommandID string
	Nodes     []string
}

// State asks SSM where these commands stand, which are all of one run. A node on
// which one of them succeeded has succeeded: another that never reached it, or
// was sent twice, does not count.
func (x *Executor) State(ctx context.Context, commands []Asked) (*State, error) {
	s := &State{Over: len(commands) > 0, Owners: map[string]string{}} // of what is not known to be sent nothing is known
	failed := ""
	for n, c := range commands {
		invocations, err := x.invocations(ctx, c.CommandID)
		if err != nil {
			return nil, err
		}
		over, now, err := x.overall(ctx, c, invocations)
		if err != nil {
			return nil, err
		}
		switch {
		case s.Over && !over:
			s.Over, s.Status, s.running = false, now, n
		case now != "Success" && failed == "":
			failed = now
		}
		s.Invocations = append(s.Invocations, invocations...)
		for _, i := range invocations {
			if len(i.Owner) == len(c.CommandID) { // else an agent that tells no command ID
				s.Owners[c.CommandID] = i.Owner
			}
		}
	}
	if s.Over {
		s.Status = s.ended(commands, failed)
	}
	return s, nil
}

// ended is the status of a run whose commands are over; failed is the status of a
// command that failed as a whole.
func (s *State) ended(commands []Asked, failed string) string {
	succeeded, _ := s.Nodes()
	ok := func(node string) bool { return slices.Contains(succeeded, node) }
	named, all := 0, true
	for _, c := range commands {
		for _, node := range c.Nodes {
			named, all = named+1, all && ok(node)
		}
	}
	if named > 0 && all {
		return "Success"
	}
	for _, i := range s.Invocations {
		if i.Status != "Success" && !ok(i.Node) {
			return i.Status
		}
	}
	return cmp.Or(failed, "Success")
}

// overall is whether the command is over, and its status as far as its
// invocations do not tell. They are listed later than the command, and a command
// that found no node has none.
func (x *Executor) overall(ctx context.Context, c Asked, invocations []Invocation) (over bool, now string, err error) {
	running := slices.IndexFunc(invocations, func(i Invocation) bool { return !Terminal(i.Status) })
	failed := slices.ContainsFunc(invocations, func(i Invocation) bool { return i.Status != "Success" })
	switch {
	case running >= 0:
		return false, invocations[running].Status, nil
	case len(invocations) == 0 && len(c.Nodes) > 0:
		return false, "Pending", nil
	case len(invocations) < max(1, len(c.Nodes)) || len(c.Nodes) == 0:
		if now, _, err = x.command(ctx, c.CommandID); err != nil || !Terminal(now) {
			return false, now, err
		}
	default:
		now = "Success"
	}
	if failed {
		now = "Success" // the invocations tell
	}
	return true, now, nil
}

// Forgotten says that SSM knows none of these commands any more: it keeps them
// for 30 days. It proves nothing about commands that were sent lately: the list
// may lag.
func (x *Executor) Forgotten(ctx context.Context, commandIDs ...string) (bool, error) {
	for _, id := range commandIDs {
		if _, known, err := x.command(ctx, id); err != nil || known {
			return false, err
		}
	}
	return true, nil
}

// command is the status of a command as a whole.
func (x *Executor) command(ctx context.Context, id string) (now string, known bool, err error) {
	out, err := x.Client.ListCommands(ctx, &ssm.ListCommandsInput{CommandId: &id})
	if err != nil && awserr.Code(err) != unknownCommand {
		return "", false, fmt.Errorf("ListCommands %q: %w", id, awserr.Plain(err))
	}
	if err == nil {
		for _, c := range out.Commands {
			if aws.ToString(c.CommandId) == id {
				return status(aws.ToString(c.StatusDetails), string(c.Status)), true, nil
			}
		}
	}
	return "Pending", false, nil // the list lags the send
}

// unknownCommand is SSM's word on a command that it does not list, if it has one:
// it may as well answer an empty list.
const unknownCommand = "InvalidCommandId"

func (x *Executor) invocations(ctx context.Context, id string) ([]Invocation, error) {
	var all []Invocation
	pages := ssm.NewListCommandInvocationsPaginator(x.Client, &ssm.ListCommandInvocationsInput{
		CommandId: &id, Details: true, MaxResults: aws.Int32(50),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if awserr.Code(err) == unknownCommand {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("ListCommandInvocations %q: %w", id, awserr.Plain(err))
		}
		for _, i := range page.CommandInvocations {
			all = append(all, invocation(id, i))
		}
	}
	return all, nil
}

func invocation(id string, i types.CommandInvocation) Invocation {
	v := Invocation{
		CommandID: id,
		Node:      aws.ToString(i.InstanceId),
		Status:    status(aws.ToString(i.StatusDetails), string(i.Status)),
	}
	for n, p := range i.CommandPlugins { // the steps of the document
		v.Output, v.ExitCode = aws.ToString(p.Output), p.ResponseCode
		if v.Ended = aws.ToTime(p.ResponseFinishDateTime); v.Started.IsZero() {
			v.Started = aws.ToTime(p.ResponseStartDateTime)
		}
		if p.Status != types.CommandPluginStatusSuccess && n < len(i.CommandPlugins)-1 {
			break // what comes after a step that failed is skipped
		}
	}
	if owner, ok := strings.CutPrefix(v.Output, "amx: runs here: "); ok && v.Status == "Success" {
		v.Owner, _, _ = strings.Cut(owner, "\n")
		v.Owner = strings.TrimSpace(v.Owner)
	}
	return v
}

// Await asks for the state of a run's commands until they are over or ctx
// ends; it then answers the last state that it saw. Asking is short at first,
// for commands that are soon done.
func (x *Executor) Await(ctx context.Context, commands []Asked) (*State, error) {
	first := x.Poll
	if first == 0 {
		first = 200 * time.Millisecond
	}
	last := &State{Status: "Pending"}
	for wait := first; ; wait = min(wait*3/2, 10*first) {
		s, err := x.tryAwait(ctx, commands, wait)
		switch {
		case err != nil && ctx.Err() != nil:
			return last, nil
		case err != nil:
			return last, err
		case s.Over || ctx.Err() != nil:
			return s, nil
		}
		last = s
	}
}

// tryAwait asks once, and then waits a while for the first command that is not
// over.
func (x *Executor) tryAwait(ctx context.Context, commands []Asked, wait time.Duration) (*State, error) {
	wake := make([]<-chan struct{}, len(commands)) // before asking, so that no end is missed
	for i, c := range commands {
		if x.Ended != nil {
			ended, release := x.Ended(c.CommandID)
			defer release()
			wake[i] = ended
		}
	}
	s, err := x.State(ctx, commands)
	if err != nil || s.Over {
		return s, err
	}
	if len(commands) == 0 {
		wake = make([]<-chan struct{}, 1)
	}
	_ = sleep(ctx, wait, wake[s.running])
	return s, nil
}
