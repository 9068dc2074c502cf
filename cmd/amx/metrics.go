package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/app"
	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/runner"
	"github.com/amx-lambda/amx/internal/ssmexec"
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
	unsettled prometheus.Counter
	reloaded  prometheus.Gauge

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
		unsettled: prometheus.NewCounter(prometheus.CounterOpts{Name: "amx_unsettled_total", Help: "Notifications answered with an error, for Alertmanager to send again."}),
		reloaded:  prometheus.NewGauge(prometheus.GaugeOpts{Name: "amx_config_last_reload_successful", Help: "Whether the last reload of the configuration succeeded."}),
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "amx_build_info", Help: "1, with the version as labels.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	info.Set(1)
	m.reloaded.Set(1)
	r.MustRegister(m.duration, m.current, m.unsettled, m.reloaded, info,
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
		if r.Reason == string(ledger.SkipMax) {
			m.skipped.WithLabelValues("fingerover").Inc()
		}
	}
	m.skipped.WithLabelValues("nomatch").Add(float64(unmatched(cfg, a)))
}

// unmatched is how many commands of cfg match nothing of what was answered so: a
// command that matches has a result, or an error that names it.
func unmatched(cfg *amx.Config, a runner.Answer) (n int) {
	met := map[string]bool{}
	for _, r := range a.Results {
		met[r.Command] = true
	}
	var all interface{ Unwrap() []error }
	if errors.As(a.Err, &all) {
		for _, err := range all.Unwrap() {
			var name string
			if _, err := fmt.Sscanf(err.Error(), "command %q:", &name); err == nil {
				met[name] = true
			}
		}
	}
	for _, c := range cfg.Commands {
		if !met[c.Name] {
			n++
		}
	}
	return n
}

// counted is a client that counts the commands that it sends and cancels.
type counted struct {
	ssmexec.Client
	m *metrics
}

func (c counted) SendCommand(ctx context.Context, in *ssm.SendCommandInput, opts ...func(*ssm.Options)) (*ssm.SendCommandOutput, error) {
	comment := aws.ToString(in.Comment)
	if t, _, ok := ssmexec.ParseSignal(comment); ok {
		goesOn := c.m.goesOn(func(_ string, r running) bool { return r.run == t.Run })
		out, err := c.Client.SendCommand(ctx, in, opts...)
		c.m.signal(goesOn, err)
		return out, err
	}
	begun := time.Now()
	defer c.m.hold()()
	out, err := c.Client.SendCommand(ctx, in, opts...)
	if err == nil {
		t, _ := ssmexec.ParseToken(comment)
		c.m.sent(*out.Command.CommandId, running{begun: begun, run: t.Run})
	}
	return out, err
}

func (c counted) CancelCommand(ctx context.Context, in *ssm.CancelCommandInput, opts ...func(*ssm.Options)) (*ssm.CancelCommandOutput, error) {
	goesOn := c.m.goesOn(func(id string, _ running) bool { return id == aws.ToString(in.CommandId) })
	out, err := c.Client.CancelCommand(ctx, in, opts...)
	c.m.signal(goesOn, err)
	return out, err
}

// running is a command that has been sent and has not ended.
type running struct {
	begun time.Time
	run   string // the run's ID
}

// goesOn says whether a command that is still goes on.
func (m *metrics) goesOn(is func(commandID string, r running) bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, r := range m.running {
		if is(id, r) {
			return true
		}
	}
	return false
}

// signal counts a signal to a command. A resolve is also handed to one that has
// ended by itself, of which the ledger does not know yet: nothing is signalled.
func (m *metrics) signal(goesOn bool, err error) {
	switch {
	case !goesOn:
	case err != nil:
		m.signalled.WithLabelValues("fail").Inc()
	default:
		m.signalled.WithLabelValues("ok").Inc()
	}
}

// hold keeps in mind which commands end, until release is called: one of them
// may yet be told to have been sent.
func (m *metrics) hold() (release func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held++
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.held--; m.held == 0 {
			clear(m.ended)
		}
	}
}

// sent counts a command that has been sent, and maybe has ended already.
func (m *metrics) sent(id string, r running) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ended[id] {
		m.duration.Observe(time.Since(r.begun).Seconds())
		return
	}
	m.running[id] = r
	m.current.Inc()
}

// adopt counts the runs that an earlier process has sent and that go on.
func (m *metrics) adopt(ctx context.Context, client ssm.ListCommandsAPIClient) error {
	pages := ssm.NewListCommandsPaginator(client, &ssm.ListCommandsInput{
		Filters: []types.CommandFilter{{Key: types.CommandFilterKeyExecutionStage, Value: aws.String("Executing")}},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("ListCommands: %w", err)
		}
		for _, c := range page.Commands {
			if t, ok := ssmexec.ParseToken(aws.ToString(c.Comment)); ok {
				m.sent(*c.CommandId, running{begun: *c.RequestedDateTime, run: t.Run})
			}
		}
	}
	return nil
}

// end counts a command that has ended, maybe before SendCommand has answered.
func (m *metrics) end(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, known := m.running[id]
	if !known {
		if m.held > 0 {
			m.ended[id] = true
		}
		return
	}
	delete(m.running, id)
	m.current.Dec()
	m.duration.Observe(time.Since(r.begun).Seconds())
}
