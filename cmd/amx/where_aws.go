package main

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/amx-lambda/amx/internal/awserr"
	"github.com/amx-lambda/amx/internal/history"
	"github.com/amx-lambda/amx/internal/operate"
	"github.com/amx-lambda/amx/internal/operate/desk"
)

// onAWS is the operator of a stack or a table, with the AWS configuration that
// the AWS command line has: environment, profiles, SSO.
func (w *where) onAWS(ctx context.Context) (operate.Operator, error) {
	cfg, err := awsConfig(ctx, w.Profile, w.Region)
	if err != nil {
		return operate.Operator{}, err
	}
	place := stackPlace{table: w.Table, queue: w.Queue}
	if w.Stack != "" {
		if place, err = readStack(ctx, cfg, w.Stack); err != nil {
			return operate.Operator{}, missingRight(err)
		}
	}
	runCommand := ssm.NewFromConfig(cfg)
	d := desk.Stack{
		DB: dynamodb.NewFromConfig(cfg), RunCommand: runCommand, Queues: sqs.NewFromConfig(cfg),
		Table: place.table, Queue: place.queue, DeadLetters: place.deadLetters,
		Keep: history.Default, Window: listLag, Log: slog.New(slog.DiscardHandler),
	}.Desk()
	d.Outputs = runCommand
	return operate.Operator{Viewer: d, Actor: named{d, sts.NewFromConfig(cfg)}}, nil
}

// listLag is by how much SSM's list may lag a send, as the functions have it by
// default.
const listLag = 2 * time.Minute

// stackPlace is what a stack's outputs tell.
type stackPlace struct{ table, queue, deadLetters string }

// readStack reads the outputs of template.yaml's stack.
func readStack(ctx context.Context, cfg aws.Config, name string) (p stackPlace, err error) {
	out, err := cloudformation.NewFromConfig(cfg).DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &name})
	if err != nil {
		if awserr.Code(err) == "ValidationError" {
			return p, fmt.Errorf("stack %q: %s in region %s; name another with --region or --profile", name, awserr.Message(err), cfg.Region)
		}
		return p, fmt.Errorf("stack %q: DescribeStacks: %w", name, err)
	}
	for _, stack := range out.Stacks {
		for _, o := range stack.Outputs {
			switch aws.ToString(o.OutputKey) {
			case "TableName":
				p.table = aws.ToString(o.OutputValue)
			case "WorkQueueURL":
				p.queue = aws.ToString(o.OutputValue)
			case "DeadLetterQueueURL":
				p.deadLetters = aws.ToString(o.OutputValue)
			}
		}
	}
	if p.table == "" {
		return p, fmt.Errorf("stack %q has no output TableName: is it amx's?", name)
	}
	return p, nil
}

// named is a desk whose user is the caller of the AWS credentials.
type named struct {
	operate.Actor
	sts *sts.Client
}

// who is the caller's ARN without the account, such as user/ann or
// assumed-role/Admin/ann. Everybody may ask for their own.
func (n named) who(ctx context.Context) (string, error) {
	out, err := n.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", fmt.Errorf("asking who you are: GetCallerIdentity: %w", err)
	}
	arn := aws.ToString(out.Arn)
	return arn[strings.LastIndexByte(arn, ':')+1:], nil
}

func (n named) Cancel(ctx context.Context, in operate.CancelRequest) (out operate.Cancelled, err error) {
	if in.Who, err = n.who(ctx); err != nil {
		return out, err
	}
	return n.Actor.Cancel(ctx, in)
}

func (n named) Pause(ctx context.Context, in operate.PauseRequest) (out []operate.Pause, err error) {
	if in.Who, err = n.who(ctx); err != nil {
		return nil, err
	}
	return n.Actor.Pause(ctx, in)
}

func (n named) Resume(ctx context.Context, in operate.ResumeRequest) (out []operate.Pause, err error) {
	if in.Who, err = n.who(ctx); err != nil {
		return nil, err
	}
	return n.Actor.Resume(ctx, in)
}

// notAuthorized is AWS's sentence about a right that is missing.
var notAuthorized = regexp.MustCompile(`not authorized to perform:? (\S+)(?: on resource:? (\S+))?`)

// missingRight says which right is missing, and where a policy with it is.
func missingRight(err error) error {
	code, message := awserr.Code(err), awserr.Message(err)
	if !strings.Contains(code, "AccessDenied") && code != "UnauthorizedOperation" {
		return err
	}
	what := "a right"
	if m := notAuthorized.FindStringSubmatch(message); m != nil {
		what = "the right " + m[1]
		if m[2] != "" {
			what += " on " + m[2]
		}
	}
	return fmt.Errorf("you lack %s: examples/iam/operator.json is a policy with all that amx's command line needs (%s: %s)", what, code, message)
}
