package simulation

import (
	"context"
	"fmt"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
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

// attempt is one invocation: of a function in a process of its own, or a request
// to amx serve.
func (s *schedule) attempt(name string, m *amx.Message, sns bool) bool {
	if s.shape.serve {
		p := s.serving()
		a := &attempt{name: name, process: p.name, sent: m.SentAt, alerts: m.Alerts, begun: time.Now()}
		a.answer = p.Handle(context.Background(), m, true)
		a.ended, a.acknowledged = time.Now(), a.answer.Err == nil && !p.isDead()
		s.note(a, p.process)
		return a.acknowledged
	}
	p := s.cloud.process(name, s.fate)
	defer p.kill()
	run := s.newRunner(p)
	skew := between(s.draw("skew", name), -500*time.Millisecond, 500*time.Millisecond)
	run.Now = func() time.Time { return time.Now().Add(skew) }
	a := &attempt{name: name, process: p.name, sent: m.SentAt, alerts: m.Alerts, begun: time.Now()}
	limit := 30 * time.Second
	if sns {
		limit = timeout
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	go func() {
		select {
		case <-p.dead:
			cancel()
		case <-ctx.Done():
		}
	}()
	a.answer = run.Handle(ctx, m, !sns)
	a.ended = time.Now()
	switch {
	case p.isDead():
	case ctx.Err() != nil:
		s.violation("%s was not answered before its deadline", name)
	case p.open() > 0:
		s.violation("%s was answered while %d of its calls were under way", name, p.open())
	default:
		a.acknowledged = a.answer.Err == nil
	}
	s.note(a, p)
	return a.acknowledged
}

func (s *schedule) newRunner(p *process) *runner.Runner {
	run := newRunner(p, s.config)
	run.Store, run.Exec.Client = s.bug.store(table{p}), s.bug.client(agent{p})
	return run
}

// serving is amx serve, started again if it was killed. The lock on its ledger
// tells it that what others have claimed is nobody's.
func (s *schedule) serving() *server {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server == nil || s.server.isDead() {
		s.lives++
		p := s.cloud.process(fmt.Sprintf("serve%d", s.lives), s.fate)
		s.server = &server{p, s.newRunner(p)}
		s.server.Process, s.server.Window = p.name, 0
	}
	return s.server
}

func (s *schedule) note(a *attempt, p *process) {
	s.mu.Lock()
	s.attempts = append(s.attempts, a)
	s.mu.Unlock()
	s.cloud.mu.Lock()
	defer s.cloud.mu.Unlock()
	s.cloud.note("%s: %s, dead %v", a.name, says(a.answer), p.isDead())
}
