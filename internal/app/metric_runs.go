package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/amx-lambda/amx/internal/history"
	"github.com/amx-lambda/amx/internal/ledger"
)

// told counts what is new in the history. Alerts that waited have their run now.
func (m *metrics) told(ctx context.Context, log *slog.Logger, table string, r history.Record) {
	if m == nil || !r.Listed() {
		return
	}
	line := map[string]any{"Table": table, "State": string(r.State), "Command": r.Command, runs: 1}
	of := []map[string]string{{"Name": runs, "Unit": "Count"}}
	if took, ok := r.Took(); ok {
		line[runSeconds] = took.Seconds()
		of = append(of, map[string]string{"Name": runSeconds, "Unit": "Seconds"})
	}
	dimensions := [][]string{{"Table", "State"}, {"Table", "State", "Command"}}
	if r.State == history.Waiting {
		line["Reason"] = ledger.Reason(r.Reason).Holds()
		dimensions = append(dimensions, []string{"Table", "State", "Reason"})
	}
	m.write(ctx, log, r.Updated, line, dimensions, of...)
}

// held counts what holds a command back, in the words of [ledger.Reason.Holds]: a
// pause or an open breaker.
func (m *metrics) held(ctx context.Context, log *slog.Logger, table, command, by string, now time.Time) {
	metric := map[string]string{"pause": paused, "breaker": breakerOpen}[by]
	if m == nil || metric == "" {
		return
	}
	m.write(ctx, log, now, map[string]any{"Table": table, "Command": command, metric: 1},
		[][]string{{"Table"}, {"Table", "Command"}}, map[string]string{"Name": metric, "Unit": "None"})
}
