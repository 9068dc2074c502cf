package cloudtest

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/amx-lambda/amx/internal/ssmexec"
)

// A Request is what was sent, as a node reads it.
type Request struct {
	Token  ssmexec.Token // of the comment
	Run    string        // of the script, which is what the guard goes by; of a document, that of the token
	bare   bool          // a document, which has no guard
	Signal string        // it does not run the command but signals its process
	Alerts []Alert
	Nodes  []string

	delivery time.Duration // how long its nodes may take to begin
}

// An Alert is one of a command's, as its variables have it.
type Alert struct {
	Fingerprint string
	Start       string // whole Unix seconds, as the variable has them
}

// At is when it began.
func (a Alert) At() time.Time {
	n, _ := strconv.ParseInt(a.Start, 10, 64)
	return time.Unix(n, 0)
}

// A Command is one of SSM's.
type Command struct {
	*Request
	ID          string
	Comment     string
	Sent        time.Time
	Listed      time.Time // from then on ListCommands has it
	shown       time.Time // and ListCommandInvocations
	invocations []*invocation
	Cancelled   bool
	CancelledBy string
	By          string // the process that sent it
}

type invocation struct {
	node, status, output string
	code                 int
	cancel               chan struct{} // closed when a cancellation reaches the node
	cancelled            bool
}

// A Pass is the one time that a node ran the command of a run.
type Pass struct {
	Command        *Command
	Run, Node      string
	Started, Ended time.Time
	Code           int
	Killed         bool // by a cancellation
	Stopped        bool // by a signal
	stop           chan struct{}
}

// Running says whether it has not ended.
func (p *Pass) Running() bool { return p.Ended.IsZero() }

// Parse reads a request as a node does: from its comment and its script.
func Parse(in *ssm.SendCommandInput) *Request {
	r := &Request{Nodes: in.InstanceIds, delivery: time.Duration(aws.ToInt32(in.TimeoutSeconds)) * time.Second}
	r.Token, _ = ssmexec.ParseToken(aws.ToString(in.Comment))
	if aws.ToString(in.DocumentName) != "AWS-RunShellScript" {
		r.Run, r.bare = r.Token.Run, true
		return r
	}
	value := func(line string) string {
		_, v, _ := strings.Cut(line, "=")
		return strings.Trim(v, "'")
	}
	for _, l := range in.Parameters["commands"] {
		switch {
		case strings.HasPrefix(l, "amx_run="):
			r.Run = value(l)
		case strings.HasPrefix(l, "amx_signal="):
			r.Signal = value(l)
		case strings.HasPrefix(l, "export AMX_ALERT_") && strings.Contains(l, "_FINGERPRINT="):
			r.Alerts = append(r.Alerts, Alert{Fingerprint: value(l)})
		case strings.HasPrefix(l, "export AMX_ALERT_") && strings.Contains(l, "_START="):
			r.Alerts[len(r.Alerts)-1].Start = value(l)
		}
	}
	return r
}

func (c *Cloud) send(r *Request, comment, by string) string {
	now := time.Now()
	cmd := &Command{
		Request: r, ID: fmt.Sprintf(c.IDs, len(c.Commands)), Comment: comment, By: by,
		Sent: now, Listed: now.Add(c.Lag),
	}
	if c.Lags != nil {
		cmd.Listed = now.Add(c.Lags(cmd))
	}
	if c.Shows != nil {
		cmd.shown = now.Add(c.Shows(cmd))
	}
	c.Commands = append(c.Commands, cmd)
	reach := time.Millisecond
	if c.Reach != nil {
		reach = c.Reach(cmd)
	}
	for i, n := range r.Nodes {
		inv := &invocation{node: n, status: "Pending", cancel: make(chan struct{})}
		cmd.invocations = append(cmd.invocations, inv)
		go c.deliver(cmd, inv, reach+time.Duration(i)*time.Microsecond)
	}
	return cmd.ID
}

// deliver is what a node's agent does with a command.
func (c *Cloud) deliver(cmd *Command, inv *invocation, reach time.Duration) {
	select {
	case <-time.After(reach):
	case <-time.After(cmd.delivery):
		c.Mu.Lock()
		c.ends(cmd, inv, "DeliveryTimedOut")
		c.Mu.Unlock()
		return
	case <-c.gone:
		return
	case <-inv.cancel:
		c.Mu.Lock()
		c.ends(cmd, inv, "Cancelled")
		c.Mu.Unlock()
		return
	}
	c.Mu.Lock()
	p, lasts := c.begin(cmd, inv)
	if p == nil {
		c.ends(cmd, inv, inv.status)
		c.Mu.Unlock()
		return
	}
	stop := p.stop
	c.Mu.Unlock()
	select {
	case <-time.After(lasts):
	case <-c.gone:
		return
	case <-inv.cancel:
		p.Killed = true
	case <-stop:
		p.Code, p.Stopped = 143, true
	}
	c.Mu.Lock()
	defer c.Mu.Unlock()
	p.Ended = time.Now()
	status := "Success"
	switch {
	case p.Killed:
		p.Code, status = 1, "Cancelled" // cut off: a second pass reports 1
	case p.Code != 0:
		status = "Failed"
	}
	inv.code = p.Code
	c.ends(cmd, inv, status)
}

// ends enters how the command ended on a node. The caller holds Mu.
func (c *Cloud) ends(cmd *Command, inv *invocation, status string) {
	inv.status = status
	if c.Ended != nil && cmd.over() {
		c.Ended(cmd)
	}
}

// begin is the guard: one pass for each run and node. A document has none.
func (c *Cloud) begin(cmd *Command, inv *invocation) (*Pass, time.Duration) {
	key := inv.node + " " + cmd.Run
	if cmd.bare {
		key += " " + cmd.ID
	}
	p := c.guards[key]
	if cmd.Signal != "" {
		inv.status = "Success"
		switch {
		case p == nil:
			c.guards[key] = &Pass{Command: cmd, Run: cmd.Run, Node: inv.node, Started: time.Now(), Ended: time.Now(), Code: 143}
		case p.Running() && p.stop != nil:
			close(p.stop)
			p.stop = nil
		}
		return nil, 0
	}
	if p == nil {
		lasts, code := time.Second, 0
		if c.Lasts != nil {
			lasts, code = c.Lasts(cmd, inv.node)
		}
		if c.Fails != nil && c.Fails(inv.node) {
			code = 1
		}
		p = &Pass{Command: cmd, Run: cmd.Run, Node: inv.node, Started: time.Now(), Code: code, stop: make(chan struct{})}
		c.guards[key] = p
		c.Passes = append(c.Passes, p)
		inv.status = "InProgress"
		c.Note("%s runs on %s", cmd.ID, inv.node)
		return p, lasts
	}
	if p.Running() {
		inv.status, inv.output = "Success", "amx: runs here: "+p.Command.ID+"\n"
		return nil, 0
	}
	inv.status, inv.code, inv.output = "Success", p.Code, fmt.Sprintf("amx: already run here, exit %d\n", p.Code)
	if p.Code != 0 {
		inv.status = "Failed"
	}
	return nil, 0
}
