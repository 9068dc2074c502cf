package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/awserr"
	"github.com/amx-lambda/amx/internal/history"
	historydynamo "github.com/amx-lambda/amx/internal/history/dynamo"
	"github.com/amx-lambda/amx/internal/ledger"
	ledgerdynamo "github.com/amx-lambda/amx/internal/ledger/dynamo"
	"github.com/amx-lambda/amx/internal/operate"
	"github.com/amx-lambda/amx/internal/runner"
	"github.com/amx-lambda/amx/internal/ssmexec"
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
	db, runCommand := dynamodb.NewFromConfig(cfg), ssm.NewFromConfig(cfg)
	records := historydynamo.NewReader(db, place.table, history.Default, time.Now)
	store := &ledgerdynamo.Store{Client: db, Table: place.table}
	hands := &runner.Runner{
		Config: func() *amx.Config { return &amx.Config{} }, Store: store, History: records, MaxEntry: ledgerdynamo.MaxEntry,
		Exec: &ssmexec.Executor{Client: runCommand, Jitter: rand.Float64}, Log: slog.New(slog.DiscardHandler), Window: listLag,
	}
	desk := &operate.Desk{
		History: records, Ledger: store, Outputs: runCommand,
		Stopper: stopper{func() *runner.Runner { return hands }},
		Gates:   &operate.Gates{Ledger: store, Limits: configured(store, seen(records)), Now: time.Now},
	}
	if place.queue != "" {
		desk.Queue = place.attributes(sqs.NewFromConfig(cfg))
	}
	return operate.Operator{Viewer: desk, Actor: named{desk, sts.NewFromConfig(cfg)}}, nil
}

// configured is the commands of the configuration that the worker has entered;
// those that are seen where it has entered none yet.
func configured(store ledger.Store, seen func(context.Context) ([]operate.Limit, error)) func(context.Context) ([]operate.Limit, error) {
	return func(ctx context.Context) ([]operate.Limit, error) {
		read, err := store.Get(ctx, ledger.ConfigKey)
		if err != nil {
			return nil, err
		}
		if len(read[0].Value) == 0 {
			return seen(ctx)
		}
		text, err := amx.Unpack(read[0].Value)
		if err != nil {
			return nil, fmt.Errorf("the configuration in the table: %w", err)
		}
		cfg, err := amx.ParseConfig("the configuration in the table", text)
		if err != nil {
			return seen(ctx) // a newer release's
		}
		return limitsOf(cfg), nil
	}
}

// listLag is by how much SSM's list may lag a send, as the functions have it by
// default.
const listLag = 2 * time.Minute

// lookBack is how far back, and how many records, are looked at for the commands
// that there are: the configuration is in the functions.
const (
	lookBack = 7 * 24 * time.Hour
	lookAt   = 2000
)

// seen is the commands that the history shows. Their limits are not known here.
func seen(records *historydynamo.Reader) func(context.Context) ([]operate.Limit, error) {
	return func(ctx context.Context) ([]operate.Limit, error) {
		names := map[string]bool{}
		q := history.Query{Since: time.Now().Add(-lookBack), Limit: history.MaxLimit}
		for n := 0; n < lookAt; {
			page, err := records.List(ctx, q)
			if err != nil {
				return nil, err
			}
			for _, r := range page.Records {
				names[r.Command] = true
			}
			n += len(page.Records)
			if q.Cursor = page.Next; q.Cursor == "" {
				break
			}
		}
		var all []operate.Limit
		for _, name := range slices.Sorted(maps.Keys(names)) {
			all = append(all, operate.Limit{Command: name})
		}
		return all, nil
	}
}

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

// attributes reads how many items the queues hold. It receives none of them.
func (p stackPlace) attributes(client *sqs.Client) func(context.Context) (operate.Queue, error) {
	count := func(ctx context.Context, url string) (int, error) {
		if url == "" {
			return -1, nil
		}
		names := []sqstypes.QueueAttributeName{
			sqstypes.QueueAttributeNameApproximateNumberOfMessages,
			sqstypes.QueueAttributeNameApproximateNumberOfMessagesDelayed,
			sqstypes.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
		}
		out, err := client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: names})
		if err != nil {
			return 0, fmt.Errorf("GetQueueAttributes of %q: %w", url, err)
		}
		sum := 0
		for _, name := range names {
			n, err := strconv.Atoi(cmp.Or(out.Attributes[string(name)], "0"))
			if err != nil {
				return 0, fmt.Errorf("GetQueueAttributes of %q: %s is %q", url, name, out.Attributes[string(name)])
			}
			sum += n
		}
		return sum, nil
	}
	return func(ctx context.Context) (q operate.Queue, err error) {
		items, err := count(ctx, p.queue)
		if err != nil {
			return q, err
		}
		dead, err := count(ctx, p.deadLetters)
		return operate.Queue{Items: items, DeadLetters: dead}, err
	}
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
