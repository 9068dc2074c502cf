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
	Over        time.Time // when it ended on the last of its nodes; zero: it goes on
	shown       time.Time // and ListCommandInvocations
	invocations []*invocation
	Cancelled   bool
	CancelledBy string
	By          string // the process that sent it
	Foreign     bool   // somebody else sent it
}

type invocation struct {
	node, status, output string
	code                 int
	ended                time.Time     // zero: it goes on
	cancel               chan struct{} // closed when a cancellation reaches the node
	cancelled            bool
	passes               int
	deaf                 bool
}

// A Pass is one time that a node ran the command of a run. There is one for each
// run, but for a command that asks for another, and a node that lost its guards.
type Pass struct {
	Command        *Command
	Run, Node      string
	Started, Ended time.Time
	Code           int
	Killed         bool // by a cancellation
	Stopped        bool // by a signal
	Again          bool // the same command asked for it
	stop           chan struct{}
}

// Asks says that the command asked to be run again.
func (p *Pass) Asks() bool { return p.Code == asksAgain }

// Running says whether it has not ended.
func (p *Pass) Running() bool { return p.Ended.IsZero() }

// Failed says that it has ended, and not well.
func (cmd *Command) Failed() bool { return cmd.over() && cmd.status() != "Success" }

// ActiveAt says that SSM had taken the command by then, and that it was not over.
func (cmd *Command) ActiveAt(t time.Time) bool {
	return !cmd.Sent.After(t) && (cmd.Over.IsZero() || cmd.Over.After(t))
}

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
	for c.sleeps(c.untilBack(inv.node)) {
		select {
		case <-inv.cancel: // the agent hears of it when it is back, or soon after
			c.Mu.Lock()
			heard := inv.passes == 0 || !inv.deaf
			if heard {
				c.ends(cmd, inv, "Cancelled")
			}
			c.Mu.Unlock()
			if heard {
				return
			}
		default:
		}
		if !c.runs(cmd, inv) {
			return
		}
	}
}

func (c *Cloud) sleeps(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	select {
	case <-time.After(d):
		return true
	case <-c.gone:
		return false
	}
}

// runs is one pass of the command on a node. It says whether the agent goes on with
// it when the node is back.
func (c *Cloud) runs(cmd *Command, inv *invocation) (again bool) {
	c.Mu.Lock()
	p, lasts := c.begin(cmd, inv)
	if p == nil {
		c.ends(cmd, inv, inv.status)
		c.Mu.Unlock()
		return false
	}
	inv.passes++
	reboot := Reboot{}
	if c.Reboots != nil {
		reboot = c.Reboots(cmd, inv.node, inv.passes)
	}
	inv.deaf = reboot.Deaf
	if reboot.Asked {
		p.Code = asksAgain
	}
	var restarts <-chan time.Time
	if reboot.After > 0 {
		restarts = time.After(reboot.After)
	}
	stop, down := p.stop, c.down(inv.node)
	c.Mu.Unlock()
	cut := false
	select {
	case <-time.After(lasts):
	case <-restarts:
		cut = true
	case <-down: // for another command
		cut = true
	case <-c.gone:
		return false
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
	case cut: // the agent repeats the document, and the guard reports what was cut off
		p.Code = 1
		c.goesDown(inv.node, reboot.Away)
		return true
	case p.Killed:
		p.Code, status = 1, "Cancelled" // cut off: a second pass reports 1
	case p.Asks():
		c.goesDown(inv.node, reboot.Away)
		return true
	case p.Code != 0:
		status = "Failed"
	}
	inv.code = p.Code
	c.ends(cmd, inv, status)
	return false
}

// ends enters how the command ended on a node. The caller holds Mu.
func (c *Cloud) ends(cmd *Command, inv *invocation, status string) {
	inv.ended = time.Now()
	if inv.status = status; !cmd.over() {
		return
	}
	cmd.Over = time.Now()
	if c.Ended != nil {
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
	asked := p != nil && p.Command == cmd && !p.Running() && p.Asks()
	if p == nil || asked {
		lasts, code := time.Second, 0
		if c.Lasts != nil {
			lasts, code = c.Lasts(cmd, inv.node)
		}
		if c.Fails != nil && c.Fails(inv.node) {
			code = 1
		}
		p = &Pass{Command: cmd, Run: cmd.Run, Node: inv.node, Started: time.Now(), Code: code, Again: asked, stop: make(chan struct{})}
		c.guards[key] = p
		c.Passes = append(c.Passes, p)
		inv.status = "InProgress"
		c.Note("%s runs on %s", cmd.ID, inv.node)
		return p, lasts
	}
	if p.Running() || p.Asks() {
		inv.status, inv.output = "Success", "amx: runs here: "+p.Command.ID+"\n"
		return nil, 0
	}
	inv.status, inv.code, inv.output = "Success", p.Code, fmt.Sprintf("amx: already run here, exit %d\n", p.Code)
	if p.Code != 0 {
		inv.status = "Failed"
	}
	return nil, 0
}
