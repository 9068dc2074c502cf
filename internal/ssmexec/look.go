package ssmexec

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/amx-lambda/amx/internal/ledger"
)

// lookBack is how far before a run's first claim a look begins: SSM's clock and
// ours may differ.
const lookBack = 2 * time.Minute

// A Found is a command that carries a token of amx.
type Found struct {
	Token     Token
	CommandID string
	Nodes     []string // that it names
	Status    string
}

// Look finds the commands of a run in SSM's list, by chunk. The list may lag a
// send, and its order is not promised: every page is read.
func (x *Executor) Look(ctx context.Context, entry ledger.ID, run string, claimed time.Time) (map[int][]ledger.Found, error) {
	found := map[int][]ledger.Found{}
	all, err := x.list(ctx, entry, claimed.Add(-lookBack))
	for _, f := range all {
		if f.Token.Run == run {
			found[f.Token.Chunk] = append(found[f.Token.Chunk], ledger.Found{ID: f.CommandID, Nodes: f.Nodes})
		}
	}
	return found, err
}

// LookAll finds the commands of all runs of an entry that may still be running
// and whose run ID was made at the given time or before. It is for the case
// that the ledger cannot be read.
func (x *Executor) LookAll(ctx context.Context, entry ledger.ID, until time.Time, longest time.Duration) ([]Found, error) {
	all, err := x.list(ctx, entry, until.Add(-longest-lookBack))
	var found []Found
	for _, f := range all {
		if made, err := RunTime(f.Token.Run); err == nil && !made.After(until) && !Terminal(f.Status) {
			found = append(found, f)
		}
	}
	return found, err
}

func (x *Executor) list(ctx context.Context, entry ledger.ID, after time.Time) ([]Found, error) {
	var found []Found
	pages := ssm.NewListCommandsPaginator(x.Client, &ssm.ListCommandsInput{
		MaxResults: aws.Int32(50),
		Filters: []types.CommandFilter{{
			Key:   types.CommandFilterKeyInvokedAfter,
			Value: aws.String(after.UTC().Format(time.RFC3339)),
		}},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return found, fmt.Errorf("ListCommands: %w", plainError(err))
		}
		for _, c := range page.Commands {
			if t, ok := ParseToken(aws.ToString(c.Comment)); ok && t.Entry == entry {
				found = append(found, Found{t, aws.ToString(c.CommandId), c.InstanceIds, status(aws.ToString(c.StatusDetails), string(c.Status))})
			}
		}
	}
	return found, nil
}
