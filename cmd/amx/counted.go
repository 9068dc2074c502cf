package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/amx-lambda/amx/internal/ssmexec"
)

// counted is a client that counts the commands that it sends and cancels.
type counted struct {
	ssmexec.Client
	m *metrics
}

func (c counted) SendCommand(ctx context.Context, in *ssm.SendCommandInput, opts ...func(*ssm.Options)) (*ssm.SendCommandOutput, error) {
	comment := aws.ToString(in.Comment)
	if t, _, ok := ssmexec.ParseSignal(comment); ok {
		goesOn := c.m.goesOn(func(_ string, r running) bool { return r.run == t.Run })
		out, err := c.Client.SendCommand(ctx, in, opts...)
		c.m.signal(goesOn, err)
		return out, err
	}
	begun := time.Now()
	defer c.m.hold()()
	out, err := c.Client.SendCommand(ctx, in, opts...)
	if err == nil {
		t, _ := ssmexec.ParseToken(comment)
		c.m.sent(*out.Command.CommandId, running{begun: begun, run: t.Run, command: t.Command})
	}
	return out, err
}

func (c counted) CancelCommand(ctx context.Context, in *ssm.CancelCommandInput, opts ...func(*ssm.Options)) (*ssm.CancelCommandOutput, error) {
	goesOn := c.m.goesOn(func(id string, _ running) bool { return id == aws.ToString(in.CommandId) })
	out, err := c.Client.CancelCommand(ctx, in, opts...)
	c.m.signal(goesOn, err)
	return out, err
}

// running is a command that has been sent and has not ended.
type running struct {
	begun   time.Time
	run     string // the run's ID
	command string // its name, as far as SSM's comment has it
}

// goingOn is the run IDs of the commands that run now, each with the command's name
// after it, sorted: the oldest first.
func (m *metrics) goingOn() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := []string{}
	for _, r := range m.running {
		all = append(all, r.run+" "+r.command)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// commands is the IDs of the commands that run now.
func (m *metrics) commands() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.running))
}

// goesOn says whether a command that is still goes on.
func (m *metrics) goesOn(is func(commandID string, r running) bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, r := range m.running {
		if is(id, r) {
			return true
		}
	}
	return false
}

// signal counts a signal to a command. A resolve is also handed to one that has
// ended by itself, of which the ledger does not know yet: nothing is signalled.
func (m *metrics) signal(goesOn bool, err error) {
	switch {
	case !goesOn:
	case err != nil:
		m.signalled.WithLabelValues("fail").Inc()
	default:
		m.signalled.WithLabelValues("ok").Inc()
	}
}

// hold keeps in mind which commands end, until release is called: SSM's answer that
// one of them was sent can still come.
func (m *metrics) hold() (release func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held++
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.held--; m.held == 0 {
			clear(m.ended)
		}
	}
}

// sent counts a command that has been sent, and maybe has ended already.
func (m *metrics) sent(id string, r running) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ended[id] {
		m.duration.Observe(time.Since(r.begun).Seconds())
		return
	}
	m.running[id] = r
	m.current.Inc()
}

// adopt counts the runs that an earlier process has sent and that go on.
func (m *metrics) adopt(ctx context.Context, client ssm.ListCommandsAPIClient) error {
	pages := ssm.NewListCommandsPaginator(client, &ssm.ListCommandsInput{
		Filters: []types.CommandFilter{{Key: types.CommandFilterKeyExecutionStage, Value: aws.String("Executing")}},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("ListCommands: %w", err)
		}
		for _, c := range page.Commands {
			if t, ok := ssmexec.ParseToken(aws.ToString(c.Comment)); ok {
				m.sent(*c.CommandId, running{begun: *c.RequestedDateTime, run: t.Run, command: t.Command})
			}
		}
	}
	return nil
}

// end counts a command that has ended, maybe before SendCommand has answered.
func (m *metrics) end(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, known := m.running[id]
	if !known {
		if m.held > 0 {
			m.ended[id] = true
		}
		return
	}
	delete(m.running, id)
	m.current.Dec()
	m.duration.Observe(time.Since(r.begun).Seconds())
}
