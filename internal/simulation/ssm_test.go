package simulation

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"

	"github.com/amx-lambda/amx/internal/ssmexec"
)

// A request is what was sent, as a node reads it.
type request struct {
	token  ssmexec.Token // of the comment
	run    string        // of the script, which is what the guard goes by; of a document, that of the token
	bare   bool          // a document, which has no guard
	signal string        // it does not run the command but signals its process
	alerts []alertOf
	nodes  []string

	delivery time.Duration // how long its nodes may take to begin
}

type alertOf struct {
	fingerprint string
	start       string // whole Unix seconds, as the variable has them
}

// A command is one of SSM's.
type command struct {
	*request
	id          string
	comment     string
	sent        time.Time
	listed      time.Time // from then on ListCommands has it
	shown       time.Time // and ListCommandInvocations
	invocations []*invocation
	cancelled   bool
	cancelledBy string
	by          string // the process that sent it
}

type invocation struct {
	node, status, output string
	code                 int
	cancel               chan struct{} // closed when a cancellation reaches the node
	cancelled            bool
}

// A pass is the one time that a node ran the command of a run.
type pass struct {
	command        *command
	run, node      string
	started, ended time.Time
	code           int
	killed         bool // by a cancellation
	stopped        bool // by a signal
	stop           chan struct{}
}

func (p *pass) running() bool { return p.ended.IsZero() }

// agent is the process's way to SSM.
type agent struct{ *process }

func apiError(code string) error {
	return &smithy.GenericAPIError{Code: code, Message: "said the model"}
}

func parse(in *ssm.SendCommandInput) *request {
	r := &request{nodes: in.InstanceIds, delivery: time.Duration(aws.ToInt32(in.TimeoutSeconds)) * time.Second}
	r.token, _ = ssmexec.ParseToken(aws.ToString(in.Comment))
	if aws.ToString(in.DocumentName) != "AWS-RunShellScript" {
		r.run, r.bare = r.token.Run, true
		return r
	}
	value := func(line string) string {
		_, v, _ := strings.Cut(line, "=")
		return strings.Trim(v, "'")
	}
	for _, l := range in.Parameters["commands"] {
		switch {
		case strings.HasPrefix(l, "amx_run="):
			r.run = value(l)
		case strings.HasPrefix(l, "amx_signal="):
			r.signal = value(l)
		case strings.HasPrefix(l, "export AMX_ALERT_") && strings.Contains(l, "_FINGERPRINT="):
			r.alerts = append(r.alerts, alertOf{fingerprint: value(l)})
		case strings.HasPrefix(l, "export AMX_ALERT_") && strings.Contains(l, "_START="):
			r.alerts[len(r.alerts)-1].start = value(l)
		}
	}
	return r
}

func (a agent) SendCommand(ctx context.Context, in *ssm.SendCommandInput, _ ...func(*ssm.Options)) (*ssm.SendCommandOutput, error) {
	r := parse(in)
	var id string
	err := a.do(ctx, "SendCommand", fmt.Sprintf("%s %d %s%v", r.token.Entry, r.token.Chunk, r.signal, r.nodes[:min(1, len(r.nodes))]), func() error {
		if a.cloud.refuse != nil {
			if err := a.cloud.refuse(r); err != nil {
				return err
			}
		}
		id = a.cloud.send(r, aws.ToString(in.Comment), a.name)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ssm.SendCommandOutput{Command: &types.Command{CommandId: &id}}, nil
}

func (c *cloud) send(r *request, comment, by string) string {
	now := time.Now()
	cmd := &command{
		request: r, id: fmt.Sprintf(c.ids, len(c.commands)), comment: comment, by: by,
		sent: now, listed: now.Add(c.lag),
	}
	if c.lags != nil {
		cmd.listed = now.Add(c.lags(cmd))
	}
	if c.shows != nil {
		cmd.shown = now.Add(c.shows(cmd))
	}
	c.commands = append(c.commands, cmd)
	reach := time.Millisecond
	if c.reach != nil {
		reach = c.reach(cmd)
	}
	for i, n := range r.nodes {
		inv := &invocation{node: n, status: "Pending", cancel: make(chan struct{})}
		cmd.invocations = append(cmd.invocations, inv)
		go c.deliver(cmd, inv, reach+time.Duration(i)*time.Microsecond)
	}
	return cmd.id
}

// deliver is what a node's agent does with a command.
func (c *cloud) deliver(cmd *command, inv *invocation, reach time.Duration) {
	select {
	case <-time.After(reach):
	case <-time.After(cmd.delivery):
		c.mu.Lock()
		inv.status = "DeliveryTimedOut"
		c.mu.Unlock()
		return
	case <-c.gone:
		return
	case <-inv.cancel:
		c.mu.Lock()
		inv.status = "Cancelled"
		c.mu.Unlock()
		return
	}
	c.mu.Lock()
	p, lasts := c.begin(cmd, inv)
	if p == nil {
		c.mu.Unlock()
		return
	}
	stop := p.stop
	c.mu.Unlock()
	select {
	case <-time.After(lasts):
	case <-c.gone:
		return
	case <-inv.cancel:
		p.killed = true
	case <-stop:
		p.code, p.stopped = 143, true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p.ended = time.Now()
	switch {
	case p.killed:
		p.code, inv.status = 1, "Cancelled" // cut off: a second pass reports 1
	case p.code != 0:
		inv.status = "Failed"
	default:
		inv.status = "Success"
	}
	inv.code = p.code
}

// begin is the guard: one pass for each run and node. A document has none.
func (c *cloud) begin(cmd *command, inv *invocation) (*pass, time.Duration) {
	key := inv.node + " " + cmd.run
	if cmd.bare {
		key += " " + cmd.id
	}
	p := c.guards[key]
	if cmd.signal != "" {
		inv.status = "Success"
		switch {
		case p == nil:
			c.guards[key] = &pass{command: cmd, run: cmd.run, node: inv.node, started: time.Now(), ended: time.Now(), code: 143}
		case p.running() && p.stop != nil:
			close(p.stop)
			p.stop = nil
		}
		return nil, 0
	}
	if p == nil {
		lasts, code := time.Second, 0
		if c.lasts != nil {
			lasts, code = c.lasts(cmd, inv.node)
		}
		if c.fails != nil && c.fails(inv.node) {
			code = 1
		}
		p = &pass{command: cmd, run: cmd.run, node: inv.node, started: time.Now(), code: code, stop: make(chan struct{})}
		c.guards[key] = p
		c.passes = append(c.passes, p)
		inv.status = "InProgress"
		c.note("%s runs on %s", cmd.id, inv.node)
		return p, lasts
	}
	if p.running() {
		inv.status, inv.output = "Success", "amx: runs here: "+p.command.id+"\n"
		return nil, 0
	}
	inv.status, inv.code, inv.output = "Success", p.code, fmt.Sprintf("amx: already run here, exit %d\n", p.code)
	if p.code != 0 {
		inv.status = "Failed"
	}
	return nil, 0
}

func (c *cloud) find(id string) *command {
	for _, cmd := range c.commands {
		if cmd.id == id {
			return cmd
		}
	}
	return nil
}

func (cmd *command) over() bool {
	return !slices.ContainsFunc(cmd.invocations, func(i *invocation) bool { return !ssmexec.Terminal(i.status) })
}

func (cmd *command) status() string {
	for _, i := range cmd.invocations {
		if !ssmexec.Terminal(i.status) {
			return "InProgress"
		}
	}
	for _, i := range cmd.invocations {
		if i.status != "Success" {
			return i.status
		}
	}
	return "Success"
}

func (a agent) CancelCommand(ctx context.Context, in *ssm.CancelCommandInput, _ ...func(*ssm.Options)) (*ssm.CancelCommandOutput, error) {
	err := a.do(ctx, "CancelCommand", *in.CommandId, func() error {
		cmd := a.cloud.find(*in.CommandId)
		switch {
		case cmd == nil:
			return apiError("InvalidCommandId")
		case cmd.over():
			return apiError("InvalidCommandId") // which of the two SSM does is not documented
		case len(in.InstanceIds) == 0:
			cmd.cancelled, cmd.cancelledBy = true, a.name
		}
		for _, inv := range cmd.invocations {
			// A node that is gone may hear of it when it comes back.
			if inv.cancelled || len(in.InstanceIds) > 0 && (!slices.Contains(in.InstanceIds, inv.node) || a.cloud.refuse != nil) {
				continue
			}
			inv.cancelled = true
			obeys := time.Millisecond
			if a.cloud.obeys != nil {
				obeys = a.cloud.obeys(cmd)
			}
			time.AfterFunc(obeys, func() { close(inv.cancel) })
		}
		return nil
	})
	return &ssm.CancelCommandOutput{}, err
}

func (a agent) ListCommands(ctx context.Context, in *ssm.ListCommandsInput, _ ...func(*ssm.Options)) (*ssm.ListCommandsOutput, error) {
	times := map[types.CommandFilterKey]time.Time{}
	about := aws.ToString(in.CommandId)
	for _, f := range in.Filters {
		times[f.Key], _ = time.Parse(time.RFC3339, aws.ToString(f.Value))
		about += aws.ToString(f.Value)
	}
	after, before := times[types.CommandFilterKeyInvokedAfter], times[types.CommandFilterKeyInvokedBefore]
	out := &ssm.ListCommandsOutput{}
	err := a.do(ctx, "ListCommands", about+" "+aws.ToString(in.NextToken), func() error {
		out = &ssm.ListCommandsOutput{}
		from, n := 0, 0
		if in.NextToken != nil {
			_, _ = fmt.Sscan(*in.NextToken, &from)
		}
		for _, cmd := range a.cloud.commands[from:] {
			from++
			if time.Now().Before(cmd.listed) || cmd.sent.Before(after) || !before.IsZero() && cmd.sent.After(before) || in.CommandId != nil && *in.CommandId != cmd.id {
				continue
			}
			out.Commands = append(out.Commands, types.Command{
				CommandId: aws.String(cmd.id), Comment: aws.String(cmd.comment), StatusDetails: aws.String(cmd.status()), InstanceIds: cmd.nodes,
			})
			if n++; n == a.cloud.page {
				out.NextToken = aws.String(fmt.Sprint(from))
				break
			}
		}
		return nil
	})
	return out, err
}

func (a agent) ListCommandInvocations(ctx context.Context, in *ssm.ListCommandInvocationsInput, _ ...func(*ssm.Options)) (*ssm.ListCommandInvocationsOutput, error) {
	out := &ssm.ListCommandInvocationsOutput{}
	err := a.do(ctx, "ListCommandInvocations", *in.CommandId, func() error {
		out = &ssm.ListCommandInvocationsOutput{}
		cmd := a.cloud.find(*in.CommandId)
		if cmd == nil || time.Now().Before(cmd.shown) { // this list may lag too
			return nil
		}
		for _, i := range cmd.invocations {
			out.CommandInvocations = append(out.CommandInvocations, types.CommandInvocation{
				CommandId: aws.String(cmd.id), InstanceId: aws.String(i.node), StatusDetails: aws.String(i.status),
				CommandPlugins: []types.CommandPlugin{{Output: aws.String(i.output), ResponseCode: int32(i.code)}},
			})
		}
		return nil
	})
	return out, err
}

func (a agent) DescribeInstanceInformation(context.Context, *ssm.DescribeInstanceInformationInput, ...func(*ssm.Options)) (*ssm.DescribeInstanceInformationOutput, error) {
	return nil, apiError("AccessDeniedException") // no command here names nodes by their address
}
