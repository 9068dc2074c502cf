package lambdatest

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// A Message is one of a queue, as a function is given it.
type Message struct {
	ID       string
	Receipt  string
	Body     string
	Received int // how often it was received, this time included
}

// A Queue is what Lambda's event source polls.
type Queue interface {
	Receive(n int) []Message
	Delete(receipt string)
}

// Poll does as Lambda's event source for SQS does with ReportBatchItemFailures:
// it receives up to n messages, invokes the function with them, and deletes those
// that the answer does not name; none after an error. It answers how many were
// received and how many deleted.
// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
func (f *Function) Poll(q Queue, n int, timeout time.Duration) (received, deleted int, err error) {
	batch := q.Receive(n)
	if len(batch) == 0 {
		return 0, 0, nil
	}
	a := f.Invoke(SQSEvent(batch...), timeout)
	if a.Err != nil {
		return len(batch), 0, a.Err
	}
	var answer struct {
		BatchItemFailures []struct {
			ItemIdentifier string `json:"itemIdentifier"`
		} `json:"batchItemFailures"`
	}
	if err := json.Unmarshal(a.Body, &answer); err != nil {
		return len(batch), 0, fmt.Errorf("the function answered %s: %w", a.Body, err)
	}
	failed := map[string]bool{}
	for _, b := range answer.BatchItemFailures {
		failed[b.ItemIdentifier] = true
	}
	for _, m := range batch {
		if !failed[m.ID] {
			q.Delete(m.Receipt)
			deleted++
		}
	}
	return len(batch), deleted, nil
}

// SQSEvent is the event of a batch of messages.
// https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
func SQSEvent(batch ...Message) []byte {
	records := []any{}
	for _, m := range batch {
		digest := md5.Sum([]byte(m.Body)) // SQS's own
		records = append(records, map[string]any{
			"messageId": m.ID, "receiptHandle": m.Receipt, "body": m.Body, "md5OfBody": hex.EncodeToString(digest[:]),
			"attributes": map[string]string{
				"ApproximateReceiveCount": fmt.Sprint(m.Received), "SentTimestamp": "1545082649183",
				"SenderId": "AROAIENQZJOLO23YVJ4VO:amx-webhook", "ApproximateFirstReceiveTimestamp": "1545082649185",
			},
			"messageAttributes": map[string]any{}, "eventSource": "aws:sqs",
			"eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:work", "awsRegion": "eu-central-1",
		})
	}
	text, err := json.Marshal(map[string]any{"Records": records})
	if err != nil {
		panic(err) // strings and maps of them always marshal
	}
	return text
}
