// Package bolt keeps the queue of `amx serve` in the ledger's bbolt file. An
// item is on the disk from [Store.Put] on until its handler is done with it, so
// that it outlives the process.
//
// The bucket is ordered by when items are due:
//
//	key    due (Unix nanoseconds), sequence number; eight bytes each
//	value  failed deliveries (four bytes), the encoded item
package bolt

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"github.com/amx-lambda/amx/internal/queue"
)

var bucket = []byte("queue")

const (
	keySize = 16 // bytes of a key
	head    = 4  // bytes of a value before the item
	// sideBySide is how many items are handled at a time unless Options say.
	sideBySide = 16
)

// A File is the open file that the queue shares with the ledger, which opens and
// closes it.
type File interface {
	// Update lets do write, durably when it returns nil. do may be called again.
	Update(ctx context.Context, do func(*bbolt.Tx) error) error
	View(do func(*bbolt.Tx) error) error
}

// Options of a store. The zero value of each field means its default.
type Options struct {
	Now         func() time.Time // default: time.Now
	Random      func() float64   // in [0, 1), for the back-off; default: math/rand/v2's Float64
	Log         *slog.Logger     // required
	Concurrency int              // items handled at a time; default 16
}

// A Store is a queue in one bucket of a file. It has one consumer: [Store.Run].
type Store struct {
	Options
	file    File
	changed chan struct{} // a put or a finished item may have something due

	mu   sync.Mutex
	held map[string]bool // :: key → an item that is being handled, or that this release cannot read
}

// Open makes the queue's bucket where there is none.
func Open(ctx context.Context, file File, o Options) (*Store, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	if o.Concurrency == 0 {
		o.Concurrency = sideBySide
	}
	err := file.Update(ctx, func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(bucket)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("opening the queue: %w", err)
	}
	return &Store{Options: o, file: file, held: map[string]bool{}, changed: make(chan struct{}, 1)}, nil
}

// Put keeps an item until it is handled, durably when it returns. The item is
// delivered when it is due.
func (s *Store) Put(ctx context.Context, it queue.Item) error {
	text, err := it.Encode()
	if err != nil {
		return err
	}
	due := s.Now()
	if it.Due.After(due) {
		due = it.Due
	}
	err = s.file.Update(ctx, func(tx *bbolt.Tx) error { return put(tx.Bucket(bucket), due, 0, text) })
	if err != nil {
		return fmt.Errorf("putting the %s on the queue: %w", it.Subject(), err)
	}
	s.change()
	return nil
}

// Len is how many items wait or are being handled, and when the oldest of them
// arrived: zero if that is not known.
func (s *Store) Len() (n int, oldest time.Time, err error) {
	err = s.file.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucket).ForEach(func(_, value []byte) error {
			n++
			if len(value) < head {
				return nil
			}
			it, err := queue.Decode(value[head:])
			if err == nil && !it.Arrived.IsZero() && (oldest.IsZero() || it.Arrived.Before(oldest)) {
				oldest = it.Arrived
			}
			return nil // what cannot be read waits too
		})
	})
	if err != nil {
		return 0, time.Time{}, fmt.Errorf("reading the queue: %w", err)
	}
	return n, oldest, nil
}

// OldestDue is since when the item has been due that is due longest, and zero where
// none is due. An item that is being handled is due.
func (s *Store) OldestDue() (since time.Time, err error) {
	err = s.file.View(func(tx *bbolt.Tx) error {
		if key, _ := tx.Bucket(bucket).Cursor().First(); len(key) == keySize {
			since = dueOf(key)
		}
		return nil
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("reading the queue: %w", err)
	}
	if since.After(s.Now()) {
		return time.Time{}, nil
	}
	return since, nil
}

// dueOf is when the item of a key is due.
func dueOf(key []byte) time.Time { return time.Unix(0, int64(binary.BigEndian.Uint64(key))) }

func (s *Store) change() {
	select {
	case s.changed <- struct{}{}:
	default: // somebody has said so already
	}
}

func put(b *bbolt.Bucket, due time.Time, failed uint32, text []byte) error {
	seq, err := b.NextSequence()
	if err != nil {
		return err
	}
	key := binary.BigEndian.AppendUint64(make([]byte, 0, keySize), uint64(max(0, due.UnixNano())))
	key = binary.BigEndian.AppendUint64(key, seq)
	value := binary.BigEndian.AppendUint32(make([]byte, 0, head+len(text)), failed)
	return b.Put(key, append(value, text...))
}
