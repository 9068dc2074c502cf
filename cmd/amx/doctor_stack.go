package main

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
)

// deployed is what CloudFormation tells of a stack.
type deployed struct {
	name       string
	outputs    map[string]string
	parameters map[string]string
	resources  map[string]string // :: logical ID → physical ID
	alarms     []string          // physical IDs
}

// checkStack reads the stack; false: there is none to check further.
func (d *doctor) checkStack(ctx context.Context, name string) bool {
	out, err := d.stacks.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &name})
	if err != nil || len(out.Stacks) == 0 {
		d.wrong("stack", "%q cannot be read: %s; name another with --stack, --region or --profile", name, said("DescribeStacks", err))
		return false
	}
	s := &deployed{name: name, outputs: map[string]string{}, parameters: map[string]string{}, resources: map[string]string{}}
	for _, o := range out.Stacks[0].Outputs {
		s.outputs[aws.ToString(o.OutputKey)] = aws.ToString(o.OutputValue)
	}
	for _, p := range out.Stacks[0].Parameters {
		s.parameters[aws.ToString(p.ParameterKey)] = aws.ToString(p.ParameterValue)
	}
	if s.outputs["TableName"] == "" {
		d.wrong("stack", "%q has no output TableName, so it is not amx's: name another with --stack", name)
		return false
	}
	in := &cloudformation.ListStackResourcesInput{StackName: &name}
	for {
		page, err := d.stacks.ListStackResources(ctx, in)
		if err != nil {
			d.wrong("stack", "%s; you need the right cloudformation:ListStackResources", said("ListStackResources", err))
			return false
		}
		for _, r := range page.StackResourceSummaries {
			s.resources[aws.ToString(r.LogicalResourceId)] = aws.ToString(r.PhysicalResourceId)
			if aws.ToString(r.ResourceType) == "AWS::CloudWatch::Alarm" {
				s.alarms = append(s.alarms, aws.ToString(r.PhysicalResourceId))
			}
		}
		if in.NextToken = page.NextToken; in.NextToken == nil {
			break
		}
	}
	d.stack = s
	d.checkStatus(string(out.Stacks[0].StackStatus))
	return true
}

func (d *doctor) checkStatus(status string) {
	switch {
	case status == "CREATE_COMPLETE" || status == "UPDATE_COMPLETE" || status == "IMPORT_COMPLETE":
		d.ok("stack", "%s is %s", d.stack.name, status)
	case strings.HasSuffix(status, "_IN_PROGRESS"):
		d.wrong("stack", "%s is %s: wait for the deployment to end", d.stack.name, status)
	default:
		d.wrong("stack", "%s is %s: the last deployment failed; its events say why, in CloudFormation's console; deploy again", d.stack.name, status)
	}
}

// parameterName is a parameter of the stack in Parameter Store.
func (d *doctor) parameterName(last string) string { return "/amx/" + d.stack.name + "/" + last }
