package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/amx-lambda/amx/internal/awserr"
	"github.com/amx-lambda/amx/internal/history"
	historydynamo "github.com/amx-lambda/amx/internal/history/dynamo"
	"github.com/amx-lambda/amx/internal/ledger/dynamo"
	"github.com/amx-lambda/amx/internal/queue/sqs"
	"github.com/amx-lambda/amx/internal/report"
	"github.com/amx-lambda/amx/internal/runner"
	"github.com/amx-lambda/amx/internal/ssmexec"
)

const (
	// configTime bounds the reading of a configuration, so that it fails by
	// name: Lambda ends the whole of init after 10 s.
	configTime = 8 * time.Second
	// callsEnd is how long before an invocation's deadline every call ends, as
	// in the runner.
	callsEnd = 500 * time.Millisecond
)

// parameters is the part of SSM that reads Parameter Store.
type parameters interface {
	GetParameter(context.Context, *ssm.GetParameterInput, ...func(*ssm.Options)) (*ssm.GetParameterOutput, error)
}

// common is what the functions share.
type common struct {
	runner   *runner.Runner
	config   *configuration
	exec     *ssmexec.Executor
	queue    *sqs.Queue // what is put off
	conn     *connection
	reporter *report.Reporter
	client   *ssmClient
	sqs      *sqsClient
	metrics  *metrics
	history  *historydynamo.Store
}

// newCommon calls AWS only where the configuration is in Parameter Store.
func newCommon(ctx context.Context, env Getenv, s *settings, log *slog.Logger, out io.Writer) (*common, error) {
	conn := newConnection(env)
	c := &common{conn: conn, client: conn.ssm(), sqs: conn.sqs(), metrics: &metrics{out: out, function: env("AWS_LAMBDA_FUNCTION_NAME")}}
	var err error
	if c.config, err = newConfiguration(ctx, env, s.config, c.client, log, c.metrics); err != nil {
		return nil, err
	}
	c.queue = &sqs.Queue{Client: c.sqs, URL: s.queue}
	c.reporter = &report.Reporter{Queue: c.queue, Config: c.config.current, Now: time.Now}
	c.exec = &ssmexec.Executor{Client: c.client, Nodes: c.client, Outputs: c.client, Jitter: rand.Float64}
	db := conn.dynamodb()
	c.history = &historydynamo.Store{Client: db, Table: s.table, Keep: history.Keeping(s.history), Now: time.Now}
	c.history.News = func(ctx context.Context, r history.Record) { c.metrics.told(ctx, log, s.table, r) }
	c.runner = &runner.Runner{
		History: c.history,
		Config:  c.config.current,
		Store:   &dynamo.Store{Client: db, Table: s.table},
		Exec:    c.exec,
		Log:     log,
		Window:  s.listLag,
		Queue:   c.queue,

		MaxEntry: dynamo.MaxEntry,
	}
	c.tellPeople(log, s.table)
	return c, nil
}

func readSource(ctx context.Context, env Getenv, source string, client parameters) (name string, text []byte, err error) {
	if parameter, ok := strings.CutPrefix(source, "ssm:"); ok {
		ctx, cancel := context.WithTimeout(ctx, configTime)
		defer cancel()
		value, err := readParameter(ctx, client, parameter)
		return source, []byte(value), err
	}
	path := strings.TrimPrefix(source, "file:")
	file := path
	if !filepath.IsAbs(file) {
		file = filepath.Join(env("LAMBDA_TASK_ROOT"), file)
	}
	text, err = os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: put it beside bootstrap, or name another with AMX_CONFIG", err)
	}
	return path, text, err
}

// readParameter reads a String or a SecureString.
func readParameter(ctx context.Context, client parameters, name string) (string, error) {
	out, err := client.GetParameter(ctx, &ssm.GetParameterInput{Name: &name, WithDecryption: aws.Bool(true)})
	if err != nil {
		return "", fmt.Errorf("GetParameter %q: %w", name, awserr.Plain(err))
	}
	if out.Parameter == nil {
		return "", fmt.Errorf("GetParameter %q: the answer has no parameter", name)
	}
	return aws.ToString(out.Parameter.Value), nil
}
