package awstest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// SSM is a double of Run Command and Parameter Store. Its commands run nothing:
// they stand at Status until they are cancelled.
type SSM struct {
	Parameters map[string]string        // :: name → value
	Status     string                   // of a command that was sent; default: Success
	Lag        time.Duration            // by how much ListCommands lags SendCommand
	Node       func(id string) *Refusal // optional: a node that SSM refuses

	mu       sync.Mutex
	commands []*Command
}

// A Refusal is an error that SSM answers.
type Refusal struct{ Error, Message string }

// A Command is one that was accepted.
type Command struct {
	ID, Comment, Document string
	Nodes                 []string // InstanceIds
	Parameters            map[string][]string
	Status                string
	sent                  time.Time
}

// Commands lists what was accepted, oldest first.
func (s *SSM) Commands() []Command {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Command
	for _, c := range s.commands {
		all = append(all, *c)
	}
	return all
}

// End ends a command, with a status that is one of SSM's terminal ones.
func (s *SSM) End(id, status string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.find(id); c != nil {
		c.Status = status
	}
}

// SetParameter writes a parameter.
func (s *SSM) SetParameter(name, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Parameters = maps.Clone(s.Parameters)
	s.Parameters[name] = value
}

// ServeHTTP answers one call.
func (s *SSM) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	serve(out, r, func(operation string, body []byte) (any, *apiError) {
		s.mu.Lock()
		defer s.mu.Unlock()
		switch operation {
		case "SendCommand":
			return s.send(body)
		case "CancelCommand":
			return s.cancel(body)
		case "ListCommands":
			return s.list(body)
		case "ListCommandInvocations":
			return s.invocations(body)
		case "GetParameter":
			return s.parameter(body)
		}
		return nil, &apiError{"UnknownOperationException", operation}
	})
}

func (s *SSM) send(body []byte) (any, *apiError) {
	var in sendCommand
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, &apiError{"SerializationException", err.Error()}
	}
	if s.Node != nil {
		for _, id := range in.InstanceIds {
			if r := s.Node(id); r != nil {
				return nil, &apiError{r.Error, r.Message}
			}
		}
	}
	c := &Command{
		ID:      fmt.Sprintf("%08d-0000-4000-8000-000000000000", len(s.commands)+1),
		Comment: in.Comment, Document: in.DocumentName, Nodes: in.InstanceIds, Parameters: in.Parameters,
		Status: s.Status, sent: time.Now(),
	}
	if c.Status == "" {
		c.Status = "Success"
	}
	s.commands = append(s.commands, c)
	return map[string]any{"Command": c.answer()}, nil
}

func (c *Command) answer() map[string]any {
	return map[string]any{
		"CommandId": c.ID, "Comment": c.Comment, "DocumentName": c.Document, "InstanceIds": c.Nodes,
		"RequestedDateTime": float64(c.sent.UnixMilli()) / 1e3, "Status": c.Status, "StatusDetails": c.Status,
	}
}

func (s *SSM) find(id string) *Command {
	i := slices.IndexFunc(s.commands, func(c *Command) bool { return c.ID == id })
	if i < 0 {
		return nil
	}
	return s.commands[i]
}

func (s *SSM) cancel(body []byte) (any, *apiError) {
	var in struct{ CommandId string }
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, &apiError{"SerializationException", err.Error()}
	}
	c := s.find(in.CommandId)
	if c == nil {
		return nil, &apiError{"InvalidCommandId", in.CommandId}
	}
	if slices.Contains([]string{"Pending", "InProgress", "Delayed"}, c.Status) {
		c.Status = "Cancelled"
	}
	return struct{}{}, nil
}

func (s *SSM) list(body []byte) (any, *apiError) {
	var in struct {
		CommandId string
		Filters   []struct{ Key, Value string }
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, &apiError{"SerializationException", err.Error()}
	}
	after, before := time.Time{}, time.Now()
	for _, f := range in.Filters {
		at, err := time.Parse(time.RFC3339, f.Value)
		switch {
		case err != nil || !strings.HasSuffix(f.Value, "Z"):
			return nil, &apiError{"ValidationException", f.Key + " is not a UTC time: " + f.Value}
		case f.Key == "InvokedAfter":
			after = at
		case f.Key == "InvokedBefore":
			before = at
		default:
			return nil, &apiError{"InvalidFilterKey", f.Key}
		}
	}
	found := []any{}
	for _, c := range s.commands {
		if (in.CommandId == "" || c.ID == in.CommandId) && !c.sent.Before(after) && !c.sent.After(before) && time.Since(c.sent) >= s.Lag {
			found = append(found, c.answer())
		}
	}
	return map[string]any{"Commands": found}, nil
}

func (s *SSM) invocations(body []byte) (any, *apiError) {
	var in struct{ CommandId string }
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, &apiError{"SerializationException", err.Error()}
	}
	found := []any{}
	if c := s.find(in.CommandId); c != nil {
		for _, node := range c.Nodes {
			code := 0
			if c.Status != "Success" {
				code = 1
			}
			found = append(found, map[string]any{
				"CommandId": c.ID, "InstanceId": node, "Status": c.Status, "StatusDetails": c.Status,
				"CommandPlugins": []any{map[string]any{
					"Name": "aws:runShellScript", "Status": c.Status, "StatusDetails": c.Status, "ResponseCode": code,
				}},
			})
		}
	}
	return map[string]any{"CommandInvocations": found}, nil
}

func (s *SSM) parameter(body []byte) (any, *apiError) {
	var in struct{ Name string }
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, &apiError{"SerializationException", err.Error()}
	}
	value, ok := s.Parameters[in.Name]
	if !ok {
		return nil, &apiError{"ParameterNotFound", ""}
	}
	// PutParameter refuses such a value, so no parameter has it.
	if before, rest, found := strings.Cut(value, "{{"); found && strings.Contains(rest, "}}") {
		panic(fmt.Sprintf("a test keeps %q with a {{…}} behind %q, which Parameter Store refuses: amx.Pack it", in.Name, before))
	}
	return map[string]any{"Parameter": map[string]any{"Name": in.Name, "Value": value, "Version": 1}}, nil
}
