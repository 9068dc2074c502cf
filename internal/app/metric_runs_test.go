package app

import (
	"bytes"
	"log/slog"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/history"
)

func TestRunsCountByState(t *testing.T) {
	noon := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	run := history.Record{
		Run: "01KB5ZQ3G0ABCDEFGHJKMNPQRS", Command: "restart", State: history.Failed,
		Claimed: noon.Add(-65 * time.Second), Ended: noon, Updated: noon,
	}
	waited, refused := run, run
	waited.Run, waited.State = history.WaitingID("e", "f"), history.Waiting
	refused.Run, refused.State = history.RefusedID("e", "no node", "f"), history.Refused
	dimensions := `"CloudWatchMetrics":[{"Dimensions":[["Table","State"],["Table","State","Command"]],"Metrics":[`
	for _, tt := range []struct {
		name   string
		record history.Record
		want   string
	}{
		{"alerts that have waited", waited, ""},
		{"one that failed", run, `{"Command":"restart","RunSeconds":65,"Runs":1,"State":"failed","Table":"amx","_aws":{` + dimensions +
			`{"Name":"Runs","Unit":"Count"},{"Name":"RunSeconds","Unit":"Seconds"}],"Namespace":"amx"}],"Timestamp":1795867200000},"level":"ERROR","timestamp":"2026-11-28T12:00:00.000Z"}` + "\n"},
		{"a refusal", refused, `{"Command":"restart","Runs":1,"State":"refused","Table":"amx","_aws":{` + dimensions +
			`{"Name":"Runs","Unit":"Count"}],"Namespace":"amx"}],"Timestamp":1795867200000},"level":"ERROR","timestamp":"2026-11-28T12:00:00.000Z"}` + "\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			m := &metrics{out: &out, function: "amx-worker"}
			m.told(t.Context(), slog.New(slog.DiscardHandler), "amx", tt.record)
			if out.String() != tt.want {
				t.Errorf("got\n%s\nwant\n%s", out.String(), tt.want)
			}
		})
	}
}
