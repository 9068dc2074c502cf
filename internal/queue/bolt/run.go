package bolt

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"github.com/amx-lambda/amx/internal/queue"
)

// delivery is an item that is due, as it lies in the bucket.
type delivery struct {
	key    []byte
	failed uint32 // deliveries that failed
	text   []byte
}

// Run delivers what is due, several items at a time, until ctx ends; then it
// starts no more, and returns when those under way have returned. It begins
// with what an earlier process has left.
//
// An item is deleted once handle has answered nil, or an error that wraps
// [queue.ErrGivenUp]. After any other error it is delivered again, with a
// back-off that grows with each failure. handle's context does not end with
// ctx: an item that is begun may be finished.
func (s *Store) Run(ctx context.Context, handle func(context.Context, queue.Item) error) error {
	var under sync.WaitGroup
	defer under.Wait()
	free := make(chan struct{}, s.Concurrency)
	for {
		due, next, err := s.due(cap(free) - len(free))
		if err != nil {
			return fmt.Errorf("reading the queue: %w", err)
		}
		for _, d := range due {
			free <- struct{}{} // there is room: due answers no more than that
			under.Go(func() {
				s.deliver(ctx, d, handle)
				<-free
				s.change()
			})
		}
		if !s.wait(ctx, next) {
			return nil
		}
	}
}

// wait waits until something may be due: at next, unless that is zero, or after
// a change. It answers false when ctx has ended.
func (s *Store) wait(ctx context.Context, next time.Time) bool {
	var timer <-chan time.Time
	if !next.IsZero() {
		t := time.NewTimer(next.Sub(s.Now()))
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-timer:
	case <-s.changed:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

// due takes up to n items that are due and that nobody handles. next is when the
// first of the others will be due; zero if there is none, or if something has to
// be finished first.
func (s *Store) due(n int) (due []delivery, next time.Time, err error) {
	now := s.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	err = s.file.View(func(tx *bbolt.Tx) error {
		c := tx.Bucket(bucket).Cursor()
		for key, value := c.First(); key != nil; key, value = c.Next() {
			if s.held[string(key)] {
				continue
			}
			if len(key) != keySize || len(value) < head {
				return fmt.Errorf("key %x has a value of %d bytes: not an item of amx", key, len(value))
			}
			at := dueOf(key)
			if at.After(now) {
				next = at
				return nil
			}
			if len(due) == n {
				return nil
			}
			due = append(due, delivery{
				key: append([]byte(nil), key...), failed: binary.BigEndian.Uint32(value),
				text: append([]byte(nil), value[head:]...), // valid only inside the transaction
			})
		}
		return nil
	})
	if err != nil {
		return nil, time.Time{}, err
	}
	for _, d := range due {
		s.held[string(d.key)] = true
	}
	return due, next, nil
}

// deliver has an item handled, and deletes it or puts it off.
func (s *Store) deliver(ctx context.Context, d delivery, handle func(context.Context, queue.Item) error) {
	ctx = context.WithoutCancel(ctx)
	it, err := queue.Decode(d.text)
	switch {
	case errors.Is(err, queue.ErrNewer):
		// It stays held, so that this process does not meet it again.
		s.Log.ErrorContext(ctx, "an item is left for a newer release of amx", "error", err.Error())
		return
	case err != nil:
		s.Log.ErrorContext(ctx, "an item is dropped: nobody can read it", "error", err.Error())
		s.settle(ctx, d, false)
		return
	}
	err = handle(ctx, it)
	givenUp := errors.Is(err, queue.ErrGivenUp)
	switch {
	case givenUp:
		s.Log.ErrorContext(ctx, "an item is given up", "item", it.Subject(), "error", err.Error())
	case err != nil:
		s.Log.WarnContext(ctx, "an item is delivered again", "item", it.Subject(), "error", err.Error())
	}
	s.settle(ctx, d, err != nil && !givenUp)
}

// settle deletes an item, or replaces it by the same one with a later due time.
func (s *Store) settle(ctx context.Context, d delivery, again bool) {
	err := s.file.Update(ctx, func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucket)
		if again {
			due := s.Now().Add(queue.Backoff(int(d.failed), s.Random()))
			if err := put(b, due, d.failed+1, d.text); err != nil {
				return err
			}
		}
		return b.Delete(d.key)
	})
	if err != nil {
		// It stays held: this process does not deliver it again, the next one does.
		s.Log.ErrorContext(ctx, "writing the queue: an item comes back at the next start", "error", err.Error())
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.held, string(d.key))
}
