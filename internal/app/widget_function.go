package app

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/amx-lambda/amx/internal/history"
	historydynamo "github.com/amx-lambda/amx/internal/history/dynamo"
	"github.com/amx-lambda/amx/internal/ssmexec"
)

// WidgetParts is what the widget's function gives to what shows things to people.
// Only that function links it: the others have to start fast.
type WidgetParts struct {
	DB     historydynamo.Querier
	Queues interface {
		GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error)
	}
	RunCommand ssmexec.Client // stops runs; nil: the widget only shows

	Table, Queue, DeadLetters string
	Stack                     string // the name to show
	Keep                      history.Keeping
	Window                    time.Duration
	Log                       *slog.Logger
}

// A WidgetHandler answers what the dashboard of CloudWatch shows. endpoint is the
// function's own ARN, which buttons call.
type WidgetHandler interface {
	Answer(ctx context.Context, endpoint string, event json.RawMessage) string
}

// A WidgetFunction is what the dashboard's custom widget calls.
type WidgetFunction struct{ shows WidgetHandler }

// NewWidgetFunction makes the function from its environment. It calls nobody. An
// error names what is wrong. shows makes what answers.
func NewWidgetFunction(_ context.Context, env Getenv, log *slog.Logger, _ io.Writer, shows func(WidgetParts) WidgetHandler) (*WidgetFunction, error) {
	s, err := readSettings(env, widgetSettings(env))
	if err != nil {
		return nil, err
	}
	conn := newConnection(env)
	parts := WidgetParts{
		DB: narrowList(dynamodb.New(conn.dynamodbOptions())), Queues: narrowCount(sqs.New(conn.sqsOptions())),
		Table: s.table, Queue: s.queue, DeadLetters: s.deadLetters, Stack: s.stack,
		Keep: history.Keeping(s.history), Window: s.listLag, Log: log,
	}
	if s.control {
		parts.RunCommand = narrowStop(ssm.New(conn.ssmOptions()))
	}
	return &WidgetFunction{shows(parts)}, nil
}

func (f *WidgetFunction) handler() any { return f.Handle }

// Handle answers one call of a dashboard. All that can go wrong is in the answer: an
// error of the function would show people JSON.
func (f *WidgetFunction) Handle(ctx context.Context, event json.RawMessage) (string, error) {
	endpoint := ""
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		endpoint = lc.InvokedFunctionArn
	}
	return f.shows.Answer(ctx, endpoint, event), nil
}
