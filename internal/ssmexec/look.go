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

// margin is how long before a run's first claim, and after the end of its last
// lease, a look still looks: SSM's clock and ours may differ.
const margin = 2 * time.Minute

// A Found is a command that carries a token of amx.
type Found struct {
	Token     Token
	CommandID string
	Nodes     []string // that it names
	Status    string
}

// Look finds the commands of a run in SSM's list, by chunk. The list may lag a
// send, and its order is not promised: every page is read. What the account sent
// since the run's last lease is not: a run may be looked for days later.
func (x *Executor) Look(ctx context.Context, entry ledger.ID, run *ledger.Run) (map[int][]ledger.Found, error) {
	found := map[int][]ledger.Found{}
	all, err := x.list(ctx, entry, run.Claimed.Add(-margin), run.Lease.Add(margin))
	for _, f := range all {
		if f.Token.Run == run.ID {
			found[f.Token.Chunk] = append(found[f.Token.Chunk], ledger.Found{ID: f.CommandID, Nodes: f.Nodes})
		}
	}
	return found, err
}

// LookAll finds the commands of all runs of an entry that may still be running
// and whose run ID was made at the given time or before. It is for the case
// that the ledger cannot be read.
func (x *Executor) LookAll(ctx context.Context, entry ledger.ID, until time.Time, longest time.Duration) ([]Found, error) {
	all, err := x.list(ctx, entry, until.Add(-longest-margin), time.Time{})
	var found []Found
	for _, f := range all {
		if made, err := RunTime(f.Token.Run); err == nil && !made.After(until) && !Terminal(f.Status) {
			found = append(found, f)
		}
	}
	return found, err
}

// list reads what was sent in this time; zero: until now.
func (x *Executor) list(ctx context.Context, entry ledger.ID, after, before time.Time) ([]Found, error) {
	var found []Found
	in := &ssm.ListCommandsInput{
		MaxResults: aws.Int32(50),
		Filters:    []types.CommandFilter{{Key: types.CommandFilterKeyInvokedAfter, Value: aws.String(after.UTC().Format(time.RFC3339))}},
	}
	if !before.IsZero() {
		in.Filters = append(in.Filters, types.CommandFilter{Key: types.CommandFilterKeyInvokedBefore, Value: aws.String(before.UTC().Format(time.RFC3339))})
	}
	pages := ssm.NewListCommandsPaginator(x.Client, in)
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
