package app

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"time"
)

// The metrics of the functions, in CloudWatch's namespace "amx". All but the last
// four count by function, and by function and reason.
const (
	// messagesRefused counts SNS messages that run nothing because of what they
	// are: "truncated", "replaced", "topic" or "unreadable".
	messagesRefused = "MessagesRefused"
	// configErrors counts readings of the configuration after which the last
	// good one goes on ("unreadable", "wrong"), and of the tokens ("tokens").
	configErrors = "ConfigErrors"
	// alertsTruncated counts messages off which Alertmanager has cut alerts
	// ("max_alerts").
	alertsTruncated = "AlertsTruncated"
	// itemsGivenUp counts items of the queue that go to the dead letters, by
	// their kind.
	itemsGivenUp = "ItemsGivenUp"
	// reportsLost counts reports that were given up, by destination, and those
	// that the queue did not take ("queue").
	reportsLost = "ReportsLost"
	// historyErrors counts records that the history did not take: "queued" ones,
	// which the worker writes later, and "lost" ones.
	historyErrors = "HistoryErrors"
	// runs counts what becomes of alerts by table and state of the history, and
	// by command; those that wait, by reason too ("limit", "pause", "other").
	// runSeconds is how long the runs took that ended. All functions of a stack
	// share its table: one may send a run, and another see its end.
	runs       = "Runs"
	runSeconds = "RunSeconds"
	// paused and breakerOpen are 1 for a delivery that a pause or an open breaker
	// held back, and breakerOpen also when the breaker opens: by table, and by
	// command. A delivery has read both anyway.
	paused      = "Paused"
	breakerOpen = "BreakerOpen"
)

// Lambda filters JSON lines by LogLevel, and takes one without a level or with
// an odd timestamp for INFO: under LogLevel=WARN such a line is dropped, and the
// metric with it. ERROR is the highest that LogLevel can be.
// https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html
const (
	metricLevel   = "ERROR"
	timestampForm = "2006-01-02T15:04:05.000Z" // RFC 3339, of a time in UTC
)

// metrics are counted by lines of the log from which CloudWatch makes them, so
// that a function needs neither a client nor a permission for it.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
type metrics struct {
	out      io.Writer
	function string // Lambda's name of it
}

// truncated counts a message off which alerts were cut.
func (m *metrics) truncated(log *slog.Logger) func(context.Context, uint64) {
	return func(ctx context.Context, _ uint64) { m.count(ctx, log, alertsTruncated, "max_alerts", time.Now()) }
}

// count adds one. nil counts nothing.
func (m *metrics) count(ctx context.Context, log *slog.Logger, metric, reason string, now time.Time) {
	if m == nil {
		return
	}
	m.write(ctx, log, now, map[string]any{"FunctionName": m.function, "Reason": reason, metric: 1},
		[][]string{{"FunctionName"}, {"FunctionName", "Reason"}}, map[string]string{"Name": metric, "Unit": "Count"})
}

// write writes a line with these values, from which CloudWatch makes the metrics,
// each under every set of dimensions.
func (m *metrics) write(ctx context.Context, log *slog.Logger, now time.Time, line map[string]any, dimensions [][]string, of ...map[string]string) {
	line["_aws"] = map[string]any{
		"Timestamp":         now.UnixMilli(),
		"CloudWatchMetrics": []any{map[string]any{"Namespace": "amx", "Dimensions": dimensions, "Metrics": of}},
	}
	line["level"], line["timestamp"] = metricLevel, now.UTC().Format(timestampForm)
	text, err := json.Marshal(line)
	if err == nil {
		_, err = m.out.Write(append(text, '\n')) // at once: several lines must not mix
	}
	if err != nil {
		log.WarnContext(ctx, "writing a metric", "error", err.Error())
	}
}
