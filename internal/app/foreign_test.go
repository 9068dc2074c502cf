package app

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// Events of other services, cut to what tells them apart, after AWS's
// documentation of each.
const (
	sqsForeign = `{"Records":[{"messageId":"m","receiptHandle":"r","body":"{}","attributes":{},"eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:eu-central-1:123456789012:alerts"}]}`
	s3Foreign  = `{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"b"}}}]}`
	snsForeign = `{"Records":[{"EventSource":"aws:sns","EventVersion":"1.0","Sns":{"MessageId":"m","Message":"x"}}]}`
	busForeign = `{"version":"0","id":"i","detail-type":"EC2 Instance State-change Notification","source":"aws.ec2","detail":{}}`
	alarmCall  = `{"source":"aws.cloudwatch","alarmArn":"arn:aws:cloudwatch:eu-central-1:123456789012:alarm:a","alarmData":{"alarmName":"a","state":{"value":"ALARM"}}}`
	logsCall   = `{"awslogs":{"data":"H4sIAAAAAAAA"}}`
	kafkaCall  = `{"eventSource":"aws:kafka","eventSourceArn":"arn:aws:kafka:eu-central-1:123456789012:cluster/c/1","records":{}}`
	console    = `{"key1":"value1","key2":"value2","key3":"value3"}`
	restCall   = `{"resource":"/","path":"/","httpMethod":"POST","headers":{"Authorization":"Bearer x"},"requestContext":{"stage":"prod","httpMethod":"POST","apiId":"a"},"body":"{}"}`
	albCall    = `{"requestContext":{"elb":{"targetGroupArn":"arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/t/1"}},"httpMethod":"POST","path":"/","headers":{},"body":"{}"}`
)

const (
	isSQS     = "it is an event of SQS: connect no queue: subscribe the sns function to the topic itself"
	isS3      = "it is an event of S3: amx takes alerts: give Alertmanager the function URL of the webhook function, or subscribe the sns function to the topic itself"
	isBus     = "it is an event of EventBridge: only the worker function takes those, of SSM: connect Alertmanager to the webhook or to the topic"
	isConsole = "it is the Lambda console's test event: send a notification, such as docs/contract.md shows"
	isAlarm   = "it is the action of a CloudWatch alarm: amx takes alerts of an Alertmanager: let Prometheus watch the metric"
	isLogs    = "it is an event of CloudWatch Logs: amx takes alerts: give Alertmanager the function URL of the webhook function, or subscribe the sns function to the topic itself"
	isKafka   = "it is an event of Kafka: amx takes alerts: give Alertmanager the function URL of the webhook function, or subscribe the sns function to the topic itself"
	isREST    = "it is an event of an API Gateway REST API or a load balancer: use the function URL, or an HTTP API with payload format 2.0"
)

func TestEventsOfOthersAreNamed(t *testing.T) {
	s := newStack(t)
	webhook, sns := s.webhook(nil), s.sns()
	for _, tt := range []struct{ name, event, webhook, sns string }{
		{"SQS", sqsForeign, isSQS, isSQS},
		{"S3", s3Foreign, isS3, isS3},
		{"EventBridge", busForeign, isBus, isBus},
		{"the console's test event", console, isConsole, isConsole},
		{"SNS", snsForeign, "it is an event of SNS: the webhook takes none: subscribe the sns function to the topic itself", `message "m": topic "" is not in AMX_TOPIC_ARNS`},
		{"a function URL", string(request(t, "POST", "", "{}", false)), "", "it is an event of a function URL or an HTTP API: only the webhook function takes those: subscribe the sns function to the topic itself"},
		{"a load balancer", albCall, isREST, isREST},
		{"a REST API", restCall, isREST, isREST},
		{"a CloudWatch alarm", alarmCall, isAlarm, isAlarm},
		{"CloudWatch Logs", logsCall, isLogs, isLogs},
		{"Kafka", kafkaCall, isKafka, isKafka},
		{"nobody", `{"hello":"world"}`, "want an event of a function URL or of an HTTP API with payload format 2.0", "the event has no records: it is not one of SNS"},
	} {
		_, err := sns.Invoke(t.Context(), []byte(tt.event))
		if err == nil || !strings.HasSuffix(err.Error(), tt.sns) {
			t.Errorf("sns, %s: got %v\nwant %s", tt.name, err, tt.sns)
		}
		if tt.webhook == "" {
			continue
		}
		out, err := webhook.Invoke(t.Context(), []byte(tt.event))
		if strings.Contains(tt.event, "requestContext") { // somebody waits for the answer
			var a urlAnswer
			if json.Unmarshal(out, &a) != nil || a.StatusCode != 400 || err != nil || !strings.Contains(a.Body, tt.webhook) {
				t.Errorf("webhook, %s: got %s, %v\nwant 400 and %s", tt.name, out, err, tt.webhook)
			}
		} else if err == nil || !strings.HasSuffix(err.Error(), tt.webhook) {
			t.Errorf("webhook, %s: got %v\nwant %s", tt.name, err, tt.webhook)
		}
	}
	if n := len(s.ssm.Commands()); n != 0 {
		t.Errorf("%d commands were sent", n)
	}
}

// An HTTP API sends payload format 2.0 unless told otherwise, as a function URL
// does.
func TestAnHTTPAPIIsAFunctionURL(t *testing.T) {
	s := newStack(t)
	var event map[string]any
	if err := json.Unmarshal(request(t, "POST", "Bearer "+token, message(t, alert("NginxDown", node1, start, time.Time{})), false), &event); err != nil {
		t.Fatal(err)
	}
	event["routeKey"], event["rawPath"] = "POST /amx", "/amx"
	event["requestContext"].(map[string]any)["domainName"] = "id.execute-api.eu-central-1.amazonaws.com"
	text, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	if a := s.answer(s.webhook(nil), text); a.StatusCode != 200 || len(s.ssm.Commands()) != 1 {
		t.Errorf("got %+v and %d commands", a, len(s.ssm.Commands()))
	}
}

func TestAlertsThatWereCutOffAreAWarning(t *testing.T) {
	s := newStack(t)
	const want = "alerts cut off by max_alerts: 50: no command runs for them, and none that runs is stopped: set max_alerts: 0 in the receiver, or group by more labels"
	body := strings.Replace(message(t, alert("Other", node1, start, time.Time{})), `"version"`, `"truncatedAlerts":50,"version"`, 1)
	a := s.answer(s.webhook(nil), request(t, "POST", "Bearer "+token, body, false))
	if a.StatusCode != 200 || a.Body != `{"results":[],"warnings":["`+want+`"]}`+"\n" {
		t.Errorf("got %+v", a)
	}
	whole := s.answer(s.webhook(nil), request(t, "POST", "Bearer "+token, message(t, alert("Other", node1, start, time.Time{})), false))
	if whole.Body != `{"results":[]}`+"\n" {
		t.Errorf("a message that is whole: got %+v", whole)
	}
	if _, err := s.sns().Invoke(t.Context(), event(t, record("1", topic, "truncatedAlerts: 50\n"+yamlBody("Other", node1, "firing", start), time.Now()))); err != nil {
		t.Error(err)
	}
	if n := strings.Count(s.log.String(), want); n != 2 {
		t.Errorf("%d warnings in the log, want 2: %s", n, s.log)
	}
	if n := strings.Count(s.out.String(), `"AlertsTruncated":1`); n != 2 || !strings.Contains(s.out.String(), `"Reason":"max_alerts"`) {
		t.Errorf("counted %s", s.out.String())
	}
}
