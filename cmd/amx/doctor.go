package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/smithy-go/logging"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/awserr"
)

type doctorCmd struct {
	Stack   string `required:"" placeholder:"NAME" help:"The CloudFormation stack."`
	File    string `short:"f" placeholder:"FILE" help:"The configuration that the stack should use."`
	Node    string `placeholder:"ID" help:"A node to check, such as one that your alerts will name."`
	Send    bool   `help:"Rehearse: send the alert AmxRehearsal for --node through the stack, and then its resolve."`
	Profile string `placeholder:"NAME" help:"Profile of the AWS configuration."`
	Region  string `placeholder:"NAME" help:"AWS region."`
}

// Help says what is asked and what it may do.
func (*doctorCmd) Help() string {
	return `amx doctor checks a stack with your own credentials. It prints a line for each check: ok, skip, or wrong with what to do. Without --send it only reads. With --send, the configuration needs one command that matches only the alert AmxRehearsal, such as the one in examples/amx-first.yaml.`
}

// The doctor's calls to each service.
type (
	stackReader interface {
		DescribeStacks(context.Context, *cloudformation.DescribeStacksInput, ...func(*cloudformation.Options)) (*cloudformation.DescribeStacksOutput, error)
		ListStackResources(context.Context, *cloudformation.ListStackResourcesInput, ...func(*cloudformation.Options)) (*cloudformation.ListStackResourcesOutput, error)
	}
	parameterReader interface {
		GetParameter(context.Context, *ssm.GetParameterInput, ...func(*ssm.Options)) (*ssm.GetParameterOutput, error)
		DescribeParameters(context.Context, *ssm.DescribeParametersInput, ...func(*ssm.Options)) (*ssm.DescribeParametersOutput, error)
	}
	commandReader interface {
		DescribeInstanceInformation(context.Context, *ssm.DescribeInstanceInformationInput, ...func(*ssm.Options)) (*ssm.DescribeInstanceInformationOutput, error)
		ListCommands(context.Context, *ssm.ListCommandsInput, ...func(*ssm.Options)) (*ssm.ListCommandsOutput, error)
		ListCommandInvocations(context.Context, *ssm.ListCommandInvocationsInput, ...func(*ssm.Options)) (*ssm.ListCommandInvocationsOutput, error)
	}
	alarmReader interface {
		DescribeAlarms(context.Context, *cloudwatch.DescribeAlarmsInput, ...func(*cloudwatch.Options)) (*cloudwatch.DescribeAlarmsOutput, error)
	}
	queueReader interface {
		GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error)
	}
	topicClient interface {
		GetTopicAttributes(context.Context, *sns.GetTopicAttributesInput, ...func(*sns.Options)) (*sns.GetTopicAttributesOutput, error)
		ListSubscriptionsByTopic(context.Context, *sns.ListSubscriptionsByTopicInput, ...func(*sns.Options)) (*sns.ListSubscriptionsByTopicOutput, error)
		Publish(context.Context, *sns.PublishInput, ...func(*sns.Options)) (*sns.PublishOutput, error)
	}
)

// doctor checks one stack.
type doctor struct {
	stacks     stackReader
	parameters parameterReader
	commands   commandReader
	alarms     alarmReader
	queues     queueReader
	topics     topicClient
	http       *http.Client

	out   io.Writer
	now   func() time.Time
	pause func(context.Context, time.Duration) bool // between two looks

	stack    *deployed
	config   *amx.Config // that of the stack, or else of the file; nil: neither is good
	tokens   string      // as the parameter has them
	problems int
}

// Run checks the stack. The answer is no if anything is wrong with it.
func (c *doctorCmd) Run(ctx context.Context, std stdio) error {
	if c.Send && c.Node == "" {
		return usageError{errors.New("--send needs the node to send to: add --node ID")}
	}
	cfg, err := awsConfig(ctx, c.Profile, c.Region)
	if err != nil {
		return err
	}
	parameters := ssm.NewFromConfig(cfg)
	d := &doctor{
		stacks: cloudformation.NewFromConfig(cfg), parameters: parameters, commands: parameters,
		alarms: cloudwatch.NewFromConfig(cfg), queues: sqs.NewFromConfig(cfg), topics: sns.NewFromConfig(cfg),
		http: &http.Client{Timeout: time.Minute},
		out:  std.out, now: time.Now, pause: pause,
	}
	return d.examine(ctx, c)
}

// awsConfig is what the AWS command line would use: environment, profiles, SSO.
func awsConfig(ctx context.Context, profile, region string) (aws.Config, error) {
	// The SDK's errors say enough; the lines of its log are not amx's.
	options := []func(*config.LoadOptions) error{config.WithLogger(logging.Nop{})}
	if profile != "" {
		options = append(options, config.WithSharedConfigProfile(profile))
	}
	if region != "" {
		options = append(options, config.WithRegion(region))
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return cfg, fmt.Errorf("reading the AWS configuration: %w", err)
	}
	if cfg.Region == "" {
		return cfg, usageError{errors.New("no AWS region is configured: add --region NAME")}
	}
	return cfg, nil
}

// examine goes through all checks. One that fails keeps none of the others.
func (d *doctor) examine(ctx context.Context, c *doctorCmd) error {
	if !d.checkStack(ctx, c.Stack) {
		return errNo
	}
	d.checkToken(ctx)
	d.checkTopic(ctx)
	d.checkQueues(ctx)
	d.checkAlarms(ctx)
	d.checkConfiguration(ctx, c.File)
	d.checkSecrets(ctx)
	d.checkNodes(ctx, c.Node)
	if c.Send && d.problems == 0 {
		d.send(ctx, c.Node)
	} else if c.Send {
		d.skip("rehearsal", "not sent: first mend what is wrong")
	}
	if d.problems > 0 {
		return errNo
	}
	return nil
}

func (d *doctor) ok(subject, format string, args ...any) { d.say("ok", subject, format, args...) }

// skip is for what could not be checked and is not known to be wrong.
func (d *doctor) skip(subject, format string, args ...any) { d.say("skip", subject, format, args...) }

// wrong says what is wrong and, last, what to do.
func (d *doctor) wrong(subject, format string, args ...any) {
	d.problems++
	d.say("wrong", subject, format, args...)
}

func (d *doctor) say(how, subject, format string, args ...any) {
	fmt.Fprintf(d.out, "%-5s  %s: %s\n", how, subject, fmt.Sprintf(format, args...))
}

// said is an error in AWS's own words, without the URL and the attempts that the
// SDK wraps around them.
func said(operation string, err error) string {
	if code := awserr.Code(err); code != "" {
		return fmt.Sprintf("%s: %s: %s", operation, code, awserr.Message(err))
	}
	return fmt.Sprintf("%s: %v", operation, err)
}

// fileText is the text of the file that --file names; "" without one.
func fileText(name string) ([]byte, error) {
	if name == "" {
		return nil, nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return amx.Unpack(text)
}
