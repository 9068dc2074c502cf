// Package sqs keeps the queue of the Lambda functions in SQS. It has only the
// producers' side: Lambda itself receives, and gives the messages to
// functions/worker.
package sqs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/amx-lambda/amx/internal/awserr"
	"github.com/amx-lambda/amx/internal/queue"
)

const (
	// MaxMessage is the size, in bytes, of a message that SQS takes.
	// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
	MaxMessage = 1 << 20
	// maxDelay is the longest delay that SQS takes. An item that is due later
	// arrives after it, and is put again.
	maxDelay = 900 * time.Second
)

// Client is the part of SQS that the queue uses, in the SDK's own shape. The SDK
// may retry the call: an item that is on the queue twice is handled twice, which
// the ledger makes harmless.
type Client interface {
	SendMessage(context.Context, *sqs.SendMessageInput, ...func(*sqs.Options)) (*sqs.SendMessageOutput, error)
}

// A Queue is one SQS queue. All fields but Now are required.
type Queue struct {
	Client Client
	URL    string
	Now    func() time.Time // default: time.Now
}

// Put sends an item, or several with a part of its alerts each if it is too
// large for one message. It is durable when Put returns nil. Alerts that are too
// large alone answer a [queue.TooLargeError] after the others have been sent.
// After any other error some or none may have been sent, and putting the item
// again is right.
func (q *Queue) Put(ctx context.Context, it queue.Item) error {
	texts, tooLarge := queue.Split(it, MaxMessage)
	if tooLarge != nil && !errors.Is(tooLarge, queue.ErrTooLarge) {
		return tooLarge
	}
	for _, text := range texts {
		_, err := q.Client.SendMessage(ctx, &sqs.SendMessageInput{
			QueueUrl: &q.URL, MessageBody: aws.String(string(text)), DelaySeconds: q.delay(&it),
		})
		if err != nil {
			return fmt.Errorf("putting the %s on the queue: %w", it.Subject(), q.failed(err))
		}
	}
	return tooLarge
}

// delay is the item's wait in whole seconds, rounded up so that it does not
// arrive before it is due.
func (q *Queue) delay(it *queue.Item) int32 {
	now := time.Now
	if q.Now != nil {
		now = q.Now
	}
	wait := min(it.Wait(now()), maxDelay)
	return int32((wait + time.Second - 1) / time.Second)
}

// failed is SQS's answer without what the SDK wraps around it, and what to do
// where the answer alone does not tell.
func (q *Queue) failed(err error) error {
	plain := awserr.Plain(err)
	switch awserr.Code(err) {
	case "QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue":
		return fmt.Errorf("SendMessage: queue %q does not exist: %w", q.URL, plain)
	case "AccessDenied", "AccessDeniedException":
		return fmt.Errorf("SendMessage: the role may not send to %q (sqs:SendMessage): %w", q.URL, plain)
	}
	return fmt.Errorf("SendMessage: %w", plain)
}
