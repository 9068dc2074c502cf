package app

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

// The SDK's clients have a method for each operation of their service, and the
// linker keeps all of them once a client is in an interface: text/template may
// call any method by its name. These have the operations that amx uses, as
// functions, behind which the linker drops the rest: some 200 operations, 4 MiB of
// 16, and a tenth of a cold start (BenchmarkColdStart).

type ssmClient struct {
	sendCommand            operation[ssm.SendCommandInput, ssm.SendCommandOutput, ssm.Options]
	cancelCommand          operation[ssm.CancelCommandInput, ssm.CancelCommandOutput, ssm.Options]
	listCommands           operation[ssm.ListCommandsInput, ssm.ListCommandsOutput, ssm.Options]
	listCommandInvocations operation[ssm.ListCommandInvocationsInput, ssm.ListCommandInvocationsOutput, ssm.Options]
	getParameter           operation[ssm.GetParameterInput, ssm.GetParameterOutput, ssm.Options]

	getCommandInvocation        operation[ssm.GetCommandInvocationInput, ssm.GetCommandInvocationOutput, ssm.Options]
	describeInstanceInformation operation[ssm.DescribeInstanceInformationInput, ssm.DescribeInstanceInformationOutput, ssm.Options]
}

type dynamodbClient struct {
	batchGetItem operation[dynamodb.BatchGetItemInput, dynamodb.BatchGetItemOutput, dynamodb.Options]
	putItem      operation[dynamodb.PutItemInput, dynamodb.PutItemOutput, dynamodb.Options]
}

type sqsClient struct {
	sendMessage operation[sqs.SendMessageInput, sqs.SendMessageOutput, sqs.Options]
}

// operation is a method of a client.
type operation[In, Out, Options any] func(context.Context, *In, ...func(*Options)) (*Out, error)

func narrowSSM(c *ssm.Client) *ssmClient {
	return &ssmClient{c.SendCommand, c.CancelCommand, c.ListCommands, c.ListCommandInvocations, c.GetParameter, c.GetCommandInvocation, c.DescribeInstanceInformation}
}

func narrowDynamoDB(c *dynamodb.Client) *dynamodbClient {
	return &dynamodbClient{c.BatchGetItem, c.PutItem}
}

func narrowSQS(c *sqs.Client) *sqsClient { return &sqsClient{c.SendMessage} }

func (c *ssmClient) SendCommand(ctx context.Context, in *ssm.SendCommandInput, o ...func(*ssm.Options)) (*ssm.SendCommandOutput, error) {
	return c.sendCommand(ctx, in, o...)
}

func (c *ssmClient) CancelCommand(ctx context.Context, in *ssm.CancelCommandInput, o ...func(*ssm.Options)) (*ssm.CancelCommandOutput, error) {
	return c.cancelCommand(ctx, in, o...)
}

func (c *ssmClient) ListCommands(ctx context.Context, in *ssm.ListCommandsInput, o ...func(*ssm.Options)) (*ssm.ListCommandsOutput, error) {
	return c.listCommands(ctx, in, o...)
}

func (c *ssmClient) ListCommandInvocations(ctx context.Context, in *ssm.ListCommandInvocationsInput, o ...func(*ssm.Options)) (*ssm.ListCommandInvocationsOutput, error) {
	return c.listCommandInvocations(ctx, in, o...)
}

func (c *ssmClient) GetParameter(ctx context.Context, in *ssm.GetParameterInput, o ...func(*ssm.Options)) (*ssm.GetParameterOutput, error) {
	return c.getParameter(ctx, in, o...)
}

func (c *ssmClient) GetCommandInvocation(ctx context.Context, in *ssm.GetCommandInvocationInput, o ...func(*ssm.Options)) (*ssm.GetCommandInvocationOutput, error) {
	return c.getCommandInvocation(ctx, in, o...)
}

func (c *ssmClient) DescribeInstanceInformation(ctx context.Context, in *ssm.DescribeInstanceInformationInput, o ...func(*ssm.Options)) (*ssm.DescribeInstanceInformationOutput, error) {
	return c.describeInstanceInformation(ctx, in, o...)
}

func (c *dynamodbClient) BatchGetItem(ctx context.Context, in *dynamodb.BatchGetItemInput, o ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error) {
	return c.batchGetItem(ctx, in, o...)
}

func (c *dynamodbClient) PutItem(ctx context.Context, in *dynamodb.PutItemInput, o ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error) {
	return c.putItem(ctx, in, o...)
}

func (c *sqsClient) SendMessage(ctx context.Context, in *sqs.SendMessageInput, o ...func(*sqs.Options)) (*sqs.SendMessageOutput, error) {
	return c.sendMessage(ctx, in, o...)
}
