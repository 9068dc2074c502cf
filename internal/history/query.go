package history

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// The sizes of a page.
const (
	DefaultLimit = 50
	MaxLimit     = 1000
)

// A Query chooses records. The zero value is the latest 50 of the last 24 hours.
type Query struct {
	Since   time.Time // zero: 24 hours before now
	Command string    // empty: all
	State   State     // empty: all
	Alert   map[string]string
	Limit   int    // 0: DefaultLimit; at most MaxLimit
	Cursor  string // Next of the page before; empty: the latest
}

// A Page is records, the newest first, without their output.
type Page struct {
	Records []Record
	// Next is the cursor of the page that follows; empty: this is the last one.
	// A page that is not full, even an empty one, can have a Next: a store looks
	// at a bounded number of records for each page.
	Next string
}

// Normal is the query with its defaults filled in, or what is wrong with it.
func (q Query) Normal(now time.Time) (Query, error) {
	if q.State != "" && !slices.Contains(States, q.State) {
		return q, fmt.Errorf("state %q: want one of %q", q.State, States)
	}
	if q.Limit < 0 || q.Limit > MaxLimit {
		return q, fmt.Errorf("limit %d: want 1 to %d", q.Limit, MaxLimit)
	}
	if q.Limit == 0 {
		q.Limit = DefaultLimit
	}
	if q.Since.IsZero() {
		q.Since = now.Add(-24 * time.Hour)
	}
	if q.Cursor != "" {
		if _, err := Day(q.Cursor); err != nil {
			return q, fmt.Errorf("cursor %q: it is not one that a page answered", q.Cursor)
		}
	}
	return q, nil
}

// Matches says that the query chooses the record, its time aside.
func (q *Query) Matches(r *Record) bool {
	if !r.Listed() || q.Command != "" && r.Command != q.Command || q.State != "" && r.State != q.State {
		return false
	}
	if len(q.Alert) == 0 {
		return true
	}
	return slices.ContainsFunc(r.Alerts, func(a Alert) bool {
		for name, value := range q.Alert {
			if a.Labels[name] != value {
				return false
			}
		}
		return true
	})
}

// A News is called once for each run that a write has brought to its end, however
// often that is written. For alerts without a run it is called with each write.
type News func(context.Context, Record)

// Tell tells of a record after it was written; was is the record before, nil if
// there was none.
func (n News) Tell(ctx context.Context, was, now *Record) {
	if n == nil || IsRun(now.Run) && (!now.Over() || was != nil && was.Over()) {
		return
	}
	n(ctx, *now)
}

// A Keeping is how long a record is kept after it was last written, AMX_HISTORY.
// Zero keeps a run's record until the run is over, and no other records.
type Keeping time.Duration

// Default is how long records are kept where nothing else is configured.
const Default = Keeping(90 * 24 * time.Hour)

// untilOver bounds how long the record of a run that nobody sees end is kept:
// SSM forgets a command after 30 days.
const untilOver = 32 * 24 * time.Hour

// Expires is when a store forgets the record. Keeping nothing, a record that is
// over expires at once: ok is false, and a store need not write one.
func (k Keeping) Expires(r *Record, now time.Time) (at time.Time, ok bool) {
	if k > 0 {
		return r.Updated.Add(time.Duration(k)), true
	}
	if r.State == Running {
		return r.Updated.Add(untilOver), true
	}
	return now, false
}
