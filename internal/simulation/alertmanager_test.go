package simulation

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/cloudtest"
)

// An alertmanager is the source as it is: it flushes a group in one sequence, tries
// one notification for as long as group_interval, enters a group in its log after a
// 2xx alone, and sends a resolve only for what its log has as fired.
// https://github.com/prometheus/alertmanager: dispatch/dispatch.go, notify/notify.go
type alertmanager struct {
	*schedule
	name      string
	position  int // in its cluster
	peers     []*alertmanager
	group     string
	alerts    []*history
	wait      time.Duration // group_wait
	interval  time.Duration // group_interval
	repeat    time.Duration // repeat_interval
	receivers []receiver
	apart     [2]time.Duration // from when to when its cluster is divided

	mu      *sync.Mutex
	log     map[string]logged        // :: receiver → the last notification
	deleted map[string]time.Duration // :: alert → the end of the resolve that was flushed
}

type receiver struct {
	name string
	sns  bool
}

// logged is an entry of the notification log.
type logged struct {
	at               time.Time
	firing, resolved map[string]bool
}

// cluster is the Alertmanagers of a group: one, or a pair that has one log as long
// as it is not divided.
func (s *schedule) cluster(group string, alerts []*history) (all []*alertmanager) {
	r := s.draw("alertmanager", group)
	receivers := []receiver{{"webhook", false}}
	switch n := r.IntN(4); {
	case n == 0 || s.shape.untimed != "":
		receivers[0] = receiver{"sns", true}
	case n == 1:
		receivers = append(receivers, receiver{"sns", true}) // continue: true
	}
	m := alertmanager{
		schedule: s, group: group, alerts: alerts, receivers: receivers,
		wait:     between(r, 0, 30*time.Second),
		interval: []time.Duration{10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute}[r.IntN(4)],
		repeat:   []time.Duration{5 * time.Minute, 30 * time.Minute, 4 * time.Hour}[r.IntN(3)],
	}
	if r.IntN(2) == 0 {
		from := between(r, 0, 10*time.Minute)
		m.apart = [2]time.Duration{from, from + between(r, time.Second, 10*time.Minute)}
	}
	for i := range 1 + btoi(s.shape.cluster) {
		one := m
		one.name, one.position = fmt.Sprint(group, "-am", i), i
		one.mu, one.log, one.deleted = &sync.Mutex{}, map[string]logged{}, map[string]time.Duration{}
		all = append(all, &one)
	}
	for _, one := range all {
		one.peers = all
	}
	return all
}

// run flushes the group for as long as it has alerts.
func (m *alertmanager) run() {
	last := time.Duration(0)
	for _, h := range m.alerts {
		last = max(last, h.episodes[len(h.episodes)-1].end)
	}
	phase := between(m.draw("phase", m.name), 0, 2*time.Second)
	for n := 0; ; {
		now := time.Since(m.origin)
		if now > last+time.Hour {
			return // amx has answered none of its resolves 2xx
		}
		if len(m.view(now)) == 0 { // the group is gone
			if now > last {
				return
			}
			time.Sleep(time.Second)
			if len(m.view(time.Since(m.origin))) > 0 {
				time.Sleep(m.wait + phase)
			}
			continue
		}
		next := now + m.interval
		m.flush(n)
		n++
		time.Sleep(time.Until(m.origin.Add(next)))
	}
}

// view is the alerts of the group at a time: the latest that is known of each,
// without the resolved ones that were flushed.
func (m *alertmanager) view(now time.Duration) (alerts amx.Alerts) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, h := range m.alerts {
		var latest *episode
		for i := range h.episodes {
			if h.episodes[i].start <= now {
				latest = &h.episodes[i]
			}
		}
		switch {
		case latest == nil:
		case now < latest.end:
			alerts = append(alerts, h.fires(m.origin, *latest))
		case m.deleted[h.name] < latest.end:
			alerts = append(alerts, h.resolves(m.origin, *latest))
		}
	}
	return alerts
}

func (m *alertmanager) flush(n int) {
	begun := time.Since(m.origin)
	alerts := m.view(begun)
	ctx, cancel := context.WithTimeout(context.Background(), m.interval+m.waits())
	defer cancel()
	var all sync.WaitGroup
	ok := make([]bool, len(m.receivers))
	for i, to := range m.receivers {
		all.Go(func() { ok[i] = m.notify(ctx, to, fmt.Sprintf("%s.%s.%d", m.name, to.name, n), alerts) })
	}
	all.Wait()
	if slices.Contains(ok, false) {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range alerts.Resolved() {
		m.deleted[a.Fingerprint] = a.EndsAt.Sub(m.origin) - m.skewOf(a.Fingerprint)
	}
}

// waits is peer_timeout: the first of the cluster may bring it meanwhile.
func (m *alertmanager) waits() time.Duration { return time.Duration(m.position) * 15 * time.Second }

func (m *alertmanager) skewOf(name string) time.Duration {
	return m.alerts[slices.IndexFunc(m.alerts, func(h *history) bool { return h.name == name })].skew
}

// notify brings the alerts to a receiver, if the log says that it has to hear of
// them. It answers whether nothing is left to be brought.
func (m *alertmanager) notify(ctx context.Context, to receiver, name string, alerts amx.Alerts) bool {
	time.Sleep(m.waits())
	is := logged{at: time.Now(), firing: set(alerts.Firing()), resolved: set(alerts.Resolved())}
	if !m.due(to, is) {
		return true
	}
	deadline, _ := ctx.Deadline()
	for i, pause := 0, 500*time.Millisecond; ; i, pause = i+1, min(pause*3/2, time.Minute) {
		if m.tries(ctx, to, fmt.Sprintf("%s/%d", name, i), i == 0, alerts) {
			break
		}
		if time.Until(deadline) <= pause {
			return false
		}
		time.Sleep(pause)
	}
	m.enter(to, is)
	return true
}

func set(alerts amx.Alerts) map[string]bool {
	all := map[string]bool{}
	for _, a := range alerts {
		all[a.Fingerprint] = true
	}
	return all
}

// due is Alertmanager's needsUpdate.
func (m *alertmanager) due(to receiver, is logged) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	was, known := m.log[to.name]
	within := func(a, b map[string]bool) bool {
		for k := range a {
			if !b[k] {
				return false
			}
		}
		return true
	}
	switch {
	case !known:
		return len(is.firing) > 0
	case !within(is.firing, was.firing):
		return true
	case len(is.firing) == 0:
		return len(was.firing) > 0
	case !within(is.resolved, was.resolved):
		return true
	}
	return is.at.Sub(was.at) > m.repeat
}

// enter enters a notification in the log, and in those of the peers that hear of it.
func (m *alertmanager) enter(to receiver, is logged) {
	now := time.Since(m.origin)
	for _, p := range m.peers {
		if p != m && m.apart[0] <= now && now < m.apart[1] {
			continue
		}
		p.mu.Lock()
		p.log[to.name] = logged{is.at, maps.Clone(is.firing), maps.Clone(is.resolved)}
		p.mu.Unlock()
	}
}

// tries is one request, and says whether its answer was 2xx, and came in time. A
// topic takes whatever it is given.
func (m *alertmanager) tries(ctx context.Context, to receiver, name string, first bool, alerts amx.Alerts) bool {
	r := m.draw("network", name)
	fault := r.IntN(20)
	if m.shape.calm || m.calm.Load() {
		fault = 20
	}
	if fault == 0 {
		m.count("request lost")
		return false
	}
	m.work.Add(1)
	if to.sns {
		delay := between(r, time.Millisecond, 2*time.Second)
		if r.IntN(6) == 0 {
			delay = between(r, time.Second, 3*time.Minute)
		}
		n := news{at: time.Since(m.origin), group: m.group, alerts: alerts}
		go func() {
			defer m.work.Done()
			m.bring(name, n, delay, true)
			if r.IntN(6) == 0 {
				m.bring(name+" again", n, delay, true)
			}
		}()
		return fault != 1
	}
	answered := make(chan struct{})
	a := &attempt{name: name, alerts: alerts, begun: time.Now(), first: first}
	go func() {
		defer m.work.Done()
		m.delivers(a, m.message(m.group, 0, alerts...), false)
		close(answered)
	}()
	select {
	case <-answered:
		if fault == 1 {
			a.lost = true
			m.count("answer to the source lost")
		}
		return a.acknowledged && !a.lost
	case <-ctx.Done():
		a.late = true
		return false
	}
}

// sourcesLoss says that the source alone lost the end of an alert: no resolve of it
// was answered 2xx, and amx's answers had no part in that.
func (s *schedule) sourcesLoss() {
	if s.shape.ignore || !s.shape.real {
		return
	}
	for _, r := range s.runs() {
		for _, p := range r.passes {
			if !p.Running() || !s.lastResolve(r).IsZero() {
				continue
			}
			s.count("lost by the source")
			for _, a := range r.alerts {
				if _, acknowledged := s.resolved(a.Fingerprint, s.serves(r, a), true); acknowledged.IsZero() {
					s.blame(a, p.Command.ID)
				}
			}
		}
	}
}

// blame looks for the answer that cost a resolve: an error, or none in time, of a
// process that lived, could put off what it could not settle, and was the first to be
// asked.
func (s *schedule) blame(lost cloudtest.Alert, id string) {
	for _, a := range s.attempts {
		carries := slices.ContainsFunc(a.alerts, func(f amx.Alert) bool {
			return f.Fingerprint == lost.Fingerprint && !f.StartsAt.Before(lost.At()) // an earlier episode has its own resolve
		})
		if a.item == nil && carries && a.first && (!a.acknowledged || a.late) && !a.dead && !s.queueFails[a.process] {
			s.violation("%s of %s goes on, and its resolve was lost: %s was answered %s, %v, late: %v", id, lost.Fingerprint, a.name, says(a.answer), a.answer.Err, a.late)
		}
	}
}
