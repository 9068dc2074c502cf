package main

import (
	"context"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/amx-lambda/amx/internal/history"
	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/report"
	"github.com/amx-lambda/amx/internal/report/graph"
	"github.com/amx-lambda/amx/internal/report/send"
)

// tellPeople makes what puts reports on the queue, and what sends them.
func (h *host) tellPeople(env []string) {
	if h.reporter == nil {
		h.reporter = &report.Reporter{Config: h.current.Load, Now: time.Now}
	}
	h.reporter.Queue = h.queue
	h.sender = h.newSender(env)
	lost := func(ctx context.Context, command string, err error) {
		if err != nil {
			h.log.ErrorContext(ctx, "a report is lost", "command", command, "error", err.Error())
			h.metrics.lost.WithLabelValues("queue").Inc()
		}
	}
	h.runner.Told = func(ctx context.Context, rec history.Record) { lost(ctx, rec.Command, h.reporter.Record(ctx, rec)) }
	h.runner.Unwritten = func(_ context.Context, queued bool) {
		outcome := "lost"
		if queued {
			outcome = "queued"
		}
		h.metrics.unwritten.WithLabelValues(outcome).Inc()
	}
	h.runner.Opened = func(ctx context.Context, command string, b ledger.BreakerOpened) {
		lost(ctx, command, h.reporter.Opened(ctx, command, b.Failures, b.Until))
	}
}

// newSender is what sends it. It outlives requests, so its connections are its
// own.
func (h *host) newSender(env []string) *send.Sender {
	credentials := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		c := aws.Credentials{
			AccessKeyID: getenv(env, "AWS_ACCESS_KEY_ID"), SecretAccessKey: getenv(env, "AWS_SECRET_ACCESS_KEY"),
			SessionToken: getenv(env, "AWS_SESSION_TOKEN"), Source: "environment",
		}
		if !c.HasKeys() {
			return c, errors.New("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set: prometheus.sigv4 needs them")
		}
		return c, nil
	})
	return &send.Sender{
		Config: h.current.Load, Store: h.store, Queue: h.queue, History: h.history,
		Secrets: &send.Secrets{Read: h.secretOf(env), Now: time.Now},
		Client:  &http.Client{}, Now: time.Now, Random: mathrand.Float64, Log: h.log,
		Sign:     graph.SigV4(credentials, getenv(env, "AWS_REGION"), time.Now),
		Lost:     func(_ context.Context, destination string) { h.metrics.lost.WithLabelValues(destination).Inc() },
		SlackURL: getenv(env, "AMX_SLACK_URL"), PagerDutyURL: getenv(env, "AMX_PAGERDUTY_URL"),
	}
}

// secretOf reads a secret where its reference says: in the Parameter Store of this
// process, in a file, or in the environment.
func (h *host) secretOf(env []string) func(ctx context.Context, kind, name string) (string, error) {
	return func(ctx context.Context, kind, name string) (string, error) {
		switch kind {
		case "ssm":
			out, err := localClient(h.ssm).GetParameter(ctx, &ssm.GetParameterInput{Name: &name, WithDecryption: aws.Bool(true)})
			if err != nil {
				return "", fmt.Errorf("GetParameter %q of this host's own Parameter Store: %w", name, err)
			}
			return aws.ToString(out.Parameter.Value), nil
		case "file":
			text, err := os.ReadFile(name)
			return string(text), err
		case "env":
			if value := getenv(env, name); value != "" {
				return value, nil
			}
			return "", errors.New("the variable is not set")
		}
		return "", fmt.Errorf("%q: want ssm, file or env", kind)
	}
}
