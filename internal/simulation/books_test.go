package simulation

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"github.com/amx-lambda/amx/internal/cloudtest"
	"github.com/amx-lambda/amx/internal/ledger"
)

// books are what the ledger's entries said of runs, as they were written: an
// entry forgets. The cloud's mutex guards them.
type books struct {
	covers  map[string][]cloudtest.Alert // :: run → the episodes that it was claimed for
	before  map[string]string            // :: run → the run that it retries
	claimed map[string]time.Time         // :: run → when it was claimed
	refused map[string]bool              // :: run → SSM refused a part of it
	names   map[string]string            // :: fingerprint of an alert's labels → the one that its message gives it
}

func keepBooks(c *cloudtest.Cloud) *books {
	b := &books{map[string][]cloudtest.Alert{}, map[string]string{}, map[string]time.Time{}, map[string]bool{}, map[string]string{}}
	c.Written = b.enter
	return b
}

// enter notes for which episodes a run is claimed. A command that is sent for it
// may carry fewer of them.
func (b *books) enter(r ledger.Record) {
	if !strings.HasPrefix(r.Key, "entry/") {
		return
	}
	e, err := cloudtest.ReadEntry(r)
	if err != nil {
		return
	}
	for _, run := range e.Runs {
		b.refused[run.ID] = b.refused[run.ID] || run.Refused
		if _, known := b.covers[run.ID]; known {
			continue
		}
		b.covers[run.ID], b.before[run.ID], b.claimed[run.ID] = []cloudtest.Alert{}, run.Prev, run.Claimed
		for _, p := range e.Episodes {
			if p.Run == run.ID {
				// The entry tells alerts apart by both.
				labels, _, _ := strings.Cut(p.Fingerprint(), "-")
				b.covers[run.ID] = append(b.covers[run.ID], cloudtest.Alert{Fingerprint: cmp.Or(b.names[labels], p.Fingerprint()), Start: strconv.FormatInt(p.StartsAt.Unix(), 10)})
			}
		}
	}
}
