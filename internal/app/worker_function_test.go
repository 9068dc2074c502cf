package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/awstest"
	"github.com/amx-lambda/amx/internal/queue"
)

// workFake notes what the worker hands on, and answers an error by its subject.
type workFake struct {
	mu     sync.Mutex
	given  []string
	errs   map[string]error // :: what is noted → answer
	handle func(queue.Item)
}

func (w *workFake) note(what string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.given = append(w.given, what)
	return w.errs[what]
}

func (w *workFake) HandleItem(_ context.Context, it queue.Item) error {
	if w.handle != nil {
		w.handle(it)
	}
	return w.note(it.Command)
}

func (w *workFake) Ended(_ context.Context, entry, run, command string) error {
	return w.note(fmt.Sprintf("%s %s %s", entry, run, command))
}

// worker is the function with a fake behind it.
func (s *stack) worker(w work, vars map[string]string) lambda.Handler {
	s.Helper()
	f, err := NewWorkerFunction(s.Context(), s.with(vars), s.logger(), &s.out, noReports)
	if err != nil {
		s.Fatal(err)
	}
	if w != nil {
		f.work, f.store = w, nil
	}
	return lambda.NewHandler(f.Handle)
}

// sqsEvent is a batch of messages, as AWS documents it:
// https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
func sqsEvent(t *testing.T, bodies ...string) []byte {
	t.Helper()
	var records []any
	for i, body := range bodies {
		records = append(records, map[string]any{
			"messageId": fmt.Sprintf("message-%d", i), "receiptHandle": "AQEB", "body": body, "eventSource": "aws:sqs",
			"attributes":     map[string]string{"ApproximateReceiveCount": "1", "SentTimestamp": "1545082649183", "SenderId": "AIDA", "ApproximateFirstReceiveTimestamp": "1545082649185"},
			"eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:work", "awsRegion": "eu-central-1", "messageAttributes": map[string]any{},
			"md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
		})
	}
	text, err := json.Marshal(map[string]any{"Records": records})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// item is a notification of the command that was put off.
func item(t *testing.T, command string, statuses ...string) string {
	t.Helper()
	m := &amx.Message{}
	for i, status := range statuses {
		m.Alerts = append(m.Alerts, amx.Alert{Status: status, Fingerprint: fmt.Sprintf("%016x", i)})
	}
	return encode(t, queue.Item{Kind: queue.Notification, Command: command, Message: m, Reason: "throttled", Tries: 3})
}

func encode(t *testing.T, it queue.Item) string {
	t.Helper()
	text, err := it.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func invoke(t *testing.T, h lambda.Handler, event []byte) (string, error) {
	t.Helper()
	out, err := h.Invoke(t.Context(), event)
	return string(out), err
}

func TestTheWorkerAnswersWhichItemsAreToComeAgain(t *testing.T) {
	s := newStack(t)
	w := &workFake{errs: map[string]error{"failing": errors.New("the ledger and the queue are unavailable")}}
	out, err := invoke(t, s.worker(w, nil), sqsEvent(t,
		item(t, "good", "firing"), item(t, "failing", "firing"), `{"v":2,"kind":7}`, "nonsense", item(t, "other", "firing")))
	if want := `{"batchItemFailures":[{"itemIdentifier":"message-1"},{"itemIdentifier":"message-2"},{"itemIdentifier":"message-3"}]}`; err != nil || out != want {
		t.Errorf("got  %s, %v\nwant %s", out, err, want)
	}
	slices.Sort(w.given)
	if want := []string{"failing", "good", "other"}; !slices.Equal(w.given, want) {
		t.Errorf("handled %q, want %q", w.given, want)
	}
	for _, want := range []string{
		`"level":"ERROR","msg":"an item is delivered again","item":"notification of command \"failing\", alert \"0000000000000000\"","message_id":"message-1","error":"the ledger and the queue are unavailable"`,
		`"level":"ERROR","msg":"an item cannot be read","message_id":"message-2","error":"item of version 2, this release reads 1: written by a newer release of amx"`,
	} {
		if !strings.Contains(s.log.String(), want) {
			t.Errorf("the log is\n%s\nwant %s", s.log, want)
		}
	}
	if out, err := invoke(t, s.worker(w, nil), sqsEvent(t, item(t, "good", "firing"))); err != nil || out != `{"batchItemFailures":[]}` {
		t.Errorf("a batch without failures: %s, %v", out, err)
	}
}

func TestTheWorkerStopsBeforeItStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &workFake{}
		w.handle = func(it queue.Item) {
			if strings.HasPrefix(it.Command, "stop") {
				time.Sleep(time.Second) // a start that does not wait is noted first
			}
		}
		f := &WorkerFunction{work: w, log: slog.New(slog.DiscardHandler), now: time.Now}
		var batch []events.SQSMessage
		for _, body := range []string{
			item(t, "start 1", "firing"), item(t, "start 2", "resolved", "firing"), item(t, "stop 1", "resolved"),
			encode(t, queue.Item{Kind: queue.Stop, Command: "stop 2", Run: "01"}),
			encode(t, queue.Item{Kind: queue.Reminder, Command: "start 3", Run: "01"}),
		} {
			batch = append(batch, events.SQSMessage{Body: body})
		}
		if again := f.messages(t.Context(), batch).BatchItemFailures; len(again) > 0 {
			t.Errorf("to come again: %v", again)
		}
		slices.Sort(w.given[:2])
		slices.Sort(w.given[2:])
		if want := []string{"stop 1", "stop 2", "start 1", "start 2", "start 3"}; !slices.Equal(w.given, want) {
			t.Errorf("handled %q, want %q", w.given, want)
		}
	})
}

func TestAnItemThatComesBeforeItIsDueIsPutAgain(t *testing.T) {
	s := newStack(t)
	w := &workFake{}
	it := queue.Item{Kind: queue.Reminder, Command: "restart", Run: "01", Due: time.Now().Add(7 * time.Hour)}
	out, err := invoke(t, s.worker(w, nil), sqsEvent(t, encode(t, it)))
	if err != nil || out != `{"batchItemFailures":[]}` || len(w.given) > 0 {
		t.Errorf("%s, %v, handled %q", out, err, w.given)
	}
	left := s.sqs.Messages("work")
	if len(left) != 1 || left[0].Visible.Sub(left[0].Sent) != 900*time.Second || left[0].Body != encode(t, it) {
		t.Errorf("on the queue: %+v", left)
	}
}

func TestWhatIsGivenUpGoesToTheDeadLetters(t *testing.T) {
	s := newStack(t)
	w := &workFake{errs: map[string]error{"restart": fmt.Errorf("stale: %w", queue.ErrGivenUp)}}
	body := item(t, "restart", "firing")
	out, err := invoke(t, s.worker(w, map[string]string{"AWS_LAMBDA_FUNCTION_NAME": "amx-worker"}), sqsEvent(t, body))
	if err != nil || out != `{"batchItemFailures":[]}` {
		t.Errorf("%s, %v", out, err)
	}
	if left := s.sqs.Messages("dead"); len(left) != 1 || left[0].Body != body {
		t.Errorf("the dead letters are %+v", left)
	}
	if want := `"msg":"an item is given up","item":"notification of command \"restart\", alert \"0000000000000000\"","reason":"throttled","tries":3,"error":"stale: given up"`; !strings.Contains(s.log.String(), want) {
		t.Errorf("the log is\n%s", s.log)
	}
	if want := `"FunctionName":"amx-worker","ItemsGivenUp":1,"Reason":"notification"`; !strings.Contains(s.out.String(), want) {
		t.Errorf("the metrics are\n%s", &s.out)
	}
	// If the dead letters cannot take it, it stays where it is.
	out, err = invoke(t, s.worker(w, map[string]string{"AMX_DEAD_LETTER_URL": awstest.QueueURL("gone")}), sqsEvent(t, body))
	if err != nil || out != `{"batchItemFailures":[{"itemIdentifier":"message-0"}]}` {
		t.Errorf("without dead letters: %s, %v", out, err)
	}
}

// SendMessage has no token that would make a second one harmless, and needs none:
// an item that comes twice is handled twice.
func TestPuttingOffOutlivesTheQueuesFaults(t *testing.T) {
	for name, tt := range map[string]struct {
		fault awstest.Fault
		want  int // messages on the queue
	}{
		"throttled":                  {awstest.Fault{Error: "RequestThrottled"}, 1},
		"an internal error":          {awstest.Fault{Error: "InternalFailure", Status: 500}, 1},
		"dropped before it was sent": {awstest.Fault{}, 1},
		"sent, and the answer lost":  {awstest.Fault{After: true}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStack(t)
			var once atomic.Bool
			s.queue.Fault = func(awstest.Call) *awstest.Fault {
				if once.CompareAndSwap(false, true) {
					return &tt.fault
				}
				return nil
			}
			body := encode(t, queue.Item{Kind: queue.Reminder, Command: "restart", Run: "01", Due: time.Now().Add(time.Hour)})
			if out, err := invoke(t, s.worker(&workFake{}, nil), sqsEvent(t, body)); err != nil || out != `{"batchItemFailures":[]}` {
				t.Errorf("%s, %v", out, err)
			}
			if n := len(s.sqs.Messages("work")); n != tt.want {
				t.Errorf("%d messages are on the queue, want %d", n, tt.want)
			}
		})
	}
}

func TestAnItemThatCannotBePutAgainStays(t *testing.T) {
	s := newStack(t)
	s.queue.Fault = func(awstest.Call) *awstest.Fault { return &awstest.Fault{Error: "AccessDeniedException"} }
	body := encode(t, queue.Item{Kind: queue.Reminder, Command: "restart", Run: "01", Due: time.Now().Add(time.Hour)})
	if out, err := invoke(t, s.worker(&workFake{}, nil), sqsEvent(t, body)); err != nil || out != `{"batchItemFailures":[{"itemIdentifier":"message-0"}]}` {
		t.Errorf("%s, %v", out, err)
	}
	if want := `putting the reminder of command \"restart\", run \"01\" on the queue: SendMessage: the role may not send to \"` + awstest.QueueURL("work") + `\" (sqs:SendMessage)`; !strings.Contains(s.log.String(), want) {
		t.Errorf("the log is\n%s\nwant %s", s.log, want)
	}
}

func TestAnItemRunsItsCommand(t *testing.T) {
	s := newStack(t)
	m, err := amx.Decode([]byte(message(t, alert("NginxDown", node1, start, time.Time{}))), start)
	if err != nil {
		t.Fatal(err)
	}
	body := encode(t, queue.Item{Kind: queue.Notification, Command: "restart", Message: m})
	h := s.worker(nil, nil)
	for range 2 { // at least once: the ledger makes the second one harmless
		if out, err := invoke(t, h, sqsEvent(t, body)); err != nil || out != `{"batchItemFailures":[]}` {
			t.Fatalf("%s, %v", out, err)
		}
	}
	if sent := s.ssm.Commands(); len(sent) != 1 || sent[0].Nodes[0] != node1 {
		t.Errorf("sent %+v", sent)
	}
}

func TestTheWorkerRefusesOtherEvents(t *testing.T) {
	s := newStack(t)
	h := s.worker(&workFake{}, nil)
	for event, want := range map[string]string{
		`{"Records":[{"EventSource":"aws:sns"}]}`: `the event is neither of SQS nor of "aws.ssm"`,
		`{"Records":[]}`:       `the event is neither of SQS nor of "aws.ssm"`,
		`{"source":"aws.ec2"}`: `the event is neither of SQS nor of "aws.ssm"`,
		`{"source":"aws.ssm","detail-type":"Parameter Store Change"}`:       `the event is a "Parameter Store Change": want "EC2 Command Status-change Notification"`,
		`{"source":"aws.ssm","detail-type":"` + commandChanged + `"}`:       `the "EC2 Command Status-change Notification" has no command-id`,
		`{"source":"aws.ssm","detail-type":"x","detail":{"command-id":[]}}`: `decoding the event of "aws.ssm": json: cannot unmarshal array into Go struct field .Detail.command-id of type string`,
	} {
		if _, err := invoke(t, h, []byte(event)); err == nil || err.Error() != want {
			t.Errorf("%s: got %v\nwant %s", event, err, want)
		}
	}
}
