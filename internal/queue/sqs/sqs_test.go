package sqs

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/awstest"
	"github.com/amx-lambda/amx/internal/queue"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 600, time.UTC)

// client notes what is sent and answers err.
type client struct {
	sent []*sqs.SendMessageInput
	err  error
}

func (c *client) SendMessage(_ context.Context, in *sqs.SendMessageInput, _ ...func(*sqs.Options)) (*sqs.SendMessageOutput, error) {
	c.sent = append(c.sent, in)
	return &sqs.SendMessageOutput{}, c.err
}

func TestPutDelaysUntilTheItemIsDue(t *testing.T) {
	for wait, want := range map[time.Duration]int32{
		-time.Hour: 0, 0: 0, time.Nanosecond: 1, 5 * time.Second: 5, 5*time.Second + 1: 6, 15 * time.Minute: 900, 7 * time.Hour: 900,
	} {
		c := &client{}
		q := &Queue{Client: c, URL: "https://sqs/1/work", Now: func() time.Time { return now }}
		it := queue.Item{Kind: queue.Notification, Command: "clean", Due: now.Add(wait)}
		if err := q.Put(t.Context(), it); err != nil || len(c.sent) != 1 {
			t.Fatalf("%d sent, %v", len(c.sent), err)
		}
		in := c.sent[0]
		if in.DelaySeconds != want || *in.QueueUrl != "https://sqs/1/work" {
			t.Errorf("due in %v: sent to %q with %d s of delay, want %d", wait, *in.QueueUrl, in.DelaySeconds, want)
		}
		if got, err := queue.Decode([]byte(*in.MessageBody)); err != nil || got.Command != "clean" || !got.Due.Equal(it.Due) {
			t.Errorf("sent %s, %v", *in.MessageBody, err)
		}
	}
}

func TestPutSplitsWhatIsTooLarge(t *testing.T) {
	m := &amx.Message{}
	for i, size := range []int{100_000, 185_000, 215_000} {
		m.Alerts = append(m.Alerts, amx.Alert{Fingerprint: strconv.Itoa(i), Annotations: amx.KV{"text": noise(size, uint64(i))}})
	}
	c := &client{}
	q := &Queue{Client: c, URL: "https://sqs/1/work"}
	err := q.Put(t.Context(), queue.Item{Kind: queue.Notification, Command: "clean", Message: m})
	tooLarge, ok := errors.AsType[*queue.TooLargeError](err)
	if !ok || len(tooLarge.Alerts) != 1 || tooLarge.Alerts[0].Fingerprint != m.Alerts[2].Fingerprint {
		t.Errorf("got %v", err)
	}
	if len(c.sent) != 2 {
		t.Fatalf("%d messages were sent, want one for each of the alerts that fit", len(c.sent))
	}
	for i, in := range c.sent {
		it, err := queue.Decode([]byte(*in.MessageBody))
		if err != nil || len(*in.MessageBody) > MaxMessage || len(it.Message.Alerts) != 1 || it.Message.Alerts[0].Fingerprint != m.Alerts[i].Fingerprint {
			t.Errorf("message %d has %d bytes, %v", i, len(*in.MessageBody), err)
		}
	}
}

// A server takes the SDK's requests and gives the items back: the double of this
// repository, or the server that AMX_TEST_SQS_ENDPOINT names.
func TestAServerKeepsWhatIsPut(t *testing.T) {
	q, client := &Queue{URL: awstest.QueueURL("work")}, (*sqs.Client)(nil)
	if server := os.Getenv("AMX_TEST_SQS_ENDPOINT"); server == "" {
		t.Log("on this repository's own double of SQS; AMX_TEST_SQS_ENDPOINT names a server to test on instead")
		client = awstest.SQSClient((&awstest.Wire{Next: &awstest.SQS{Names: []string{"work"}}, Check: awstest.CheckSQS}).Listen(t))
	} else {
		client = awstest.SQSClient(server)
		out, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{
			QueueName: aws.String("amx-" + t.Name()), Attributes: map[string]string{"MaximumMessageSize": strconv.Itoa(MaxMessage)},
		})
		if err != nil {
			t.Fatal(err)
		}
		q.URL = *out.QueueUrl
	}
	q.Client = client
	odd := "\x01\t\uffff\u2028\U0001f525 <&>"
	m := &amx.Message{Data: amx.Data{Alerts: amx.Alerts{{Status: amx.Firing, Labels: amx.KV{"odd": odd}, Fingerprint: "f"}}}, SentAt: now}
	for i := range 40 { // more than one message has room for, packed
		m.Alerts = append(m.Alerts, amx.Alert{Status: amx.Firing, Fingerprint: strconv.Itoa(i), Annotations: amx.KV{"text": noise(15_000, uint64(i))}})
	}
	want := queue.Item{Version: queue.Version, Kind: queue.Notification, Command: "clean", Message: m, SentAt: now, Arrived: now}
	if err := q.Put(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	messages := map[string]bool{}
	for empty := 0; len(found) < len(m.Alerts); {
		out, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &q.URL, MaxNumberOfMessages: 10})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Messages) == 0 { // short polling asks some of the servers
			if empty++; empty == 100 {
				break
			}
			continue
		}
		for _, m := range out.Messages {
			messages[*m.MessageId] = true
			it, err := queue.Decode([]byte(*m.Body))
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range it.Message.Alerts {
				found[a.Fingerprint] = true
				if a.Fingerprint == "f" && a.Labels["odd"] != odd {
					t.Errorf("the label became %q", a.Labels["odd"])
				}
			}
		}
	}
	if len(messages) < 2 || len(found) != len(m.Alerts) {
		t.Errorf("%d messages have %d of %d alerts", len(messages), len(found), len(m.Alerts))
	}
}

// noise is text that gzip cannot shorten to less than two thirds.
func noise(runes int, seed uint64) string {
	random := rand.New(rand.NewPCG(1, seed))
	var b strings.Builder
	for range runes {
		b.WriteRune(rune(0x4e00 + random.IntN(8000)))
	}
	return b.String()
}

func TestAFailedPutSaysWhatToDo(t *testing.T) {
	wrap := func(err error) error {
		return &smithy.OperationError{ServiceID: "SQS", OperationName: "SendMessage", Err: err}
	}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{wrap(errors.New("connection refused")), `SendMessage: connection refused`},
		{wrap(&smithy.GenericAPIError{Code: "AWS.SimpleQueueService.NonExistentQueue", Message: "gone"}), `SendMessage: queue "https://sqs/1/work" does not exist: api error AWS.SimpleQueueService.NonExistentQueue: gone`},
		{wrap(&smithy.GenericAPIError{Code: "AccessDenied", Message: "no"}), `SendMessage: the role may not send to "https://sqs/1/work" (sqs:SendMessage): api error AccessDenied: no`},
		{wrap(&smithy.GenericAPIError{Code: "RequestThrottled", Message: "slow down"}), `SendMessage: api error RequestThrottled: slow down`},
	} {
		q := &Queue{Client: &client{err: tt.err}, URL: "https://sqs/1/work"}
		err := q.Put(t.Context(), queue.Item{Kind: queue.Stop, Command: "clean", Run: "01"})
		if want := `putting the stop of command "clean", run "01" on the queue: ` + tt.want; err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}
