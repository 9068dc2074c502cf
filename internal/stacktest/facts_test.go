package stacktest

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Lambda's record of a failure holds the event, which may be 1 MiB.
// https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
func TestEveryQueueTakesTheLargestMessage(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		for id, q := range s.of("AWS::SQS::Queue") {
			if q["MaximumMessageSize"] != 1048576.0 {
				t.Errorf("%s takes %v bytes, want 1048576", id, q["MaximumMessageSize"])
			}
		}
	})
}

// A message that AMP cannot publish never reaches amx, so only AMP's own metric
// shows it.
func TestAMPsOwnFailuresRaiseAnAlarm(t *testing.T) {
	for choice, want := range map[string]bool{"AMP": true, "the defaults": false, "all that adds": true} {
		if _, there := deploy(t, choices[choice]).resources["WorkspaceAlarm"]; there != want {
			t.Errorf("%s: WorkspaceAlarm: %v, want %v", choice, there, want)
		}
	}
	if _, there := deploy(t, map[string]any{"FrontEnds": "webhook", "WorkspaceArn": workspace}).resources["WorkspaceAlarm"]; there {
		t.Error("a stack without the SNS function watches a workspace")
	}
}

// Alertmanager does not retry after 429.
func TestTheAlarmOfAThrottledWebhookSaysWhatAlertmanagerDoes(t *testing.T) {
	text := deploy(t, nil).of("AWS::CloudWatch::Alarm")["WebhookThrottlesAlarm"]["AlarmDescription"].(string)
	for _, want := range []string{"429", "does not retry", "next group interval"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q lacks %q", text, want)
		}
	}
}

var (
	resourceType = regexp.MustCompile(`(?m)^    Type: (AWS::\S+)$`)
	// creates is the right that CloudFormation needs of who deploys to make a
	// resource of that type.
	creates = map[string]string{
		"AWS::Serverless::Function":       "lambda:CreateFunction",
		"AWS::Lambda::Permission":         "lambda:AddPermission",
		"AWS::Lambda::Url":                "lambda:CreateFunctionUrlConfig",
		"AWS::Lambda::EventInvokeConfig":  "lambda:PutFunctionEventInvokeConfig",
		"AWS::Lambda::EventSourceMapping": "lambda:CreateEventSourceMapping",
		"AWS::IAM::Role":                  "iam:CreateRole",
		"AWS::IAM::ManagedPolicy":         "iam:CreatePolicy",
		"AWS::DynamoDB::Table":            "dynamodb:CreateTable",
		"AWS::SNS::Topic":                 "sns:CreateTopic",
		"AWS::SNS::TopicPolicy":           "sns:SetTopicAttributes",
		"AWS::SNS::Subscription":          "sns:Subscribe",
		"AWS::SQS::Queue":                 "sqs:CreateQueue",
		"AWS::SQS::QueuePolicy":           "sqs:SetQueueAttributes",
		"AWS::KMS::Key":                   "kms:CreateKey",
		"AWS::Logs::LogGroup":             "logs:CreateLogGroup",
		"AWS::CloudWatch::Alarm":          "cloudwatch:PutMetricAlarm",
		"AWS::CloudWatch::Dashboard":      "cloudwatch:PutDashboard",
		"AWS::Events::Rule":               "events:PutRule",
	}
)

// examples/iam/deployer.json lets somebody deploy every resource of the
// template.
func TestTheDeployersPolicyCoversEveryResource(t *testing.T) {
	text, err := os.ReadFile(root + "/examples/iam/deployer.json")
	if err != nil {
		t.Fatal(err)
	}
	var policy struct {
		Statement []struct{ Action any }
	}
	if err := json.Unmarshal(text, &policy); err != nil {
		t.Fatal(err)
	}
	var allowed []string
	for _, st := range policy.Statement {
		allowed = append(allowed, list(st.Action)...)
	}
	// A policy that a person attaches to a user or role is at most 6,144
	// characters, white space apart.
	if n := len(strings.Join(strings.Fields(string(text)), "")); n > 6144 {
		t.Errorf("examples/iam/deployer.json has %d characters, over 6144", n)
	}
	template, err := os.ReadFile(root + "/template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	types := []string{"AWS::Lambda::Url", "AWS::Lambda::EventInvokeConfig", "AWS::SNS::Subscription"} // SAM's
	for _, m := range resourceType.FindAllStringSubmatch(string(template), -1) {
		types = append(types, m[1])
	}
	slices.Sort(types)
	for _, kind := range slices.Compact(types) {
		action, known := creates[kind]
		service, _, _ := strings.Cut(action, ":")
		if !known {
			t.Errorf("%s: the test does not know which right it needs: add it to creates, and to examples/iam/deployer.json", kind)
		} else if !slices.Contains(allowed, action) && !slices.Contains(allowed, service+":*") {
			t.Errorf("examples/iam/deployer.json lacks %s, for %s", action, kind)
		}
	}
}
