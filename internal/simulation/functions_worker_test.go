package simulation

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/amx-lambda/amx/internal/cloudtest"
	"github.com/amx-lambda/amx/internal/lambdatest"
	"github.com/amx-lambda/amx/internal/queue"
	"github.com/amx-lambda/amx/internal/runner"
)

// quickVisibility is how long an item is one delivery's.
const quickVisibility = quickTimeout + time.Second

// arrived has the worker told of an item once it is due, and again until it is done
// with it.
func (q *quick) arrived(it *cloudtest.Queued) {
	go func() {
		for i := 0; ; i++ {
			select {
			case <-time.After(time.Until(it.Due)):
			case <-q.cloud.Gone():
				return
			}
			if q.deliverItem(it, fmt.Sprintf("%s/%d", it.ID, i)) {
				return
			}
			select {
			case <-time.After(quickVisibility):
			case <-q.cloud.Gone():
				return
			}
		}
	}()
}

func (q *quick) deliverItem(it *cloudtest.Queued, name string) bool {
	text, err := it.Encode()
	if err != nil {
		panic(err) // it was decoded
	}
	a := &attempt{name: name, sent: it.SentAt, item: &it.Item}
	if it.Kind == queue.Notification {
		a.alerts = it.Message.Alerts
	}
	done := q.handle(q.worker, lambdatest.SQSEvent(lambdatest.Message{ID: it.ID, Receipt: it.ID, Body: string(text), Received: 1}), a, itemAnswer)
	if done {
		q.cloud.Settled(it, false)
	}
	return done
}

// itemAnswer is the worker's answer for one item.
func itemAnswer(body []byte) (a runner.Answer) {
	var answer struct {
		BatchItemFailures []struct{ ItemIdentifier string }
	}
	if a.Err = json.Unmarshal(body, &answer); a.Err == nil && len(answer.BatchItemFailures) > 0 {
		a.Err = errors.New("it is to be delivered again")
	}
	return a
}

// commandEnded has the worker told that a command has ended, in the form of
// EventBridge, by which Lambda invokes up to three times.
func (q *quick) commandEnded(c *cloudtest.Command) {
	r := q.draw("event", c.ID)
	if c.Signal != "" || r.IntN(6) == 0 {
		q.count("event lost")
		return
	}
	event := mustJSON(map[string]any{"source": "aws.ssm", "detail-type": "EC2 Command Status-change Notification", "detail": map[string]any{
		"command-id": c.ID, "document-name": "AWS-RunShellScript", "status": "Success",
		"parameters": map[string]any{"commands": []string{"#!/bin/sh", "# " + c.Comment}},
	}})
	go func() {
		for i := range 3 {
			a := &attempt{name: fmt.Sprintf("%s ended/%d", c.ID, i)}
			if q.handle(q.worker, event, a, func([]byte) runner.Answer { return runner.Answer{} }) {
				return
			}
		}
	}()
}

// drain waits until the queue is empty.
func (q *quick) drain() {
	for range 3 * 60 * 10 {
		if len(q.cloud.Waiting()) == 0 {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}
