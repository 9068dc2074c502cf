package bolt

import (
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/amx-lambda/amx/internal/history"
	"github.com/amx-lambda/amx/internal/history/storetest"
	ledgerbolt "github.com/amx-lambda/amx/internal/ledger/bolt"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T, clock *storetest.Clock, keep history.Keeping, news history.News) storetest.Store {
		s := openStore(t, clock.Now, keep)
		s.News = news
		return s
	})
}

func openStore(t testing.TB, now func() time.Time, keep history.Keeping) *Store {
	t.Helper()
	file, err := ledgerbolt.Open(filepath.Join(t.TempDir(), "ledger.db"), now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return &Store{File: file, Keep: keep, Now: now}
}

// fill is a store with that many runs, one a minute before noon.
func fill(t testing.TB, n int) *Store {
	t.Helper()
	s := openStore(t, func() time.Time { return storetest.Noon }, history.Default)
	err := s.File.Update(t.Context(), func(tx *bbolt.Tx) error {
		buckets, err := open(tx)
		for i := range n {
			if err == nil {
				err = buckets.put(nil, storetest.Sample(storetest.Noon.Add(-time.Duration(i)*time.Minute), i), nil, s.Keep, storetest.Noon)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAListTakesNoMoreMemoryOfMoreRuns(t *testing.T) {
	storetest.FlatMemory(t, func(n int) storetest.Store { return fill(t, n) })
}

// BenchmarkList is the last 50 of 100,000 runs, and a search of all of them for
// one that is not there. Memory does not grow with the history.
func BenchmarkList(b *testing.B) {
	s := fill(b, 100_000)
	since := storetest.Noon.Add(-89 * 24 * time.Hour)
	b.Run("the last 50", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if page, err := s.List(b.Context(), history.Query{Since: since}); err != nil || len(page.Records) != 50 {
				b.Fatal(len(page.Records), err)
			}
		}
	})
	b.Run("none of all", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			q := history.Query{Since: since, Alert: map[string]string{"instance": "nowhere"}}
			for more := true; more; more = q.Cursor != "" {
				page, err := s.List(b.Context(), q)
				if err != nil || len(page.Records) != 0 {
					b.Fatal(len(page.Records), err)
				}
				q.Cursor = page.Next
			}
		}
	})
}
