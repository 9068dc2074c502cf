package dynamo

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/ledger"
)

// An entry that takes no more runs still fits into an item when every alert of
// it has resolved: what fires at once in one run, and what fires alert by alert,
// each with a run of its own.
func TestAFullEntryFitsWhenAllHasResolved(t *testing.T) {
	for _, together := range []int{10, 40, 1000} {
		t.Run(fmt.Sprintf("%d alerts a run", together), func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			e, fired, full := &ledger.Entry{}, amx.Alerts{}, false
			for range 20 * 1000 / together {
				var alerts amx.Alerts
				for range together {
					alerts = append(alerts, amx.Alert{Status: amx.Firing, Fingerprint: fmt.Sprintf("%016x", r.Uint64()), StartsAt: moment(r)})
				}
				run := randomRun(r, together)
				due := e.Decide(ledger.Input{Now: noon, SentAt: noon, Alerts: alerts}).Due
				if len(due) != 1 {
					t.Fatalf("%d runs are due", len(due))
				}
				if full = !e.Holds(due[0], run, noon, MaxEntry); full {
					break
				}
				e.Claim(due[0], run, noon)
				e.Record(run.ID, run.Holder, []ledger.Sent{{Command: fmt.Sprintf("%016x-%016x", r.Uint64(), r.Uint64())}})
				fired = append(fired, alerts...)
			}
			if !full || len(fired) < 1000 {
				t.Fatalf("full %v with %d alerts: want 1,000 and more", full, len(fired))
			}
			for i := range fired {
				fired[i].Status, fired[i].EndsAt = amx.Resolved, fired[i].StartsAt.Add(time.Duration(r.Int64N(1e12)))
			}
			e.Decide(ledger.Input{Now: noon, SentAt: noon.Add(time.Duration(r.Int64N(1e12))), Alerts: fired})
			value, _ := e.Encode()
			n := len(pack(value))
			t.Logf("%d alerts: %d bytes, %d gzipped", len(fired), len(value), n)
			if n > maxItem-1000 {
				t.Errorf("%d alerts: %d bytes, over what an item holds", len(fired), n)
			}
		})
	}
}

var noon = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func moment(r *rand.Rand) time.Time { return noon.Add(-time.Duration(r.Int64N(1e13))) }

// randomRun is one for as many nodes as alerts, all of them different.
func randomRun(r *rand.Rand, nodes int) ledger.Run {
	run := ledger.Run{
		ID: fmt.Sprintf("%026X", r.Uint64()), Holder: fmt.Sprintf("/%016x", r.Uint64()), Lease: moment(r), Until: noon.Add(time.Hour),
		Targets: []ledger.Target{{Key: "InstanceIds"}}, Chunks: make([]ledger.Chunk, 1),
	}
	for range nodes {
		run.Targets[0].Values = append(run.Targets[0].Values, fmt.Sprintf("i-%017x", r.Uint64()))
	}
	return run
}
