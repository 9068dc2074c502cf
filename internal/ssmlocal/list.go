package ssmlocal

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The values of the Status filter, per operation, as the API reference lists them.
var (
	commandStatuses = []string{
		"Pending", "InProgress", "Success", "Cancelled", "Cancelling", "Failed", "TimedOut",
		"AccessDenied", "DeliveryTimedOut", "ExecutionTimedOut", "Incomplete", "NoInstancesInTag", "LimitExceeded",
	}
	invocationStatuses = []string{
		"Pending", "InProgress", "Delayed", "Success", "Cancelled", "Cancelling", "Failed", "TimedOut",
		"AccessDenied", "DeliveryTimedOut", "ExecutionTimedOut", "Undeliverable", "InvalidPlatform", "Terminated",
	}
)

func (s *Server) listCommands(req *listRequest) (*listCommandsResponse, error) {
	q, err := req.query("ListCommands", commandStatuses)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	resp := &listCommandsResponse{Commands: []commandItem{}}
	for _, c := range slices.Backward(s.order) {
		if !q.wants(c) || q.from != nil && c.seq > q.from.seq {
			continue
		}
		if status, details := c.status(); !q.wantsStatus(status, details) || !q.wantsStage(c.over()) {
			continue
		}
		if len(resp.Commands) == q.limit {
			resp.NextToken = cursor{seq: c.seq}.token(q.operation)
			break
		}
		resp.Commands = append(resp.Commands, c.item())
	}
	return resp, nil
}

func (s *Server) listCommandInvocations(req *listRequest) (*listCommandInvocationsResponse, error) {
	q, err := req.query("ListCommandInvocations", invocationStatuses)
	if err != nil {
		return nil, err
	}
	resp := &listCommandInvocationsResponse{CommandInvocations: []invocationItem{}}
	var found []*invocation
	s.mu.Lock()
	resp.NextToken = s.pickInvocations(q, &found)
	for _, inv := range found {
		resp.CommandInvocations = append(resp.CommandInvocations, inv.item(req.Details))
	}
	s.mu.Unlock()
	for i := range resp.CommandInvocations { // files are read without the lock
		for j := range resp.CommandInvocations[i].CommandPlugins {
			p := &resp.CommandInvocations[i].CommandPlugins[j]
			p.Output = s.outputOf(found[i], p.ResponseCode, p.Output).output
		}
	}
	return resp, nil
}

// pickInvocations fills found with a page, and returns the token of the next page.
func (s *Server) pickInvocations(q *query, found *[]*invocation) (next string) {
	candidates := s.order
	if q.commandID != "" { // the usual request; it needs no walk over all commands
		candidates = nil
		if c := s.commands[q.commandID]; c != nil {
			candidates = []*command{c}
		}
	}
	for _, c := range slices.Backward(candidates) {
		if !q.wants(c) || q.from != nil && c.seq > q.from.seq {
			continue
		}
		for i, inv := range c.invocations {
			if q.from != nil && c.seq == q.from.seq && i < q.from.index ||
				q.instanceID != "" && q.instanceID != inv.node || !q.wantsStatus(inv.status, inv.details) {
				continue
			}
			if len(*found) == q.limit {
				return cursor{c.seq, i}.token(q.operation)
			}
			*found = append(*found, inv)
		}
	}
	return ""
}

// query is a list request, validated.
type query struct {
	operation             string
	commandID, instanceID string
	after, before         time.Time
	status, stage, name   string
	limit                 int
	from                  *cursor
}

func (req *listRequest) query(operation string, statuses []string) (*query, error) {
	var v violations
	v.length("commandId", req.CommandId, 36, 36)
	v.pattern("instanceId", req.InstanceId, instanceIDPattern)
	v.between("maxResults", req.MaxResults, 1, 50)
	if req.Filters != nil {
		v.count("filters", len(req.Filters), 1, 5)
	}
	for i, f := range req.Filters {
		path := fmt.Sprintf("filters.%d.member.", i+1)
		v.required(path+"key", f.Key)
		v.enum(path+"key", f.Key, "InvokedAfter", "InvokedBefore", "Status", "ExecutionStage", "DocumentName")
		v.required(path+"value", f.Value)
		v.length(path+"value", f.Value, 1, 128)
	}
	if err := v.err(); err != nil {
		return nil, err
	}
	q := &query{operation: operation, commandID: deref(req.CommandId), instanceID: deref(req.InstanceId), limit: 50}
	if req.MaxResults != nil {
		q.limit = *req.MaxResults
	}
	if q.commandID != "" && !commandIDPattern.MatchString(q.commandID) {
		return nil, &apiError{"InvalidCommandId", fmt.Sprintf("Command ID %q is not valid.", q.commandID)}
	}
	if req.NextToken != nil && *req.NextToken != "" {
		from, ok := parseCursor(operation, *req.NextToken)
		if !ok {
			return nil, &apiError{"InvalidNextToken", "The specified token isn't valid."}
		}
		q.from = from
	}
	for _, f := range req.Filters {
		if err := q.filter(*f.Key, *f.Value, statuses); err != nil {
			return nil, err
		}
	}
	return q, nil
}

func (q *query) filter(key, value string, statuses []string) (err error) {
	ok := true
	switch key {
	case "InvokedAfter":
		q.after, err = time.Parse(time.RFC3339, value)
	case "InvokedBefore":
		q.before, err = time.Parse(time.RFC3339, value)
	case "Status":
		q.status, ok = value, slices.Contains(statuses, value)
	case "DocumentName":
		q.name = value
	case "ExecutionStage":
		if q.operation != "ListCommands" {
			return &apiError{"InvalidFilterKey", "ExecutionStage is a filter of ListCommands only."}
		}
		q.stage, ok = value, value == "Executing" || value == "Complete"
	}
	if err != nil || !ok {
		return &apiError{"ValidationException", fmt.Sprintf("Filter %s can't have the value %q.", key, value)}
	}
	return nil
}

func (q *query) wants(c *command) bool {
	return (q.commandID == "" || q.commandID == c.id) &&
		(q.instanceID == "" || c.invocation(q.instanceID) != nil) &&
		(q.after.IsZero() || !c.requested.Before(q.after)) &&
		(q.before.IsZero() || c.requested.Before(q.before)) &&
		(q.name == "" || q.name == *c.request.DocumentName)
}

func (q *query) wantsStatus(status, details string) bool {
	return q.status == "" || q.status == status || q.status == details
}

func (q *query) wantsStage(over bool) bool {
	return q.stage == "" || (q.stage == "Complete") == over
}

// cursor is where the next page begins: commands arrive in the order of seq
// and are listed backwards, invocations of one command forwards.
type cursor struct {
	seq   uint64
	index int
}

func (c cursor) token(operation string) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%s %d %d", operation, c.seq, c.index))
}

func parseCursor(operation, token string) (*cursor, bool) {
	b, err := base64.RawURLEncoding.DecodeString(token)
	f := strings.Fields(string(b))
	if err != nil || len(f) != 3 || f[0] != operation {
		return nil, false
	}
	seq, err := strconv.ParseUint(f[1], 10, 64)
	if err != nil {
		return nil, false
	}
	index, err := strconv.Atoi(f[2])
	return &cursor{seq, index}, err == nil
}
