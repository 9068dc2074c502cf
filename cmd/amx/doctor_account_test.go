package main

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cloudformationtypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cloudwatchtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"

	"github.com/amx-lambda/amx/internal/awstest"
)

// account is an AWS account with one stack. Its zero values are what the tests
// set; each request is held to its service's model.
type account struct {
	t *testing.T

	status     cloudformationtypes.StackStatus
	outputs    map[string]string
	parameters map[string]string // of the stack
	resources  map[string]string // :: logical ID → physical ID
	kept       map[string]ssmtypes.Parameter
	keys       map[string]string // :: name of a parameter → its key
	topic      map[string]string // attributes
	endpoints  []string          // of the topic's subscriptions
	waiting    map[string]string // :: queue URL → messages
	on         []string          // alarms
	told       []string          // AlarmActions of every alarm
	fails      map[string]error  // :: operation → error
	alter      func(*ssmtypes.InstanceInformation)
	published  func(subject, message string)
	commandReader

	mu    sync.Mutex
	asked []string
}

func (a *account) ask(service, operation string, in any) error {
	a.t.Helper()
	if err := awstest.CheckOperator(service, operation, in); err != nil {
		a.t.Error(err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, service+":"+operation)
	return a.fails[operation]
}

func apiErr(code, message string) error {
	return &smithy.GenericAPIError{Code: code, Message: message}
}

func (a *account) DescribeStacks(_ context.Context, in *cloudformation.DescribeStacksInput, _ ...func(*cloudformation.Options)) (*cloudformation.DescribeStacksOutput, error) {
	if err := a.ask("cloudformation", "DescribeStacks", in); err != nil {
		return nil, err
	}
	if *in.StackName != "amx" {
		return nil, apiErr("ValidationError", "Stack with id "+*in.StackName+" does not exist")
	}
	stack := cloudformationtypes.Stack{StackName: in.StackName, StackStatus: a.status}
	for _, k := range slices.Sorted(maps.Keys(a.outputs)) {
		stack.Outputs = append(stack.Outputs, cloudformationtypes.Output{OutputKey: &k, OutputValue: aws.String(a.outputs[k])})
	}
	for _, k := range slices.Sorted(maps.Keys(a.parameters)) {
		stack.Parameters = append(stack.Parameters, cloudformationtypes.Parameter{ParameterKey: &k, ParameterValue: aws.String(a.parameters[k])})
	}
	return &cloudformation.DescribeStacksOutput{Stacks: []cloudformationtypes.Stack{stack}}, nil
}

// ListStackResources answers one resource a page.
func (a *account) ListStackResources(_ context.Context, in *cloudformation.ListStackResourcesInput, _ ...func(*cloudformation.Options)) (*cloudformation.ListStackResourcesOutput, error) {
	if err := a.ask("cloudformation", "ListStackResources", in); err != nil {
		return nil, err
	}
	ids := slices.Sorted(maps.Keys(a.resources))
	i := 0
	if in.NextToken != nil {
		i = slices.Index(ids, *in.NextToken)
	}
	kind := "AWS::Lambda::Function"
	if strings.HasSuffix(ids[i], "Alarm") {
		kind = "AWS::CloudWatch::Alarm"
	}
	out := &cloudformation.ListStackResourcesOutput{StackResourceSummaries: []cloudformationtypes.StackResourceSummary{{
		LogicalResourceId: &ids[i], PhysicalResourceId: aws.String(a.resources[ids[i]]), ResourceType: &kind,
	}}}
	if i+1 < len(ids) {
		out.NextToken = &ids[i+1]
	}
	return out, nil
}

func (a *account) GetParameter(_ context.Context, in *ssm.GetParameterInput, _ ...func(*ssm.Options)) (*ssm.GetParameterOutput, error) {
	if err := a.ask("ssm", "GetParameter", in); err != nil {
		return nil, err
	}
	p, ok := a.kept[*in.Name]
	if !ok {
		return nil, apiErr("ParameterNotFound", "")
	}
	return &ssm.GetParameterOutput{Parameter: &p}, nil
}

func (a *account) DescribeParameters(_ context.Context, in *ssm.DescribeParametersInput, _ ...func(*ssm.Options)) (*ssm.DescribeParametersOutput, error) {
	if err := a.ask("ssm", "DescribeParameters", in); err != nil {
		return nil, err
	}
	name := in.ParameterFilters[0].Values[0]
	return &ssm.DescribeParametersOutput{Parameters: []ssmtypes.ParameterMetadata{{Name: &name, KeyId: aws.String(a.keys[name])}}}, nil
}

func (a *account) DescribeInstanceInformation(ctx context.Context, in *ssm.DescribeInstanceInformationInput, _ ...func(*ssm.Options)) (*ssm.DescribeInstanceInformationOutput, error) {
	if err := a.ask("ssm", "DescribeInstanceInformation", in); err != nil {
		return nil, err
	}
	out, err := a.commandReader.DescribeInstanceInformation(ctx, in)
	for i := range out.InstanceInformationList {
		if a.alter != nil {
			a.alter(&out.InstanceInformationList[i])
		}
	}
	return out, err
}

func (a *account) ListCommands(ctx context.Context, in *ssm.ListCommandsInput, _ ...func(*ssm.Options)) (*ssm.ListCommandsOutput, error) {
	if err := a.ask("ssm", "ListCommands", in); err != nil {
		return nil, err
	}
	return a.commandReader.ListCommands(ctx, in)
}

func (a *account) ListCommandInvocations(ctx context.Context, in *ssm.ListCommandInvocationsInput, _ ...func(*ssm.Options)) (*ssm.ListCommandInvocationsOutput, error) {
	if err := a.ask("ssm", "ListCommandInvocations", in); err != nil {
		return nil, err
	}
	return a.commandReader.ListCommandInvocations(ctx, in)
}

func (a *account) DescribeAlarms(_ context.Context, in *cloudwatch.DescribeAlarmsInput, _ ...func(*cloudwatch.Options)) (*cloudwatch.DescribeAlarmsOutput, error) {
	if err := a.ask("cloudwatch", "DescribeAlarms", in); err != nil {
		return nil, err
	}
	out := &cloudwatch.DescribeAlarmsOutput{}
	for _, name := range in.AlarmNames {
		state := cloudwatchtypes.StateValueOk
		if slices.Contains(a.on, name) {
			state = cloudwatchtypes.StateValueAlarm
		}
		out.MetricAlarms = append(out.MetricAlarms, cloudwatchtypes.MetricAlarm{
			AlarmName: &name, StateValue: state, AlarmActions: a.told, AlarmDescription: aws.String("Something is amiss."),
		})
	}
	return out, nil
}

func (a *account) GetQueueAttributes(_ context.Context, in *sqs.GetQueueAttributesInput, _ ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error) {
	if err := a.ask("sqs", "GetQueueAttributes", in); err != nil {
		return nil, err
	}
	return &sqs.GetQueueAttributesOutput{Attributes: map[string]string{"ApproximateNumberOfMessages": a.waiting[*in.QueueUrl]}}, nil
}

func (a *account) GetTopicAttributes(_ context.Context, in *sns.GetTopicAttributesInput, _ ...func(*sns.Options)) (*sns.GetTopicAttributesOutput, error) {
	if err := a.ask("sns", "GetTopicAttributes", in); err != nil {
		return nil, err
	}
	return &sns.GetTopicAttributesOutput{Attributes: a.topic}, nil
}

func (a *account) ListSubscriptionsByTopic(_ context.Context, in *sns.ListSubscriptionsByTopicInput, _ ...func(*sns.Options)) (*sns.ListSubscriptionsByTopicOutput, error) {
	if err := a.ask("sns", "ListSubscriptionsByTopic", in); err != nil {
		return nil, err
	}
	i := 0
	if in.NextToken != nil {
		i = len(*in.NextToken)
	}
	out := &sns.ListSubscriptionsByTopicOutput{}
	if i < len(a.endpoints) {
		out.Subscriptions = []snstypes.Subscription{{Protocol: aws.String("lambda"), Endpoint: &a.endpoints[i]}}
	}
	if i+1 < len(a.endpoints) {
		out.NextToken = aws.String(strings.Repeat("n", i+1))
	}
	return out, nil
}

func (a *account) Publish(_ context.Context, in *sns.PublishInput, _ ...func(*sns.Options)) (*sns.PublishOutput, error) {
	if err := a.ask("sns", "Publish", in); err != nil {
		return nil, err
	}
	if a.published == nil {
		return nil, errors.New("nobody is there")
	}
	a.published(aws.ToString(in.Subject), *in.Message)
	return &sns.PublishOutput{MessageId: aws.String("0a1b2c3d")}, nil
}
