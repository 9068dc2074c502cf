package main

import (
	"fmt"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/history"
	"github.com/amx-lambda/amx/internal/history/storetest"
)

// sampleRuns is what ran in the hour before now, the newest first.
func sampleRuns(now time.Time) []history.Record {
	now = now.UTC().Truncate(time.Millisecond)
	run := func(n int, ago time.Duration, command string, state history.State, change func(*history.Record)) history.Record {
		r := storetest.Sample(now.Add(-ago), n)
		r.Command, r.State = command, state
		r.CommandIDs = []string{fmt.Sprintf("00000000-0000-0000-0000-%012d", n)}
		if change != nil {
			change(&r)
		}
		return r
	}
	code := 3
	runs := []history.Record{
		run(1, 5*time.Minute+30*time.Second, "restart", history.Failed, func(r *history.Record) {
			r.Status = "Failed"
			r.Nodes = []history.Node{
				{Node: "i-00000000000000001", Status: "Success", Output: "restarted\n"},
				{Node: "i-00000000000000002", Status: "Failed", ExitCode: &code, Started: r.Claimed, Ended: r.Claimed.Add(65 * time.Second), Output: "no such unit\x1b[31m\n"},
			}
			r.Ended = r.Claimed.Add(65 * time.Second)
		}),
		run(2, 20*time.Minute+30*time.Second, "restart", history.Succeeded, nil),
		run(3, 40*time.Minute+30*time.Second, "reboot-a-machine-of-a-very-long-name", history.Cancelled, func(r *history.Record) {
			r.CancelledBy = &history.CancelledBy{Who: "ann", Why: "wrong host", At: r.Claimed.Add(time.Minute)}
			r.Attempt, r.RetryOf = 2, storetest.RunID(now, 9)
		}),
		run(4, 30*time.Hour, "restart", history.Succeeded, nil),
		{
			Run: history.WaitingID("0123456789abcdef", "aa"), Command: "restart", State: history.Waiting, Entry: "0123456789abcdef",
			Reason: "concurrency limit reached (max: 2)", Claimed: now.Add(-90 * time.Second), Updated: now.Add(-time.Second),
			Alerts: []history.Alert{{Fingerprint: "aa", Labels: amx.KV{"alertname": "Down", "instance": "web-7"}}},
		},
		{
			Run: history.RefusedID("0123456789abcdef", "no node", "bb"), Command: "reboot", State: history.Refused, Entry: "0123456789abcdef",
			Reason: "targets: no node has this address", Claimed: now.Add(-time.Hour), Updated: now.Add(-50*time.Minute - 30*time.Second),
		},
	}
	return runs
}
