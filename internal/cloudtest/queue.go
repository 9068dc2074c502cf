package cloudtest

import (
	"context"
	"crypto/md5"
	"fmt"
	"strings"
	"time"

	"github.com/amx-lambda/amx/internal/queue"
)

// A Queued is an item of the queue: from the Put of it until it is done with. It is
// delivered at least once, in no order, and not before it is due.
type Queued struct {
	queue.Item
	ID         string // such as q0, in the order of their puts
	By         string // the process that put it
	Put        time.Time
	Deliveries int
	Done       time.Time // zero: it is to be delivered, or delivered again
	GivenUp    bool      // it went to the dead letters
}

// A Queue is the process's way to the queue.
type Queue struct{ *Process }

// Queue is the process's way to the queue.
func (p *Process) Queue() Queue { return Queue{p} }

// Put puts an item on the queue. It goes through its text, as everything that a
// store keeps.
func (q Queue) Put(ctx context.Context, it queue.Item) error {
	text, err := it.Encode()
	if err != nil {
		return err
	}
	about := fmt.Sprintf("%s %s %s", it.Kind, it.Command, it.Run)
	if it.Message != nil {
		for _, a := range it.Message.Alerts[:min(1, len(it.Message.Alerts))] {
			about = fmt.Sprintf("%s %s %s", about, a.Status, a.Fingerprint)
		}
	}
	err = q.do(ctx, "Enqueue", about, func() error { return q.Cloud.enqueue(text, q.Name) })
	if err != nil {
		return fmt.Errorf("the queue: %w", err)
	}
	return nil
}

func (c *Cloud) enqueue(text []byte, by string) error {
	it, err := queue.Decode(text)
	if err != nil {
		return err
	}
	queued := &Queued{Item: it, ID: fmt.Sprintf("q%d", len(c.Queued)), By: by, Put: time.Now()}
	c.Queued = append(c.Queued, queued)
	if c.Arrived != nil {
		c.Arrived(queued)
	}
	return nil
}

// DeadLetters ends the URL of the queue for what is given up.
const DeadLetters = "/dead-letters"

func (q Queue) sendMessage(ctx context.Context, in *struct{ QueueURL, MessageBody string }) (any, error) {
	err := q.do(ctx, "Enqueue", fmt.Sprintf("%x", md5.Sum([]byte(in.MessageBody))), func() error {
		if strings.HasSuffix(in.QueueURL, DeadLetters) {
			q.Cloud.Dead = append(q.Cloud.Dead, in.MessageBody)
			return nil
		}
		return q.Cloud.enqueue([]byte(in.MessageBody), q.Name)
	})
	return map[string]string{"MessageId": "m", "MD5OfMessageBody": fmt.Sprintf("%x", md5.Sum([]byte(in.MessageBody)))}, err
}

// Waiting lists the items that are not done with, in the order of their puts.
func (c *Cloud) Waiting() (items []*Queued) {
	c.Mu.Lock()
	defer c.Mu.Unlock()
	for _, q := range c.Queued {
		if q.Done.IsZero() {
			items = append(items, q)
		}
	}
	return items
}

// Delivered says that the item is delivered once more.
func (c *Cloud) Delivered(q *Queued) {
	c.Mu.Lock()
	defer c.Mu.Unlock()
	q.Deliveries++
}

// Settled says that the item is done with; givenUp: it is a dead letter.
func (c *Cloud) Settled(q *Queued, givenUp bool) {
	c.Mu.Lock()
	defer c.Mu.Unlock()
	if q.Done.IsZero() {
		q.Done, q.GivenUp = time.Now(), givenUp
	}
}

// Gone is closed at the end of the world.
func (c *Cloud) Gone() <-chan struct{} { return c.gone }
