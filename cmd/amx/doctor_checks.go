package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cloudwatchtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/amx-lambda/amx/internal/app"
	"github.com/amx-lambda/amx/internal/awserr"
)

// checkToken reads the accepted tokens, as the webhook does.
func (d *doctor) checkToken(ctx context.Context) {
	if d.stack.outputs["TokenCommand"] == "" {
		d.skip("token", "the webhook of this stack takes no token")
		return
	}
	name := d.parameterName("tokens")
	out, err := d.parameters.GetParameter(ctx, &ssm.GetParameterInput{Name: &name, WithDecryption: aws.Bool(true)})
	switch {
	case awserr.Code(err) == "ParameterNotFound":
		d.wrong("token", "there is no parameter %q, so the webhook answers 500: run the stack's output TokenCommand", name)
		return
	case err != nil:
		d.wrong("token", "%q cannot be decrypted: %s; put it again, with the --key-id of ParameterKeyArn, or get yourself the right to read it", name, said("GetParameter", err))
		return
	case out.Parameter.Type != ssmtypes.ParameterTypeSecureString:
		d.wrong("token", "%q is a %s, which anybody who may read it sees in the clear: delete it, and run the stack's output TokenCommand", name, out.Parameter.Type)
		return
	}
	tokens, err := app.ParseTokens(aws.ToString(out.Parameter.Value))
	switch {
	case err != nil:
		d.wrong("token", "%q: %v", name, err)
	case len(tokens) == 0:
		d.wrong("token", "%q has no token: write one on each line", name)
	default:
		d.tokens = aws.ToString(out.Parameter.Value)
		d.checkKey(ctx, name, len(tokens))
	}
}

// checkKey holds the tokens' key to the one that the function may use.
func (d *doctor) checkKey(ctx context.Context, name string, tokens int) {
	if want := d.stack.parameters["ParameterKeyArn"]; want != "" {
		out, err := d.parameters.DescribeParameters(ctx, &ssm.DescribeParametersInput{ParameterFilters: []ssmtypes.ParameterStringFilter{
			{Key: aws.String("Name"), Option: aws.String("Equals"), Values: []string{name}},
		}})
		if err != nil {
			d.wrong("token", "%s; you need the right ssm:DescribeParameters", said("DescribeParameters", err))
			return
		}
		key := ""
		for _, p := range out.Parameters {
			key = aws.ToString(p.KeyId)
		}
		if key != want && !strings.HasSuffix(want, ":key/"+key) {
			d.wrong("token", "%q is encrypted with %q, which the webhook may not use: put it again with --key-id %s", name, key, want)
			return
		}
	}
	d.ok("token", "%d accepted, in the SecureString %s", tokens, name)
}

// checkTopic looks at who may publish, and whether the function hears of it.
func (d *doctor) checkTopic(ctx context.Context) {
	arn := d.stack.outputs["TopicArn"]
	if arn == "" {
		d.skip("topic", "this stack has no SNS function")
		return
	}
	out, err := d.topics.GetTopicAttributes(ctx, &sns.GetTopicAttributesInput{TopicArn: &arn})
	if err != nil {
		d.wrong("topic", "%q cannot be read: %s; make it again, or give another as TopicArn", arn, said("GetTopicAttributes", err))
		return
	}
	problems := d.problems
	if out.Attributes["FifoTopic"] == "true" {
		d.wrong("topic", "%s is a FIFO topic, on which resolves are dropped: give a standard one as TopicArn", arn)
	}
	workspace := d.stack.parameters["WorkspaceArn"]
	if workspace != "" {
		if why := publishes(out.Attributes["Policy"], workspace); why != "" {
			d.wrong("topic", "the policy of %s is wrong: %s; it should have the statement of examples/iam/topic.json", arn, why)
		}
		if key := out.Attributes["KmsMasterKeyId"]; strings.HasSuffix(key, "alias/aws/sns") {
			d.wrong("topic", "%s is encrypted with aws/sns, which AMP may not use: encrypt it with a key whose policy is that of examples/iam/key.json", arn)
		}
	}
	d.checkSubscription(ctx, arn)
	if d.problems == problems && workspace == "" {
		d.ok("topic", "the function is subscribed to %s; no workspace is named", arn)
	} else if d.problems == problems {
		d.ok("topic", "%s may publish to %s, and the function is subscribed", workspace, arn)
	}
}

func (d *doctor) checkSubscription(ctx context.Context, topic string) {
	function := d.stack.resources["SNSFunction"]
	in := &sns.ListSubscriptionsByTopicInput{TopicArn: &topic}
	for {
		page, err := d.topics.ListSubscriptionsByTopic(ctx, in)
		if err != nil {
			d.wrong("topic", "%s; you need the right sns:ListSubscriptionsByTopic", said("ListSubscriptionsByTopic", err))
			return
		}
		for _, s := range page.Subscriptions {
			if aws.ToString(s.Protocol) == "lambda" && strings.HasSuffix(aws.ToString(s.Endpoint), ":function:"+function) {
				return
			}
		}
		if in.NextToken = page.NextToken; in.NextToken == nil {
			d.wrong("topic", "the function %s is not subscribed to %s: deploy the stack again", function, topic)
			return
		}
	}
}

// checkQueues counts what waits.
func (d *doctor) checkQueues(ctx context.Context) {
	for _, q := range []struct{ subject, url string }{
		{"dead-letter queue", d.stack.outputs["DeadLetterQueueURL"]},
		{"work queue", d.stack.outputs["WorkQueueURL"]},
	} {
		if q.url == "" {
			continue
		}
		out, err := d.queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
			QueueUrl: &q.url, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameApproximateNumberOfMessages},
		})
		if err != nil {
			d.wrong(q.subject, "%q cannot be read: %s; deploy the stack again, or get yourself the right sqs:GetQueueAttributes", q.url, said("GetQueueAttributes", err))
			continue
		}
		n := out.Attributes[string(sqstypes.QueueAttributeNameApproximateNumberOfMessages)]
		switch {
		case n == "0" || n == "":
			d.ok(q.subject, "nothing waits")
		case q.subject == "work queue":
			d.ok(q.subject, "%s waiting", n)
		default:
			d.wrong(q.subject, "%s could not be handled: when the cause is gone, run examples/redrive.sh %s", n, d.stack.name)
		}
	}
}

// checkAlarms names the alarms that are on.
func (d *doctor) checkAlarms(ctx context.Context) {
	if len(d.stack.alarms) == 0 {
		d.wrong("alarms", "the stack has none: deploy it again")
		return
	}
	on, told := 0, false
	for names := range slices.Chunk(d.stack.alarms, 100) {
		in := &cloudwatch.DescribeAlarmsInput{AlarmNames: names, MaxRecords: aws.Int32(100)}
		out, err := d.alarms.DescribeAlarms(ctx, in)
		if err != nil {
			d.wrong("alarms", "%s; you need the right cloudwatch:DescribeAlarms", said("DescribeAlarms", err))
			return
		}
		for _, a := range out.MetricAlarms {
			told = told || len(a.AlarmActions) > 0
			if a.StateValue == cloudwatchtypes.StateValueAlarm {
				on++
				d.wrong("alarms", "%s is on: %s docs/runbook.md says what to do", d.stack.logical(aws.ToString(a.AlarmName)), aws.ToString(a.AlarmDescription))
			}
		}
	}
	if on > 0 {
		return
	}
	tells := "they notify AlarmTopicArn"
	if !told {
		tells = "they notify nobody, because AlarmTopicArn is empty"
	}
	d.ok("alarms", "%d are quiet; %s", len(d.stack.alarms), tells)
}

// logical is the template's name of a resource.
func (s *deployed) logical(physical string) string {
	for id, p := range s.resources {
		if p == physical {
			return id
		}
	}
	return fmt.Sprintf("%q", physical)
}
