package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/history"
	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/queue"
	"github.com/amx-lambda/amx/internal/report"
	"github.com/amx-lambda/amx/internal/runner"
)

// ReportParts is what the worker gives to whoever sends reports. Only the worker
// links that: the other functions have to start fast.
type ReportParts struct {
	Config func() *amx.Config
	Store  interface {
		Get(ctx context.Context, keys ...string) ([]ledger.Record, error)
		Put(ctx context.Context, r ledger.Record) error
	}
	Queue interface {
		Put(ctx context.Context, it queue.Item) error
	}
	// History completes a report; nil: there is none.
	History interface {
		Get(ctx context.Context, run string) (history.Record, error)
	}
	// Secret reads what a reference of the configuration names. Its errors do
	// not show the secret.
	Secret      func(ctx context.Context, kind, name string) (string, error)
	Credentials aws.CredentialsProvider
	Region      string
	Client      *http.Client
	Log         *slog.Logger
	Lost        func(ctx context.Context, destination string) // counts a report that was given up
	Env         Getenv
}

// ItemHandler handles an item of the queue: nil means that it is done with, or
// waits in a new item.
type ItemHandler interface {
	HandleItem(ctx context.Context, it queue.Item) error
}

// tellPeople makes the runner put on the queue what people want to hear of runs. A
// report stands in no run's way: one that the queue does not take is in the log.
func (c *common) tellPeople(log *slog.Logger, table string) {
	lost := func(ctx context.Context, command string, err error) {
		if err != nil {
			log.ErrorContext(ctx, "a report is lost", "command", command, "error", err.Error())
			c.metrics.count(ctx, log, reportsLost, "queue", time.Now())
		}
	}
	c.runner.Told = func(ctx context.Context, rec history.Record) { lost(ctx, rec.Command, c.reporter.Record(ctx, rec)) }
	c.runner.Opened = func(ctx context.Context, command string, b ledger.BreakerOpened) {
		c.metrics.held(ctx, log, table, command, "breaker", time.Now())
		lost(ctx, command, c.reporter.Opened(ctx, command, b.Failures, b.Until))
	}
	c.runner.Unwritten = func(ctx context.Context, queued bool) {
		reason := "lost"
		if queued {
			reason = "queued"
		}
		c.metrics.count(ctx, log, historyErrors, reason, time.Now())
	}
	c.runner.Held = func(ctx context.Context, command string, why ledger.Reason) {
		c.metrics.held(ctx, log, table, command, why.Holds(), time.Now())
	}
}

// parts are what the function's reports are sent with.
func (f *WorkerFunction) parts(env Getenv, conn *connection) ReportParts {
	return ReportParts{
		Config: f.config.current, Store: f.runner.Store, Queue: f.queue, History: f.history, Secret: secretsOf(env, f.client),
		Credentials: conn.credentials, Region: conn.region, Client: &http.Client{Transport: newTransport()},
		Log: f.log, Env: env,
		Lost: func(ctx context.Context, destination string) {
			f.metrics.count(ctx, f.log, reportsLost, destination, f.now())
		},
	}
}

// secretsOf reads a secret of a function: from Parameter Store, from a file beside
// the function's program, or from its environment.
func secretsOf(env Getenv, client parameters) func(ctx context.Context, kind, name string) (string, error) {
	return func(ctx context.Context, kind, name string) (string, error) {
		switch kind {
		case "ssm":
			return readParameter(ctx, client, name)
		case "file":
			_, text, err := readSource(ctx, env, "file:"+name, client)
			return string(text), err
		case "env":
			value := env(name)
			if value == "" {
				return "", errors.New("the variable is not set")
			}
			return value, nil
		}
		return "", fmt.Errorf("%q: want ssm, file or env", kind)
	}
}

// reporting handles a message, and puts on the queue what people want to hear of
// its alerts, side by side. A report that nobody could take leaves the message
// unsettled: what is settled is skipped when it is sent again.
func reporting(ctx context.Context, r *report.Reporter, m *amx.Message, handle func() runner.Answer) runner.Answer {
	if r == nil {
		return handle()
	}
	told := make(chan error, 1)
	go func() { told <- r.Notification(ctx, m) }()
	a := handle()
	a.Err = errors.Join(a.Err, <-told)
	return a
}
