package graph

import (
	"testing"

	"github.com/amx-lambda/amx/internal/amx"
)

func TestAnExpressionIsSplitAtItsThreshold(t *testing.T) {
	tests := []struct{ expr, want, threshold string }{
		{`up == 0`, `up`, "== 0"},
		{`rate(errors_total{code=~"5.."}[5m]) > 0.05`, `rate(errors_total{code=~"5.."}[5m])`, "> 0.05"},
		{`node_filesystem_avail_bytes{mountpoint="/"} < 10 * 1024 * 1024`, `node_filesystem_avail_bytes{mountpoint="/"}`, "< 1.04858e+07"},
		{`(a / b * 100 >= (90))`, `a / b * 100`, ">= 90"},
		{`0.9 < cpu`, `cpu`, "> 0.9"},
		{`label{a="x > 3"} != -1`, `label{a="x > 3"}`, "!= -1"},
		{"rate(x[5m]) # > 3\n > 2", "rate(x[5m]) # > 3", "> 2"},
		{`sum(x > 3)`, `sum(x > 3)`, ""},
		{`a > 3 and b < 2`, `a > 3 and b < 2`, ""},
		{`a > b`, `a > b`, ""},
		{`a > bool 3`, `a > bool 3`, ""},
		{`3 < bool a`, `3 < bool a`, ""},
		{`a > 3 > 2`, `a > 3 > 2`, ""},
		{`a{x="`, `a{x="`, ""},
		{`a > Inf`, `a > Inf`, ""},
		{`absent(up{job="orders"})`, `absent(up{job="orders"})`, ""},
		{`operand_and_or > 1`, `operand_and_or`, "> 1"},
	}
	for _, tt := range tests {
		expr, threshold := Split(tt.expr)
		got := ""
		if threshold != nil {
			got = threshold.String()
		}
		if expr != tt.want || got != tt.threshold {
			t.Errorf("%s: got %q and threshold %q, want %q and %q", tt.expr, expr, got, tt.want, tt.threshold)
		}
	}
}

func TestTheExpressionIsTheAnnotationsOrTheGeneratorURLs(t *testing.T) {
	generator := "https://prometheus.example/graph?g0.expr=up+%3D%3D+0&g0.tab=1"
	tests := []struct {
		name  string
		alert amx.Alert
		want  string
	}{
		{"from the URL", amx.Alert{GeneratorURL: generator}, "up == 0"},
		{"the annotation goes first", amx.Alert{GeneratorURL: generator, Annotations: amx.KV{"amx_query": " rate(x[5m]) "}}, "rate(x[5m])"},
		{"neither", amx.Alert{GeneratorURL: "https://grafana.example/alerting/1"}, ""},
		{"a broken URL", amx.Alert{GeneratorURL: "http://%zz"}, ""},
	}
	for _, tt := range tests {
		if got := ExpressionOf(&tt.alert); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}
