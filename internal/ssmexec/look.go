package ssmexec

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/amx-lambda/amx/internal/awserr"
)

// margin widens the time that is read of SSM's list, before a run's first claim and
// after the end of its last lease: SSM's clock and ours may differ.
const margin = 2 * time.Minute

// A Found is a command that carries a token of amx.
type Found struct {
	Token     Token
	CommandID string
	Nodes     []string // that it names
}

// List reads SSM's list for commands that carry a token of amx and were sent between
// the first claim of a run and the end of its last lease, with a margin. A run may
// be reconciled days later. The list may lag a send, and its order is not promised,
// so every page is read.
func (x *Executor) List(ctx context.Context, claimed, lease time.Time) ([]Found, error) {
	var found []Found
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
			if t, ok := ParseToken(aws.ToString(c.Comment)); ok {
				found = append(found, Found{t, aws.ToString(c.CommandId), c.InstanceIds})
			}
		}
	}
	return found, nil
}
