package awstest

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

func TestCheckSQS(t *testing.T) {
	for _, tt := range []struct{ name, operation, body, want string }{
		{"a message", "SendMessage", `{"QueueUrl":"u","MessageBody":"{}","DelaySeconds":900}`, ""},
		{"a message without a body", "SendMessage", `{"QueueUrl":"u"}`, "SendMessage.MessageBody: missing"},
		{"an empty message", "SendMessage", `{"QueueUrl":"u","MessageBody":""}`, "SendMessage.MessageBody: 0 bytes: want 1 to 1048576"},
		{"a message that is too large", "SendMessage", `{"QueueUrl":"u","MessageBody":"` + strings.Repeat("x", 1<<20+1) + `"}`, "SendMessage.MessageBody: 1048577 bytes: want 1 to 1048576"},
		{"a delay that is too long", "SendMessage", `{"QueueUrl":"u","MessageBody":"x","DelaySeconds":901}`, "SendMessage.DelaySeconds: 901: want 0 to 900"},
		{"a character that is none", "SendMessage", "{\"QueueUrl\":\"u\",\"MessageBody\":\"a\uffff\"}", "SendMessage.MessageBody: byte 1 is U+FFFF, which SQS refuses"},
		{"an attribute that is none", "GetQueueAttributes", `{"QueueUrl":"u","AttributeNames":["Length"]}`, `GetQueueAttributes.AttributeNames[0]: "Length": want one of ` + strings.Join(sqsRequests["GetQueueAttributes"].members["AttributeNames"].element.enum, ", ")},
		{"an operation of its own", "PurgeQueue", `{}`, "PurgeQueue is not an operation that amx may call"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got string
			if err := CheckSQS(tt.operation, []byte(tt.body)); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// The SDK's own client, which also compares the checksums.
func TestSQS(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	double := &SQS{Names: []string{"work"}, Now: func() time.Time { return now }}
	client := SQSClient((&Wire{Next: double, Check: CheckSQS}).Listen(t))
	ctx, url := t.Context(), aws.String(QueueURL("work"))
	send := func(body string, delay int32) {
		t.Helper()
		if _, err := client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: url, MessageBody: &body, DelaySeconds: delay}); err != nil {
			t.Fatal(err)
		}
	}
	receive := func(want ...string) (receipts []string) {
		t.Helper()
		out, err := client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: 10})
		if err != nil {
			t.Fatal(err)
		}
		var bodies []string
		for _, m := range out.Messages {
			bodies, receipts = append(bodies, *m.Body), append(receipts, *m.ReceiptHandle)
		}
		if strings.Join(bodies, " ") != strings.Join(want, " ") {
			t.Errorf("received %q, want %q", bodies, want)
		}
		return receipts
	}
	send("a", 0)
	send("b", 0)
	send("later", 900)
	receipts := receive("b", "a")
	receive()
	out, err := client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: url, AttributeNames: []types.QueueAttributeName{"All"}})
	if err != nil || out.Attributes["ApproximateNumberOfMessagesNotVisible"] != "2" || out.Attributes["ApproximateNumberOfMessagesDelayed"] != "1" {
		t.Errorf("the attributes are %v, %v", out, err)
	}
	if _, err := client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: &receipts[0]}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{QueueUrl: url, ReceiptHandle: &receipts[1], VisibilityTimeout: 60}); err != nil {
		t.Fatal(err)
	}
	now = now.Add(30 * time.Second)
	receive()
	now = now.Add(30 * time.Second)
	receive("a")
	now = now.Add(14 * time.Minute)
	double.Lost = func(m Message) bool { return m.Body == "later" }
	receipts = receive("later", "a")
	for _, receipt := range receipts {
		if !double.Delete("work", receipt) {
			t.Errorf("the queue does not have %q", receipt)
		}
	}
	now = now.Add(time.Hour)
	receive("later")
	if left := double.Messages("work"); len(left) != 1 || left[0].Received != 2 {
		t.Errorf("left: %+v", left)
	}
	_, err = client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: aws.String(QueueURL("other")), MessageBody: aws.String("x")})
	if _, ok := errors.AsType[*types.QueueDoesNotExist](err); !ok {
		t.Errorf("a queue that does not exist: %v", err)
	}
}
