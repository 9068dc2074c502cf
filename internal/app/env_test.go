package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/amx-lambda/amx/internal/awstest"
)

const (
	topic  = "arn:aws:sns:eu-central-1:123456789012:alerts"
	token  = "s3cr3t"
	config = `
targets: [{key: InstanceIds, values: ['{{ .Labels.instance_id }}']}]
commands:
  - {name: restart, cmd: systemctl, args: [restart, nginx], match_labels: {alertname: NginxDown}, wait: 0s}
  - {name: clean, cmd: clean, match_labels: {alertname: DiskFull}, scope: alert, wait: 0s}
`
)

// stack is AWS around a function.
type stack struct {
	*testing.T
	ssm   *awstest.SSM
	wire  *awstest.Wire // before ssm
	table *awstest.Table
	sqs   *awstest.SQS
	queue *awstest.Wire // before sqs
	vars  map[string]string
	log   *logText
	out   logText // a function's standard output, where it is not the log
}

// logText is what a function logs.
type logText struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logText) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func newStack(t *testing.T) *stack {
	s := &stack{
		T: t, table: awstest.NewTable(t, ""), log: &logText{},
		ssm: &awstest.SSM{Parameters: map[string]string{"/amx/tokens": token + "\n"}, Status: "InProgress"},
		sqs: &awstest.SQS{Names: []string{"work", "dead"}},
	}
	s.wire = &awstest.Wire{Next: s.ssm, Check: awstest.CheckSSM}
	s.queue = &awstest.Wire{Next: s.sqs, Check: awstest.CheckSQS}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "amx.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	s.vars = map[string]string{
		"AMX_TABLE": s.table.Name, "AMX_TOKEN_PARAMETER": "/amx/tokens", "AMX_TOPIC_ARNS": "arn:aws:sns:eu-central-1:123456789012:other, " + topic,
		"LAMBDA_TASK_ROOT": dir, "AWS_REGION": awstest.Region,
		"AWS_ACCESS_KEY_ID": awstest.AccessKey, "AWS_SECRET_ACCESS_KEY": awstest.SecretKey,
		"AMX_QUEUE_URL": awstest.QueueURL("work"), "AMX_DEAD_LETTER_URL": awstest.QueueURL("dead"),
		"AWS_ENDPOINT_URL_SQS": s.queue.Listen(t),
		"AWS_ENDPOINT_URL_SSM": s.wire.Listen(t), "AWS_ENDPOINT_URL_DYNAMODB": s.table.Endpoint,
	}
	return s
}

// with is the environment with some of its variables changed.
func (s *stack) with(vars map[string]string) Getenv {
	all := maps.Clone(s.vars)
	maps.Copy(all, vars)
	return func(name string) string { return all[name] }
}

func (s *stack) logger() *slog.Logger { return slog.New(slog.NewJSONHandler(s.log, nil)) }

func (s *stack) webhook(vars map[string]string) lambda.Handler {
	s.Helper()
	f, err := NewWebhookFunction(s.Context(), s.with(vars), s.logger(), &s.out)
	if err != nil {
		s.Fatal(err)
	}
	return lambda.NewHandler(f.HandleEvent)
}

func (s *stack) sns() lambda.Handler {
	s.Helper()
	f, err := NewSNSFunction(s.Context(), s.with(nil), s.logger(), &s.out)
	if err != nil {
		s.Fatal(err)
	}
	return lambda.NewHandler(f.HandleEvent)
}

// calls is what AWS was asked since the last time, DynamoDB first.
func (s *stack) calls() []string { return append(s.table.Operations(), s.wire.Operations()...) }

// alert is an alert of the tests: firing since start, or resolved at end.
func alert(name, node string, start, end time.Time) map[string]any {
	status := "firing"
	if !end.IsZero() {
		status = "resolved"
	}
	return map[string]any{
		"status": status, "labels": map[string]string{"alertname": name, "instance_id": node},
		"startsAt": start, "endsAt": end,
	}
}

// message is a webhook's body with these alerts.
func message(t *testing.T, alerts ...map[string]any) string {
	t.Helper()
	text, err := json.Marshal(map[string]any{
		"version": "4", "status": "firing", "receiver": "amx", "alerts": alerts, "groupLabels": map[string]string{"team": "web"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

const (
	node1 = "i-00000000000000001"
	node2 = "i-00000000000000002"
)

var start = time.Now().Add(-time.Minute).UTC().Truncate(time.Second)

func sprint(names []string) string { return fmt.Sprint(names) }
