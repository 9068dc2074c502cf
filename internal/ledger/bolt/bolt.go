// Package bolt keeps the ledger of `amx serve` in a bbolt file. The file's lock proves that
// no other process writes it, so claims of other processes have ended.
package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"

	"github.com/amx-lambda/amx/internal/ledger"
)

var bucket = []byte("ledger")

// A Store is a [ledger.Store] in one file.
type Store struct {
	db     *bbolt.DB
	now    func() time.Time
	swept  time.Time // when expired records were last removed
	writes chan change
	closed chan struct{}
	closes sync.Once
	done   chan struct{}
}

// A change is one caller's write.
type change struct {
	do     func(*bbolt.Tx) error
	answer chan error
}

// In the file, a record is its version and the second of its expiry (0: never), eight bytes
// each, and its value.
const head = 16

// sweep is how often expired records are removed.
const sweep = 24 * time.Hour

// Open opens or makes the ledger at path, and the folder around it. It fails at once if
// another process has the ledger open. It removes expired records now and once a day.
func Open(path string, now func() time.Time) (*Store, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("making the ledger's folder: %w", err)
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout:        100 * time.Millisecond,
		NoFreelistSync: true,
		FreelistType:   bbolt.FreelistMapType,
	})
	switch {
	case errors.Is(err, bbolterrors.ErrTimeout):
		return nil, fmt.Errorf("opening the ledger %q: another amx has it open; stop that one, or name another file with --ledger", path)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("opening the ledger: %w; name a file that can be written with --ledger", err)
	case err != nil:
		return nil, fmt.Errorf("opening the ledger %q: %w", path, err)
	}
	s := &Store{db: db, now: now, swept: now(), writes: make(chan change), closed: make(chan struct{}), done: make(chan struct{})}
	if err := db.Update(func(tx *bbolt.Tx) error { return expire(tx, s.swept) }); err != nil {
		return nil, errors.Join(fmt.Errorf("reading the ledger %q: %w", path, err), db.Close())
	}
	go s.write()
	return s, nil
}

// Close writes the changes that wait, and closes the file.
func (s *Store) Close() error {
	s.closes.Do(func() { close(s.closed) })
	<-s.done
	return s.db.Close()
}

// Get returns the records as they are on disk.
func (s *Store) Get(_ context.Context, keys ...string) ([]ledger.Record, error) {
	records := make([]ledger.Record, len(keys))
	err := s.db.View(func(tx *bbolt.Tx) error {
		for i, key := range keys {
			r, err := get(tx, key)
			if err != nil {
				return err
			}
			records[i] = r
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the ledger: %w", err)
	}
	return records, nil
}

// Put writes one record, durably when it returns.
func (s *Store) Put(ctx context.Context, r ledger.Record) error {
	conflict := false
	err := s.Update(ctx, func(tx *bbolt.Tx) error {
		err := write(tx, r)
		conflict = errors.Is(err, ledger.ErrConflict) // it has written nothing
		if conflict {
			return nil
		}
		return err
	})
	if err == nil && conflict {
		return ledger.ErrConflict
	}
	return err
}

// Update lets do write to the file. When Update returns nil, the writes are durable. Each
// user of the file has buckets of its own. do may be called again, and shares its
// transaction with others. If do returns an error, its writes are dropped, and the others
// are written without it.
func (s *Store) Update(ctx context.Context, do func(*bbolt.Tx) error) error {
	c := change{do: do, answer: make(chan error, 1)}
	select {
	case s.writes <- c:
		return <-c.answer
	case <-s.closed:
		return errors.New("writing the ledger: it is closed")
	case <-ctx.Done():
		return fmt.Errorf("writing the ledger: %w", ctx.Err())
	}
}

// View lets do read the file as it is now.
func (s *Store) View(do func(*bbolt.Tx) error) error { return s.db.View(do) }

// write commits in one transaction all changes that came during the transaction before.
// With eight clients that is several times as many changes as with one transaction for
// each. bbolt's own Batch waits; this does not.
func (s *Store) write() {
	defer close(s.done)
	for {
		var batch []change
		select {
		case c := <-s.writes:
			batch = append(batch, c)
		case <-s.closed:
			return
		}
		for more := true; more; {
			select {
			case c := <-s.writes:
				batch = append(batch, c)
			default:
				more = false
			}
		}
		for len(batch) > 0 {
			batch = s.commit(batch)
		}
	}
}

// commit writes the batch and answers its callers. If one change fails, it answers only
// that one, and returns the others to try again.
func (s *Store) commit(batch []change) (again []change) {
	now := s.now()
	old := now.Sub(s.swept) >= sweep
	failed := -1
	err := s.db.Update(func(tx *bbolt.Tx) error {
		if old {
			if err := expire(tx, now); err != nil {
				return err
			}
		}
		for i, c := range batch {
			if err := c.do(tx); err != nil {
				failed = i
				return err
			}
		}
		return nil
	})
	if err != nil {
		err = fmt.Errorf("writing the ledger: %w", err)
	}
	if failed >= 0 {
		batch[failed].answer <- err
		return slices.Delete(batch, failed, failed+1)
	}
	if old && err == nil {
		s.swept = now
	}
	for _, c := range batch {
		c.answer <- err
	}
	return nil
}

func write(tx *bbolt.Tx, r ledger.Record) error {
	now, err := get(tx, r.Key)
	if err != nil {
		return err
	}
	if now.Version != r.Version {
		return ledger.ErrConflict
	}
	var expires uint64
	if !r.Expires.IsZero() {
		expires = uint64(r.Expires.Unix())
	}
	value := make([]byte, 0, head+len(r.Value))
	value = binary.BigEndian.AppendUint64(value, uint64(r.Version+1))
	value = binary.BigEndian.AppendUint64(value, expires)
	value = append(value, r.Value...)
	return tx.Bucket(bucket).Put([]byte(r.Key), value)
}

func get(tx *bbolt.Tx, key string) (ledger.Record, error) {
	r := ledger.Record{Key: key}
	raw := tx.Bucket(bucket).Get([]byte(key))
	if raw == nil {
		return r, nil
	}
	if len(raw) < head {
		return r, fmt.Errorf("record %q is %d bytes long, too short for its version", key, len(raw))
	}
	r.Version = int64(binary.BigEndian.Uint64(raw))
	if expires := binary.BigEndian.Uint64(raw[8:]); expires > 0 {
		r.Expires = time.Unix(int64(expires), 0)
	}
	r.Value = bytes.Clone(raw[head:]) // raw is only valid inside the transaction
	return r, nil
}

// expire removes expired records, and makes the bucket if there is none.
func expire(tx *bbolt.Tx, now time.Time) error {
	b, err := tx.CreateBucketIfNotExists(bucket)
	if err != nil {
		return err
	}
	var old [][]byte
	err = b.ForEach(func(key, _ []byte) error {
		r, err := get(tx, string(key))
		if err == nil && !r.Expires.IsZero() && r.Expires.Before(now) {
			old = append(old, key)
		}
		return err
	})
	for _, key := range old {
		err = errors.Join(err, b.Delete(key))
	}
	return err
}
