package app

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/amx-lambda/amx/internal/awstest"
	"github.com/amx-lambda/amx/internal/queue"
	sender "github.com/amx-lambda/amx/internal/report/send"
	"github.com/amx-lambda/amx/internal/reporttest"
)

// noReports is for a worker that is given no report.
func noReports(ReportParts) ItemHandler { return nothing{} }

type nothing struct{}

func (nothing) HandleItem(context.Context, queue.Item) error { return errors.New("a report") }

// reports is a stack that tells a stand-in of PagerDuty of alerts themselves.
type reports struct {
	*stack
	pagerDuty *reporttest.PagerDuty
}

func newReports(t *testing.T) *reports {
	r := &reports{stack: newStack(t)}
	var stop func()
	r.pagerDuty, stop = reporttest.NewPagerDuty()
	t.Cleanup(stop)
	r.ssm.Parameters["/amx/pagerduty"] = reporttest.RoutingKey
	with := config + "reports: [{name: page, pagerduty: {routing_key: 'ssm:/amx/pagerduty'}, on: alert}]\n"
	if err := os.WriteFile(filepath.Join(r.vars["LAMBDA_TASK_ROOT"], "amx.yaml"), []byte(with), 0o600); err != nil {
		t.Fatal(err)
	}
	return r
}

// work delivers what is on the queue, once.
func (r *reports) work() {
	r.Helper()
	f, err := NewWorkerFunction(r.Context(), r.with(nil), r.logger(), &r.out, func(p ReportParts) ItemHandler {
		return &sender.Sender{
			Config: p.Config, Store: p.Store, Queue: p.Queue, Client: p.Client, Log: p.Log, Lost: p.Lost,
			Secrets: &sender.Secrets{Read: p.Secret, Now: time.Now}, Now: time.Now, Random: rand.Float64,
			PagerDutyURL: r.pagerDuty.URL,
		}
	})
	if err != nil {
		r.Fatal(err)
	}
	var bodies []string
	for _, m := range r.sqs.Receive("work", 10) {
		bodies = append(bodies, m.Body)
	}
	out, err := invoke(r.T, lambda.NewHandler(f.Handle), sqsEvent(r.T, bodies...))
	if err != nil || out != `{"batchItemFailures":[]}` {
		r.Fatalf("the worker answers %s, %v\n%s", out, err, r.log)
	}
}

// One of the guide's seeds: AMP's YAML through SNS, to PagerDuty.
func TestAMPsAlertGoesThroughSNSToPagerDutyAndIsResolvedThere(t *testing.T) {
	r := newReports(t)
	for i, status := range []string{"firing", "resolved"} {
		body := yamlBody("Other", node1, status, start)
		if _, err := invoke(t, r.sns(), event(t, record("1", topic, body, time.Now()))); err != nil {
			t.Fatal(err)
		}
		r.work()
		if n := len(r.pagerDuty.Events()); n != i+1 {
			t.Fatalf("%s: PagerDuty has %d events\n%s", status, n, r.log)
		}
	}
	first, last := r.pagerDuty.Events()[0], r.pagerDuty.Events()[1]
	if first.Action != "trigger" || last.Action != "resolve" || first.DedupKey != last.DedupKey || first.Payload.Summary != "Other is firing" {
		t.Errorf("got %+v and %+v", first, last)
	}
	if len(r.pagerDuty.Wrong()) > 0 || strings.Contains(r.log.String(), reporttest.RoutingKey) {
		t.Errorf("refused %q, log %s", r.pagerDuty.Wrong(), r.log)
	}
}

func TestAnAlertThatNobodyMatchesCostsOnePut(t *testing.T) {
	r := newReports(t)
	h := r.webhook(nil)
	if _, err := invoke(t, h, request(t, "POST", "Bearer "+token, message(t, alert("Other", node1, start, time.Time{})), false)); err != nil {
		t.Fatal(err)
	}
	r.table.Operations()
	if n := len(r.sqs.Receive("work", 10)); n != 1 {
		t.Errorf("%d items are on the queue", n)
	}
}

func TestAReportThatTheQueueDoesNotTakeLeavesTheMessageUnsettled(t *testing.T) {
	r := newReports(t)
	r.vars["AMX_QUEUE_URL"] = awstest.QueueURL("gone")
	out, err := invoke(t, r.webhook(nil), request(t, "POST", "Bearer "+token, message(t, alert("Other", node1, start, time.Time{})), false))
	if err != nil || !strings.Contains(out, `"statusCode":500`) || !strings.Contains(out, "on the queue") {
		t.Errorf("got %s, %v", out, err)
	}
}

func TestSecretsAreReadWhereTheReferenceSays(t *testing.T) {
	s := newStack(t)
	path := filepath.Join(s.vars["LAMBDA_TASK_ROOT"], "key")
	if err := os.WriteFile(path, []byte("in-a-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.ssm.Parameters["/amx/a"] = "in-a-parameter"
	env := s.with(map[string]string{"KEY": "in-the-environment"})
	read := secretsOf(env, newConnection(env).ssm())
	for _, tt := range []struct{ kind, name, want, err string }{
		{"ssm", "/amx/a", "in-a-parameter", ""},
		{"file", "key", "in-a-file\n", ""},
		{"file", path, "in-a-file\n", ""},
		{"env", "KEY", "in-the-environment", ""},
		{"env", "NONE", "", "the variable is not set"},
		{"vault", "x", "", `"vault": want ssm, file or env`},
	} {
		got, err := read(t.Context(), tt.kind, tt.name)
		if got != tt.want || (err == nil) != (tt.err == "") || err != nil && err.Error() != tt.err {
			t.Errorf("%s:%s: got %q, %v", tt.kind, tt.name, got, err)
		}
	}
}
