package main

import (
	"context"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/app"
	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/runner"
)

// metrics is what /metrics shows: prometheus-am-executor's, under their names
// (am_executor_…), and amx's own, by command (amx_…).
type metrics struct {
	registry *prometheus.Registry

	duration  prometheus.Histogram
	current   prometheus.Gauge
	errors    *prometheus.CounterVec // by stage
	signalled *prometheus.CounterVec // by result
	skipped   *prometheus.CounterVec // by reason

	requests  *prometheus.CounterVec // by code
	results   *prometheus.CounterVec // by command, action
	skips     *prometheus.CounterVec // by command, reason
	items     *prometheus.CounterVec // by outcome
	lost      *prometheus.CounterVec // by destination
	unwritten *prometheus.CounterVec // by outcome
	unsettled prometheus.Counter
	truncated prometheus.Counter
	reloaded  prometheus.Gauge
	runs      runMetrics

	mu      sync.Mutex
	running map[string]running // :: command ID → of the runs, no others
	ended   map[string]bool    // while held: those that ended and are not in running
	held    int
}

func newMetrics() *metrics {
	r := prometheus.NewRegistry()
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		r.MustRegister(c)
		return c
	}
	m := &metrics{
		registry: r, running: map[string]running{}, ended: map[string]bool{},
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "am_executor_process_duration_seconds", Help: "Time that the commands ran.",
			Buckets: []float64{1, 10, 60, 600, 900, 1800},
		}),
		current:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "am_executor_processes_current", Help: "Commands that run now."}),
		errors:    counter("am_executor_errors_total", "Errors: of reading a body (read), of its form (unmarshal), of acting on it (start).", "stage"),
		signalled: counter("am_executor_signalled_total", "Runs stopped because their alerts resolved.", "result"),
		skipped:   counter("am_executor_skipped_total", "Commands not run for a notification: they match none of its alerts (nomatch), or as many as may are running (fingerover).", "reason"),
		requests:  counter("amx_http_requests_total", "Requests to the webhook, by status code.", "code"),
		results:   counter("amx_results_total", "What became of notifications, by command and action: run, cancel, skip, refuse.", "command", "action"),
		skips:     counter("amx_skips_total", "Skips, by command and reason.", "command", "reason"),
		items:     counter("amx_queue_deliveries_total", "Deliveries of what was put off: done with (done), to be delivered again (again), given up (given_up).", "outcome"),
		lost:      counter("amx_reports_lost_total", "Reports that were given up, by destination.", "destination"),
		unwritten: counter("amx_history_errors_total", "Records that the history did not take: written later (queued), or lost.", "outcome"),
		unsettled: prometheus.NewCounter(prometheus.CounterOpts{Name: "amx_unsettled_total", Help: "Notifications answered with an error, for Alertmanager to send again."}),
		truncated: prometheus.NewCounter(prometheus.CounterOpts{Name: "amx_truncated_alerts_total", Help: "Alerts that Alertmanager cut off notifications (max_alerts): no command runs for them."}),
		reloaded:  prometheus.NewGauge(prometheus.GaugeOpts{Name: "amx_config_last_reload_successful", Help: "Whether the last reload of the configuration succeeded."}),
	}
	m.runs = newRunMetrics(r)
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "amx_build_info", Help: "1, with the version as labels.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	info.Set(1)
	m.reloaded.Set(1)
	r.MustRegister(m.duration, m.current, m.unsettled, m.truncated, m.reloaded, info,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, stage := range []string{"read", "unmarshal", "start"} {
		m.errors.WithLabelValues(stage)
	}
	for _, result := range []string{"ok", "fail"} {
		m.signalled.WithLabelValues(result)
	}
	for _, reason := range []string{"nomatch", "fingerover"} {
		m.skipped.WithLabelValues(reason)
	}
	for _, outcome := range []string{"queued", "lost"} {
		m.unwritten.WithLabelValues(outcome)
	}
	for _, outcome := range []string{"done", "again", "given_up"} {
		m.items.WithLabelValues(outcome)
	}
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

// observe counts an answer of the webhook to a notification that was decided by
// cfg; cut says that its body did not come in whole.
func (m *metrics) observe(cfg *amx.Config, cut bool, r app.Response, a runner.Answer) {
	m.requests.WithLabelValues(strconv.Itoa(r.Status)).Inc()
	switch {
	case cut, r.Status == http.StatusRequestEntityTooLarge:
		m.errors.WithLabelValues("read").Inc()
	case r.Status == http.StatusBadRequest:
		m.errors.WithLabelValues("unmarshal").Inc()
	case r.Status == http.StatusInternalServerError:
		m.errors.WithLabelValues("start").Inc()
		m.unsettled.Inc()
	}
	if a.Results == nil {
		return // not a message
	}
	for _, r := range a.Results {
		m.results.WithLabelValues(r.Command, r.Action).Inc()
		if r.Action == runner.ActionSkip {
			m.skips.WithLabelValues(r.Command, r.Reason).Inc()
		}
		if ledger.Reason(r.Reason).Limited() {
			m.skipped.WithLabelValues("fingerover").Inc()
		}
	}
	m.skipped.WithLabelValues("nomatch").Add(float64(unmatched(cfg, a)))
}

// cutOff counts alerts that Alertmanager has cut off a message.
func (m *metrics) cutOff(_ context.Context, alerts uint64) { m.truncated.Add(float64(alerts)) }

// unmatched is how many commands of cfg match nothing of what was answered so.
func unmatched(cfg *amx.Config, a runner.Answer) (n int) {
	for _, c := range cfg.Commands {
		if !slices.Contains(a.Matched, c.Name) {
			n++
		}
	}
	return n
}
