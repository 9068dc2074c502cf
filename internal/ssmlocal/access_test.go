package ssmlocal

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

const (
	gone   = "i-0123456789abcdef9"
	hybrid = "mi-0123456789abcdef0"
)

// guarded is a fleet of which the sender may use the nodes of one stage.
func guarded(named, tagged Denial) func(*Options) {
	return func(o *Options) {
		fleet(o)
		o.Nodes = append(o.Nodes, Node{ID: gone, Tags: map[string]string{"Stage": "prod"}, Terminated: true}, Node{ID: hybrid})
		o.Access = Access{Tag: "Stage", Value: "prod", Named: named, Tagged: tagged}
	}
}

func TestANodeWithoutTheTagIsDenied(t *testing.T) {
	const denied = "User: arn:aws:sts::000000000000:assumed-role/amx/amx is not authorized to perform: ssm:SendCommand on resource: %s because no identity-based policy allows the ssm:SendCommand action"
	byTag := []types.Target{{Key: aws.String("tag:Role"), Values: []string{"web"}}}
	for _, tt := range []struct {
		name          string
		named, tagged Denial
		ids           []string
		targets       []types.Target
		resource      string   // of the refusal
		want          []string // StatusDetails otherwise
	}{
		{"all have it", PerCall, PerCall, []string{web1, db1}, nil, "", []string{"Success", "Success"}},
		{"one has not, and the call is refused", PerCall, PerNode, []string{web1, web2}, nil, "arn:aws:ec2:eu-test-1:000000000000:instance/" + web2, nil},
		{"one has not, and only it is denied", PerNode, PerCall, []string{web1, web2}, nil, "", []string{"Success", "AccessDenied"}},
		{"one is terminated", PerCall, PerCall, []string{web1, gone}, nil, "arn:aws:ec2:eu-test-1:000000000000:instance/" + gone, nil},
		{"one is terminated, and only it is denied", PerNode, PerCall, []string{web1, gone}, nil, "", []string{"Success", "AccessDenied"}},
		{"one is of a hybrid activation", PerCall, PerCall, []string{hybrid}, nil, "arn:aws:ssm:eu-test-1:000000000000:managed-instance/" + hybrid, nil},
		{"a tag selects one that has not", PerNode, PerCall, nil, byTag, "arn:aws:ec2:eu-test-1:000000000000:instance/" + web2, nil},
		{"a tag selects one, and only it is denied", PerCall, PerNode, nil, byTag, "", []string{"Success", "AccessDenied"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			st := newStage(t, guarded(tt.named, tt.tagged))
			in := on(tt.ids, "true")
			in.Targets = tt.targets
			out, err := st.client.SendCommand(context.Background(), in)
			if tt.resource != "" {
				wantError(t, err, "AccessDeniedException", fmt.Sprintf(denied, tt.resource))
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			st.over(*out.Command.CommandId)
			if got := st.details(*out.Command.CommandId); !slices.Equal(got, tt.want) {
				t.Errorf("the invocations ended %v, want %v", got, tt.want)
			}
		})
	}
}

func TestATerminatedNodeIsListedAndNotSentTo(t *testing.T) {
	st := newStage(t, guarded(PerCall, PerCall), func(o *Options) { o.Access = Access{} })
	_, err := st.client.SendCommand(context.Background(), on([]string{gone}, "true"))
	wantError(t, err, "InvalidInstanceId", "Instance "+gone+" is not a managed node here.")
	out, err := st.client.DescribeInstanceInformation(context.Background(), &ssm.DescribeInstanceInformationInput{
		Filters: []types.InstanceInformationStringFilter{{Key: aws.String("PingStatus"), Values: []string{"ConnectionLost"}}},
	})
	if err != nil || len(out.InstanceInformationList) != 1 || *out.InstanceInformationList[0].InstanceId != gone {
		t.Errorf("of those that lost their connection it lists %v, %v", out.InstanceInformationList, err)
	}
}

func TestEveryEndIsToldOnce(t *testing.T) {
	st := newStage(t)
	in := on([]string{web1, db1}, "[ $AWS_SSM_INSTANCE_ID = "+web1+" ]")
	id := st.send(in)
	ends := map[string]string{}
	for range 3 {
		c := <-st.changes
		if c.CommandID != id || c.DocumentName != shellDocument || c.Parameters["commands"][0] != in.Parameters["commands"][0] || ends[c.InstanceID] != "" {
			t.Errorf("told %+v", c)
		}
		ends[c.InstanceID] = c.Status + " " + c.StatusDetails
	}
	if got := fmt.Sprint(ends); got != "map[:Failed Failed i-01234567:Failed Failed i-0123456789abcdef0:Success Success]" {
		t.Errorf("told %v", got)
	}
	st.close()
	if len(st.changes) != 0 {
		t.Errorf("told again: %+v", <-st.changes)
	}
}

func TestACommandWithoutNodesEndsAtOnce(t *testing.T) {
	st := newStage(t)
	in := on(nil, "true")
	in.Targets = []types.Target{{Key: aws.String("tag:Role"), Values: []string{"none"}}}
	if got := st.over(st.send(in)); got != "NoInstancesInTag" {
		t.Errorf("it ended %s", got)
	}
}

func TestAStatusChangeAsEventBridgeHasIt(t *testing.T) {
	at := time.Date(2026, 11, 28, 22, 0, 0, 120e6, time.UTC)
	change := StatusChange{
		CommandID: "0e7d5b1c-7d3b-4c55-9d2a-0123456789ab", DocumentName: shellDocument,
		Parameters: map[string][]string{"commands": {"#!/bin/sh", "# amx"}},
		Requested:  at, ExpiresAfter: at.Add(2 * time.Hour), At: at.Add(time.Minute), Status: "TimedOut", StatusDetails: "ExecutionTimedOut",
	}
	for _, tt := range []struct{ node, want string }{
		{"", `{"account":"111122223333","detail":{"command-id":"0e7d5b1c-7d3b-4c55-9d2a-0123456789ab","document-name":"AWS-RunShellScript",` +
			`"expire-after":"2026-11-29T00:00:00.120Z","parameters":{"commands":["#!/bin/sh","# amx"]},"requested-date-time":"2026-11-28T22:00:00.120Z","status":"TimedOut"},` +
			`"detail-type":"EC2 Command Status-change Notification","region":"eu-west-1","resources":[],"source":"aws.ssm","time":"2026-11-28T22:01:00Z","version":"0"}`},
		{web1, `{"account":"111122223333","detail":{"command-id":"0e7d5b1c-7d3b-4c55-9d2a-0123456789ab","document-name":"AWS-RunShellScript",` +
			`"expire-after":"2026-11-29T00:00:00.120Z","instance-id":"i-0123456789abcdef0","requested-date-time":"2026-11-28T22:00:00.120Z","status":"TimedOut"},` +
			`"detail-type":"EC2 Command Invocation Status-change Notification","region":"eu-west-1","resources":["arn:aws:ec2:eu-west-1:111122223333:instance/i-0123456789abcdef0"],` +
			`"source":"aws.ssm","time":"2026-11-28T22:01:00Z","version":"0"}`},
	} {
		change.InstanceID = tt.node
		text, err := change.EventBridge("111122223333", "eu-west-1")
		if err != nil {
			t.Fatal(err)
		}
		var event map[string]any
		if err := json.Unmarshal(text, &event); err != nil {
			t.Fatal(err)
		}
		if id, _ := event["id"].(string); len(id) != 36 {
			t.Errorf("its ID is %v", event["id"])
		}
		delete(event, "id")
		if got, err := json.Marshal(event); err != nil || string(got) != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}
