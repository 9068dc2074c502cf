package page

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/amx-lambda/amx/internal/history"
)

const (
	statsBack = 30 * 24 * time.Hour
	// maxStats limits the records that are read for the statistics.
	maxStats  = 5000
	statsLive = 30 * time.Second
	// strip is how many runs of a command the page draws.
	strip = 50
)

// statistics has the figures of each command, and is kept for a while.
type statistics struct {
	mu    sync.Mutex
	read  time.Time
	known map[string]*commandStats
	cut   bool // there were more records than were read
}

// commandStats has the figures of a command for the last 30 days.
type commandStats struct {
	Runs   int
	Good   int           // succeeded
	Ended  int           // succeeded, failed, or ended unknown: the base of Rate
	Median time.Duration // of those that succeeded or failed; 0: none did
	Last   []tick        // the last runs, the oldest first

	lengths []time.Duration
}

// A tick is a run in the strip.
type tick struct {
	Run   string
	State history.State
	X     int
}

// Rate is the percentage of runs that succeeded.
func (s *commandStats) Rate() int {
	if s.Ended == 0 {
		return 0
	}
	return 100 * s.Good / s.Ended
}

func (s *commandStats) add(r *history.Record) {
	s.Runs++
	if len(s.Last) < strip {
		s.Last = append(s.Last, tick{Run: r.Run, State: r.State})
	}
	switch r.State {
	case history.Succeeded, history.Failed, history.Unknown:
	default:
		return
	}
	s.Ended++
	if r.State == history.Succeeded {
		s.Good++
	}
	if length, ok := r.Took(); ok && r.State != history.Unknown {
		s.lengths = append(s.lengths, length)
	}
}

// done computes the figures that need all records.
func (s *commandStats) done() {
	slices.Reverse(s.Last)
	for i := range s.Last {
		s.Last[i].X = 8 * (strip - len(s.Last) + i)
	}
	if n := len(s.lengths); n > 0 {
		slices.Sort(s.lengths)
		s.Median = (s.lengths[(n-1)/2] + s.lengths[n/2]) / 2
	}
	s.lengths = nil
}

// statistics reads the last 30 days, at most once in half a minute. cut: there were more
// than 5,000 records.
func (p *Page) statistics(ctx context.Context, now time.Time) (known map[string]*commandStats, cut bool, err error) {
	s := &p.stats
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known != nil && now.Sub(s.read) < statsLive {
		return s.known, s.cut, nil
	}
	known = map[string]*commandStats{}
	q := history.Query{Since: now.Add(-statsBack), Limit: history.MaxLimit}
	for n := 0; ; {
		page, err := p.Operator.Runs(ctx, q)
		if err != nil {
			return nil, false, err
		}
		for i := range page.Records {
			r := &page.Records[i]
			if !history.IsRun(r.Run) {
				continue
			}
			if known[r.Command] == nil {
				known[r.Command] = &commandStats{}
			}
			known[r.Command].add(r)
		}
		n += len(page.Records)
		q.Cursor = page.Next
		if cut = q.Cursor != "" && n >= maxStats; cut || q.Cursor == "" {
			break
		}
	}
	for _, one := range known {
		one.done()
	}
	s.known, s.cut, s.read = known, cut, now
	return known, cut, nil
}
