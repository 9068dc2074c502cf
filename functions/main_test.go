// Package functions tests the built bootstraps as Lambda runs them.
package functions

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/awstest"
	"github.com/amx-lambda/amx/internal/lambdatest"
)

// built are the bootstraps, which are built once.
var built struct {
	sync.Once
	dir                          string
	webhook, sns, worker, widget string
}

func TestMain(m *testing.M) {
	// The tests wait more than they work: for processes to start, for calls to hang.
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		_ = flag.Set("test.parallel", "8") // it is a number
	}
	code := m.Run()
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

func bootstraps(t testing.TB) (webhook, sns, worker string) {
	t.Helper()
	built.Do(func() {
		dir, err := os.MkdirTemp("", "amx-functions-")
		if err != nil {
			t.Fatal(err)
		}
		built.dir = dir
		built.webhook = lambdatest.Build(t, "..", "./functions/webhook", filepath.Join(dir, "webhook"))
		built.sns = lambdatest.Build(t, "..", "./functions/sns", filepath.Join(dir, "sns"))
		built.worker = lambdatest.Build(t, "..", "./functions/worker", filepath.Join(dir, "worker"))
		built.widget = lambdatest.Build(t, "..", "./functions/widget", filepath.Join(dir, "widget"))
	})
	if built.widget == "" {
		t.Fatal("the functions could not be built")
	}
	return built.webhook, built.sns, built.worker
}

const (
	topic  = "arn:aws:sns:eu-central-1:123456789012:alerts"
	token  = "s3cr3t"
	node1  = "i-00000000000000001"
	node2  = "i-00000000000000002"
	config = `
targets: [{key: InstanceIds, values: ['{{ .Labels.instance_id }}']}]
commands:
  - {name: restart-nginx, cmd: systemctl, args: [restart, nginx], match_labels: {alertname: NginxDown}, wait: 0s}
  - {name: clean, script: 'rm -rf "$AMX_LABEL_path"', match_labels: {alertname: DiskFull}, scope: alert, wait: 0s}
`
)

// stack is AWS around functions.
type stack struct {
	*testing.T
	ssm   *awstest.SSM
	wire  *awstest.Wire // before ssm
	table *awstest.Table
	sqs   *awstest.SQS
	queue *awstest.Wire // before sqs
	clock *clock        // of sqs
	vars  map[string]string
}

func newStack(t *testing.T) *stack {
	t.Helper()
	server := os.Getenv("AMX_TEST_DYNAMODB_ENDPOINT") // named by .ci/run
	if server == "" {
		t.Log("on this repository's own double of DynamoDB; AMX_TEST_DYNAMODB_ENDPOINT names a server to test on instead")
	}
	s := &stack{
		T: t, table: awstest.NewTable(t, server),
		ssm: &awstest.SSM{Parameters: map[string]string{"/amx/tokens": token + "\n"}, Status: "InProgress"},
		sqs: &awstest.SQS{Names: []string{"work", "dead"}},
	}
	s.clock = &clock{now: time.Now()}
	s.sqs.Now = s.clock.Now
	s.wire = &awstest.Wire{Next: s.ssm, Check: awstest.CheckSSM}
	s.queue = &awstest.Wire{Next: s.sqs, Check: awstest.CheckSQS}
	s.vars = map[string]string{
		"AMX_CONFIG": "file:" + write(t, t.TempDir(), "amx.yaml", config), "AMX_TABLE": s.table.Name,
		"AMX_TOKEN_PARAMETER": "/amx/tokens", "AMX_TOPIC_ARNS": topic,
		"AMX_QUEUE_URL": awstest.QueueURL("work"), "AMX_DEAD_LETTER_URL": awstest.QueueURL("dead"),
		"AWS_ENDPOINT_URL_SQS": s.queue.Listen(t),
		"AWS_ENDPOINT_URL_SSM": s.wire.Listen(t), "AWS_ENDPOINT_URL_DYNAMODB": s.table.Endpoint,
	}
	return s
}

func (s *stack) start(bootstrap string, vars map[string]string) *lambdatest.Function {
	s.Helper()
	all := maps.Clone(s.vars)
	maps.Copy(all, vars)
	var env []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if all[name] != "" {
			env = append(env, name+"="+all[name])
		}
	}
	return lambdatest.Start(s.T, bootstrap, env...)
}

func (s *stack) webhook() *lambdatest.Function {
	s.Helper()
	bootstrap, _, _ := bootstraps(s.T)
	return s.start(bootstrap, nil)
}

func (s *stack) sns() *lambdatest.Function {
	s.Helper()
	_, bootstrap, _ := bootstraps(s.T)
	return s.start(bootstrap, nil)
}

func (s *stack) worker() *lambdatest.Function {
	s.Helper()
	_, _, bootstrap := bootstraps(s.T)
	return s.start(bootstrap, nil)
}

// widget is one in the dashboard: read or control.
func (s *stack) widget(mode string) *lambdatest.Function {
	s.Helper()
	bootstraps(s.T)
	return s.start(built.widget, map[string]string{"AMX_WIDGET": mode, "AMX_STACK": "amx"})
}

// drain has the worker handle what is on the queue until nothing is left there. For
// the queue as much time passes as what is put off waits; what waits for the lease
// of a dead sender comes more often.
func (s *stack) drain(worker *lambdatest.Function) {
	s.Helper()
	for ; len(s.sqs.Messages("work")) > 0; time.Sleep(5 * time.Millisecond) {
		s.clock.add(2 * time.Minute)
		if _, _, err := worker.Poll(workQueue{s.sqs}, 10, 30*time.Second); err != nil {
			s.Fatal(err)
		}
	}
}

// workQueue is the queue as Lambda's event source polls it.
type workQueue struct{ *awstest.SQS }

func (q workQueue) Receive(n int) (batch []lambdatest.Message) {
	for _, m := range q.SQS.Receive("work", n) {
		batch = append(batch, lambdatest.Message{ID: m.ID, Receipt: m.Receipt, Body: m.Body, Received: m.Received})
	}
	return batch
}

func (q workQueue) Delete(receipt string) { q.SQS.Delete("work", receipt) }

// episode is one time that an alert fires on a node.
type episode struct {
	alert, node string
	start, end  time.Time
}

// webhookEvent is the episode's firing, or its resolve, as a function URL hands
// it on.
func (e episode) webhookEvent(status string) []byte {
	return urlEvent(must(map[string]any{
		"version": "4", "receiver": "amx", "status": status, "groupLabels": map[string]string{"node": e.node},
		"alerts": []any{map[string]any{
			"status": status, "startsAt": e.start, "endsAt": e.end,
			"labels": map[string]string{"alertname": e.alert, "instance_id": e.node, "path": "/tmp/it's {{ssm:secret}} $(id)"},
		}},
	}))
}

// urlEvent is a notification as a function URL hands it on.
func urlEvent(body []byte) []byte {
	return must(map[string]any{
		"version": "2.0", "headers": map[string]string{"authorization": "Bearer " + token},
		"requestContext": map[string]any{"http": map[string]string{"method": "POST", "path": "/", "sourceIp": "203.0.113.7"}},
		"body":           string(body), "isBase64Encoded": false,
	})
}

// snsEvent is the same as an SNS record, in YAML.
func (e episode) snsEvent(status string) []byte {
	body := fmt.Sprintf("receiver: amx\nstatus: %s\ngroupLabels: {node: %s}\nalerts:\n- status: %s\n  startsAt: %q\n  endsAt: %q\n"+
		"  labels: {alertname: %s, instance_id: %s, path: %q}\n",
		status, e.node, status, e.start.Format(time.RFC3339Nano), e.end.Format(time.RFC3339Nano), e.alert, e.node, "/tmp/it's {{ssm:secret}} $(id)")
	return must(map[string]any{"Records": []any{map[string]any{
		"EventSource": "aws:sns", "EventVersion": "1.0",
		"Sns": map[string]any{
			"Type": "Notification", "MessageId": "message-" + e.node + status, "TopicArn": topic, "Message": body,
			"Timestamp": time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), "MessageAttributes": map[string]any{},
		},
	}}})
}

func must(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return text
}

// urlAnswer is what a webhook function answered.
type urlAnswer struct {
	StatusCode int `json:"statusCode"`
	Body       string
}

func (s *stack) post(f *lambdatest.Function, event []byte) urlAnswer {
	s.Helper()
	a := f.Invoke(event, 30*time.Second)
	if a.Err != nil {
		s.Fatal(a.Err)
	}
	var answer urlAnswer
	if err := json.Unmarshal(a.Body, &answer); err != nil {
		s.Fatal(err)
	}
	return answer
}
