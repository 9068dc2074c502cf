package simulation

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/cloudtest"
)

// posted is a webhook's body that arrives now. Times in it count from the origin.
func (w *world) posted(body string, times ...time.Duration) *amx.Message {
	w.Helper()
	for i, d := range times {
		body = strings.ReplaceAll(body, fmt.Sprintf("@%d", i+1), w.at(d).UTC().Format(time.RFC3339Nano))
	}
	m, err := amx.Decode([]byte(body), time.Now())
	if err != nil {
		w.Fatal(err)
	}
	return m
}

// published is a message of SNS that is sent now.
func (w *world) published(subject, body string) *amx.Message {
	w.Helper()
	m, err := amx.DecodeSNS(amx.SNS{Subject: subject, Body: body, SentAt: time.Now()})
	if err != nil {
		w.Fatal(err)
	}
	return m
}

const bodyOfOne = `{"receiver":"amx","groupLabels":{"g":"g"},"alerts":[{"status":"STATUS","fingerprint":"a","labels":{"alertname":"a","node":"i-00000061"},"startsAt":"START","endsAt":"END"}]}`

// body is a webhook's body of one alert.
func body(status, start, end string) string {
	return strings.NewReplacer("STATUS", status, "START", start, "END", end).Replace(bodyOfOne)
}

// A peer brings an old firing 21 min after the first one's resolve, by webhook: it
// runs. The peer's own resolve, which says the same end, comes after it and ends it.
func TestAnOldFiringThatComesLateIsEndedByItsOwnResolve(t *testing.T) {
	in(t, one, func(w *world) {
		w.cloud.Lasts = forHours
		w.expect(w.sandbox("FA", nil), message(w.fires("a", 0)), "run a: firing c0")
		w.until(time.Minute)
		w.expect(w.sandbox("RA", nil), message(w.resolves("a", 0, 30*time.Second)), "cancel a: resolved: cancelled c0")
		w.until(22 * time.Minute)
		w.expect(w.sandbox("FB", nil), message(w.fires("a", 0)), "run a: firing c1")
		w.until(23 * time.Minute)
		w.expect(w.sandbox("RB", nil), message(w.resolves("a", 0, 30*time.Second)), "cancel a: resolved: cancelled c1")
		w.nothingRuns()
	})
}

// A zone of a whole day is one that JSON cannot write: the alert counts as one
// without a start, its entry is written, and its resolve ends its run.
func TestAZoneOfADayEndsNoInvocation(t *testing.T) {
	in(t, one, func(w *world) {
		w.cloud.Lasts = forHours
		w.until(time.Minute)
		const start = "1999-12-31T23:59:00+24:00"
		w.expect(w.sandbox("F", nil), w.posted(body("firing", start, "")), "run a: firing c0")
		w.until(2 * time.Minute)
		w.expect(w.sandbox("R", nil), w.posted(body("resolved", start, "@1"), 90*time.Second), "cancel a: resolved: cancelled c0")
		w.nothingRuns()
	})
}

// An alert whose start is 61 s ahead of its sending resolves within that time: its
// resolve ends its run.
func TestAStartThatIsAheadDoesNotOutliveItsResolve(t *testing.T) {
	in(t, one, func(w *world) {
		w.cloud.Lasts = forHours
		w.expect(w.sandbox("F", nil), w.posted(body("firing", "@1", ""), 61*time.Second), "run a: firing c0")
		w.until(45 * time.Second)
		w.expect(w.sandbox("R", nil), w.posted(body("resolved", "@1", "@2"), 61*time.Second, 40*time.Second), "cancel a: resolved: cancelled c0")
		w.nothingRuns()
	})
}

// The severity that the alerts of a block had in common becomes empty, so that the
// command does not match any more: the resolve under the same dedup_key ends its run.
func TestABlockThatLostItsSeverityStillEndsItsRun(t *testing.T) {
	const critical = `
commands:
  - name: fix
    cmd: /bin/fix
    wait: 0s
    match_labels: {severity: critical}
    targets: [{key: InstanceIds, values: [i-00000061]}]
`
	in(t, critical, func(w *world) {
		w.cloud.Lasts = forHours
		const block = "routing_key: 0\ndedup_key: DiskFilling\nseverity: %s\ndescription: a disk fills\ndetails:\n  instance: db-7\n"
		id := amx.Fingerprint(amx.KV{"dedup_key": "DiskFilling"})
		w.expect(w.sandbox("F", nil), w.published("[FIRING:1] DiskFilling", fmt.Sprintf(block, "critical")), "run "+id+": firing c0")
		w.until(time.Minute)
		w.expect(w.sandbox("G", nil), w.published("[FIRING:2] DiskFilling", fmt.Sprintf(block, "")), "")
		w.until(2 * time.Minute)
		w.expect(w.sandbox("R", nil), w.published("[RESOLVED] DiskFilling", fmt.Sprintf(block, "")), "cancel "+id+": resolved: cancel requested c0")
		w.nothingRuns()
	})
}

// A worker dies between the claim of a retry and its send. No delivery of the source
// comes, and its item is delivered again: the retry is sent, once.
func TestARetryWhoseSenderDiedIsSent(t *testing.T) {
	for _, retries := range []string{"1", "2"} {
		for _, fate := range []string{"before", "after"} {
			t.Run(retries+" "+fate, func(t *testing.T) {
				in(t, strings.Replace(retried, "retries: 1", "retries: "+retries, 1), func(w *world) {
					w.cloud.Lasts = func(c *cloudtest.Command, _ string) (time.Duration, int) {
						return time.Second, map[string]int{"c0": 1}[c.ID]
					}
					w.expect(w.sandbox("F", nil), message(w.fires("a", 0)), "run a: firing c0")
					dies := w.sandbox("W", map[string]cloudtest.Fate{"SendCommand": {Dies: fate}})
					w.works(dies, 3*time.Minute)
					if !dies.Dead() {
						w.Fatal("the worker has begun no retry")
					}
					w.works(w.sandbox("W2", nil), 20*time.Minute)
					w.ran(2)
					if n := len(w.cloud.Waiting()); n > 0 {
						w.Errorf("%d items wait", n)
					}
				})
			})
		}
	}
}
