// Package storetest is what every ledger store has to do, as tests. The
// ledger's rules need no more of a store, so one suite covers them all.
package storetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/ledger"
)

// Run tests a store. Each call of open answers an empty one.
func Run(t *testing.T, open func(t *testing.T) ledger.Store) {
	for _, test := range []struct {
		name string
		f    func(*store)
	}{
		{"a key that was never written answers version 0", neverWritten},
		{"a record is read as it was written, under the next version", writtenAndRead},
		{"a put on another version is a conflict, and changes nothing", conflict},
		{"many keys are answered in the order they were asked, repeated ones too", manyKeys},
		{"an expiry is kept to the second, and can be taken back", expiry},
		{"values of any bytes and of any size up to a large entry's are kept", values},
		{"of many writers of one version exactly one wins", oneWins},
		{"counting up through conflicts loses nothing", counting},
		{"a call whose context has ended writes nothing it does not admit to", ended},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.f(&store{T: t, Store: open(t), ctx: t.Context()})
		})
	}
}

// store is a store with the test that it is in.
type store struct {
	*testing.T
	ledger.Store
	ctx context.Context
}

func (s *store) get(keys ...string) []ledger.Record {
	s.Helper()
	records, err := s.Get(s.ctx, keys...)
	if err != nil {
		s.Fatalf("Get(%q): %v", keys, err)
	}
	if len(records) != len(keys) {
		s.Fatalf("Get(%q) answers %d records", keys, len(records))
	}
	return records
}

// holds says that the record of the key is this one.
func (s *store) holds(key string, version int64, value string) {
	s.Helper()
	r := s.get(key)[0]
	if r.Key != key || r.Version != version || string(r.Value) != value {
		s.Errorf("%q is %q, version %d, value %.40q; want version %d, value %.40q", key, r.Key, r.Version, r.Value, version, value)
	}
}

// put writes and wants the given error, or none.
func (s *store) put(key string, version int64, value string, want error) {
	s.Helper()
	err := s.Put(s.ctx, ledger.Record{Key: key, Version: version, Value: []byte(value)})
	if !errors.Is(err, want) || (want == nil) != (err == nil) {
		s.Errorf("Put(%q, version %d): %v, want %v", key, version, err, want)
	}
}

func neverWritten(s *store) {
	r := s.get("entry/c/0123456789abcdef")[0]
	if r.Key != "entry/c/0123456789abcdef" || r.Version != 0 || len(r.Value) != 0 || !r.Expires.IsZero() {
		s.Errorf("got %+v", r)
	}
	if records := s.get(); len(records) != 0 {
		s.Errorf("no keys answer %v", records)
	}
}

func writtenAndRead(s *store) {
	s.put("k", 0, "one", nil)
	s.holds("k", 1, "one")
	s.put("k", 1, "two", nil)
	s.holds("k", 2, "two")
	s.holds("other", 0, "")
}

func conflict(s *store) {
	s.put("k", 1, "no such version yet", ledger.ErrConflict)
	s.holds("k", 0, "")
	s.put("k", 0, "one", nil)
	s.put("k", 0, "again", ledger.ErrConflict)
	s.put("k", 2, "ahead", ledger.ErrConflict)
	s.holds("k", 1, "one")
	s.put("k", 1, "two", nil)
	s.put("k", 1, "late", ledger.ErrConflict)
	s.holds("k", 2, "two")
}

func manyKeys(s *store) {
	var keys []string
	for i := range 250 {
		key := fmt.Sprintf("entry/c/%03d", i)
		keys = append(keys, key)
		if i%2 == 0 {
			s.put(key, 0, key, nil)
		}
	}
	slices.Reverse(keys)
	keys = append(keys, keys[0], keys[1], keys[0])
	for i, r := range s.get(keys...) {
		var n int
		_, _ = fmt.Sscanf(keys[i], "entry/c/%d", &n)
		want := ledger.Record{Key: keys[i]}
		if n%2 == 0 {
			want.Version, want.Value = 1, []byte(keys[i])
		}
		if r.Key != want.Key || r.Version != want.Version || !bytes.Equal(r.Value, want.Value) {
			s.Fatalf("record %d is %+v, want %+v", i, r, want)
		}
	}
}

func expiry(s *store) {
	at := time.Unix(2_000_000_000, 0)
	for version, expires := range []time.Time{at, {}, at.Add(time.Hour)} {
		r := ledger.Record{Key: "k", Version: int64(version), Value: []byte("v"), Expires: expires}
		if err := s.Put(s.ctx, r); err != nil {
			s.Fatal(err)
		}
		if got := s.get("k")[0].Expires; !got.Equal(expires) {
			s.Errorf("Expires is %v, want %v", got, expires)
		}
	}
}

func values(s *store) {
	noise := make([]byte, 0, 300<<10) // cannot be packed
	for sum := sha256.Sum256(nil); len(noise) < cap(noise); sum = sha256.Sum256(sum[:]) {
		noise = append(noise, sum[:]...)
	}
	for i, value := range []string{
		"", "{}", "\x00\xff\xfe", "\x1f\x8b", "\x1f\x8b\x08\x00 not gzip at all",
		string(bytes.Repeat([]byte(`{"fp":"0123456789abcdef"}`), 20_000)), string(noise),
	} {
		key := fmt.Sprint("k", i)
		s.put(key, 0, value, nil)
		s.holds(key, 1, value)
	}
}

// side runs f several times at once.
func side(n int, f func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}

func oneWins(s *store) {
	for version := range int64(5) {
		var mu sync.Mutex
		var winners []string
		side(8, func(i int) {
			value := fmt.Sprintf("writer %d", i)
			err := s.Put(s.ctx, ledger.Record{Key: "k", Version: version, Value: []byte(value)})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				winners = append(winners, value)
			case !errors.Is(err, ledger.ErrConflict):
				s.Errorf("Put: %v", err)
			}
		})
		if len(winners) != 1 {
			s.Fatalf("version %d was written by %q", version, winners)
		}
		s.holds("k", version+1, winners[0])
	}
}

func counting(s *store) {
	const writers, each = 4, 10
	side(writers, func(int) {
		for done := 0; done < each; {
			records, err := s.Get(s.ctx, "count")
			if err != nil {
				s.Errorf("Get: %v", err)
				return
			}
			r := records[0]
			r.Value = append(bytes.Clone(r.Value), 'x')
			switch err := s.Put(s.ctx, r); {
			case err == nil:
				done++
			case !errors.Is(err, ledger.ErrConflict):
				s.Errorf("Put: %v", err)
				return
			}
		}
	})
	r := s.get("count")[0]
	if r.Version != writers*each || len(r.Value) != writers*each {
		s.Errorf("version %d and %d bytes, want %d of each", r.Version, len(r.Value), writers*each)
	}
}

func ended(s *store) {
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	err := s.Put(ctx, ledger.Record{Key: "k", Value: []byte("v")})
	if errors.Is(err, ledger.ErrConflict) || errors.Is(err, ledger.ErrTooLarge) {
		s.Errorf("Put: %v, which says that nothing was written", err)
	}
	if err == nil {
		s.holds("k", 1, "v")
	}
}
