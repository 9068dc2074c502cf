package amx

import (
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"
)

// A ForeignError is a body that is another service's: whose it is, and what to
// connect instead.
type ForeignError struct{ Whose, Instead string }

func (e *ForeignError) Error() string {
	return fmt.Sprintf("it is %s: %s", e.Whose, e.Instead)
}

// ForeignEvent recognises an event that a Lambda function was invoked with and that
// is not its own, as JSON; nil for what it does not know.
func ForeignEvent(event []byte) error {
	root, err := jsonDocument(event)
	if err != nil {
		return nil
	}
	return foreignBody(root)
}

const (
	toTopic   = "subscribe the sns function to the topic itself"
	toWebhook = "give Alertmanager the function URL of the webhook function"
)

// sources are the services whose records come in a list, by the name that each
// record has for it.
var sources = map[string]ForeignError{
	"aws:sqs":      {"an event of SQS", "connect no queue: " + toTopic},
	"aws:sns":      {"an event of SNS", "the webhook takes none: " + toTopic},
	"aws:s3":       {"an event of S3", "amx takes alerts: " + toWebhook + ", or " + toTopic},
	"aws:kinesis":  {"an event of Kinesis", "amx takes alerts: " + toWebhook + ", or " + toTopic},
	"aws:dynamodb": {"an event of a DynamoDB stream", "amx takes alerts: " + toWebhook + ", or " + toTopic},
}

// kinds are other bodies, by keys that only they have.
var kinds = []struct {
	keys []string
	ForeignError
}{
	{[]string{"detail-type", "source"}, ForeignError{"an event of EventBridge", "only the worker function takes those, of SSM: connect Alertmanager to the webhook or to the topic"}},
	{[]string{"requestContext", "httpMethod"}, ForeignError{"an event of an API Gateway REST API or a load balancer", "use the function URL, or an HTTP API with payload format 2.0"}},
	{[]string{"requestContext", "rawPath"}, ForeignError{"an event of a function URL or an HTTP API", "only the webhook function takes those: " + toTopic}},
	{[]string{"Service", "Event", "Bucket"}, ForeignError{"the test event of an S3 bucket", "amx takes alerts: " + toWebhook + ", or " + toTopic}},
	{[]string{"key1", "key2", "key3"}, ForeignError{"the Lambda console's test event", "send a notification, such as docs/contract.md shows"}},
	{[]string{"Type", "TopicArn", "SubscribeURL", "Token"}, ForeignError{"SNS's request to confirm a subscription over HTTP", toTopic + ", not the URL"}},
	{[]string{"Type", "TopicArn", "Message"}, ForeignError{"what SNS sends to a subscription over HTTP or to a queue", toTopic + ", not the URL"}},
	{[]string{"AlarmName", "NewStateValue"}, ForeignError{"a CloudWatch alarm", "amx takes alerts of an Alertmanager: let Prometheus watch the metric"}},
	{[]string{"alarmArn", "alarmData"}, ForeignError{"the action of a CloudWatch alarm", "amx takes alerts of an Alertmanager: let Prometheus watch the metric"}},
	{[]string{"awslogs"}, ForeignError{"an event of CloudWatch Logs", "amx takes alerts: " + toWebhook + ", or " + toTopic}},
	{[]string{"eventSource", "records"}, ForeignError{"an event of Kafka", "amx takes alerts: " + toWebhook + ", or " + toTopic}},
	{[]string{"dashboardId", "evalMatches"}, ForeignError{"a notification of Grafana's old alerting (before 9)", "use Grafana Alerting, whose webhook contact point amx takes"}},
	{[]string{"evalMatches", "ruleName"}, ForeignError{"a notification of Grafana's old alerting (before 9)", "use Grafana Alerting, whose webhook contact point amx takes"}},
	{[]string{"schemaId", "data"}, ForeignError{"an alert of Azure Monitor", "amx takes alerts of an Alertmanager or of Grafana"}},
	{[]string{"incident", "version"}, ForeignError{"an incident of Google Cloud Monitoring", "amx takes alerts of an Alertmanager: use Managed Service for Prometheus with one"}},
	{[]string{"event_action", "payload"}, ForeignError{"an event of PagerDuty's Events API v2", "let Alertmanager send to amx beside PagerDuty"}},
}

// ForeignRecord is the error for an event whose records are of a source that is not
// the function's own, such as "aws:sqs".
func ForeignRecord(source string) error {
	if known, ok := sources[strings.ToLower(source)]; ok {
		return &known
	}
	return &ForeignError{fmt.Sprintf("an event of %.40q", source), "amx takes alerts: " + toWebhook + ", or " + toTopic}
}

// foreignBody recognises what other services send; nil for what it does not know.
func foreignBody(root document) error {
	n := root.node
	if n == nil {
		return nil
	}
	if n.Kind == yaml.SequenceNode {
		if len(n.Content) > 0 && valueOf(n.Content[0], "labels") != nil {
			return &ForeignError{"a list of alerts, which Prometheus sends to an Alertmanager", "name an Alertmanager in Prometheus's alerting section, and amx as a receiver there"}
		}
		return nil
	}
	if records := root.get("Records"); records != nil && records.Kind == yaml.SequenceNode && len(records.Content) > 0 {
		if source := valueOf(records.Content[0], "eventSource"); source != nil {
			return ForeignRecord(source.Value)
		}
	}
	for i := range kinds {
		if hasAll(root, kinds[i].keys) {
			return &kinds[i].ForeignError
		}
	}
	return nil
}

func hasAll(root document, keys []string) bool {
	for _, key := range keys {
		if !root.has(key) {
			return false
		}
	}
	return true
}
