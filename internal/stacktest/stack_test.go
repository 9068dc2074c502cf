package stacktest

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

const (
	ownTopic  = "arn:aws:sns:eu-central-1:123456789012:alerts"
	ownKey    = "arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d"
	workspace = "arn:aws:aps:eu-central-1:123456789012:workspace/ws-01234567"
)

// choices are stacks that people make.
var choices = map[string]map[string]any{
	"the defaults":         nil,
	"webhook only":         {"FrontEnds": "webhook"},
	"SNS only":             {"FrontEnds": "sns"},
	"AMP":                  {"FrontEnds": "sns", "WorkspaceArn": workspace, "KmsKeyArn": "create"},
	"a topic of one's own": {"TopicArn": ownTopic, "KmsKeyArn": ownKey},
	"IAM for this account": {"WebhookAuth": "iam"},
	"IAM for another":      {"WebhookAuth": "iam", "WebhookPrincipal": "210987654321"},
	"a widget that shows":  {"Widget": "read"},
	"a widget that acts":   {"Widget": "control", "FrontEnds": "sns"},
	"all that narrows":     {"Scripts": "none", "DocumentArns": "arn:aws:ssm:eu-central-1:123456789012:document/Restart,arn:aws:ssm:eu-central-1::document/AWS-ConfigureAWSPackage", "NodeTagKey": "team", "NodeTagValue": "web", "ParameterKeyArn": ownKey},
	"all that adds":        {"WorkspaceArn": workspace, "ConfigSource": "parameter", "OutputBucket": "amx-output", "WebhookConcurrency": 5.0, "SNSConcurrency": 5.0, "AlarmTopicArn": "arn:aws:sns:eu-central-1:123456789012:people", "KmsKeyArn": "create"},
}

func eachStack(t *testing.T, check func(*testing.T, *stack)) {
	for _, name := range slices.Sorted(maps.Keys(choices)) {
		t.Run(name, func(t *testing.T) { check(t, deploy(t, choices[name])) })
	}
}

func TestResourcesAndOutputsOfEachChoice(t *testing.T) {
	both := []string{"DeadLetterQueueURL", "SNSConfigs", "TableName", "TokenCommand", "TopicArn", "WebhookConfigs", "WebhookURL", "WorkQueueURL"}
	for name, want := range map[string]struct{ outputs, without []string }{
		"the defaults":         {both, []string{"Key", "WorkspaceAlarm", "WidgetFunction", "WidgetRole", "WidgetLogs"}},
		"a widget that shows":  {slices.Sorted(slices.Values(append([]string{"WidgetFunctionArn"}, both...))), []string{"Key", "WorkspaceAlarm"}},
		"webhook only":         {[]string{"DeadLetterQueueURL", "TableName", "TokenCommand", "WebhookConfigs", "WebhookURL", "WorkQueueURL"}, []string{"SNSFunction", "SNSRole", "Topic", "Key"}},
		"SNS only":             {[]string{"DeadLetterQueueURL", "SNSConfigs", "TableName", "TopicArn", "WorkQueueURL"}, []string{"WebhookFunction", "WebhookRole", "WebhookURLPermission", "WebhookFunctionUrl"}},
		"a topic of one's own": {both, []string{"Topic", "TopicPolicy", "Key"}},
		"IAM for this account": {[]string{"DeadLetterQueueURL", "SNSConfigs", "TableName", "TopicArn", "WebhookURL", "WorkQueueURL"}, []string{"WebhookURLPermission", "WebhookURLInvokePermission"}},
	} {
		s := deploy(t, choices[name])
		if got := slices.Sorted(maps.Keys(s.outputs)); !slices.Equal(got, want.outputs) {
			t.Errorf("%s: outputs %q, want %q", name, got, want.outputs)
		}
		for id := range s.tmpl.Resources {
			if _, there := s.resources[id]; slices.Contains(want.without, id) == there && (there || name == "the defaults") {
				t.Errorf("%s: %s: there is %v", name, id, there)
			}
		}
	}
}

func TestFunctions(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		for id, f := range s.of("AWS::Lambda::Function") {
			for key, want := range map[string]any{
				"Runtime": "provided.al2023", "Architectures": []any{"arm64"}, "Handler": "bootstrap", "MemorySize": 256.0,
			} {
				if !reflect.DeepEqual(f[key], want) {
					t.Errorf("%s: %s is %v, want %v", id, key, f[key], want)
				}
			}
			logging := f["LoggingConfig"].(object)
			group := strings.TrimSuffix(id, "Function") + "Logs"
			if logging["LogFormat"] != "JSON" || logging["LogGroup"] != s.ref(group) {
				t.Errorf("%s logs %v", id, logging)
			}
			concurrency := f["ReservedConcurrentExecutions"]
			if want := s.parameters[strings.TrimSuffix(id, "Function")+"Concurrency"]; id == "WorkerFunction" {
				if concurrency != nil { // its event source has a bound
					t.Errorf("%s reserves %v", id, concurrency)
				}
			} else if want != 0.0 && concurrency != want || want == 0.0 && concurrency != nil {
				t.Errorf("%s: concurrency %v, want %v", id, concurrency, want)
			}
		}
		for id, group := range s.of("AWS::Logs::LogGroup") {
			if group["RetentionInDays"] != 90.0 {
				t.Errorf("%s keeps its logs for %v days", id, group["RetentionInDays"])
			}
		}
	})
}

// Lambda's retries have to outlast the claim of an invocation that died and the
// lag of SSM's list.
func TestTheFunctionsMayTakeAtMost55Seconds(t *testing.T) {
	tmpl := load(t)
	for function, want := range map[string]float64{"Webhook": 9, "SNS": 55, "Worker": 55} {
		p := tmpl.Parameters[function+"Timeout"]
		if p.MaxValue == nil || *p.MaxValue != 55 || p.Default != want {
			t.Errorf("%sTimeout: %+v", function, p)
		}
		if got := tmpl.Resources[function+"Function"].Properties["Timeout"]; !reflect.DeepEqual(got, object{"Ref": function + "Timeout"}) {
			t.Errorf("the timeout of %s is %v", function, got)
		}
	}
}

func TestTheFunctionURLHasBothPermissions(t *testing.T) {
	for name, want := range map[string]struct{ auth, principal string }{
		"the defaults": {"NONE", "*"}, "webhook only": {"NONE", "*"},
		"IAM for another": {"AWS_IAM", "210987654321"}, "IAM for this account": {"AWS_IAM", ""},
	} {
		s := deploy(t, choices[name])
		if got := s.of("AWS::Lambda::Url")["WebhookFunctionUrl"]["AuthType"]; got != want.auth {
			t.Errorf("%s: AuthType %v, want %s", name, got, want.auth)
		}
		var got []object
		for id, p := range s.of("AWS::Lambda::Permission") {
			if id != "SNSFunctionAlertsPermission" && id != "WorkerFunctionEndedPermission" {
				got = append(got, p)
			}
		}
		slices.SortFunc(got, func(a, b object) int { return -strings.Compare(a["Action"].(string), b["Action"].(string)) })
		wanted := []object{
			{"Action": "lambda:InvokeFunctionUrl", "FunctionName": "WebhookFunction", "Principal": want.principal, "FunctionUrlAuthType": want.auth},
			{"Action": "lambda:InvokeFunction", "FunctionName": "WebhookFunction", "Principal": want.principal, "InvokedViaFunctionUrl": true},
		}
		if want.principal == "" {
			wanted = nil
		}
		if !reflect.DeepEqual(got, wanted) {
			t.Errorf("%s: permissions %v\nwant %v", name, got, wanted)
		}
	}
}

func TestNoNotificationOfSNSIsLostWithoutATrace(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		if _, there := s.resources["SNSFunction"]; !there {
			return
		}
		queue := "arn:aws:sqs:eu-central-1:123456789012:DeadLetterQueue"
		subscription := s.of("AWS::SNS::Subscription")["SNSFunctionAlerts"]
		topic := s.outputs["TopicArn"]
		if !reflect.DeepEqual(subscription["RedrivePolicy"], object{"deadLetterTargetArn": queue}) || subscription["TopicArn"] != topic {
			t.Errorf("what SNS cannot deliver: %v", subscription)
		}
		invoke := s.of("AWS::Lambda::EventInvokeConfig")["SNSFunctionEventInvokeConfig"]
		if !reflect.DeepEqual(invoke["DestinationConfig"], object{"OnFailure": object{"Destination": queue}}) ||
			invoke["MaximumRetryAttempts"] != 2.0 || invoke["MaximumEventAgeInSeconds"] != 21600.0 {
			t.Errorf("what the function fails on: %v", invoke)
		}
		q := s.of("AWS::SQS::Queue")["DeadLetterQueue"]
		if q["MessageRetentionPeriod"] != 1209600.0 || (q["KmsMasterKeyId"] == nil) != (q["SqsManagedSseEnabled"] == true) {
			t.Errorf("the queue: %v", q)
		}
		for _, st := range s.statements("DeadLetterQueuePolicy") {
			if st.effect == "Allow" && !reflect.DeepEqual(st.raw["Condition"], object{"ArnEquals": object{"aws:SourceArn": topic}}) {
				t.Errorf("the queue takes %v", st.raw)
			}
		}
	})
}

func TestOnlyTheWorkspaceMayPublish(t *testing.T) {
	s := deploy(t, choices["AMP"])
	var allowed []object
	for _, st := range s.statements("TopicPolicy") {
		if st.effect == "Allow" {
			allowed = append(allowed, st.raw)
		}
	}
	want := []object{{
		"Sid": "AlertsOfTheWorkspace", "Effect": "Allow", "Principal": object{"Service": "aps.amazonaws.com"},
		"Action": []any{"sns:Publish", "sns:GetTopicAttributes"}, "Resource": s.outputs["TopicArn"],
		"Condition": object{"ArnEquals": object{"aws:SourceArn": workspace}, "StringEquals": object{"aws:SourceAccount": "123456789012"}},
	}}
	if !reflect.DeepEqual(allowed, want) {
		t.Errorf("got %v\nwant %v", allowed, want)
	}
	for _, st := range deploy(t, nil).statements("TopicPolicy") {
		if st.effect == "Allow" {
			t.Errorf("without a workspace: %v", st.raw)
		}
	}
	// A service that hands messages on has to be able to decrypt them.
	if topic := s.of("AWS::SNS::Topic")["Topic"]; topic["KmsMasterKeyId"] != "arn:aws:kms:eu-central-1:123456789012:key/Key" || topic["FifoTopic"] != nil {
		t.Errorf("the topic: %v", topic)
	}
}

func TestTheLedger(t *testing.T) {
	tmpl := load(t)
	table := tmpl.Resources["Table"]
	if table.DeletionPolicy != "RetainExceptOnCreate" || table.UpdateReplacePolicy != "Retain" || table.Condition != "" {
		t.Errorf("the table: %+v", table)
	}
	text := func(name string) object { return object{"AttributeName": name, "AttributeType": "S"} }
	want := object{
		"BillingMode":          "PAY_PER_REQUEST",
		"AttributeDefinitions": []any{text("pk"), text("day"), text("run")},
		"KeySchema":            []any{object{"AttributeName": "pk", "KeyType": "HASH"}},
		// As internal/history/dynamo reads it.
		"GlobalSecondaryIndexes": []any{object{
			"IndexName":  "by_day",
			"KeySchema":  []any{object{"AttributeName": "day", "KeyType": "HASH"}, object{"AttributeName": "run", "KeyType": "RANGE"}},
			"Projection": object{"ProjectionType": "ALL"},
		}},
		"TimeToLiveSpecification":          object{"AttributeName": "expires_at", "Enabled": true},
		"PointInTimeRecoverySpecification": object{"PointInTimeRecoveryEnabled": true},
		"SSESpecification":                 object{"SSEEnabled": true},
	}
	if !reflect.DeepEqual(table.Properties, want) {
		t.Errorf("got %v\nwant %v", table.Properties, want)
	}
}

func TestAlarms(t *testing.T) {
	people := choices["all that adds"]["AlarmTopicArn"]
	var got []string
	for id, a := range deploy(t, choices["all that adds"]).of("AWS::CloudWatch::Alarm") {
		got = append(got, fmt.Sprintf("%s: %v/%v %v", id, a["Namespace"], a["MetricName"], a["Dimensions"].([]any)[0].(object)["Value"]))
		if !reflect.DeepEqual(a["AlarmActions"], []any{people}) || a["TreatMissingData"] != "notBreaching" {
			t.Errorf("%s: %v", id, a)
		}
	}
	slices.Sort(got)
	want := []string{
		"DeadLetterAlarm: AWS/SQS/ApproximateNumberOfMessagesVisible DeadLetterQueue",
		"ExpiredAlarm: amx/Runs Table",
		"FailedRunsAlarm: amx/Runs Table",
		"RefusedAlarm: amx/Runs Table",
		"SNSConfigAlarm: amx/ConfigErrors SNSFunction",
		"SNSErrorsAlarm: AWS/Lambda/Errors SNSFunction",
		"SNSThrottlesAlarm: AWS/Lambda/Throttles SNSFunction",
		"UndeliverableAlarm: AWS/Lambda/DestinationDeliveryFailures SNSFunction",
		"WebhookConfigAlarm: amx/ConfigErrors WebhookFunction",
		"WebhookErrorsAlarm: AWS/Lambda/Errors WebhookFunction",
		"WebhookThrottlesAlarm: AWS/Lambda/Throttles WebhookFunction",
		"WebhookUnsettledAlarm: AWS/Lambda/Url5xxCount WebhookFunction",
		"WorkQueueAlarm: AWS/SQS/ApproximateAgeOfOldestMessage WorkQueue",
		"WorkerConfigAlarm: amx/ConfigErrors WorkerFunction",
		"WorkerErrorsAlarm: AWS/Lambda/Errors WorkerFunction",
		"WorkerThrottlesAlarm: AWS/Lambda/Throttles WorkerFunction",
		"WorkspaceAlarm: AWS/Prometheus/AlertManagerNotificationsFailed ws-01234567",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// A dashboard is JSON, its widgets lie beside and below one another, and the one of
// amx's own is above the rest where there is one.
func TestTheDashboard(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		body := s.of("AWS::CloudWatch::Dashboard")["Dashboard"]["DashboardBody"].(string)
		var dashboard struct {
			Widgets []struct {
				Type                string
				X, Y, Width, Height int
				Properties          object
			}
		}
		if err := json.Unmarshal([]byte(body), &dashboard); err != nil {
			t.Fatalf("not JSON: %v\n%s", err, body)
		}
		taken := map[[2]int]int{}
		own := 0
		for i, w := range dashboard.Widgets {
			for x := w.X; x < w.X+w.Width; x++ {
				for y := w.Y; y < w.Y+w.Height; y++ {
					if x > 23 || taken[[2]int{x, y}] > 0 {
						t.Fatalf("widget %d lies over another, or beside the dashboard: %+v", i, w)
					}
					taken[[2]int{x, y}] = i + 1
				}
			}
			if w.Type != "custom" {
				continue
			}
			own++
			// https://docs.aws.amazon.com/cdk/api/v2/docs/aws-cdk-lib.aws_cloudwatch.CustomWidget.html
			want := object{"title": "amx", "endpoint": "arn:aws:lambda:eu-central-1:123456789012:function:WidgetFunction", "params": object{}, "updateOn": object{"refresh": true, "resize": false, "timeRange": false}}
			if w.X != 0 || w.Y != 0 || w.Width != 24 || !reflect.DeepEqual(w.Properties, want) {
				t.Errorf("got  %+v\nwant %v", w, want)
			}
		}
		if len(taken)%24 != 0 || taken[[2]int{0, 0}] == 0 {
			t.Errorf("there are holes: %d cells are taken", len(taken))
		}
		if want := s.parameters["Widget"] != "none"; own != 1 && want || own != 0 && !want {
			t.Errorf("there are %d widgets of amx's own", own)
		}
	})
}

// Whoever looks at the dashboard invokes the widget's function, with their own
// rights: nobody else may.
func TestNobodyElseMayInvokeTheWidget(t *testing.T) {
	for _, choice := range []string{"a widget that shows", "a widget that acts"} {
		s := deploy(t, choices[choice])
		for id, p := range s.of("AWS::Lambda::Permission") {
			if p["FunctionName"] == "WidgetFunction" {
				t.Errorf("%s: %s lets in %v", choice, id, p)
			}
		}
		for _, kind := range []string{"AWS::Lambda::Url", "AWS::Lambda::EventSourceMapping"} {
			for id, r := range s.of(kind) {
				if r["TargetFunctionArn"] == "WidgetFunction" || r["FunctionName"] == "WidgetFunction" {
					t.Errorf("%s: %s: %v", choice, id, r)
				}
			}
		}
		if got := s.of("AWS::Lambda::Function")["WidgetFunction"]["Environment"].(object)["Variables"].(object)["AMX_WIDGET"]; got != s.parameters["Widget"] {
			t.Errorf("%s: AMX_WIDGET is %v", choice, got)
		}
	}
}

// The outputs have the receivers that people have to copy.
func TestTheReceiversInTheOutputs(t *testing.T) {
	s := deploy(t, choices["the defaults"])
	for name, want := range map[string]object{
		"WebhookConfigs": {"webhook_configs": []any{object{
			"url": s.outputs["WebhookURL"], "send_resolved": true,
			"http_config": object{"authorization": object{"type": "Bearer", "credentials_file": "/etc/alertmanager/amx-token"}},
		}}},
		"SNSConfigs": {"sns_configs": []any{object{
			"topic_arn": s.outputs["TopicArn"], "send_resolved": true, "sigv4": object{"region": "eu-central-1"}, "message": `{{ template "amx" . }}`,
		}}},
	} {
		var got object
		if err := yaml.Unmarshal([]byte(s.outputs[name]), &got); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, s.outputs[name])
		}
		want["name"] = "amx"
		if !reflect.DeepEqual(got, object{"receivers": []any{want}}) {
			t.Errorf("%s: got %v\nwant %v", name, got, want)
		}
	}
}

var override = regexp.MustCompile(`"([A-Z][A-Za-z]+)=([^"]*)"`)

func TestParametersInSamconfigAreTheTemplates(t *testing.T) {
	text, err := os.ReadFile(root + "/examples/samconfig.toml")
	if err != nil {
		t.Fatal(err)
	}
	tmpl := load(t)
	found := override.FindAllStringSubmatch(string(text), -1)
	if len(found) < 4 {
		t.Fatalf("found only %q", found)
	}
	s := &stack{t: t, tmpl: tmpl}
	for _, m := range found {
		var value any = m[2]
		if tmpl.Parameters[m[1]].Type == "Number" {
			if err := json.Unmarshal([]byte(m[2]), &value); err != nil {
				t.Errorf("%s=%s: %v", m[1], m[2], err)
			}
		}
		s.accept(m[1], value)
	}
}
