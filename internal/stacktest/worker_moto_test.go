package stacktest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/awstest"
	"github.com/amx-lambda/amx/internal/history"
	"github.com/amx-lambda/amx/internal/history/dynamo"
	"github.com/amx-lambda/amx/internal/lambdatest"
	"github.com/amx-lambda/amx/internal/queue"
	"github.com/amx-lambda/amx/internal/report"
	"github.com/amx-lambda/amx/internal/reporttest"
	"github.com/amx-lambda/amx/internal/ssmlocal"
)

const (
	webNode    = "i-0123456789abcdef0"
	workerYAML = `
targets: [{key: InstanceIds, values: [` + webNode + `]}]
reports: [{name: people, webhook: {url: "%s", secret: "ssm:/amx/amx/reports/people"}, on: [succeeded]}]
commands:
  - {name: fix, script: echo fixed, matchers: [alertname=Fix], scope: alert}
  - {name: long, script: exec sleep 600, matchers: [alertname=Long], scope: alert}
  - {name: tagged, script: echo fixed, matchers: [alertname=Tagged], scope: alert, targets: [{key: 'tag:Role', values: [web]}], max_targets: 5}
`
)

// workerOnMoto is the worker with its role, on moto and with nodes that run what
// it sends. The test is Lambda's event source and EventBridge.
type workerOnMoto struct {
	*onMoto
	*front
	people *reporttest.Receiver
	*lambdatest.Function
}

func newWorkerOnMoto(t *testing.T) *workerOnMoto {
	t.Helper()
	w := &workerOnMoto{onMoto: newOnMoto(t, map[string]any{"TopicArn": ownTopic, "ConfigSource": "parameter"})}
	w.front = newFront(w.account, ssmlocal.Node{ID: webNode, Tags: map[string]string{"Role": "web"}})
	w.reach(w.endpoint)
	var stop func()
	w.people, stop = reporttest.NewReceiver()
	t.Cleanup(stop)
	w.parameter("/amx/amx/reports/people", "SecureString", "not-a-secret")
	w.parameter("/amx/amx/config", "String", amx.Pack(fmt.Appendf(nil, workerYAML, w.people.URL)))
	w.role = w.assume(w.ids["WorkerRole"])
	w.Function = w.start("WorkerFunction")
	return w
}

func (a *account) parameter(name, kind, value string) {
	a.Helper()
	a.json("ssm", "AmazonSSM.PutParameter", string(encoded(a.T, object{"Name": name, "Type": kind, "Value": value, "Overwrite": true})))
}

// lambda calls an operation as Lambda does for the worker: with its role.
func (w *workerOnMoto) lambda(service, target string, body object) (answer string, err error) {
	w.Helper()
	status, text, err := signed(w.Context(), w.endpoint, w.role, service, target, encoded(w.T, body))
	if err != nil {
		w.Fatal(err)
	}
	if status != http.StatusOK {
		return "", fmt.Errorf("%s: StatusCode: %d, %s", target, status, text)
	}
	return string(text), nil
}

// Receive waits until something is due, as Lambda's event source does.
func (w *workerOnMoto) Receive(n int) (batch []lambdatest.Message) {
	w.Helper()
	for len(batch) == 0 {
		answer, err := w.lambda("sqs", "AmazonSQS.ReceiveMessage", object{
			"QueueUrl": w.ids["WorkQueue"], "MaxNumberOfMessages": n, "WaitTimeSeconds": 20, "AttributeNames": []string{"All"},
		})
		if err != nil {
			w.Fatal(err)
		}
		var got struct {
			Messages []struct{ MessageId, ReceiptHandle, Body string }
		}
		if err := json.Unmarshal([]byte(answer), &got); err != nil {
			w.Fatal(err)
		}
		for _, m := range got.Messages {
			batch = append(batch, lambdatest.Message{ID: m.MessageId, Receipt: m.ReceiptHandle, Body: m.Body, Received: 1})
		}
	}
	return batch
}

// Delete deletes a message that is settled.
func (w *workerOnMoto) Delete(receipt string) {
	w.Helper()
	if _, err := w.lambda("sqs", "AmazonSQS.DeleteMessage", object{"QueueUrl": w.ids["WorkQueue"], "ReceiptHandle": receipt}); err != nil {
		w.Error(err)
	}
}

// notification is a notification of one alert, which its mark tells from others.
func notification(alert, mark, status string) []byte {
	ended := "0001-01-01T00:00:00Z"
	if status == amx.Resolved {
		ended = time.Now().UTC().Format(time.RFC3339Nano)
	}
	return fmt.Appendf(nil, `{"version": "4", "receiver": "amx", "status": %[1]q, "groupLabels": {"mark": %[3]q},
		"alerts": [{"status": %[1]q, "labels": {"alertname": %[2]q, "mark": %[3]q}, "startsAt": "2026-11-01T10:00:00Z", "endsAt": %[4]q}]}`, status, alert, mark, ended)
}

// urlEvent is a body as a function URL hands it on.
func urlEvent(t *testing.T, authorization string, body []byte) []byte {
	t.Helper()
	return encoded(t, object{
		"version": "2.0", "headers": object{"authorization": authorization}, "isBase64Encoded": false, "body": string(body),
		"requestContext": object{"http": object{"method": "POST", "path": "/"}},
	})
}

// ends waits until the command of the alert with that mark has ended, and answers
// SSM's event of it.
func (w *workerOnMoto) ends(mark string) []byte {
	w.Helper()
	for c := range w.ended {
		if !strings.Contains(strings.Join(c.Parameters["commands"], "\n"), mark) {
			continue
		}
		event, err := c.EventBridge("123456789012", "eu-central-1")
		if err != nil {
			w.Fatal(err)
		}
		return event
	}
	return nil
}

// putOff has the webhook put a notification on the queue: it has no right to the
// ledger.
func (w *workerOnMoto) putOff(body []byte) {
	w.Helper()
	event := urlEvent(w.T, "Bearer example-token", body)
	restore := w.without("WebhookRole", "dynamodb:BatchGetItem")
	answer, log := w.invoke("WebhookFunction", event)
	restore()
	if !strings.Contains(string(answer.Body), `\"action\":\"later\"`) {
		w.Fatalf("without the ledger: %v, %s\n%s", answer.Err, answer.Body, log)
	}
}

// Items that the webhook puts off wait in moto's queue. The worker runs it, hears from
// SSM that it has ended, tells people, and cancels what resolves.
func TestOnMotoTheWorkerSettlesWhatWasPutOff(t *testing.T) {
	w := newWorkerOnMoto(t)
	poll := func(what string) {
		t.Helper()
		w.checks(true)
		defer w.checks(false)
		if received, deleted, err := w.Poll(w, 10, time.Minute); err != nil || received != 1 || deleted != 1 {
			t.Fatalf("%s: %d received, %d deleted, %v\n%s", what, received, deleted, err, w.Log())
		}
	}
	tell := func(event []byte) {
		t.Helper()
		w.checks(true)
		defer w.checks(false)
		if a := w.Invoke(event, time.Minute); a.Err != nil {
			t.Fatalf("%v\n%s", a.Err, w.Log())
		}
	}
	w.putOff(notification("Fix", "one", amx.Firing))
	poll("the firing")
	tell(w.ends("one"))
	poll("the report")
	if got := w.people.Requests(); len(got) != 1 || got[0].Header.Get("Amx-Signature") == "" || !strings.Contains(string(got[0].Body), `"kind":"succeeded"`) {
		t.Errorf("people heard %+v", got)
	}
	w.putOff(notification("Long", "two", amx.Firing))
	poll("another firing")
	w.putOff(notification("Long", "two", amx.Resolved))
	poll("its resolve")
	tell(w.ends("two"))
	if _, err := w.Terminate(); err != nil { // then its log is whole
		t.Error(err)
	}
	if log := w.Log(); strings.Contains(log, refused) {
		t.Errorf("the worker was refused something:\n%s", log)
	}

	reader := dynamo.NewReader(awstest.DynamoDBClient(w.endpoint), w.ids["Table"], history.Default, time.Now)
	page, err := reader.List(t.Context(), history.Query{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range page.Records {
		got = append(got, fmt.Sprintf("%s %s", r.Command, r.State))
	}
	slices.Sort(got)
	if want := []string{"fix succeeded", "long cancelled"}; !slices.Equal(got, want) {
		t.Errorf("the history has %q, want %q", got, want)
	}
}

// item is an event of SQS with the worker's part of a notification.
func (w *workerOnMoto) item(alert, mark, status string, change func(*queue.Item)) []byte {
	w.Helper()
	now := time.Now()
	m, err := amx.Decode(notification(alert, mark, status), now)
	if err != nil {
		w.Fatal(err)
	}
	it := queue.Item{Kind: queue.Notification, Command: strings.ToLower(alert), Message: m, SentAt: now, Arrived: now, Reason: "throttled"}
	if change != nil {
		change(&it)
	}
	return w.message(it)
}

func (w *workerOnMoto) message(it queue.Item) []byte {
	w.Helper()
	text, err := it.Encode()
	if err != nil {
		w.Fatal(err)
	}
	return lambdatest.SQSEvent(lambdatest.Message{ID: "1", Receipt: "1", Body: string(text), Received: 1})
}

// does has a worker with all of its rights handle an event.
func (w *workerOnMoto) does(event []byte) {
	w.Helper()
	if answer, log := w.invoke("WorkerFunction", event); answer.Err != nil || strings.Contains(log, refused) {
		w.Fatalf("%v\n%s", answer.Err, log)
	}
}

// unseen are the worker's rights whose lack nothing shows.
var unseen = map[string]string{
	"ssm:GetCommandInvocation": "for more of an answer's output: the webhook alone answers, and the listed output stands in",
}

// Each right of the worker's role is taken away once, and something says so: the
// worker's log, or the call that Lambda makes with its role.
func TestOnMotoEachRightThatTheWorkerLacksIsSeen(t *testing.T) {
	w := newWorkerOnMoto(t)
	firing := func(alert string) func(string) []byte {
		return func(mark string) []byte { return w.item(alert, mark, amx.Firing, nil) }
	}
	ended := func(alert string) func(string) []byte {
		return func(mark string) []byte {
			w.does(w.item(alert, mark, amx.Firing, nil))
			return w.ends(mark)
		}
	}
	seen := map[string]bool{}
	for _, tt := range []struct {
		actions []string // the last is the one that is looked for
		event   func(mark string) []byte
	}{
		{[]string{"dynamodb:BatchGetItem"}, firing("Fix")},
		{[]string{"dynamodb:PutItem"}, firing("Fix")},
		{[]string{"ssm:SendCommand"}, firing("Fix")},
		{[]string{"ssm:DescribeInstanceInformation"}, firing("Tagged")},
		{[]string{"ssm:ListCommandInvocations"}, ended("Fix")},
		{[]string{"ssm:ListCommands"}, ended("Tagged")},
		{[]string{"ssm:CancelCommand"}, func(mark string) []byte {
			w.does(w.item("Long", mark, amx.Firing, nil))
			return w.item("Long", mark, amx.Resolved, nil)
		}},
		{[]string{"ssm:GetParameter"}, func(mark string) []byte { // of the report's secret
			e, ok := report.FromRecord(history.Record{Run: mark, Command: "fix", State: history.Succeeded, Updated: time.Now()})
			it, err := e.Item()
			if !ok || err != nil {
				t.Fatal(ok, err)
			}
			return w.message(it)
		}},
		{[]string{"sqs:SendMessage"}, func(mark string) []byte { // put off again
			return w.item("Fix", mark, amx.Firing, func(it *queue.Item) { it.Due = time.Now().Add(time.Hour) })
		}},
		{[]string{"dynamodb:BatchGetItem", "sqs:SendMessage"}, func(mark string) []byte { // given up
			return w.item("Fix", mark, amx.Firing, func(it *queue.Item) { it.SentAt = time.Now().Add(-7 * time.Hour) })
		}},
	} {
		action := tt.actions[len(tt.actions)-1]
		seen[action] = true
		event := tt.event(strings.NewReplacer(":", "-", "[", "", "]", "", " ", "-").Replace(fmt.Sprint(tt.actions)))
		f := w.start("WorkerFunction") // which has read its configuration
		restore := w.without("WorkerRole", tt.actions...)
		w.checks(true)
		answer := f.Invoke(event, 12*time.Second) // a cancel is tried again until then
		w.checks(false)
		restore()
		if _, err := f.Terminate(); err != nil {
			t.Error(err)
		}
		_, operation, _ := strings.Cut(action, ":")
		if log := f.Log(); !lineWith(log, operation, refused) && (answer.Err == nil || !lineWith(answer.Err.Message, operation, refused)) {
			t.Errorf("the role lacks %q, and nothing says so: %s, %v\n%s", tt.actions, answer.Body, answer.Err, log)
		}
	}

	// Lambda makes these calls with the worker's role.
	const logs = "Logs_20140328."
	stream := object{"logGroupName": w.ids["WorkerLogs"], "logStreamName": "worker"}
	for _, tt := range []struct {
		action, target string
		body           object
	}{
		{"sqs:GetQueueAttributes", "AmazonSQS.", object{"QueueUrl": w.ids["WorkQueue"], "AttributeNames": []string{"All"}}},
		{"sqs:ReceiveMessage", "AmazonSQS.", object{"QueueUrl": w.ids["WorkQueue"]}},
		{"sqs:DeleteMessage", "AmazonSQS.", object{"QueueUrl": w.ids["WorkQueue"], "ReceiptHandle": "none"}},
		{"logs:CreateLogStream", logs, stream},
		{"logs:PutLogEvents", logs, object{
			"logGroupName": w.ids["WorkerLogs"], "logStreamName": "worker", "logEvents": []any{object{"timestamp": time.Now().UnixMilli(), "message": "settled"}},
		}},
	} {
		seen[tt.action] = true
		service, operation, _ := strings.Cut(tt.action, ":")
		for _, may := range []bool{true, false} {
			restore := func() {}
			if !may {
				restore = w.without("WorkerRole", tt.action)
			}
			w.checks(true)
			_, err := w.lambda(service, tt.target+operation, tt.body)
			w.checks(false)
			restore()
			if denied := err != nil && strings.Contains(err.Error(), refused); denied == may {
				t.Errorf("%s, has the role the right: %v: %v", tt.action, may, err)
			}
		}
	}
	for _, st := range w.stack.statements("WorkerRole") {
		for _, action := range st.actions {
			if !seen[action] && unseen[action] == "" {
				t.Errorf("nobody takes %s from the worker: add a case", action)
			}
		}
	}
}

// lineWith says that one line has all of the words.
func lineWith(text string, words ...string) bool {
	for line := range strings.Lines(text) {
		if !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(line, word) }) {
			return true
		}
	}
	return false
}
