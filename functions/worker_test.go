package functions

import (
	"encoding/json"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/awstest"
	"github.com/amx-lambda/amx/internal/lambdatest"
	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/ledger/dynamo"
	"github.com/amx-lambda/amx/internal/queue"
	"github.com/amx-lambda/amx/internal/queue/sqs"
)

// put puts the episode's notification for a command on the queue, as the
// functions do.
func (s *stack) put(command string, e episode, status string) {
	s.Helper()
	var event struct{ Body string }
	if err := json.Unmarshal(e.webhookEvent(status), &event); err != nil {
		s.Fatal(err)
	}
	m, err := amx.Decode([]byte(event.Body), e.start)
	if err != nil {
		s.Fatal(err)
	}
	q := &sqs.Queue{Client: awstest.SQSClient(s.vars["AWS_ENDPOINT_URL_SQS"]), URL: awstest.QueueURL("work")}
	it := queue.Item{Kind: queue.Notification, Command: command, Message: m, SentAt: e.start, Arrived: e.start, Reason: "throttled"}
	if err := q.Put(s.Context(), it); err != nil {
		s.Fatal(err)
	}
}

// clock is a clock of the test, which moves when it is told to.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func TestTheWorkerHandlesWhatWasPutOff(t *testing.T) {
	s := newStack(t)
	f := s.worker()
	e := episode{alert: "NginxDown", node: node1, start: time.Now().Add(-time.Minute), end: time.Now()}
	poll := func(want int) {
		t.Helper()
		if received, deleted, err := f.Poll(workQueue{s.sqs}, 10, 30*time.Second); err != nil || received != want || deleted != want {
			t.Fatalf("%d received, %d deleted, %v, want %d", received, deleted, err, want)
		}
	}
	s.sqs.Lost = func(m awstest.Message) bool { return m.Received == 1 } // each comes twice
	c := s.clock
	s.put("restart-nginx", e, "firing")
	poll(1)
	c.add(time.Minute)
	poll(1)
	if sent := s.ssm.Commands(); len(sent) != 1 || sent[0].Nodes[0] != node1 || sent[0].Status != "InProgress" {
		t.Fatalf("the firing left %+v", sent)
	}
	s.put("restart-nginx", e, "resolved")
	poll(1)
	c.add(time.Minute)
	poll(1)
	if sent := s.ssm.Commands(); len(sent) != 1 || sent[0].Status != "Cancelled" {
		t.Errorf("the resolve left %+v", sent)
	}
	if left := s.sqs.Messages("work"); len(left) > 0 {
		t.Errorf("on the queue: %+v", left)
	}
}

// Who looks at a stack sees the configuration that its functions have.
func TestTheWorkerEntersTheConfiguration(t *testing.T) {
	s := newStack(t)
	store := &dynamo.Store{Client: awstest.DynamoDBClient(s.table.Endpoint), Table: s.table.Name}
	e := episode{alert: "NginxDown", node: node1, start: time.Now().Add(-time.Minute), end: time.Now()}
	f := s.worker()
	for range 2 {
		s.put("restart-nginx", e, "firing")
		s.drain(f)
		read, err := store.Get(t.Context(), ledger.ConfigKey)
		if err != nil || read[0].Version != 1 || string(read[0].Value) != amx.Pack([]byte(config)) {
			t.Errorf("the table has %+v, %v", read, err)
		}
	}
}

// The queue delivers an item again on which a worker dies.
func TestAnotherWorkerTakesTheItemOfADeadOne(t *testing.T) {
	s := newStack(t)
	c := s.clock
	dying := s.worker()
	var dead atomic.Bool
	s.table.Fault = func(awstest.Call) *awstest.Fault {
		if dead.CompareAndSwap(false, true) {
			dying.Kill()
		}
		return nil
	}
	e := episode{alert: "NginxDown", node: node1, start: time.Now().Add(-time.Minute), end: time.Now()}
	s.put("restart-nginx", e, "firing")
	received, deleted, err := dying.Poll(workQueue{s.sqs}, 10, 30*time.Second)
	if err == nil || received != 1 || deleted != 0 || !dead.Load() {
		t.Fatalf("%d received, %d deleted, %v", received, deleted, err)
	}
	f := s.worker()
	if received, _, err := f.Poll(workQueue{s.sqs}, 10, 30*time.Second); received != 0 || err != nil {
		t.Errorf("%d received before the visibility timeout, %v", received, err)
	}
	c.add(time.Minute)
	if received, deleted, err := f.Poll(workQueue{s.sqs}, 10, 30*time.Second); received != 1 || deleted != 1 || err != nil {
		t.Errorf("%d received, %d deleted, %v", received, deleted, err)
	}
	if sent := s.ssm.Commands(); len(sent) != 1 {
		t.Errorf("sent %+v", sent)
	}
}

func TestTheWorkerLeavesWhatItCannotRead(t *testing.T) {
	s := newStack(t)
	a := s.worker().Invoke(lambdatest.SQSEvent(lambdatest.Message{ID: "newer", Body: `{"v":99}`}, lambdatest.Message{ID: "nonsense", Body: "x"}), 30*time.Second)
	if want := `{"batchItemFailures":[{"itemIdentifier":"newer"},{"itemIdentifier":"nonsense"}]}`; a.Err != nil || string(a.Body) != want {
		t.Errorf("got %s, %v", a.Body, a.Err)
	}
}
