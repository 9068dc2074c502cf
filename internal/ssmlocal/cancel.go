package ssmlocal

import "fmt"

func (s *Server) cancelCommand(req *cancelCommandRequest) (*cancelCommandResponse, error) {
	var v violations
	v.required("commandId", req.CommandId)
	v.length("commandId", req.CommandId, 36, 36)
	v.instanceIDs("instanceIds", req.InstanceIds)
	if err := v.err(); err != nil {
		return nil, err
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.commands[*req.CommandId]
	if c == nil {
		return nil, &apiError{"InvalidCommandId", fmt.Sprintf("Command %s does not exist.", *req.CommandId)}
	}
	invocations := c.invocations
	if len(req.InstanceIds) > 0 {
		nodes, err := s.known(req.InstanceIds)
		if err != nil {
			return nil, err
		}
		invocations = nil
		for _, n := range nodes {
			inv := c.invocation(n)
			if inv == nil {
				return nil, &apiError{"InvalidInstanceId", fmt.Sprintf("Command %s was not sent to %s.", c.id, n)}
			}
			invocations = append(invocations, inv)
		}
	}
	for _, inv := range invocations {
		if isAgent(inv.node) {
			s.askCancel(inv)
		} else {
			s.cancel(inv)
		}
	}
	return &cancelCommandResponse{}, nil
}

// cancel ends inv as Cancelled and kills its process group. An invocation that is over
// stays as it is. Server.mu is held. The process's own end also takes that lock: one of
// the two comes first, and the other finds the invocation over.
func (s *Server) cancel(inv *invocation) {
	if inv.over() {
		return
	}
	code := -1
	if inv.passes > 0 {
		code = exitTimedOut
	}
	s.stop(inv.run)
	s.end(inv, outcome{status: statusCancelled, details: statusCancelled, code: code})
}
