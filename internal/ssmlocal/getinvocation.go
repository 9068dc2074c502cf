package ssmlocal

import (
	"cmp"
	"fmt"
	"strconv"
	"time"
)

// How many characters of the output GetCommandInvocation shows. It shows the first
// ones that the agent sent.
const (
	maxStdout = 24_000
	maxStderr = 8_000
)

const shellPlugin = "aws:runShellScript"

type getCommandInvocationRequest struct{ CommandId, InstanceId, PluginName *string }

type getCommandInvocationResponse struct {
	CommandId, InstanceId, Comment, DocumentName, DocumentVersion, PluginName string

	ResponseCode                                                       int
	ExecutionStartDateTime, ExecutionElapsedTime, ExecutionEndDateTime string // "" where not yet
	Status, StatusDetails                                              string
	StandardOutputContent, StandardOutputUrl                           string
	StandardErrorContent, StandardErrorUrl                             string

	CloudWatchOutputConfig *cloudWatchOutputConfig `json:",omitempty"`
}

func (s *Server) getCommandInvocation(req *getCommandInvocationRequest) (*getCommandInvocationResponse, error) {
	if err := req.validate(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	var inv *invocation
	if c := s.commands[*req.CommandId]; c != nil {
		inv = c.invocation(*req.InstanceId)
	}
	if inv == nil {
		s.mu.Unlock()
		return nil, &apiError{"InvocationDoesNotExist", fmt.Sprintf("Command %s has no invocation on %s.", *req.CommandId, *req.InstanceId)}
	}
	sent := inv.command.request
	resp := &getCommandInvocationResponse{
		CommandId: inv.command.id, InstanceId: inv.node, Comment: deref(sent.Comment),
		DocumentName: *sent.DocumentName, DocumentVersion: cmp.Or(deref(sent.DocumentVersion), "$DEFAULT"),
		PluginName: shellPlugin, ResponseCode: inv.code, Status: inv.status, StatusDetails: inv.details,
		CloudWatchOutputConfig: sent.CloudWatchOutputConfig,
	}
	if !inv.started.IsZero() {
		resp.ExecutionStartDateTime = isoTime(inv.started)
		if inv.over() {
			resp.ExecutionEndDateTime = isoTime(inv.finished)
			resp.ExecutionElapsedTime = isoDuration(inv.finished.Sub(inv.started))
		}
	}
	note := inv.note
	s.mu.Unlock()

	out := s.outputOf(inv, resp.ResponseCode, note) // files are read without the lock
	resp.StandardOutputContent = firstRunes(out.stdout, maxStdout)
	resp.StandardErrorContent = firstRunes(out.stderr, maxStderr)
	return resp, nil
}

func (req *getCommandInvocationRequest) validate() error {
	var v violations
	v.required("commandId", req.CommandId)
	v.length("commandId", req.CommandId, 36, 36)
	v.required("instanceId", req.InstanceId)
	v.pattern("instanceId", req.InstanceId, instanceIDPattern)
	v.length("pluginName", req.PluginName, 4, 0)
	if err := v.err(); err != nil {
		return err
	}
	if !commandIDPattern.MatchString(*req.CommandId) {
		return &apiError{"InvalidCommandId", fmt.Sprintf("Command ID %q is not valid.", *req.CommandId)}
	}
	if p := deref(req.PluginName); p != "" && p != shellPlugin {
		return &apiError{"InvalidPluginName", fmt.Sprintf("Document %s has no plugin %q.", shellDocument, p)}
	}
	return nil
}

// isoTime and isoDuration are ISO 8601 with milliseconds, which is what the
// members of type StringDateTime have.
func isoTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func isoDuration(d time.Duration) string {
	text := "PT"
	if h := int(d.Hours()); h > 0 {
		text += strconv.Itoa(h) + "H"
	}
	if m := int(d.Minutes()) % 60; m > 0 {
		text += strconv.Itoa(m) + "M"
	}
	return text + strconv.FormatFloat((d%time.Minute).Truncate(time.Millisecond).Seconds(), 'f', -1, 64) + "S"
}
