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
			e, fired, held, full := &ledger.Entry{}, amx.Alerts{}, false, false
			for range 20 * 1000 / together {
				var alerts amx.Alerts
				for range together {
					alerts = append(alerts, amx.Alert{Status: amx.Firing, Fingerprint: fmt.Sprintf("%016x", r.Uint64()), StartsAt: moment(r)})
				}
				limit := 0 // as long as there is room for sure: it takes long to ask
				if len(fired) >= 3000 {
					limit = MaxEntry
				}
				if full = !fires(e, r, alerts, limit); full {
					break
				}
				held = held || limit > 0
				fired = append(fired, alerts...)
			}
			if !full || !held {
				t.Fatalf("full %v with %d alerts: want more than 3,000", full, len(fired))
			}
			for i := range fired {
				fired[i].Status, fired[i].EndsAt = amx.Resolved, fired[i].StartsAt.Add(time.Duration(r.Int64N(1e12)))
			}
			e.Step(ledger.Actor{Now: noon, SentAt: noon.Add(time.Duration(r.Int64N(1e12)))}, ledger.Delivered{Alerts: fired})
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

// fires delivers alerts, and plays the run that comes of it, for as many nodes as
// alerts, all of them different. It says whether an entry of that limit takes it.
func fires(e *ledger.Entry, r *rand.Rand, alerts amx.Alerts, limit int) bool {
	actor := ledger.Actor{
		Delivery: fmt.Sprintf("%016x", r.Uint64()), Now: noon, SentAt: noon, Lease: moment(r), ClaimBy: noon, Until: noon.Add(time.Hour),
		MaxEntry: limit,
	}
	p := ledger.Prepared{Start: e.Step(actor, ledger.Delivered{Alerts: alerts})[0].(ledger.Prepare).Start, Parts: 1}
	p.Run, p.Targets = fmt.Sprintf("%026X", r.Uint64()), []amx.Target{{Key: "InstanceIds"}}
	for range alerts {
		p.Targets[0].Values = append(p.Targets[0].Values, fmt.Sprintf("i-%017x", r.Uint64()))
	}
	take, ok := e.Step(actor, p)[0].(ledger.Take)
	if ok {
		send := e.Step(actor, ledger.Taken{Prepared: take.Prepared, OK: true})[0].(ledger.Send)
		e.Step(actor, ledger.Sent{Send: send, Answers: []ledger.Answer{{Command: fmt.Sprintf("%016x-%016x", r.Uint64(), r.Uint64())}}})
	}
	return ok
}
