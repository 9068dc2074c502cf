package ssmlocal

import (
	"context"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

func TestMaxConcurrencyAndMaxErrors(t *testing.T) {
	nodes := []string{web1, web2, db1}
	for _, tt := range []struct {
		concurrency, errors string
		want                []string
		command             string
	}{
		{"1", "0", []string{"Success", "Failed", "Terminated"}, "Failed"},
		{"1", "1", []string{"Success", "Failed", "Success"}, "Failed"},
		{"1", "2", []string{"Success", "Failed", "Success"}, "Incomplete"},
		{"34%", "0", []string{"Success", "Failed", "Terminated"}, "Failed"},
	} {
		st := newStage(t)
		in := on(nodes, "[ $AWS_SSM_INSTANCE_ID != "+web2+" ]")
		in.MaxConcurrency, in.MaxErrors = &tt.concurrency, &tt.errors
		id := st.send(in)
		if got := st.over(id); got != tt.command {
			t.Errorf("%s at once, %s errors: the command ended %s, want %s", tt.concurrency, tt.errors, got, tt.command)
		}
		if got := st.details(id); !slices.Equal(got, tt.want) {
			t.Errorf("%s at once, %s errors: %v, want %v", tt.concurrency, tt.errors, got, tt.want)
		}
	}
}

// details are the StatusDetails of a command's invocations.
func (st *stage) details(id string) (details []string) {
	st.t.Helper()
	out, err := st.client.ListCommandInvocations(context.Background(), &ssm.ListCommandInvocationsInput{CommandId: &id})
	if err != nil {
		st.t.Fatal(err)
	}
	for _, inv := range out.CommandInvocations {
		details = append(details, *inv.StatusDetails)
	}
	return details
}

func TestAnAlarmStopsTheSending(t *testing.T) {
	st := newStage(t)
	in := on([]string{web1, web2, db1}, st.waiter("a"))
	in.MaxConcurrency = aws.String("1")
	in.AlarmConfiguration = &types.AlarmConfiguration{Alarms: []types.Alarm{{Name: aws.String("errors")}}}
	id := st.send(in)
	st.server.SetAlarm("another", true)
	st.cue("a")
	st.says(id, "up")
	st.says(id, "up")
	st.server.SetAlarm("errors", true)
	st.server.SetAlarm("errors", false) // that it was on is enough
	st.cue("a")
	if got := st.over(id); got != "Incomplete" {
		t.Errorf("the command ended %s", got)
	}
	if got := st.details(id); !slices.Equal(got, []string{"Success", "Success", "Terminated"}) {
		t.Errorf("the invocations ended %v", got)
	}
	out, err := st.client.ListCommands(context.Background(), &ssm.ListCommandsInput{CommandId: &id})
	if err != nil {
		t.Fatal(err)
	}
	if c := out.Commands[0]; len(c.TriggeredAlarms) != 1 || *c.TriggeredAlarms[0].Name != "errors" || c.TriggeredAlarms[0].State != "ALARM" {
		t.Errorf("the alarms that it has are %v", c.TriggeredAlarms)
	}
	st.server.SetAlarm("errors", true)
	if got := st.over(st.send(in)); got != "Incomplete" {
		t.Errorf("sent while the alarm is on it ended %s", got)
	}
}
