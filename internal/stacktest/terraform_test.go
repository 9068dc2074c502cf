package stacktest

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The example in docs/terraform.md makes what the template makes. Terraform
// itself needs HashiCorp's registry for that, which tests do not ask.
func TestTheTerraformExampleIsTheTemplates(t *testing.T) {
	text, err := os.ReadFile(root + "/docs/terraform.md")
	if err != nil {
		t.Fatal(err)
	}
	s := deploy(t, nil)
	webhook, worker := s.of("AWS::Lambda::Function")["WebhookFunction"], s.of("AWS::Lambda::EventSourceMapping")["WorkerFunctionWork"]
	work, dead := s.of("AWS::SQS::Queue")["WorkQueue"], s.of("AWS::SQS::Queue")["DeadLetterQueue"]
	table := s.of("AWS::DynamoDB::Table")["Table"]
	index := table["GlobalSecondaryIndexes"].([]any)[0].(object)
	key := func(of object, i int) any { return of["KeySchema"].([]any)[i].(object)["AttributeName"] }
	for resource, values := range map[string]object{
		`"aws_lambda_function" "webhook"`: {
			"runtime": webhook["Runtime"], "architectures": webhook["Architectures"], "handler": webhook["Handler"],
			"memory_size": webhook["MemorySize"], "timeout": webhook["Timeout"], "log_format": webhook["LoggingConfig"].(object)["LogFormat"],
			"AMX_TOKEN_PARAMETER": webhook["Environment"].(object)["Variables"].(object)["AMX_TOKEN_PARAMETER"],
		},
		`"aws_sqs_queue" "work"`: {
			"visibility_timeout_seconds": work["VisibilityTimeout"], "message_retention_seconds": work["MessageRetentionPeriod"],
			"max_message_size": work["MaximumMessageSize"], "maxReceiveCount": work["RedrivePolicy"].(object)["maxReceiveCount"],
		},
		`"aws_sqs_queue" "dead"`: {"message_retention_seconds": dead["MessageRetentionPeriod"], "max_message_size": dead["MaximumMessageSize"]},
		`"aws_lambda_event_source_mapping" "work"`: {
			"batch_size": worker["BatchSize"], "function_response_types": worker["FunctionResponseTypes"],
			"maximum_concurrency": worker["ScalingConfig"].(object)["MaximumConcurrency"],
		},
		`"aws_dynamodb_table" "amx"`: {
			"billing_mode": table["BillingMode"], "hash_key": key(table, 0), "range_key": key(index, 1),
			"projection_type": index["Projection"].(object)["ProjectionType"],
			"attribute_name":  table["TimeToLiveSpecification"].(object)["AttributeName"],
		},
	} {
		_, body, found := strings.Cut(string(text), "\nresource "+resource+" {\n")
		body, _, _ = strings.Cut(body, "\n}\n")
		if !found {
			t.Errorf("docs/terraform.md has no resource %s", resource)
		}
		for name, value := range values {
			want := string(encoded(t, value)) // which HCL writes alike
			got := regexp.MustCompile(`(?m)^ *` + name + ` += (.*)$`).FindStringSubmatch(body)
			if got == nil || got[1] != want {
				t.Errorf("docs/terraform.md: %s: %s: %q, want %s", resource, name, got, want)
			}
		}
	}
}
