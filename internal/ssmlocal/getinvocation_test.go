package ssmlocal

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

func (w *world) get(id string) *ssm.GetCommandInvocationOutput {
	w.t.Helper()
	out, err := w.client.GetCommandInvocation(context.Background(), &ssm.GetCommandInvocationInput{
		CommandId: &id, InstanceId: aws.String(LocalNode), PluginName: aws.String(shellPlugin),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func TestGetCommandInvocationShowsHowItWent(t *testing.T) {
	w := start(t)
	const none = ""
	for _, tt := range []struct {
		name, script    string
		status, details string
		code            int32
		stdout, stderr  string
	}{
		{"success without output", "true", "Success", "Success", 0, none, none},
		{"success with output", "echo out; echo err >&2", "Success", "Success", 0, "out\n", "err\n"},
		{"a failure", "echo out; echo err >&2; exit 7", "Failed", "Failed", 7, "out\n", "err\nfailed to run commands: exit status 7"},
		{"exit 137 is the agent's timeout", "exit 137", "TimedOut", "ExecutionTimedOut", 137, none, none},
		{
			"24,000 bytes of one with the mark, 8,000 of the other",
			"head -c 30000 /dev/zero | tr '\\0' a; head -c 9000 /dev/zero | tr '\\0' b >&2", "Success", "Success", 0,
			strings.Repeat("a", 23980) + streamMark, strings.Repeat("b", 8000),
		},
		{
			"a character of two bytes counts twice",
			"head -c 24001 /dev/zero | sed 's/\\x00/é/g'", "Success", "Success", 0, strings.Repeat("é", 11990) + streamMark, none,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			id := w.send(script(tt.script))
			w.ended(id)
			got := w.get(id)
			if string(got.Status) != tt.status || *got.StatusDetails != tt.details || got.ResponseCode != tt.code {
				t.Errorf("is %s, %s with %d", got.Status, *got.StatusDetails, got.ResponseCode)
			}
			if *got.StandardOutputContent != tt.stdout || *got.StandardErrorContent != tt.stderr {
				t.Errorf("stdout %q (%d bytes)\nstderr %q (%d bytes)", *got.StandardOutputContent, len(*got.StandardOutputContent),
					*got.StandardErrorContent, len(*got.StandardErrorContent))
			}
			if *got.PluginName != shellPlugin || *got.DocumentName != shellDocument || *got.InstanceId != LocalNode || *got.CommandId != id {
				t.Errorf("it is about %s of %s on %s", *got.PluginName, *got.DocumentName, *got.InstanceId)
			}
		})
	}
}

func TestGetCommandInvocationTellsTimes(t *testing.T) {
	var elapsed atomic.Int64
	begin := time.Date(2026, 11, 23, 8, 0, 0, 123456789, time.UTC)
	w := start(t, func(o *Options) { o.Now = func() time.Time { return begin.Add(time.Duration(elapsed.Load())) } })
	id := w.send(script("echo up; exec sleep 1000"))
	w.wantText("stdout", "up")
	running := w.get(id)
	if running.Status != "InProgress" || running.ResponseCode != -1 || *running.ExecutionStartDateTime != "2026-11-23T08:00:00.123Z" ||
		*running.ExecutionEndDateTime != "" || *running.ExecutionElapsedTime != "" || *running.StandardOutputContent != "up\n" {
		t.Errorf("while it runs it is %+v", running)
	}
	elapsed.Store(int64(time.Hour + 2*time.Minute + 3456*time.Millisecond))
	w.cancel(id)
	over := w.get(id)
	if over.Status != "Cancelled" || *over.ExecutionElapsedTime != "PT1H2M3.456S" || *over.ExecutionEndDateTime != "2026-11-23T09:02:03.579Z" {
		t.Errorf("cancelled it is %+v", over)
	}
}

func TestGetCommandInvocationRefuses(t *testing.T) {
	w := start(t, fleet)
	id := w.send(script("true"))
	const unknown, invalid = "00000000-0000-4000-8000-000000000000", "1 validation error detected: Value "
	for _, tt := range []struct{ name, command, node, plugin, code, message string }{
		{"an unknown command", unknown, LocalNode, "", "InvocationDoesNotExist", ""},
		{"a node that it was not sent to", id, web1, "", "InvocationDoesNotExist", ""},
		{"a node that is not here", id, "i-ffffffff", "", "InvocationDoesNotExist", ""},
		{
			"something that is no instance ID", id, "web-1", "",
			"ValidationException", invalid + `'web-1' at 'instanceId' failed to satisfy constraint: Member must satisfy regular expression pattern: (^i-(\w{8}|\w{17})$)|(^mi-\w{17}$)`,
		},
		{
			"a short command ID", "x", LocalNode, "",
			"ValidationException", invalid + "'x' at 'commandId' failed to satisfy constraint: Member must have length greater than or equal to 36",
		},
		{"36 characters that are no command ID", strings.Repeat("x", 36), LocalNode, "", "InvalidCommandId", ""},
		{
			"a short plugin", id, LocalNode, "aws",
			"ValidationException", invalid + "'aws' at 'pluginName' failed to satisfy constraint: Member must have length greater than or equal to 4",
		},
		{"another plugin", id, LocalNode, "aws:runPowerShellScript", "InvalidPluginName", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := &ssm.GetCommandInvocationInput{CommandId: &tt.command, InstanceId: &tt.node}
			if tt.plugin != "" {
				in.PluginName = &tt.plugin
			}
			_, err := w.client.GetCommandInvocation(context.Background(), in)
			wantError(t, err, tt.code, tt.message)
		})
	}
}
