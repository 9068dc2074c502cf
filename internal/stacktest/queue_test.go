package stacktest

import (
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/amx-lambda/amx/internal/queue/sqs"
)

func TestTheQueueKeepsWhatIsPutOff(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		q := s.of("AWS::SQS::Queue")["WorkQueue"]
		if q["MessageRetentionPeriod"] != 1209600.0 || q["MaximumMessageSize"] != float64(sqs.MaxMessage) || (q["KmsMasterKeyId"] == nil) != (q["SqsManagedSseEnabled"] == true) {
			t.Errorf("the queue: %v", q)
		}
		if want := (object{"deadLetterTargetArn": "arn:aws:sqs:eu-central-1:123456789012:DeadLetterQueue", "maxReceiveCount": 10.0}); !reflect.DeepEqual(q["RedrivePolicy"], any(want)) {
			t.Errorf("redriven by %v", q["RedrivePolicy"])
		}
		// Lambda refuses a queue whose messages are visible again before the
		// function's time is over.
		if longest := *s.tmpl.Parameters["WorkerTimeout"].MaxValue; q["VisibilityTimeout"].(float64) < 2*longest {
			t.Errorf("visible again after %v s, and the worker may take %v", q["VisibilityTimeout"], longest)
		}
		for name, want := range map[string]any{"WorkQueueURL": s.ref("WorkQueue"), "DeadLetterQueueURL": s.ref("DeadLetterQueue")} {
			if s.outputs[name] != want {
				t.Errorf("%s is %s, want %s", name, s.outputs[name], want)
			}
		}
		for id, f := range s.of("AWS::Lambda::Function") {
			if got := f["Environment"].(object)["Variables"].(object)["AMX_QUEUE_URL"]; got != s.ref("WorkQueue") {
				t.Errorf("%s puts off to %v", id, got)
			}
		}
	})
}

func TestTheWorkerIsInvoked(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		want := object{
			"BatchSize": 10.0, "EventSourceArn": "arn:aws:sqs:eu-central-1:123456789012:WorkQueue", "FunctionName": "WorkerFunction",
			"FunctionResponseTypes": []any{"ReportBatchItemFailures"}, "ScalingConfig": object{"MaximumConcurrency": 5.0},
		}
		if got := s.of("AWS::Lambda::EventSourceMapping"); !reflect.DeepEqual(got, map[string]object{"WorkerFunctionWork": want}) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
	})
	scripts := []any{"AWS-RunShellScript", "AWS-RunPowerShellScript"}
	all := []any{object{"exists": true}}
	for name, tt := range map[string]struct {
		parameters object
		want       []any
	}{
		"the defaults":        {nil, scripts},
		"Linux":               {object{"Scripts": "linux"}, scripts[:1]},
		"Windows":             {object{"Scripts": "windows"}, scripts[1:]},
		"documents":           {choices["all that narrows"], all},
		"nothing may be sent": {object{"Scripts": "none"}, all},
	} {
		rule := deploy(t, tt.parameters).of("AWS::Events::Rule")["WorkerFunctionEnded"]
		want := object{
			"source": []any{"aws.ssm"}, "detail-type": []any{"EC2 Command Status-change Notification"},
			"detail": object{
				"document-name": tt.want,
				"status":        []any{object{"anything-but": []any{"Pending", "InProgress", "In Progress", "Delayed", "Cancelling"}}},
			},
		}
		if !reflect.DeepEqual(rule["EventPattern"], any(want)) {
			t.Errorf("%s: got %v\nwant %v", name, rule["EventPattern"], want)
		}
	}
}

// An item is a command with any label, and what is in the dead-letter queue may
// be handed to a function again.
func TestOnlyTheFunctionsMaySend(t *testing.T) {
	role := func(name string) string { return "arn:aws:iam::123456789012:role/" + name }
	for choice, want := range map[string]struct{ work, dead []any }{
		"the defaults": {[]any{role("WebhookRole"), role("SNSRole"), role("WorkerRole")}, []any{role("SNSRole"), role("WorkerRole")}},
		"webhook only": {[]any{role("WebhookRole"), role("WorkerRole")}, []any{role("WorkerRole")}},
		"SNS only":     {[]any{role("SNSRole"), role("WorkerRole")}, []any{role("SNSRole"), role("WorkerRole")}},
	} {
		s := deploy(t, choices[choice])
		only := func(queue string, condition object) object {
			return object{
				"Sid": "OnlyTheFunctions", "Effect": "Deny", "Principal": "*", "Action": "sqs:SendMessage",
				"Resource": "arn:aws:sqs:eu-central-1:123456789012:" + queue, "Condition": condition,
			}
		}
		for queue, wanted := range map[string]object{
			"WorkQueue":       only("WorkQueue", object{"ArnNotEquals": object{"aws:PrincipalArn": want.work}}),
			"DeadLetterQueue": only("DeadLetterQueue", object{"Bool": object{"aws:PrincipalIsAWSService": "false"}, "ArnNotEquals": object{"aws:PrincipalArn": want.dead}}),
		} {
			var found object
			allowed := 0
			for _, st := range s.statements(queue + "Policy") {
				switch {
				case st.raw["Sid"] == "OnlyTheFunctions":
					found = st.raw
				case st.effect == "Allow":
					allowed++
				}
			}
			if !reflect.DeepEqual(found, wanted) {
				t.Errorf("%s, %s: got %v\nwant %v", choice, queue, found, wanted)
			}
			if queue == "WorkQueue" && allowed > 0 {
				t.Errorf("%s: the queue's policy lets %d in", choice, allowed)
			}
		}
	}
}

// The metrics of amx's own that the alarms, the dashboard and the runbook show are
// those that the functions count.
func TestTheMetricsAreCounted(t *testing.T) {
	source, err := os.ReadFile(root + "/internal/app/metric.go")
	if err != nil {
		t.Fatal(err)
	}
	counted := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\t\w+ += "([A-Z][a-z]\w+)"$`).FindAllStringSubmatch(string(source), -1) {
		counted[m[1]] = true
	}
	s := deploy(t, choices["the defaults"])
	body := s.of("AWS::CloudWatch::Dashboard")["Dashboard"]["DashboardBody"].(string)
	shown := map[string]bool{}
	for _, m := range regexp.MustCompile(`\["amx", "(\w+)"`).FindAllStringSubmatch(body, -1) {
		shown[m[1]] = true
	}
	if !maps.Equal(counted, shown) {
		t.Errorf("the dashboard shows %q, the functions count %q", slices.Sorted(maps.Keys(shown)), slices.Sorted(maps.Keys(counted)))
	}
	runbook, err := os.ReadFile(root + "/docs/runbook.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	_, table, _ := strings.Cut(string(runbook), "\n| metric | by | counts |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	for line := range strings.Lines(table) {
		for _, m := range regexp.MustCompile("`([A-Z][a-z]\\w+)`").FindAllStringSubmatch(strings.Split(line, "|")[1], -1) {
			listed[m[1]] = true
		}
	}
	if !maps.Equal(counted, listed) {
		t.Errorf("docs/runbook.md lists %q, the functions count %q", slices.Sorted(maps.Keys(listed)), slices.Sorted(maps.Keys(counted)))
	}
	for id, a := range s.of("AWS::CloudWatch::Alarm") {
		if a["Namespace"] == "amx" && !counted[fmt.Sprint(a["MetricName"])] {
			t.Errorf("%s: nothing counts %v", id, a["MetricName"])
		}
	}
}
