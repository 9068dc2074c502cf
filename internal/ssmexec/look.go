package ssmexec

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/amx-lambda/amx/internal/awserr"
	"github.com/amx-lambda/amx/internal/ledger"
)

// margin is how long before a run's first claim, and after the end of its last
// lease, a look still looks: SSM's clock and ours may differ.
const margin = 2 * time.Minute

// Look finds the commands of a run in SSM's list, by part. It reads what was sent
// between the run's first claim and the end of its last lease: a run may be
// looked for days later. The list may lag a send, and its order is not promised:
// every page is read.
func (x *Executor) Look(ctx context.Context, entry ledger.ID, run string, claimed, lease time.Time) (map[int][]ledger.Command, error) {
	found := map[int][]ledger.Command{}
	in := &ssm.ListCommandsInput{
		MaxResults: aws.Int32(50),
		Filters: []types.CommandFilter{
			{Key: types.CommandFilterKeyInvokedAfter, Value: aws.String(claimed.Add(-margin).UTC().Format(time.RFC3339))},
			{Key: types.CommandFilterKeyInvokedBefore, Value: aws.String(lease.Add(margin).UTC().Format(time.RFC3339))},
		},
	}
	pages := ssm.NewListCommandsPaginator(x.Client, in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return found, fmt.Errorf("ListCommands: %w", awserr.Plain(err))
		}
		for _, c := range page.Commands {
			if t, ok := ParseToken(aws.ToString(c.Comment)); ok && t.Entry == entry && t.Run == run {
				found[t.Chunk] = append(found[t.Chunk], ledger.Command{ID: aws.ToString(c.CommandId), Nodes: c.InstanceIds})
			}
		}
	}
	return found, nil
}
