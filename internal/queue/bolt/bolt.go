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
	"errors"
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
	db      *bbolt.DB
	changed chan struct{} // a put or a finished item may have something due
	writes  chan write
	closed  chan struct{}
	closes  sync.Once
	done    chan struct{}

	mu   sync.Mutex
	held map[string]bool // :: key → an item that is being handled, or that this release cannot read
}

// Open makes the queue's bucket where there is none.
func Open(db *bbolt.DB, o Options) (*Store, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	if o.Concurrency == 0 {
		o.Concurrency = sideBySide
	}
	err := db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(bucket)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("opening the queue in %q: %w", db.Path(), err)
	}
	s := &Store{
		Options: o, db: db, held: map[string]bool{}, changed: make(chan struct{}, 1),
		writes: make(chan write), closed: make(chan struct{}), done: make(chan struct{}),
	}
	go s.write()
	return s, nil
}

// Close ends the writing. It is called after Run has returned and before the
// file is closed.
func (s *Store) Close() {
	s.closes.Do(func() { close(s.closed) })
	<-s.done
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
	err = s.commit(ctx, func(b *bbolt.Bucket) error { return put(b, due, 0, text) })
	if err != nil {
		return fmt.Errorf("putting the %s on the queue: %w", it.Subject(), err)
	}
	s.change()
	return nil
}

// Len is how many items wait or are being handled.
func (s *Store) Len() (int, error) {
	n := 0
	err := s.db.View(func(tx *bbolt.Tx) error {
		n = tx.Bucket(bucket).Stats().KeyN
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("reading the queue: %w", err)
	}
	return n, nil
}

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

// write is a change of the bucket that waits for its transaction.
type write struct {
	apply  func(*bbolt.Bucket) error
	answer chan error
}

// commit has a change written, durably when it returns.
func (s *Store) commit(ctx context.Context, apply func(*bbolt.Bucket) error) error {
	w := write{apply, make(chan error, 1)}
	select {
	case s.writes <- w:
		return <-w.answer
	case <-s.closed:
		return errors.New("it is closed")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// write commits, in one transaction, all that came while the disk was busy with
// the one before, as the ledger does.
func (s *Store) write() {
	defer close(s.done)
	for {
		var batch []write
		select {
		case w := <-s.writes:
			batch = append(batch, w)
		case <-s.closed:
			return
		}
		for more := true; more; {
			select {
			case w := <-s.writes:
				batch = append(batch, w)
			default:
				more = false
			}
		}
		err := s.db.Update(func(tx *bbolt.Tx) error {
			var errs []error
			for _, w := range batch {
				errs = append(errs, w.apply(tx.Bucket(bucket)))
			}
			return errors.Join(errs...)
		})
		for _, w := range batch {
			w.answer <- err
		}
	}
}
