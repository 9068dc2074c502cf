package app

import (
	"context"
	"log/slog"

	"github.com/amx-lambda/amx/internal/history"
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
	m.write(ctx, log, r.Updated, line, [][]string{{"Table", "State"}, {"Table", "State", "Command"}}, of...)
}
