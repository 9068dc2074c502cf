package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/bbolt"

	"github.com/amx-lambda/amx/internal/queue"
)

// file is a bbolt file as the ledger shares it.
type file struct {
	*bbolt.DB
	mu   sync.Mutex
	dead bool
}

func (f *file) Update(_ context.Context, do func(*bbolt.Tx) error) error {
	f.mu.Lock()
	dead := f.dead
	f.mu.Unlock()
	if dead {
		return errors.New("the file is closed")
	}
	return f.DB.Update(do)
}

func (f *file) kill() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dead = true
}

// world is a queue in a file, with a consumer that notes when it was given what.
type world struct {
	t     *testing.T
	file  *file
	store *Store
	log   bytes.Buffer
	stop  context.CancelFunc
	ended chan error

	mu    sync.Mutex
	begin time.Time
	seen  []string // "20s a"
	// handle is asked after a delivery was noted; nil: done with.
	handle func(queue.Item) error
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, begin: time.Now()}
	db, err := bbolt.Open(filepath.Join(t.TempDir(), "ledger.db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.file = &file{DB: db}
	w.open()
	t.Cleanup(func() { db.Close() })
	return w
}

func (w *world) open() {
	w.t.Helper()
	var err error
	w.store, err = Open(w.t.Context(), w.file, Options{
		Random: func() float64 { return 0.5 }, Log: slog.New(slog.NewTextHandler(&w.log, nil)), Concurrency: 3,
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) run() {
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	w.stop, w.ended = cancel, ended
	go func() {
		ended <- w.store.Run(ctx, func(_ context.Context, it queue.Item) error {
			w.mu.Lock()
			w.seen = append(w.seen, fmt.Sprintf("%v %s", time.Since(w.begin), it.Command))
			handle := w.handle
			w.mu.Unlock()
			if handle == nil {
				return nil
			}
			return handle(it)
		})
	}()
}

func (w *world) end() {
	w.t.Helper()
	w.stop()
	if err := <-w.ended; err != nil {
		w.t.Error(err)
	}
}

func (w *world) put(command string, wait time.Duration) {
	w.t.Helper()
	it := queue.Item{Kind: queue.Notification, Command: command}
	if wait > 0 {
		it.Due = time.Now().Add(wait)
	}
	if err := w.store.Put(w.t.Context(), it); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) wantSeen(want ...string) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Equal(w.seen, want) {
		w.t.Errorf("delivered %q, want %q", w.seen, want)
	}
}

func (w *world) wantLen(want int) {
	w.t.Helper()
	if n, _, err := w.store.Len(); err != nil || n != want {
		w.t.Errorf("%d items wait, %v, want %d", n, err, want)
	}
}

func TestAnItemIsDeliveredWhenItIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.put("later", time.Minute)
		w.run()
		w.put("soon", 20*time.Second)
		w.put("now", 0)
		time.Sleep(59 * time.Second)
		w.wantSeen("0s now", "20s soon")
		w.wantLen(1)
		time.Sleep(time.Hour)
		w.wantSeen("0s now", "20s soon", "1m0s later")
		w.wantLen(0)
		w.end()
	})
}

func TestAnItemThatFailsComesBackWithABackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		failures := 3
		w.handle = func(queue.Item) error {
			if failures--; failures < 0 {
				return nil
			}
			return errors.New("throttled")
		}
		w.run()
		w.put("a", 0)
		time.Sleep(time.Hour)
		// Three quarters of 5, 10 and 20 seconds.
		w.wantSeen("0s a", "3.75s a", "11.25s a", "26.25s a")
		w.wantLen(0)
		w.end()
		if want := `level=WARN msg="an item is delivered again" item="notification of command \"a\"" error=throttled`; strings.Count(w.log.String(), want) != 3 {
			t.Errorf("the log is\n%s", &w.log)
		}
	})
}

func TestWhatIsGivenUpIsDoneWith(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.handle = func(queue.Item) error { return fmt.Errorf("stale: %w", queue.ErrGivenUp) }
		w.run()
		w.put("a", 0)
		time.Sleep(time.Hour)
		w.wantSeen("0s a")
		w.wantLen(0)
		w.end()
	})
}

func TestARestartDeliversWhatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		dies := make(chan struct{})
		w.handle = func(queue.Item) error {
			<-dies
			return errors.New("the process ends")
		}
		w.run()
		w.put("under way", 0)
		w.put("waits", time.Minute)
		synctest.Wait()
		// As the death of a process leaves it: nobody writes what became of the
		// item.
		ended := w.ended
		w.stop()
		w.file.kill()
		w.file = &file{DB: w.file.DB}
		w.open()
		w.mu.Lock()
		w.handle = nil
		w.mu.Unlock()
		time.Sleep(10 * time.Second)
		w.run()
		time.Sleep(time.Hour)
		w.wantSeen("0s under way", "10s under way", "1m0s waits")
		w.wantLen(0)
		w.end()
		close(dies)
		<-ended //nolint:errcheck // the process is dead, whatever its Run says
	})
}

func TestNoMoreAreHandledAtATimeThanAllowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var under, most int
		var mu sync.Mutex
		w.handle = func(queue.Item) error {
			mu.Lock()
			under++
			most = max(most, under)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			under--
			mu.Unlock()
			return nil
		}
		for i := range 10 {
			w.put(fmt.Sprint(i), 0)
		}
		w.run()
		time.Sleep(3500 * time.Millisecond)
		w.mu.Lock()
		begun := len(w.seen)
		w.mu.Unlock()
		mu.Lock()
		if begun != 10 || most != 3 {
			t.Errorf("in 3.5 s %d of 10 were begun, %d at a time, want all and 3", begun, most)
		}
		mu.Unlock()
		time.Sleep(time.Second)
		w.wantLen(0)
		w.end()
	})
}

func TestStoppingLetsWhatIsBegunFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.handle = func(queue.Item) error {
			time.Sleep(5 * time.Second)
			return nil
		}
		w.run()
		w.put("begun", 0)
		synctest.Wait()
		w.put("waits", time.Second)
		w.end()
		if took := time.Since(w.begin); took != 5*time.Second {
			t.Errorf("it took %v, want 5 s", took)
		}
		w.wantSeen("0s begun")
		w.wantLen(1)
	})
}

func TestItemsOfANewerReleaseStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for _, text := range []string{`{"v":2}`, `nonsense`} {
			err := w.file.Update(t.Context(), func(tx *bbolt.Tx) error {
				return put(tx.Bucket(bucket), time.Now(), 0, []byte(text))
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		w.put("ours", 0)
		w.run()
		time.Sleep(time.Hour)
		w.wantSeen("0s ours")
		w.wantLen(1)
		w.end()
		for _, want := range []string{
			`level=ERROR msg="an item is left for a newer release of amx" error="item of version 2, this release reads 1: written by a newer release of amx"`,
			`level=ERROR msg="an item is dropped: nobody can read it" error="unpacking the item \"nonsense\": `,
		} {
			if strings.Count(w.log.String(), want) != 1 {
				t.Errorf("the log is\n%s\nwant once %s", &w.log, want)
			}
		}
	})
}

func TestPutsSideBySideAreAllKept(t *testing.T) {
	w := newWorld(t)
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() { w.put(fmt.Sprint(i), time.Hour) })
	}
	wg.Wait()
	w.wantLen(50)
}

func TestLenKnowsTheOldest(t *testing.T) {
	w := newWorld(t)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i, arrived := range []time.Time{now, now.Add(-time.Hour), now.Add(-time.Minute)} {
		it := queue.Item{Kind: queue.Notification, Command: "a", Arrived: arrived, Due: now.Add(time.Duration(i) * time.Hour)}
		if err := w.store.Put(t.Context(), it); err != nil {
			t.Fatal(err)
		}
	}
	if n, oldest, err := w.store.Len(); n != 3 || !oldest.Equal(now.Add(-time.Hour)) || err != nil {
		t.Errorf("%d items, the oldest of %v, %v", n, oldest, err)
	}
}

func TestSinceWhenTheOldestHasBeenDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		want := func(when string, want time.Time) {
			t.Helper()
			if since, err := w.store.OldestDue(); err != nil || !since.Equal(want) {
				t.Errorf("%s: due since %v, %v, want %v", when, since, err, want)
			}
		}
		want("an empty queue", time.Time{})
		w.put("later", time.Minute)
		want("before it is due", time.Time{})
		w.put("soon", 20*time.Second)
		time.Sleep(2 * time.Minute)
		want("both are due", w.begin.Add(20*time.Second))
		handled := make(chan struct{})
		w.handle = func(queue.Item) error { <-handled; return nil }
		w.run()
		synctest.Wait()
		want("both are being handled", w.begin.Add(20*time.Second))
		close(handled)
		synctest.Wait()
		want("both are done with", time.Time{})
		w.end()
	})
}

func TestAFailedPutSaysSo(t *testing.T) {
	w := newWorld(t)
	w.file.kill()
	err := w.store.Put(t.Context(), queue.Item{Kind: queue.Notification, Command: "a"})
	if want := `putting the notification of command "a" on the queue: the file is closed`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
