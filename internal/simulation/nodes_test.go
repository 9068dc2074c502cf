package simulation

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/amx-lambda/amx/internal/cloudtest"
	"github.com/amx-lambda/amx/internal/ssmexec"
)

// drawNodes draws what becomes of nodes.
func (s *schedule) drawNodes() {
	r := s.draw("nodes")
	s.shape.reboots, s.shape.forgets = r.IntN(8) == 0, r.IntN(10) == 0
}

// nodes has nodes restart, as long as the faults last.
func (s *schedule) nodes() {
	if s.shape.reboots {
		s.cloud.Reboots = s.reboots
	}
	if !s.shape.forgets {
		return
	}
	r := s.draw("forgets")
	for range 1 + r.IntN(3) {
		h := s.alerts[r.IntN(len(s.alerts))]
		at := between(r, time.Second, 20*time.Minute)
		go func() {
			if s.sleeps(at) {
				s.cloud.Forgets(nodeOf(h.name))
			}
		}()
	}
}

func (s *schedule) reboots(c *cloudtest.Command, node string, pass int) (b cloudtest.Reboot) {
	r := s.draw("reboots", c.ID, node, pass)
	if s.calm.Load() || s.shape.chunked && r.IntN(20) > 0 {
		return b
	}
	switch r.IntN(4) {
	case 0:
		b.Asked = pass < 3
	case 1:
		b.After = between(r, 10*time.Millisecond, 2*time.Minute)
	}
	b.Away, b.Deaf = between(r, 10*time.Second, 3*time.Minute), r.IntN(2) == 0
	return b
}

// sameAgain says that a pass of a run is no second effect: its command asked for it,
// or the node had lost what it knew of the one before.
func (s *schedule) sameAgain(before, p *cloudtest.Pass) bool {
	return before.Run == p.Run && (p.Again || s.cloud.LostBetween(p.Node, before.Started, p.Started))
}

// follows says that another pass of the run was its last on that node.
func (s *schedule) follows(r *run, p *cloudtest.Pass) bool {
	return slices.ContainsFunc(r.passes, func(o *cloudtest.Pass) bool {
		return o != p && o.Node == p.Node && o.Started.After(p.Started) && s.sameAgain(p, o)
	})
}

// Bugs of what a node says of a run.
var bugsOfNodes = []bug{
	{
		name: "a command that runs elsewhere is not heeded", from: 23, agents: func(a cloudtest.SSM) ssmexec.Client { return hidesOwners{a} },
		shape: railed(func(s *shape) { s.reboots, s.serve, s.rails = true, false, rails{} }),
	},
}

// hidesOwners shows nothing of what a command wrote.
type hidesOwners struct{ cloudtest.SSM }

func (a hidesOwners) ListCommandInvocations(ctx context.Context, in *ssm.ListCommandInvocationsInput, o ...func(*ssm.Options)) (*ssm.ListCommandInvocationsOutput, error) {
	out, err := a.SSM.ListCommandInvocations(ctx, in, o...)
	if err != nil {
		return nil, err
	}
	for i := range out.CommandInvocations {
		for j := range out.CommandInvocations[i].CommandPlugins {
			out.CommandInvocations[i].CommandPlugins[j].Output = nil
		}
	}
	return out, nil
}
