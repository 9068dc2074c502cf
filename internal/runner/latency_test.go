package runner_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/history"
	"github.com/amx-lambda/amx/internal/ledger"
)

// distant is a store whose calls take 20 ms each.
type distant struct {
	ledger.Store
	reads, writes int
}

const callTakes = 20 * time.Millisecond

func (d *distant) Get(ctx context.Context, keys ...string) ([]ledger.Record, error) {
	time.Sleep(callTakes)
	d.reads++
	return d.Store.Get(ctx, keys...)
}

func (d *distant) Put(ctx context.Context, r ledger.Record) error {
	time.Sleep(callTakes)
	d.writes++
	return d.Store.Put(ctx, r)
}

// distantRecords is a history whose calls take as long.
type distantRecords struct {
	records
	writes int
}

func (h *distantRecords) Put(ctx context.Context, r history.Record) error {
	time.Sleep(callTakes)
	h.writes++
	return h.records.Put(ctx, r)
}

// A new run costs one write more for its record, and takes no longer for it.
func TestTheRecordOfANewRunTakesNoTime(t *testing.T) {
	for _, tt := range []struct {
		name, config string
		writes       int // of the ledger
		takes        time.Duration
	}{
		// A reading, the claim, the send, and what came of it.
		{"where nobody waits", "wait: 0s", 2, 4 * callTakes},
		{"of a run that takes a slot first", "wait: 0s, max: 1", 3, 5 * callTakes},
		{"while the caller waits", "wait: 5s", 2, 5*time.Second + 4*callTakes},
	} {
		for _, kept := range []int{0, 1} {
			t.Run(fmt.Sprintf("%s, %d records", tt.name, kept), func(t *testing.T) {
				in(t, "commands: [{name: fix, cmd: /bin/fix, targets: [{key: InstanceIds, values: [mi-00000000000000000]}], "+tt.config+"}]", func(w *world) {
					store, h := &distant{Store: w.runner.Store}, &distantRecords{}
					if w.runner.Store = store; kept > 0 {
						w.runner.History = h
					}
					w.wire.Latency = callTakes
					w.lasting(time.Hour)
					begun := time.Now()
					w.deliver(30*time.Second, w.fires("a"))
					// The model of AWS takes a millisecond or two of its own.
					if took := time.Since(begun); took < tt.takes || took >= tt.takes+callTakes/2 {
						t.Errorf("it took %v, want %v", took, tt.takes)
					}
					if store.reads != 1 || store.writes != tt.writes || h.writes != kept {
						t.Errorf("%d readings, %d writes, %d records; want 1, %d, %d", store.reads, store.writes, h.writes, tt.writes, kept)
					}
				})
			})
		}
	}
}
