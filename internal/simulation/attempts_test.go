package simulation

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/cloudtest"
	"github.com/amx-lambda/amx/internal/runner"
)

// bring delivers a message until it is acknowledged, or nobody sends it again.
func (s *schedule) bring(name string, n news, delay time.Duration, sns bool) {
	time.Sleep(n.at + delay)
	pauses := []time.Duration{time.Second, 5 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute}
	sent := time.Duration(0)
	if sns {
		pauses = []time.Duration{time.Minute, 2 * time.Minute}
		sent = n.at
	}
	for i := 0; ; i++ {
		if s.attempt(fmt.Sprintf("%s/%d", name, i), s.message(n.group, sent, n.alerts...), sns) || i == len(pauses) {
			return
		}
		time.Sleep(pauses[i] + between(s.draw("pause", name, i), 0, time.Second))
	}
}

// attempt is the delivery of a message to a function, or a request to amx serve.
func (s *schedule) attempt(name string, m *amx.Message, sns bool) bool {
	return s.delivers(s.attemptOf(name, m), m, sns).acknowledged
}

func (s *schedule) delivers(a *attempt, m *amx.Message, sns bool) *attempt {
	src, limit := runner.Source{Waits: true, Within: runner.Within}, webhookTimeout
	switch {
	case sns:
		src, limit = runner.Source{}, timeout
	case s.bug.waits > 0:
		src.Within, limit = 0, s.bug.waits+time.Minute
	}
	s.invoke(a, limit, func(ctx context.Context, run *runner.Runner) runner.Answer { return run.Handle(ctx, m, src) })
	return a
}

// webhookTimeout is the timeout of the webhook's function.
const webhookTimeout = 9 * time.Second

// invoke is one invocation, of a function in a process of its own, or of amx serve.
func (s *schedule) invoke(a *attempt, limit time.Duration, handle func(context.Context, *runner.Runner) runner.Answer) {
	if s.shape.serve {
		p := s.serving()
		a.process = p.Name
		a.answer = handle(context.Background(), p.Runner)
		a.ended, a.acknowledged = time.Now(), a.answer.Err == nil && !p.Dead()
		s.note(a, p.Process)
		return
	}
	p := s.cloud.Process(a.name, s.fate)
	a.process = p.Name
	defer p.Kill()
	run := s.newRunner(p)
	skew := between(s.draw("skew", a.name), -500*time.Millisecond, 500*time.Millisecond)
	run.Now = func() time.Time { return time.Now().Add(skew) }
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	go func() {
		select {
		case <-p.Died():
			cancel()
		case <-ctx.Done():
		}
	}()
	a.answer = handle(ctx, run)
	a.ended = time.Now()
	switch {
	case p.Dead():
	case ctx.Err() != nil:
		s.violation("%s was not answered before its deadline", a.name)
	case p.Open() > 0:
		s.violation("%s was answered while %d of its calls were under way", a.name, p.Open())
	default:
		a.acknowledged = a.answer.Err == nil
	}
	s.note(a, p)
}

func (s *schedule) newRunner(p *cloudtest.Process) *runner.Runner {
	run := newRunner(p, s.config)
	table := s.bug.store(p.Table())
	if s.deployed(p.Name) {
		run.Config = func() *amx.Config { return s.changed }
		table = s.released(table)
	}
	if s.bug.config != nil && strings.HasPrefix(p.Name, "q") {
		c, err := amx.ParseConfig("amx.yaml", []byte(s.bug.config(s.shape.yaml())))
		if err != nil {
			panic(err)
		}
		run.Config = func() *amx.Config { return c }
	}
	run.MaxEntry = s.shape.room
	run.Store, run.Exec.Client, run.Queue = table, s.bug.client(p.SSM()), s.bug.queue(p.Queue())
	return run
}

// serving is amx serve, started again if it was killed. The lock on its ledger
// tells it that what others have claimed is nobody's.
func (s *schedule) serving() *server {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server == nil || s.server.Dead() {
		s.lives++
		p := s.cloud.Process(fmt.Sprintf("serve%d", s.lives), s.fate)
		s.server = &server{p, s.newRunner(p)}
		s.server.Runner.Process, s.server.Window = p.Name, 0
	}
	return s.server
}

func (s *schedule) note(a *attempt, p *cloudtest.Process) {
	s.mu.Lock()
	a.dead = p.Dead()
	s.attempts = append(s.attempts, a)
	s.mu.Unlock()
	s.cloud.Mu.Lock()
	defer s.cloud.Mu.Unlock()
	s.cloud.Note("%s: %s, dead %v", a.name, says(a.answer), p.Dead())
}
