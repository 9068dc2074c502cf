package runner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/amx-lambda/amx/internal/ledger"
)

const (
	// firstPause is the longest wait after the first conflict of a write. It doubles
	// up to longestPause. 400 invocations may write one gate at once.
	firstPause   = 20 * time.Millisecond
	longestPause = time.Second
	// keepEmpty is how long an empty record is kept.
	keepEmpty = 24 * time.Hour
)

// A record is a record of the store, as this delivery last read or wrote it. Its turn is
// a lock over everything but its key, which never changes. A delivery holds it from a
// read to the write that follows.
type record struct {
	key     string
	turn    turn
	read    bool // otherwise the store's record is unknown
	version int64
	value   []byte
}

func newRecord(key string) *record { return &record{key: key, turn: newTurn()} }

func (r *record) is(now ledger.Record) { r.read, r.version, r.value = true, now.Version, now.Value }

// change is the only writer. It changes the record as it was last read, and writes it if
// the store still has that version. Otherwise it reads again and repeats the change,
// while there is time. If the change changes nothing, it writes nothing.
func (d *delivery) change(ctx context.Context, r *record, f func(value []byte) (after []byte, expires time.Time, err error)) error {
	r.turn.Lock()
	defer r.turn.Unlock()
	if !r.read { // the record of another run, such as one that has a slot
		if err := d.get(ctx, r); err != nil {
			return err
		}
	}
	for conflicts := 0; ; conflicts++ {
		after, expires, err := f(r.value)
		if err != nil {
			return err
		}
		if expires.IsZero() {
			if len(r.value) == 0 {
				return nil // it was empty, and still is
			}
			expires = d.now().Add(keepEmpty)
		}
		if bytes.Equal(after, r.value) {
			return nil
		}
		err = d.put(ctx, r, after, expires)
		if err == nil {
			return nil
		}
		if !errors.Is(err, ledger.ErrConflict) || d.now().After(d.sends) && !d.acted.Load() {
			return fmt.Errorf("writing the ledger: %w", err)
		}
		if err := d.again(ctx, r, conflicts); err != nil {
			return err
		}
	}
}

// put writes the record. After an error the write may have succeeded: its answer was
// lost, or an earlier attempt of the SDK succeeded. So put reads the record again.
func (d *delivery) put(ctx context.Context, r *record, value []byte, expires time.Time) error {
	next := ledger.Record{Key: r.key, Version: r.version, Value: value, Expires: expires}
	err := d.Store.Put(ctx, next)
	if err == nil {
		next.Version++
		r.is(next)
		return nil
	}
	if errors.Is(err, ledger.ErrTooLarge) {
		return fmt.Errorf("%w: %s", err, ledger.Narrower)
	}
	now, readErr := d.Store.Get(ctx, r.key)
	if readErr != nil {
		return errors.Join(err, readErr)
	}
	if now[0].Version > r.version && bytes.Equal(now[0].Value, value) {
		r.is(now[0])
		return nil
	}
	return err
}

// again reads the record once more, after a random pause. The longest pause doubles with
// each conflict, so that deliveries do not keep conflicting.
func (d *delivery) again(ctx context.Context, r *record, conflicts int) error {
	pause := min(firstPause<<min(conflicts, 10), longestPause)
	if err := sleep(ctx, time.Duration(d.fraction()*float64(pause))); err != nil {
		return fmt.Errorf("reading the ledger again: %w", err)
	}
	return d.get(ctx, r)
}

func (d *delivery) reread(ctx context.Context, r *record) error {
	r.turn.Lock()
	defer r.turn.Unlock()
	return d.get(ctx, r)
}

func (d *delivery) get(ctx context.Context, records ...*record) error {
	keys := make([]string, len(records))
	for i, r := range records {
		keys[i] = r.key
	}
	read, err := d.Store.Get(ctx, keys...)
	if err != nil {
		return fmt.Errorf("reading the ledger: %w", err)
	}
	for i, now := range read {
		records[i].is(now)
	}
	return nil
}

// A turn is a lock that is held during calls to the ledger. It is no sync.Mutex, because
// fake time stands still in tests while a goroutine waits for a mutex
// (https://pkg.go.dev/testing/synctest).
type turn chan struct{}

func newTurn() turn    { return make(turn, 1) }
func (t turn) Lock()   { t <- struct{}{} }
func (t turn) Unlock() { <-t }

// sleep waits. It returns an error if ctx ends first.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
