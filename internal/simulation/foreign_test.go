package simulation

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/amx-lambda/amx/internal/cloudtest"
	"github.com/amx-lambda/amx/internal/ssmexec"
)

// others has others send commands for as long as the faults last: people, and an amx
// with the same configuration, whose entries have the same IDs.
func (s *schedule) others() {
	r := s.draw("others")
	for i := range 10 + r.IntN(40) {
		at, lasts := between(r, 0, 30*time.Minute), between(r, time.Second, 6*time.Hour)
		kind := r.IntN(4)
		go func() {
			if s.sleeps(at) {
				s.cloud.SendForeign(s.comment(kind, i), lasts)
			}
		}()
	}
}

// comment is one of somebody else's commands.
func (s *schedule) comment(kind, i int) string {
	s.cloud.Mu.Lock()
	defer s.cloud.Mu.Unlock()
	ours := slices.DeleteFunc(slices.Clone(s.cloud.Commands), func(c *cloudtest.Command) bool { return c.Foreign || c.Signal != "" })
	switch {
	case kind == 0:
		return "patching"
	case kind == 1:
		return "amx is stopped for the patching"
	case len(ours) == 0:
		return ""
	}
	t := ours[i%len(ours)].Token
	run, err := ssmexec.NewRunID(time.Now(), strings.NewReader(fmt.Sprintf("somebody %30d", i)))
	if err != nil {
		panic(err)
	}
	t.Run = run
	return t.String()
}

// nobodyElsesIsTouched: amx cancels only what it sent.
func (s *schedule) nobodyElsesIsTouched() {
	for _, c := range s.cloud.Commands {
		if c.Foreign && c.Cancelled {
			s.violation("%s, %q, was cancelled by %s, and is not amx's", c.ID, c.Comment, c.CancelledBy)
		}
	}
}

// Bugs of who sent what.
var bugsOfOthers = []bug{{
	name: "a command of another amx is taken for one's own", agents: func(a cloudtest.SSM) ssmexec.Client { return takesOthers{a} },
	shape: func(s *shape) { s.foreign, s.serve, s.ignore, s.term, s.calm = true, false, false, false, false },
}}

// takesOthers shows a command of another amx as one of the latest run of its entry.
type takesOthers struct{ cloudtest.SSM }

func (a takesOthers) ListCommands(ctx context.Context, in *ssm.ListCommandsInput, o ...func(*ssm.Options)) (*ssm.ListCommandsOutput, error) {
	out, err := a.SSM.ListCommands(ctx, in, o...)
	if err != nil {
		return nil, err
	}
	a.Cloud.Mu.Lock()
	defer a.Cloud.Mu.Unlock()
	for i, listed := range out.Commands {
		t, ok := ssmexec.ParseToken(aws.ToString(listed.Comment))
		if c := a.Cloud.Find(aws.ToString(listed.CommandId)); !ok || !c.Foreign {
			continue
		}
		for _, c := range a.Cloud.Commands {
			if !c.Foreign && c.Token.Entry == t.Entry {
				out.Commands[i].Comment = aws.String(c.Comment)
			}
		}
	}
	return out, nil
}
