package main

import (
	"cmp"
	"math/rand/v2"
	"time"

	"github.com/amx-lambda/amx/internal/app"
	"github.com/amx-lambda/amx/internal/history"
	"github.com/amx-lambda/amx/internal/report/graph"
	"github.com/amx-lambda/amx/internal/report/send"
)

// newReports makes what sends reports. Only this function links it, and the
// charts and the clients behind it.
func newReports(p app.ReportParts) app.ItemHandler {
	return &send.Sender{
		Config: p.Config, Store: p.Store, Queue: p.Queue, History: p.History,
		Secrets: &send.Secrets{Read: p.Secret, Now: time.Now},
		Client:  p.Client, Now: time.Now, Random: rand.Float64, Log: p.Log, Lost: p.Lost,
		Sign:   graph.SigV4(p.Credentials, p.Region, time.Now),
		RunURL: func(rec *history.Record) string { return consoleURL(p.Region, rec) },

		// For tests, as AWS's own endpoints have such variables.
		SlackURL: p.Env("AMX_SLACK_URL"), PagerDutyURL: p.Env("AMX_PAGERDUTY_URL"),
	}
}

// consoleURL is the page of a run's first command in the console of AWS, or "".
func consoleURL(region string, rec *history.Record) string {
	if len(rec.CommandIDs) == 0 {
		return ""
	}
	return send.ConsoleURL(region, cmp.Or(rec.CommandIDs...))
}
