package runner_test

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/amx-lambda/amx/internal/queue"
)

// waiting is a queue that keeps what is put on it.
type waiting struct {
	mu    sync.Mutex
	items []queue.Item
	fails bool
}

func (q *waiting) Put(_ context.Context, it queue.Item) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.fails {
		return errors.New("the queue is down")
	}
	q.items = append(q.items, it)
	return nil
}

// first is the item that is due first, taken off.
func (q *waiting) first() (it queue.Item, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	at := -1
	for i := range q.items {
		if at < 0 || q.items[i].Due.Before(q.items[at].Due) {
			at = i
		}
	}
	if at < 0 {
		return queue.Item{}, false
	}
	it = q.items[at]
	q.items = append(q.items[:at], q.items[at+1:]...)
	return it, true
}

// work lets time pass, and handles what comes due in it.
func (w *world) work(q *waiting, during time.Duration) {
	w.Helper()
	w.workWithin(q, 30*time.Second, during)
}

// workWithin does so in invocations of that length.
func (w *world) workWithin(q *waiting, limit, during time.Duration) {
	w.Helper()
	for end := time.Now().Add(during); ; {
		it, ok := q.first()
		if !ok || it.Due.After(end) {
			if ok {
				_ = q.Put(context.Background(), it)
			}
			time.Sleep(time.Until(end))
			return
		}
		time.Sleep(time.Until(it.Due))
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		if err := w.runner.HandleItem(ctx, it); err != nil && !errors.Is(err, queue.ErrGivenUp) {
			w.Errorf("%s: %v", it.Subject(), err)
		}
		cancel()
	}
}
