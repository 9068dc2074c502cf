package send

import (
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/history"
	"github.com/amx-lambda/amx/internal/report"
)

// Check tries the template of reports on a run and on a notification, so that a
// field that no report has is found before the first report.
func Check(templates map[string]string, now time.Time) error {
	labels := amx.KV{"alertname": "Example"}
	code := 1
	rec := history.Record{
		Run: "01JDRZ0000000000000000EXMP", Command: "example", State: history.Failed, Attempt: 1, Claimed: now, Ended: now, Updated: now,
		Alerts: []history.Alert{{Labels: labels, StartsAt: now}},
		Nodes:  []history.Node{{Node: "i-00000000000000000", Status: "Failed", ExitCode: &code}},
	}
	m := &amx.Message{}
	m.Data = amx.Data{Status: amx.Firing, GroupLabels: labels, Alerts: amx.Alerts{{Status: amx.Firing, Labels: labels, StartsAt: now}}}
	run, _ := report.FromRecord(rec)
	alert := report.FromMessage(m, now)
	for _, e := range []report.Event{run, alert} {
		if _, err := amx.RenderReport(templates, now, newView(&e)); err != nil {
			return err
		}
	}
	return nil
}
