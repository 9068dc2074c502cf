package app

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/awstest"
)

const (
	entryID = "3f2a9c0d1e2b4a5c"
	runID   = "01JD8Z5T3M6Q9W2X4Y7B0C1D2E"
	comment = "amx " + entryID + " " + runID + " 1/2 restart"
	ended   = entryID + " " + runID + " restart"
)

// commandEvent is the end of a command, as AWS documents it:
// https://docs.aws.amazon.com/systems-manager/latest/userguide/monitoring-systems-manager-event-examples.html
func commandEvent(t *testing.T, detailType, document, status string, parameters any) []byte {
	t.Helper()
	text, err := json.Marshal(map[string]any{
		"version": "0", "id": "51c0891d-0e34-45b1-83d6-95db273d1602", "detail-type": detailType, "source": "aws.ssm",
		"account": "123456789012", "time": "2026-07-10T21:51:32Z", "region": "eu-central-1",
		"resources": []string{"arn:aws:ec2:eu-central-1:123456789012:instance/" + node1},
		"detail": map[string]any{
			"command-id": "00000001-0000-4000-8000-000000000000", "document-name": document,
			"requested-date-time": "2026-07-14T10:02:40.000Z", "expire-after": "2026-07-14T10:02:40.000Z",
			"parameters": parameters, "status": status,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestTheEndOfACommandIsPassedOn(t *testing.T) {
	lines := map[string]any{"executionTimeout": []string{"3600"}, "commands": []string{"#!/bin/sh", "# " + comment, "# about"}}
	inText, err := json.Marshal(lines)
	if err != nil {
		t.Fatal(err)
	}
	windows := map[string]any{"commands": []string{"# about\r\n# " + comment + "\r\n$x = 1"}}
	for _, tt := range []struct {
		name, detailType, document, status string
		parameters                         any
		want, calls                        string
	}{
		{"a script, line by line", commandChanged, "AWS-RunShellScript", "Success", lines, ended, "[]"},
		{"parameters as JSON text", commandChanged, "AWS-RunShellScript", "Failed", string(inText), ended, "[]"},
		{"a script as one text", commandChanged, "AWS-RunPowerShellScript", "Delivery Timed Out", windows, ended, "[]"},
		{"a status without spaces", commandChanged, "AWS-RunShellScript", "DeliveryTimedOut", lines, ended, "[]"},
		{"a command that goes on", commandChanged, "AWS-RunShellScript", "InProgress", lines, "", "[]"},
		{"a status that nobody knows", commandChanged, "AWS-RunShellScript", "Paused", lines, "", "[]"},
		{"a command on one node", invocationChanged, "AWS-RunShellScript", "Success", nil, "", "[]"},
		{"a script of somebody else", commandChanged, "AWS-RunShellScript", "Success", map[string]any{"commands": []string{"#!/bin/sh", "date"}}, "", "[]"},
		{"a script of one line", commandChanged, "AWS-RunShellScript", "Success", map[string]any{"commands": []string{"date"}}, "", "[]"},
		{"a token that is not in the second line", commandChanged, "AWS-RunShellScript", "Success", map[string]any{"commands": []string{"#!/bin/sh", "", "# " + comment}}, "", "[]"},
		{"the signal of a run", commandChanged, "AWS-RunShellScript", "Success", map[string]any{"commands": []string{"#!/bin/sh", "# amx-signal " + entryID + " " + runID + " SIGTERM restart"}}, "", "[]"},
		{"parameters of another form", commandChanged, "AWS-RunShellScript", "Success", []int{1}, "", "[]"},
		{"no parameters", commandChanged, "AWS-RunShellScript", "Success", nil, "", "[]"},
		{"a document of amx", commandChanged, "Patch", "Success", map[string]any{"Level": []string{"2"}}, ended, "[ListCommands]"},
		{"a document of amx by its ARN", commandChanged, "arn:aws:ssm:eu-central-1:123456789012:document/Patch", "Success", nil, ended, "[ListCommands]"},
		{"a document of somebody else", commandChanged, "Other", "Success", nil, "", "[]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStack(t)
			s.vars["AMX_CONFIG"] = "ssm:/amx/config"
			s.ssm.SetParameter("/amx/config", amx.Pack([]byte(config+"  - {name: patch, document: Patch, match_labels: {alertname: Patch}}\n")))
			send(t, s, comment)
			w := &workFake{}
			h := s.worker(w, nil)
			s.calls()
			out, err := invoke(t, h, commandEvent(t, tt.detailType, tt.document, tt.status, tt.parameters))
			if err != nil || out != "null" || strings.Join(w.given, "; ") != tt.want || sprint(s.calls()) != tt.calls {
				t.Errorf("%s, %v, passed on %q, want %q", out, err, w.given, tt.want)
			}
		})
	}
}

// send has a command in SSM that carries the comment.
func send(t *testing.T, s *stack, comment string) {
	t.Helper()
	_, err := awstest.SSMClient(s.vars["AWS_ENDPOINT_URL_SSM"]).SendCommand(t.Context(), &ssm.SendCommandInput{
		DocumentName: aws.String("Patch"), InstanceIds: []string{node1}, Comment: &comment,
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAnEndThatCannotBeEnteredFailsTheInvocation(t *testing.T) {
	s := newStack(t)
	s.vars["AMX_CONFIG"] = "ssm:/amx/config"
	s.ssm.SetParameter("/amx/config", amx.Pack([]byte(config+"  - {name: patch, document: Patch, match_labels: {alertname: Patch}}\n")))
	w := &workFake{errs: map[string]error{ended: errors.New("the ledger is unavailable")}}
	h := s.worker(w, nil)
	_, err := invoke(t, h, commandEvent(t, commandChanged, "AWS-RunShellScript", "Success", map[string]any{"commands": []string{"#!/bin/sh", "# " + comment}}))
	if want := `command "restart", run "` + runID + `": command "00000001-0000-4000-8000-000000000000" of SSM ended Success: the ledger is unavailable`; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	// SSM's list may lag: whose command it was is asked again.
	_, err = invoke(t, h, commandEvent(t, commandChanged, "Patch", "Success", nil))
	if want := `finding whose command has ended: ListCommands "00000001-0000-4000-8000-000000000000": SSM does not list the command`; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// A comment has 100 characters, so it names only the head of a long name.
func TestALongNameIsFoundByItsHead(t *testing.T) {
	s := newStack(t)
	s.vars["AMX_CONFIG"] = "ssm:/amx/config"
	long := strings.Repeat("long-", 12)
	s.ssm.SetParameter("/amx/config", amx.Pack([]byte(config+"  - {name: "+long+"a, cmd: x, match_labels: {a: b}}\n  - {name: "+long+"b, cmd: x, match_labels: {a: b}}\n")))
	for name, want := range map[string][]string{
		long:   {long + "a", long + "b"},
		"gone": {"gone"},
	} {
		w := &workFake{}
		token := "amx " + entryID + " " + runID + " 1/2 " + name
		event := commandEvent(t, commandChanged, "AWS-RunShellScript", "Success", map[string]any{"commands": []string{"#!/bin/sh", "# " + token[:min(len(token), 100)]}})
		if _, err := invoke(t, s.worker(w, nil), event); err != nil {
			t.Fatal(err)
		}
		for i := range want {
			want[i] = entryID + " " + runID + " " + want[i]
		}
		if !slices.Equal(w.given, want) {
			t.Errorf("%s: passed on %q, want %q", name, w.given, want)
		}
	}
}
