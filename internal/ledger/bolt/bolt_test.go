package bolt

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/ledger/storetest"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func open(t *testing.T, path string, now time.Time) *Store {
	t.Helper()
	s, err := Open(path, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) ledger.Store {
		return open(t, filepath.Join(t.TempDir(), "ledger.db"), now)
	})
}

func TestTheFileOutlivesTheProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "folder", "ledger.db")
	s := open(t, path, now)
	for key, expires := range map[string]time.Time{
		"kept for ever": {}, "not expired": now.Add(time.Hour), "expired": now.Add(time.Minute),
	} {
		if err := s.Put(t.Context(), ledger.Record{Key: key, Value: []byte(key), Expires: expires}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path, now.Add(2*time.Minute))
	records, err := s.Get(t.Context(), "kept for ever", "not expired", "expired")
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		version int64
		value   string
	}{{1, "kept for ever"}, {1, "not expired"}, {0, ""}} {
		if r := records[i]; r.Version != want.version || !bytes.Equal(r.Value, []byte(want.value)) {
			t.Errorf("%q is version %d, %q", r.Key, r.Version, r.Value)
		}
	}
}

// A process that lives for months does not keep what has expired meanwhile.
func TestWhatHasExpiredGoesOnceADay(t *testing.T) {
	at := now
	s, err := Open(filepath.Join(t.TempDir(), "ledger.db"), func() time.Time { return at })
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	put := func(key string, expires time.Time) {
		if err := s.Put(t.Context(), ledger.Record{Key: key, Expires: expires}); err != nil {
			t.Fatal(err)
		}
	}
	put("old", at.Add(time.Hour))
	for _, step := range []struct {
		after time.Duration
		want  int64 // the version of the record that has expired
	}{{23 * time.Hour, 1}, {24 * time.Hour, 0}} {
		at = now.Add(step.after)
		put(step.after.String(), time.Time{})
		records, err := s.Get(t.Context(), "old")
		if err != nil || records[0].Version != step.want {
			t.Errorf("after %v it is version %d, %v, want %d", step.after, records[0].Version, err, step.want)
		}
	}
}

func TestAnotherProcessCannotOpenIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	open(t, path, now)
	_, err := Open(path, func() time.Time { return now })
	if err == nil || !strings.HasSuffix(err.Error(), `another amx has it open; stop that one, or name another file with --ledger`) {
		t.Errorf("got %v", err)
	}
}

func TestAClosedStoreSaysSo(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "ledger.db"), now)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	err := s.Put(t.Context(), ledger.Record{Key: "k"})
	if want := "writing the ledger: it is closed"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// If one change of a transaction fails, the others do not.
func TestAChangeThatFailsLeavesTheOthers(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "ledger.db"), now)
	broken := errors.New("broken")
	var wg sync.WaitGroup
	for i := range 30 {
		wg.Go(func() {
			err := s.Update(t.Context(), func(tx *bbolt.Tx) error {
				b, err := tx.CreateBucketIfNotExists([]byte("other"))
				if err == nil {
					err = b.Put([]byte{byte(i)}, []byte("v"))
				}
				if i%3 == 0 {
					return broken
				}
				return err
			})
			if want := i%3 == 0; errors.Is(err, broken) != want || !want && err != nil {
				t.Errorf("change %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	err := s.View(func(tx *bbolt.Tx) error {
		for i := range 30 {
			if got, want := tx.Bucket([]byte("other")).Get([]byte{byte(i)}) != nil, i%3 != 0; got != want {
				t.Errorf("change %d is written: %v, want %v", i, got, want)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
