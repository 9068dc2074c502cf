package bolt

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/history"
	"github.com/amx-lambda/amx/internal/history/storetest"
	ledgerbolt "github.com/amx-lambda/amx/internal/ledger/bolt"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T, clock *storetest.Clock, keep history.Keeping) storetest.Store {
		return openStore(t, clock.Now, keep)
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
