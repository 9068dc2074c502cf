package main

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/amx-lambda/amx/internal/ssmexec"
)

// names knows which run an SSM command belongs to, for the log: Run Command
// knows its commands by ID, a person by what the configuration calls them.
type names struct {
	log    *slog.Logger
	client func() ssmexec.Client
	known  sync.Map // :: command ID → ssmexec.Token
}

// of is the token of the run that a command is or signals: empty for one that is
// not amx's.
func (n *names) of(commandID string) ssmexec.Token {
	if t, ok := n.known.Load(commandID); ok {
		return t.(ssmexec.Token)
	}
	comment := aws.ToString(n.find(commandID).Comment)
	t, ok := ssmexec.ParseToken(comment)
	if !ok {
		t, _, _ = ssmexec.ParseSignal(comment)
	}
	n.known.Store(commandID, t)
	return t
}

// ended logs the end of a command, which may be hours after its notification
// was answered: a line for each node, as a warning where it failed. The end of a
// command that signals a run is not the run's end.
func (n *names) ended(commandID string) end {
	defer n.known.Delete(commandID)
	c := n.find(commandID)
	status := compact(c.StatusDetails)
	if t, signal, ok := ssmexec.ParseSignal(aws.ToString(c.Comment)); ok {
		n.log.Info("signalled", "command", t.Command, "run_id", t.Run, "signal", signal, "command_id", commandID, "status", status)
		return end{}
	}
	t, _ := ssmexec.ParseToken(aws.ToString(c.Comment))
	log := n.log.With("command", t.Command, "run_id", t.Run, "command_id", commandID)
	nodes := n.nodes(commandID)
	if len(nodes) == 0 {
		log.Log(context.Background(), levelOf(status), "ended", "status", status)
	}
	for _, i := range nodes {
		node := []any{"node", aws.ToString(i.InstanceId), "status", compact(i.StatusDetails)}
		for _, p := range i.CommandPlugins {
			node = append(node, "exit_code", p.ResponseCode)
			if p.ResponseStartDateTime != nil && p.ResponseFinishDateTime != nil {
				node = append(node, "took", p.ResponseFinishDateTime.Sub(*p.ResponseStartDateTime).Round(time.Millisecond))
			}
			break // a document of several steps ends with the first that fails
		}
		log.Log(context.Background(), levelOf(compact(i.StatusDetails)), "ended", node...)
	}
	return end{t.Command, status, aws.ToTime(c.RequestedDateTime)}
}

// end is how a command of a run ended; the command is empty for any other.
type end struct {
	command, status string
	sent            time.Time
}

// levelOf is the level at which an end is logged: one that a resolve or a person
// brought about is no failure.
func levelOf(status string) slog.Level {
	if status == "Success" || status == "Cancelled" {
		return slog.LevelInfo
	}
	return slog.LevelWarn
}

// compact is SSM's StatusDetails without spaces.
func compact(details *string) string { return strings.ReplaceAll(aws.ToString(details), " ", "") }

func (n *names) nodes(commandID string) (all []types.CommandInvocation) {
	pages := ssm.NewListCommandInvocationsPaginator(n.client(), &ssm.ListCommandInvocationsInput{CommandId: &commandID, Details: true})
	for pages.HasMorePages() {
		page, err := pages.NextPage(context.Background())
		if err != nil {
			return all // it was forgotten meanwhile
		}
		all = append(all, page.CommandInvocations...)
	}
	return all
}

func (n *names) find(commandID string) types.Command {
	out, err := n.client().ListCommands(context.Background(), &ssm.ListCommandsInput{CommandId: &commandID})
	if err != nil || len(out.Commands) == 0 {
		return types.Command{} // it was forgotten meanwhile; the log has its ID
	}
	return out.Commands[0]
}
