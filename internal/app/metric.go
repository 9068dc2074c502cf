package app

import (
	"encoding/json"
	"io"
	"time"
)

// A refusedMetric counts SNS messages that run nothing because of what they are,
// by why: "truncated", "replaced", "topic" or "unreadable". It is a line of the
// log from which CloudWatch makes the metric, so that a function needs neither
// a client nor a permission for it.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
type refusedMetric struct {
	out      io.Writer
	function string // Lambda's name of it
}

func (m *refusedMetric) count(why string, now time.Time) error {
	line, err := json.Marshal(map[string]any{
		"_aws": map[string]any{
			"Timestamp": now.UnixMilli(),
			"CloudWatchMetrics": []any{map[string]any{
				"Namespace":  "amx",
				"Dimensions": [][]string{{"FunctionName"}, {"FunctionName", "Reason"}},
				"Metrics":    []any{map[string]string{"Name": "MessagesRefused", "Unit": "Count"}},
			}},
		},
		"FunctionName": m.function, "Reason": why, "MessagesRefused": 1,
	})
	if err != nil {
		return err
	}
	_, err = m.out.Write(append(line, '\n')) // at once: several lines must not mix
	return err
}
