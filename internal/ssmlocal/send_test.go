package ssmlocal

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"
)

// noMessage are the errors whose shape has no message member: the SDK drops it.
var noMessage = []string{"DuplicateInstanceId", "InvalidCommandId", "InvalidFilterKey", "InvalidPluginName", "InvocationDoesNotExist"}

func wantError(t *testing.T, err error, code, message string) {
	t.Helper()
	var api smithy.APIError
	if slices.Contains(noMessage, code) {
		message = ""
	}
	switch {
	case !errors.As(err, &api):
		t.Errorf("error is %v, want %s", err, code)
	case api.ErrorCode() != code || api.ErrorMessage() != message:
		t.Errorf("error is %s: %s\nwant %s: %s", api.ErrorCode(), api.ErrorMessage(), code, message)
	}
}

func TestSendCommandRefuses(t *testing.T) {
	w := start(t)
	const invalid = "1 validation error detected: Value "
	for _, tt := range []struct {
		name          string
		change        func(*ssm.SendCommandInput)
		code, message string
	}{
		{
			"a document that is not there", func(in *ssm.SendCommandInput) { in.DocumentName = aws.String("AWS-Other") },
			"InvalidDocument", "Document with name AWS-Other does not exist.",
		},
		{
			"a document name of two characters", func(in *ssm.SendCommandInput) { in.DocumentName = aws.String("ab") },
			"ValidationException", invalid + `'ab' at 'documentName' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[a-zA-Z0-9_\-.:/]{3,128}$`,
		},
		{
			"a document version that is not there", func(in *ssm.SendCommandInput) { in.DocumentVersion = aws.String("2") },
			"InvalidDocumentVersion", "Document AWS-RunShellScript has no version 2.",
		},
		{
			"an unknown instance", func(in *ssm.SendCommandInput) { in.InstanceIds = []string{LocalNode, "i-0123456789abcdef0"} },
			"InvalidInstanceId", "Instance i-0123456789abcdef0 is not a managed node here.",
		},
		{"an unknown instance among targets", func(in *ssm.SendCommandInput) {
			in.InstanceIds = nil
			in.Targets = []types.Target{{Key: aws.String("InstanceIds"), Values: []string{"i-0123456789abcdef0"}}}
		}, "InvalidInstanceId", "Instance i-0123456789abcdef0 is not a managed node here."},
		{
			"an instance twice", func(in *ssm.SendCommandInput) { in.InstanceIds = []string{LocalNode, LocalNode} },
			"DuplicateInstanceId", "Instance mi-00000000000000000 is given twice.",
		},
		{
			"something that is no instance ID", func(in *ssm.SendCommandInput) { in.InstanceIds = []string{"i-1"} },
			"ValidationException", invalid + `'[i-1]' at 'instanceIds' failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy regular expression pattern: (^i-(\w{8}|\w{17})$)|(^mi-\w{17}$)]`,
		},
		{
			"no target", func(in *ssm.SendCommandInput) { in.InstanceIds = nil },
			"ValidationException", "Either InstanceIds or Targets must be given.",
		},
		{"both kinds of target", func(in *ssm.SendCommandInput) {
			in.Targets = []types.Target{{Key: aws.String("tag:a"), Values: []string{"b"}}}
		}, "ValidationException", "InstanceIds and Targets can't be given together."},
		{"six values of a tag", func(in *ssm.SendCommandInput) {
			in.InstanceIds = nil
			in.Targets = []types.Target{{Key: aws.String("tag:a"), Values: []string{"1", "2", "3", "4", "5", "6"}}}
		}, "ValidationException", `Target "tag:a" has more than 5 values.`},
		{
			"a long comment", func(in *ssm.SendCommandInput) { in.Comment = aws.String(strings.Repeat("é", 101)) },
			"ValidationException", invalid + "'" + strings.Repeat("é", 101) + "' at 'comment' failed to satisfy constraint: Member must have length less than or equal to 100",
		},
		{
			"a short delivery timeout", func(in *ssm.SendCommandInput) { in.TimeoutSeconds = aws.Int32(29) },
			"ValidationException", invalid + "'29' at 'timeoutSeconds' failed to satisfy constraint: Member must have value greater than or equal to 30",
		},
		{"no concurrency and a bad hash type", func(in *ssm.SendCommandInput) {
			in.MaxConcurrency, in.DocumentHashType = aws.String("0"), "Md5"
		}, "ValidationException", "2 validation errors detected: Value 'Md5' at 'documentHashType' failed to satisfy constraint: Member must satisfy enum value set: [Sha256, Sha1]; " +
			"Value '0' at 'maxConcurrency' failed to satisfy constraint: Member must satisfy regular expression pattern: ^([1-9][0-9]*|[1-9][0-9]%|[1-9]%|100%)$"},
		{
			"101% errors", func(in *ssm.SendCommandInput) { in.MaxErrors = aws.String("101%") },
			"ValidationException", invalid + "'101%' at 'maxErrors' failed to satisfy constraint: Member must satisfy regular expression pattern: ^([1-9][0-9]*|[0]|[1-9][0-9]%|[0-9]%|100%)$",
		},
		{
			"no commands", func(in *ssm.SendCommandInput) { in.Parameters = nil },
			"InvalidParameters", "Document AWS-RunShellScript requires the parameter commands.",
		},
		{
			"an unknown parameter", func(in *ssm.SendCommandInput) { in.Parameters["user"] = []string{"x"} },
			"InvalidParameters", `Parameter "user" is not defined in document AWS-RunShellScript.`,
		},
		{
			"two working directories", func(in *ssm.SendCommandInput) { in.Parameters["workingDirectory"] = []string{"/", "/tmp"} },
			"InvalidParameters", "Parameter workingDirectory takes one value.",
		},
		{
			"an execution timeout of 0", func(in *ssm.SendCommandInput) { in.Parameters["executionTimeout"] = []string{"0"} },
			"InvalidParameters", `Parameter executionTimeout "0" does not match ` + bare(executionTimeoutPattern) + ".",
		},
		{
			"a script of 64 KB", func(in *ssm.SendCommandInput) { in.Parameters["commands"] = []string{strings.Repeat("#", 64<<10)} },
			"MaxDocumentSizeExceeded", "The size limit of a document is 64 KB.",
		},
		{
			"a script of 900 KB", func(in *ssm.SendCommandInput) { in.Parameters["commands"] = []string{strings.Repeat("#", 900<<10)} },
			"MaxDocumentSizeExceeded", "The size limit of a document is 64 KB.",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := script("true")
			tt.change(in)
			_, err := w.client.SendCommand(context.Background(), in)
			wantError(t, err, tt.code, tt.message)
		})
	}
	out, err := w.client.ListCommands(context.Background(), &ssm.ListCommandsInput{})
	if err != nil || len(out.Commands) != 0 {
		t.Errorf("after refusals there are commands %v, error %v", out.Commands, err)
	}
}

func TestACommandIsListedAsItWasSent(t *testing.T) {
	now := time.Date(2026, 11, 23, 8, 0, 0, 123e6, time.UTC)
	w := start(t, func(o *Options) { o.Now = func() time.Time { return now } })
	in := script("true")
	in.InstanceIds = nil
	in.Targets = []types.Target{{Key: aws.String("InstanceIds"), Values: []string{LocalNode}}}
	in.Comment, in.TimeoutSeconds = aws.String("amx"), aws.Int32(60)
	in.MaxConcurrency, in.MaxErrors = aws.String("10%"), aws.String("3")
	in.Parameters["executionTimeout"] = []string{"100"}
	sent, err := w.client.SendCommand(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	id := *sent.Command.CommandId
	if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(id) {
		t.Errorf("command ID %q is not a UUID in lower case", id)
	}
	if c := sent.Command; c.Status != "Pending" || *c.StatusDetails != "Pending" || c.TargetCount != 1 || c.CompletedCount != 0 {
		t.Errorf("the answer is %+v, want a pending command for one target", c)
	}
	w.ended(id)
	out, err := w.client.ListCommands(context.Background(), &ssm.ListCommandsInput{CommandId: &id})
	if err != nil {
		t.Fatal(err)
	}
	c := out.Commands[0]
	if *c.Comment != "amx" || *c.DocumentName != shellDocument || *c.DocumentVersion != "$DEFAULT" ||
		*c.TimeoutSeconds != 60 || *c.MaxConcurrency != "10%" || *c.MaxErrors != "3" ||
		c.Parameters["commands"][0] != "true" || *c.Targets[0].Key != "InstanceIds" ||
		c.Status != "Success" || *c.StatusDetails != "Success" || c.CompletedCount != 1 || c.ErrorCount != 0 {
		t.Errorf("the list has %+v", c)
	}
	if !c.RequestedDateTime.Equal(now) || !c.ExpiresAfter.Equal(now.Add(160*time.Second)) {
		t.Errorf("requested %v, expires %v; want %v and 160 s later", c.RequestedDateTime, c.ExpiresAfter, now)
	}
}

func TestTagsMatchNothingHere(t *testing.T) {
	w := start(t)
	for _, key := range []string{"tag:role", "tag-key", "resource-groups:Name"} {
		in := script("true")
		in.InstanceIds = nil
		in.Targets = []types.Target{{Key: aws.String("InstanceIds"), Values: []string{LocalNode}}, {Key: &key, Values: []string{"x"}}}
		out, err := w.client.SendCommand(context.Background(), in)
		if err != nil {
			t.Fatal(err)
		}
		if c := out.Command; *c.StatusDetails != "NoInstancesInTag" || c.TargetCount != 0 {
			t.Errorf("%s: %s with %d targets, want NoInstancesInTag with none", key, *c.StatusDetails, c.TargetCount)
		}
	}
}

func TestCancelCommandRefuses(t *testing.T) {
	const other = "mi-11111111111111111"
	w := start(t, func(o *Options) { o.Nodes = []Node{{ID: LocalNode}, {ID: other}} })
	id := w.send(script("true"))
	cancel := func(id string, nodes ...string) error {
		_, err := w.client.CancelCommand(context.Background(), &ssm.CancelCommandInput{CommandId: &id, InstanceIds: nodes})
		return err
	}
	unknown := "00000000-0000-4000-8000-000000000000"
	wantError(t, cancel(unknown), "InvalidCommandId", "Command "+unknown+" does not exist.")
	wantError(t, cancel("x"), "ValidationException",
		"1 validation error detected: Value 'x' at 'commandId' failed to satisfy constraint: Member must have length greater than or equal to 36")
	wantError(t, cancel(id, other), "InvalidInstanceId", "Command "+id+" was not sent to "+other+".")
	wantError(t, cancel(id, "i-12345678"), "InvalidInstanceId", "Instance i-12345678 is not a managed node here.")
}

func TestCancelOfOneInstanceLeavesTheOther(t *testing.T) {
	const other = "mi-11111111111111111"
	w := start(t, func(o *Options) { o.Nodes = []Node{{ID: LocalNode}, {ID: other}} })
	in := script("echo ready; [ $AWS_SSM_INSTANCE_ID = "+other+" ] && exec sleep 1000", "true")
	in.InstanceIds = []string{LocalNode, other}
	id := w.send(in)
	w.wantText("stdout", "ready", "ready")
	_, err := w.client.CancelCommand(context.Background(), &ssm.CancelCommandInput{CommandId: &id, InstanceIds: []string{other}})
	if err != nil {
		t.Fatal(err)
	}
	w.until("both are over", func() bool {
		out, err := w.client.ListCommands(context.Background(), &ssm.ListCommandsInput{CommandId: &id})
		return err == nil && out.Commands[0].CompletedCount == 2 && *out.Commands[0].StatusDetails == "Cancelled"
	})
	out, err := w.client.ListCommandInvocations(context.Background(), &ssm.ListCommandInvocationsInput{CommandId: &id})
	if err != nil {
		t.Fatal(err)
	}
	if a, b := out.CommandInvocations[0], out.CommandInvocations[1]; a.Status != "Success" || b.Status != "Cancelled" || len(a.CommandPlugins) != 0 {
		t.Errorf("invocations are %s and %s with plugins %v", a.Status, b.Status, a.CommandPlugins)
	}
}

func TestTheProtocol(t *testing.T) {
	w := start(t)
	for _, tt := range []struct {
		name, method, target, body string
		status                     int
		want                       string
	}{
		{"an operation that is not built", "POST", "AmazonSSM.GetParameters", "{}", 400, `{"__type":"UnknownOperationException","message":"unknown operation \"GetParameters\""}`},
		{"a GET", "GET", "AmazonSSM.ListCommands", "", 405, `{"__type":"UnknownOperationException","message":"the method must be POST"}`},
		{
			"a number for a string", "POST", "AmazonSSM.CancelCommand", `{"CommandId":1}`, 400,
			`{"__type":"SerializationException","message":"json: cannot unmarshal number into Go struct field cancelCommandRequest.CommandId of type string"}`,
		},
		{
			"a missing member", "POST", "AmazonSSM.CancelCommand", `{"New":1}`, 400,
			`{"__type":"ValidationException","message":"1 validation error detected: Value null at 'commandId' failed to satisfy constraint: Member must not be null"}`,
		},
		{"a list", "POST", "AmazonSSM.ListCommands", `{}`, 200, `{"Commands":[]}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(tt.method, "/", strings.NewReader(tt.body))
			r.Header.Set("X-Amz-Target", tt.target)
			rec := httptest.NewRecorder()
			w.server.ServeHTTP(rec, r)
			if got := strings.TrimSpace(rec.Body.String()); rec.Code != tt.status || got != tt.want {
				t.Errorf("answered %d %s\nwant %d %s", rec.Code, got, tt.status, tt.want)
			}
			if ct := rec.Header().Get("Content-Type"); ct != "application/x-amz-json-1.1" {
				t.Errorf("Content-Type is %q", ct)
			}
		})
	}
}

func TestARequestWhoseTimeIsUpRunsNothing(t *testing.T) {
	w := start(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r, err := http.NewRequestWithContext(ctx, "POST", "http://ssm.local/", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.server.Client().Do(r); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want %v", err, context.Canceled)
	}
}

func TestAfterCloseNothingStarts(t *testing.T) {
	w := start(t)
	id := w.send(script("echo ready; exec sleep 1000"))
	w.wantText("stdout", "ready")
	w.close()
	if inv := w.look(id); inv.Status != "Cancelled" {
		t.Errorf("status after Close is %s, want Cancelled", inv.Status)
	}
	_, err := w.client.SendCommand(context.Background(), script("true"))
	wantError(t, err, "InternalServerError", "InternalServerError: ssmlocal is closed")
}

func TestTheStatusOfACommand(t *testing.T) {
	for _, tt := range []struct {
		maxErrors       string
		details         []string
		status, outcome string
	}{
		{"", []string{"Pending", "Pending"}, "Pending", "Pending"},
		{"", []string{"Pending", "Success"}, "InProgress", "InProgress"},
		{"", []string{"Success", "Success"}, "Success", "Success"},
		{"", []string{"Success", "Failed"}, "Failed", "Failed"},
		{"2", []string{"Success", "Failed"}, "Failed", "Incomplete"},
		{"100%", []string{"Failed", "Failed"}, "Failed", "Failed"},
		{"0", []string{"Success", "ExecutionTimedOut"}, "TimedOut", "ExecutionTimedOut"},
		{"0", []string{"Success", "DeliveryTimedOut"}, "TimedOut", "DeliveryTimedOut"},
		{"0", []string{"Failed", "Cancelled"}, "Cancelled", "Cancelled"},
		{"0", nil, "Failed", "NoInstancesInTag"},
	} {
		c := &command{request: &sendCommandRequest{MaxErrors: &tt.maxErrors}}
		for _, d := range tt.details {
			status := strings.TrimPrefix(strings.TrimPrefix(d, "Execution"), "Delivery")
			c.invocations = append(c.invocations, &invocation{command: c, status: status, details: d})
		}
		if status, details := c.status(); status != tt.status || details != tt.outcome {
			t.Errorf("%v with MaxErrors %q is %s/%s, want %s/%s", tt.details, tt.maxErrors, status, details, tt.status, tt.outcome)
		}
	}
}
