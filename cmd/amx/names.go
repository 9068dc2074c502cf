package main

import (
	"context"
	"log/slog"
	"strings"
	"sync"

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

// ended logs the end of a command that signals a run, and with -v that of any
// other, on each node: how a run ended the runner says.
func (n *names) ended(commandID string) {
	defer n.known.Delete(commandID)
	c := n.find(commandID)
	status := compact(c.StatusDetails)
	if t, signal, ok := ssmexec.ParseSignal(aws.ToString(c.Comment)); ok {
		n.log.Info("signalled", "command", t.Command, "run_id", t.Run, "signal", signal, "command_id", commandID, "status", status)
		return
	}
	t, _ := ssmexec.ParseToken(aws.ToString(c.Comment))
	n.log.Debug("ended", "command", t.Command, "run_id", t.Run, "command_id", commandID, "status", status)
}

// compact is SSM's StatusDetails without spaces.
func compact(details *string) string { return strings.ReplaceAll(aws.ToString(details), " ", "") }

func (n *names) find(commandID string) types.Command {
	out, err := n.client().ListCommands(context.Background(), &ssm.ListCommandsInput{CommandId: &commandID})
	if err != nil || len(out.Commands) == 0 {
		return types.Command{} // it was forgotten meanwhile; the log has its ID
	}
	return out.Commands[0]
}
