package ssmlocal

import (
	"slices"
	"time"
)

// dispatch sends a command to as many nodes as MaxConcurrency allows. After too many
// errors, or while an alarm is on, the other nodes end as Terminated. (AWS does not
// document their status after an alarm.) Server.mu is held.
func (s *Server) dispatch(c *command) {
	if s.closed {
		return
	}
	stopped := s.stopped(c)
	for _, inv := range c.invocations {
		switch {
		case inv.delivered || inv.over():
		case stopped:
			s.settle(inv, outcome{status: statusFailed, details: detailsTerminated, code: -1})
		case s.o.Now().After(c.expiresAfter()):
			s.settle(inv, outcome{status: statusTimedOut, details: detailsDeliveryTimedOut, code: -1})
		case c.active() >= c.maxConcurrency():
			return
		default:
			s.deliver(inv)
		}
	}
}

// active returns on how many nodes the command is now.
func (c *command) active() (n int) {
	for _, inv := range c.invocations {
		if inv.delivered && !inv.over() {
			n++
		}
	}
	return n
}

// deliver sends inv to its node. Server.mu is held.
func (s *Server) deliver(inv *invocation) {
	inv.delivered = true
	if isAgent(inv.node) {
		s.post(message{inv: inv})
		return
	}
	s.running.Go(func() { s.runPass(inv) })
}

// stopped reports whether SSM sends a command to no further node, and notes the alarms
// that caused this. Server.mu is held.
func (s *Server) stopped(c *command) bool {
	if a := c.request.AlarmConfiguration; a != nil {
		for _, alarm := range a.Alarms {
			if name := deref(alarm.Name); s.alarms[name] && !slices.Contains(c.triggered, name) {
				c.triggered = append(c.triggered, name)
			}
		}
	}
	n := c.count()
	return len(c.triggered) > 0 || n.failed+n.executionTimedOut > c.maxErrors(len(c.invocations))
}

// SetAlarm turns a CloudWatch alarm on or off. A command that names it in its
// AlarmConfiguration goes to no further node once it was on.
func (s *Server) SetAlarm(name string, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.alarms[name] = on
	for _, c := range s.order {
		if on && c.request.AlarmConfiguration != nil && !c.over() {
			s.dispatch(c)
		}
	}
}

// armExpiry starts the timer for expire. Server.mu is held.
func (s *Server) armExpiry(c *command) {
	for _, inv := range c.invocations {
		if isAgent(inv.node) && !inv.over() {
			c.expiry = time.AfterFunc(c.expiresAfter().Sub(s.o.Now()), func() { s.expire(c) })
			return
		}
	}
}

// expire ends the invocations that have not ended at ExpiresAfter. A document that runs
// goes on, but nobody hears of it any more. AWS does not document the status of a
// cancellation that the agent did not answer.
func (s *Server) expire(c *command) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, inv := range c.invocations {
		switch {
		case inv.over() || !isAgent(inv.node):
		case inv.status == statusCancelling:
			s.end(inv, outcome{status: statusCancelled, details: statusCancelled, code: -1})
		default:
			s.end(inv, outcome{status: statusTimedOut, details: detailsDeliveryTimedOut, code: -1})
		}
	}
}
