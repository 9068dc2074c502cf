package docs

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// AWS does things that a reader would not expect. Each has its line in the document
// where it is needed. Emphasis and line breaks do not count.
func TestTheDocumentsSayWhatAWSDoes(t *testing.T) {
	for _, tt := range []struct{ file, want string }{
		{"deploy.md", "Parameter Store refuses every value with `{{…}}` in it"},
		{"security.md", "CloudWatch invokes its function with the rights of whoever looks at the dashboard."},
		{"page.md", "The record, the log and the status name `CloudWatch console`, because CloudWatch does not tell amx who you are."},
		{"deploy.md", "Make the parameter before the stack: a function that finds none does not start."},
		{"contract.md", "Parameter Store refuses a value with `{{…}}`"},
		{"runbook.md", "Reserved concurrency 0 does not make SNS's notifications wait. Lambda sends each to the dead-letter queue at once, without a retry."},
		{"runbook.md", "The first line prints the value to put back"},
		{"runbook.md", "Another `resolved_signal` is a SendCommand, and IAM refuses that, too: the process goes on. Use `amx pause`"},
		{"runbook.md", "`DeliveryTimedOut` after `delivery_timeout` plus `timeout`"},
		{"configuration.md", "`DeliveryTimedOut` only after `delivery_timeout` plus `timeout`"},
		{"first-steps.md", "Do not copy outputs from SAM's terminal, which breaks their lines."},
		{"deploy.md", "SAM's terminal breaks long lines, so do not copy from it."},
		{"first-steps.md", "refuses to overwrite either"},
		{"runbook.md", "Alertmanager does not retry 429"},
		{"deploy.md", "An account may run 1,000 executions of Lambda at a time; a new one often 10"},
		{"first-steps.md", "command line](https://docs.aws.amazon.com/cli/) 2 (version 1 lacks"},
		{"first-steps.md", "1.110 or later"},
		{"first-steps.md", "AWS-RunPatchBaseline` needs `ssm:GetDeployablePatchSnapshotForInstance`"},
		{"first-steps.md", "An agent that started without a role tries again after 5 minutes, later only once an hour."},
		{"first-steps.md", "Default Host Management"},
		{"first-steps.md", "--resource-type ManagedInstance"},
		{"first-steps.md", "examples/iam/deployer.json"},
		{"amp.md", "AMP's Alertmanager cannot call a webhook. It sends to PagerDuty, or to an SNS topic"},
		{"../README.md", "whose Alertmanager sends to SNS and PagerDuty, but cannot call a webhook"},
		{"amp.md", "fileb://examples/amp/test-rules.yaml"},
		{"cost.md", "SQS requests × price of a request"},
		{"cost.md", "the embedded metric format"},
		{"cost.md", "with `KmsKeyArn` SNS and SQS ask for a data key"},
		{"contract.md", "On AWS Lambda counts the event, in which the body is a JSON string"},
		{"runbook.md", "`WorkspaceAlarm`"},
		{"first-steps.md", "`AmazonSSMManagedEC2InstanceDefaultPolicy` is the simplest"},
		{"commands.md", "run it with `exec`. The program replaces the shell, so the signal reaches it"},
		{"commands.md", "A shell does not run a trap while a program runs in the foreground."},
		{"commands.md", "amx then cancels the run, which kills it."},
		{"commands.md", "Much output makes a command slow."},
		{"commands.md", "cannot open `/dev/stdout` or `/dev/stderr`"},
		{"commands.md", "| 137 | `ExecutionTimedOut` |"},
		{"commands.md", "| 168 | `Success` |"},
		{"commands.md", "| 194 | `InProgress` | reboots the node, and then runs the script again"},
		{"commands.md", "not even the command that delivers a `resolved_signal`"},
		{"commands.md", "On a full disk no command runs."},
		{"architecture.md", "a node with a full disk runs nothing"},
		{"runbook.md", "During a deployment, functions of both versions may work on the same entries."},
		{"runbook.md", "Keep the older `amx.yaml` beside the older version."},
		{"accounts.md", "deploy a stack in each account and region that has nodes"},
		{"accounts.md", "A central Alertmanager reaches each stack by its function URL"},
		{"terraform.md", "Zip it together with `amx.yaml` for `aws_lambda_function`"},
	} {
		text := strings.Join(strings.Fields(strings.ReplaceAll(read(t, tt.file), "*", "")), " ")
		if !strings.Contains(text, tt.want) {
			t.Errorf("%s does not say: %s", tt.file, tt.want)
		}
	}
}

// Whoever follows the first steps has made what a command uses before it.
func TestTheFirstStepsComeInOrder(t *testing.T) {
	text := read(t, "first-steps.md")
	for _, order := range [][]string{
		{"export AWS_REGION=", "aws iam create-role"},
		{"cp examples/amx-first.yaml amx.yaml", "bin/amx check", "sam build", "sam deploy", "output() {", "output TokenCommand | sh", "$(cat amx-token)"},
		{"NODE=i-", "WEBHOOK_URL=$(output WebhookURL)", `"$WEBHOOK_URL"`},
	} {
		at := 0
		for _, step := range order {
			i := strings.Index(text[at:], step)
			if i < 0 {
				t.Errorf("first-steps.md has no %q behind what it needs: %q", step, order)
				break
			}
			at += i + len(step)
		}
	}
	for _, file := range find(t, "*.md", "cookbook/*.md") {
		text := read(t, file)
		for _, name := range regexp.MustCompile(`"\$([A-Z_]{4,})"`).FindAllStringSubmatch(text, -1) {
			// Variables of the documents' shell; AMX_ are a command's own.
			if !strings.HasPrefix(name[1], "AMX_") && !strings.Contains(text, "$ "+name[1]+"=") {
				t.Errorf("%s uses $%s and does not set it", file, name[1])
			}
		}
	}
}

// The first command that a reader runs changes nothing on the node.
func TestTheFirstCommandIsHarmless(t *testing.T) {
	text := read(t, "../examples/amx-first.yaml")
	for _, bad := range []string{"systemctl", "restart", "rm ", "cmd:", "document:"} {
		if strings.Contains(text, bad) {
			t.Errorf("examples/amx-first.yaml has %q", bad)
		}
	}
	if _, err := os.Stat("../examples/payloads/rehearsal.json"); err != nil {
		t.Error(err)
	}
}
