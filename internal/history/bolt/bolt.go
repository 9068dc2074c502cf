// Package bolt keeps the history of `amx serve` in the ledger's bbolt file.
package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/amx-lambda/amx/internal/history"
)

// The buckets. Positions sort by time, so that a list reads what it shows and
// no more.
var (
	bucketRecords   = []byte("history")           // :: run → the record
	bucketOutputs   = []byte("history_outputs")   // :: run → the outputs
	bucketPositions = []byte("history_positions") // :: position → run
)

// A File is the open ledger: one transaction at a time writes, and several
// callers share it.
type File interface {
	Update(ctx context.Context, do func(*bbolt.Tx) error) error
	View(do func(*bbolt.Tx) error) error
}

// A Store keeps records in a File. It is safe for concurrent use.
type Store struct {
	File File
	Keep history.Keeping
	Now  func() time.Time // nil: time.Now
	News history.News     // nil: nobody is told
}

// sweep is how many expired records one write removes at the most: as many more
// than it adds that what has expired is gone soon, and few enough not to be felt.
const sweep = 8

func (s *Store) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}

// Put joins the record with what is kept of its run ([history.Merge]).
func (s *Store) Put(ctx context.Context, r history.Record) error {
	now := s.now()
	if _, ok := s.Keep.Expires(&r, now); !ok && !history.IsRun(r.Run) {
		return nil
	}
	record, outputs := history.Split(history.Cut(r))
	var was *history.Record
	err := s.File.Update(ctx, func(tx *bbolt.Tx) error {
		b, err := open(tx)
		if err != nil {
			return err
		}
		if was, err = b.record(r.Run); err != nil {
			return err
		}
		return errors.Join(b.put(was, record, outputs, s.Keep, now), b.expire(s.Keep, now))
	})
	if err != nil {
		return fmt.Errorf("history: run %q: %w", r.Run, err)
	}
	s.News.Tell(ctx, was, &r)
	return nil
}

// Get answers the record of a run with its outputs, [history.ErrNotFound] where
// there is none.
func (s *Store) Get(_ context.Context, run string) (r history.Record, err error) {
	err = s.File.View(func(tx *bbolt.Tx) error {
		b, ok := existing(tx)
		if !ok {
			return history.ErrNotFound
		}
		found, err := b.record(run)
		if err == nil && found == nil {
			return history.ErrNotFound
		}
		if err != nil {
			return err
		}
		if at, _ := s.Keep.Expires(found, s.now()); !at.After(s.now()) {
			return history.ErrNotFound
		}
		outputs, err := b.outputsOf(run)
		r = history.WithOutputs(*found, outputs)
		return err
	})
	if err != nil {
		return history.Record{}, fmt.Errorf("run %q: %w", run, err)
	}
	return r, nil
}

// looks is how many records a page looks at, at the most.
const looks = 20_000

// List answers a page of what the query chooses.
func (s *Store) List(ctx context.Context, q history.Query) (page history.Page, err error) {
	now := s.now()
	if q, err = q.Normal(now); err != nil {
		return page, err
	}
	err = s.File.View(func(tx *bbolt.Tx) error {
		b, ok := existing(tx)
		if !ok {
			return nil
		}
		least := []byte(history.After(q.Since))
		c := b.positions.Cursor()
		at, run := before(c, q.Cursor)
		for n := 1; at != nil && bytes.Compare(at, least) >= 0; n++ {
			if mayMatch(b.records.Get(run), &q) {
				r, err := b.record(string(run))
				if err != nil {
					return err
				}
				if expires, _ := s.Keep.Expires(r, now); r != nil && expires.After(now) && q.Matches(r) {
					page.Records = append(page.Records, *r)
				}
			}
			if len(page.Records) == q.Limit || n == looks {
				if next, _ := c.Prev(); next != nil && bytes.Compare(next, least) >= 0 {
					page.Next = string(at)
				}
				return ctx.Err()
			}
			at, run = c.Prev()
		}
		return ctx.Err()
	})
	if err != nil {
		return history.Page{}, fmt.Errorf("listing the history: %w", err)
	}
	return page, nil
}

// mayMatch says that a record may have the state that a query asks for, without
// decoding it: most have not, and decoding is what a long list costs.
func mayMatch(data []byte, q *history.Query) bool {
	packed := len(data) == 0 || data[0] != '{'
	return q.State == "" || packed || bytes.Contains(data, []byte(`"state":"`+string(q.State)+`"`))
}

// before moves to the last position before a cursor, or to the very last.
func before(c *bbolt.Cursor, cursor string) (at, run []byte) {
	if cursor == "" {
		return c.Last()
	}
	if at, _ := c.Seek([]byte(cursor)); at == nil {
		return c.Last()
	}
	return c.Prev()
}

// buckets are those of one transaction.
type buckets struct{ records, outputs, positions *bbolt.Bucket }

func open(tx *bbolt.Tx) (b buckets, err error) {
	for name, into := range map[string]**bbolt.Bucket{
		string(bucketRecords): &b.records, string(bucketOutputs): &b.outputs, string(bucketPositions): &b.positions,
	} {
		if *into, err = tx.CreateBucketIfNotExists([]byte(name)); err != nil {
			return b, err
		}
	}
	return b, nil
}

func existing(tx *bbolt.Tx) (b buckets, ok bool) {
	b = buckets{tx.Bucket(bucketRecords), tx.Bucket(bucketOutputs), tx.Bucket(bucketPositions)}
	return b, b.records != nil && b.outputs != nil && b.positions != nil
}

// record is what is kept of a run without its outputs, nil where it is nothing.
func (b buckets) record(run string) (*history.Record, error) {
	data := b.records.Get([]byte(run))
	if data == nil {
		return nil, nil
	}
	r := new(history.Record)
	if err := history.Decode(data, r); err != nil {
		return nil, fmt.Errorf("record %q: %w", run, err)
	}
	return r, nil
}

func (b buckets) outputsOf(run string) (outputs []history.Node, err error) {
	if data := b.outputs.Get([]byte(run)); data != nil {
		if err := history.Decode(data, &outputs); err != nil {
			return nil, fmt.Errorf("outputs of %q: %w", run, err)
		}
	}
	return outputs, nil
}

func (b buckets) put(was *history.Record, r history.Record, outputs []history.Node, keep history.Keeping, now time.Time) error {
	key := []byte(r.Run)
	if was != nil {
		r = history.Cut(history.Merge(*was, r))
		if was.Position() != r.Position() {
			if err := b.positions.Delete([]byte(was.Position())); err != nil {
				return err
			}
		}
	}
	if _, kept := keep.Expires(&r, now); !kept {
		return b.remove(r.Run, r.Position())
	}
	if outputs != nil {
		before, err := b.outputsOf(r.Run)
		if err != nil {
			return err
		}
		if err := b.outputs.Put(key, history.Encode(history.MergeOutputs(before, outputs))); err != nil {
			return err
		}
	}
	if err := b.positions.Put([]byte(r.Position()), key); err != nil {
		return err
	}
	return b.records.Put(key, history.Encode(r))
}

func (b buckets) remove(run, position string) error {
	return errors.Join(b.records.Delete([]byte(run)), b.outputs.Delete([]byte(run)), b.positions.Delete([]byte(position)))
}

// expire removes the oldest records, as far as they have expired.
func (b buckets) expire(keep history.Keeping, now time.Time) error {
	for range sweep {
		at, run := b.positions.Cursor().First()
		if at == nil {
			return nil
		}
		r, err := b.record(string(run))
		if err != nil {
			return err
		}
		if r != nil {
			if expires, _ := keep.Expires(r, now); expires.After(now) {
				return nil
			}
		}
		if err := b.remove(string(run), string(at)); err != nil {
			return err
		}
	}
	return nil
}
