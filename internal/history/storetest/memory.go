package storetest

import (
	"runtime"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/history"
)

// FlatMemory holds the memory that a list of the last 50 runs takes to what it takes
// of a history of 1,000, where there are twenty times as many. fill makes a store with
// that many runs, one a minute before [Noon].
func FlatMemory(t *testing.T, fill func(n int) Store) {
	t.Helper()
	few, many := listed(t, fill(1000)), listed(t, fill(20_000))
	t.Logf("the last 50 of 1,000 runs take %d bytes, of 20,000 %d", few, many)
	if many > few+few/4 {
		t.Errorf("the last 50 of 20,000 runs take %d bytes, and %d of 1,000", many, few)
	}
}

// listed is the bytes that a list takes.
func listed(t *testing.T, s Store) uint64 {
	t.Helper()
	const lists = 20
	var before, after runtime.MemStats
	for i := range lists + 1 {
		if i == 1 { // the first makes connections
			runtime.ReadMemStats(&before)
		}
		page, err := s.List(t.Context(), history.Query{Since: Noon.Add(-89 * 24 * time.Hour)})
		if err != nil || len(page.Records) != 50 {
			t.Fatal(len(page.Records), err)
		}
	}
	runtime.ReadMemStats(&after)
	return (after.TotalAlloc - before.TotalAlloc) / lists
}
