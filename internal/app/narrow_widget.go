package app

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

// The widget's function calls other operations than the rest: it lists, it counts,
// and it never sends. So that the others do not link those, it has clients of its
// own.

type listClient struct {
	*dynamodbClient
	query operation[dynamodb.QueryInput, dynamodb.QueryOutput, dynamodb.Options]
}

func narrowList(c *dynamodb.Client) *listClient { return &listClient{narrowDynamoDB(c), c.Query} }

func (c *listClient) Query(ctx context.Context, in *dynamodb.QueryInput, o ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	return c.query(ctx, in, o...)
}

type countClient struct {
	getQueueAttributes operation[sqs.GetQueueAttributesInput, sqs.GetQueueAttributesOutput, sqs.Options]
}

func narrowCount(c *sqs.Client) *countClient { return &countClient{c.GetQueueAttributes} }

func (c *countClient) GetQueueAttributes(ctx context.Context, in *sqs.GetQueueAttributesInput, o ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error) {
	return c.getQueueAttributes(ctx, in, o...)
}

// stopClient is the part of Run Command that stops commands.
type stopClient struct {
	cancelCommand          operation[ssm.CancelCommandInput, ssm.CancelCommandOutput, ssm.Options]
	listCommands           operation[ssm.ListCommandsInput, ssm.ListCommandsOutput, ssm.Options]
	listCommandInvocations operation[ssm.ListCommandInvocationsInput, ssm.ListCommandInvocationsOutput, ssm.Options]
}

func narrowStop(c *ssm.Client) *stopClient {
	return &stopClient{c.CancelCommand, c.ListCommands, c.ListCommandInvocations}
}

// SendCommand is refused here, before its role refuses it.
func (c *stopClient) SendCommand(context.Context, *ssm.SendCommandInput, ...func(*ssm.Options)) (*ssm.SendCommandOutput, error) {
	return nil, errors.New("SendCommand: the widget's function sends nothing")
}

func (c *stopClient) CancelCommand(ctx context.Context, in *ssm.CancelCommandInput, o ...func(*ssm.Options)) (*ssm.CancelCommandOutput, error) {
	return c.cancelCommand(ctx, in, o...)
}

func (c *stopClient) ListCommands(ctx context.Context, in *ssm.ListCommandsInput, o ...func(*ssm.Options)) (*ssm.ListCommandsOutput, error) {
	return c.listCommands(ctx, in, o...)
}

func (c *stopClient) ListCommandInvocations(ctx context.Context, in *ssm.ListCommandInvocationsInput, o ...func(*ssm.Options)) (*ssm.ListCommandInvocationsOutput, error) {
	return c.listCommandInvocations(ctx, in, o...)
}
