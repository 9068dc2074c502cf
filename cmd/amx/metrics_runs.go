package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/amx-lambda/amx/internal/history"
	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/operate"
)

// runMetrics is what becomes of alerts, by command.
type runMetrics struct {
	total    *prometheus.CounterVec   // by command, status
	duration *prometheus.HistogramVec // by command
	success  *prometheus.GaugeVec     // by command
	putOff   *prometheus.CounterVec   // by command, reason
	latest   *successes
}

// successes are the latest ends of runs that succeeded, by command.
type successes struct {
	sync.Mutex
	at map[string]time.Time
}

func newRunMetrics(r prometheus.Registerer) runMetrics {
	m := runMetrics{
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "amx_runs_total", Help: "Runs that ended and alerts that got none, by command and state: succeeded, failed, cancelled, unknown, observed, refused, expired.",
		}, []string{"command", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "amx_run_duration_seconds", Help: "Time from the claim of a run to its end, by command.",
			Buckets: []float64{1, 5, 15, 60, 300, 900, 3600, 14400},
		}, []string{"command"}),
		success: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "amx_run_last_success_timestamp_seconds", Help: "When a run last succeeded, by command.",
		}, []string{"command"}),
	}
	m.latest = &successes{at: map[string]time.Time{}}
	m.putOff = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "amx_put_off_total", Help: "How often alerts were put off, by command and reason: limit, pause, other.",
	}, []string{"command", "reason"})
	r.MustRegister(m.total, m.duration, m.success, m.putOff)
	return m
}

// know makes the series of a command, so that its first failure is an increase.
func (m runMetrics) know(command string) {
	for _, state := range []history.State{history.Succeeded, history.Failed, history.Cancelled, history.Refused} {
		m.total.WithLabelValues(command, string(state))
	}
}

// told counts what is new in the history.
func (m runMetrics) told(r history.Record) {
	switch r.State {
	case history.Waiting:
		if r.IsWaiting() {
			m.putOff.WithLabelValues(r.Command, ledger.Reason(r.Reason).Holds()).Inc()
		}
		return
	case history.Succeeded:
		m.succeeded(r)
	}
	m.total.WithLabelValues(r.Command, string(r.State)).Inc()
	if took, ok := r.Took(); ok {
		m.duration.WithLabelValues(r.Command).Observe(took.Seconds())
	}
}

// succeeded sets when a run last succeeded. Ends are not told in their order.
func (m runMetrics) succeeded(r history.Record) {
	m.latest.Lock()
	defer m.latest.Unlock()
	if r.Ended.After(m.latest.at[r.Command]) {
		m.latest.at[r.Command] = r.Ended
		m.success.WithLabelValues(r.Command).Set(float64(r.Ended.UnixMilli()) / 1000)
	}
}

// holds shows what is paused, which breakers are open, and what waits in the
// queue, as they are when Prometheus asks.
type holds struct {
	ledger ledger.Store
	queue  func(context.Context) (operate.Queue, error)
	due    func() (time.Time, error) // since when what is due longest has been due; zero: nothing is
	gates  operate.Gatekeeper
	now    func() time.Time
	log    *slog.Logger
}

var (
	descPaused = prometheus.NewDesc("amx_paused", "1 for each pause: of a command, or of everything (command=\"\").", []string{"command"}, nil)
	descOpen   = prometheus.NewDesc("amx_breaker_open", "1 for each command whose breaker is open.", []string{"command"}, nil)
	descQueue  = prometheus.NewDesc("amx_queue_items", "Items of the queue: what is put off.", nil, nil)
	descDue    = prometheus.NewDesc("amx_queue_oldest_due_timestamp_seconds", "Since when the item of the queue has been due that is due longest. Not there where none is due.", nil, nil)
)

// Describe implements [prometheus.Collector].
func (h *holds) Describe(c chan<- *prometheus.Desc) {
	c <- descPaused
	c <- descOpen
	c <- descQueue
	c <- descDue
}

// Collect implements [prometheus.Collector].
func (h *holds) Collect(c chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		c <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	q, err := h.queue(ctx)
	if err != nil {
		h.log.WarnContext(ctx, "metrics: the queue cannot be read", "error", err.Error())
	} else {
		gauge(descQueue, float64(q.Items))
	}
	switch since, err := h.due(); {
	case err != nil:
		h.log.WarnContext(ctx, "metrics: the queue cannot be read", "error", err.Error())
	case !since.IsZero():
		gauge(descDue, float64(since.UnixMilli())/1000)
	}
	commands, err := h.gates.Gates(ctx)
	if err != nil {
		h.log.WarnContext(ctx, "metrics: the breakers cannot be read", "error", err.Error())
	}
	for _, command := range commands {
		if command.Breaker != nil {
			gauge(descOpen, 1, command.Command)
		}
	}
	records, err := h.ledger.Get(ctx, ledger.PauseKey)
	if err != nil {
		h.log.WarnContext(ctx, "metrics: the pauses cannot be read", "error", err.Error())
		return
	}
	p, err := ledger.DecodePauses(records[0].Value)
	if err != nil {
		h.log.WarnContext(ctx, "metrics: the pauses cannot be read", "error", err.Error())
		return
	}
	p = p.Current(h.now())
	all := 0.0
	if p.All != nil {
		all = 1
	}
	gauge(descPaused, all, "")
	for command := range p.Commands {
		gauge(descPaused, 1, command)
	}
}
