package awstest

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strconv"
	"sync"
	"time"
)

// SQS is a double of SQS with standard queues: messages come in no order, after
// their delay, and again after the visibility timeout until they are deleted.
type SQS struct {
	Names      []string           // of the queues; one of another name does not exist
	Visibility time.Duration      // default: 30 s
	Now        func() time.Time   // default: time.Now
	Order      func(n int) int    // which of n visible messages comes next; default: the newest
	Lost       func(Message) bool // optional: the delete of a message has no effect, so that it comes again

	mu     sync.Mutex
	queues map[string][]*Message // :: name → messages, oldest first
	number int
}

// A Message is one that a queue has.
type Message struct {
	ID       string
	Receipt  string // of the last time that it was received
	Body     string
	Sent     time.Time
	Visible  time.Time // when it can be received
	Received int       // how often it was
}

// QueueURL is the URL of a queue, as the functions' environment has it.
func QueueURL(name string) string {
	return "https://sqs." + Region + ".amazonaws.com/123456789012/" + name
}

// Messages lists what a queue has, delayed and received ones included, oldest
// first.
func (s *SQS) Messages(name string) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Message
	for _, m := range s.queues[name] {
		all = append(all, *m)
	}
	return all
}

// Receive takes up to n messages that are visible, for the visibility timeout.
func (s *SQS) Receive(name string, n int) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.receive(name, n, s.visibility())
}

// Delete takes a message off its queue. It answers whether the queue had it.
func (s *SQS) Delete(name, receipt string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.find(name, receipt)
	if i < 0 {
		return false
	}
	if s.Lost == nil || !s.Lost(*s.queues[name][i]) {
		s.queues[name] = slices.Delete(s.queues[name], i, i+1)
	}
	return true
}

func (s *SQS) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

func (s *SQS) visibility() time.Duration {
	if s.Visibility > 0 {
		return s.Visibility
	}
	return 30 * time.Second
}

func (s *SQS) find(name, receipt string) int {
	return slices.IndexFunc(s.queues[name], func(m *Message) bool { return m.Receipt == receipt && receipt != "" })
}

func (s *SQS) receive(name string, n int, hidden time.Duration) (taken []Message) {
	now := s.now()
	var visible []*Message
	for _, m := range s.queues[name] {
		if !m.Visible.After(now) {
			visible = append(visible, m)
		}
	}
	for ; n > 0 && len(visible) > 0; n-- {
		i := len(visible) - 1
		if s.Order != nil {
			i = s.Order(len(visible))
		}
		m := visible[i]
		visible = slices.Delete(visible, i, i+1)
		m.Received++
		m.Visible = now.Add(hidden)
		m.Receipt = fmt.Sprintf("%s-%d", m.ID, m.Received)
		taken = append(taken, *m)
	}
	return taken
}

// ServeHTTP answers one call.
func (s *SQS) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	serve(out, r, func(operation string, body []byte) (any, *apiError) {
		var in sqsRequest
		if err := json.Unmarshal(body, &in); err != nil {
			return nil, &apiError{"SerializationException", err.Error()}
		}
		name := path.Base(in.QueueUrl)
		if !slices.Contains(s.Names, name) || in.QueueUrl != QueueURL(name) {
			return nil, &apiError{"com.amazonaws.sqs#QueueDoesNotExist", "The specified queue does not exist."}
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		switch operation {
		case "SendMessage":
			return s.send(name, body, in)
		case "ReceiveMessage":
			return s.received(name, in)
		case "DeleteMessage", "ChangeMessageVisibility":
			return s.handled(operation, name, in)
		case "GetQueueAttributes":
			return s.attributes(name), nil
		}
		return nil, &apiError{"com.amazonaws.sqs#UnsupportedOperation", operation}
	})
}

type sqsRequest struct {
	QueueUrl, MessageBody, ReceiptHandle string
	DelaySeconds, MaxNumberOfMessages    int
	VisibilityTimeout                    *int
}

func (s *SQS) send(name string, body []byte, in sqsRequest) (any, *apiError) {
	if errs := checkSendMessage(body); len(errs) > 0 {
		return nil, &apiError{"com.amazonaws.sqs#InvalidParameterValueException", errs[0].Error()}
	}
	s.number++
	now := s.now()
	m := &Message{
		ID:   fmt.Sprintf("%08d-0000-4000-8000-000000000000", s.number),
		Body: in.MessageBody, Sent: now, Visible: now.Add(time.Duration(in.DelaySeconds) * time.Second),
	}
	if s.queues == nil {
		s.queues = map[string][]*Message{}
	}
	s.queues[name] = append(s.queues[name], m)
	return map[string]any{"MessageId": m.ID, "MD5OfMessageBody": sum(m.Body)}, nil
}

func sum(body string) string {
	digest := md5.Sum([]byte(body)) // SQS's own; the SDK compares it
	return hex.EncodeToString(digest[:])
}

func (s *SQS) received(name string, in sqsRequest) (any, *apiError) {
	n, hidden := max(1, in.MaxNumberOfMessages), s.visibility()
	if in.VisibilityTimeout != nil {
		hidden = time.Duration(*in.VisibilityTimeout) * time.Second
	}
	if n > 10 {
		return nil, &apiError{"com.amazonaws.sqs#InvalidParameterValueException", "MaxNumberOfMessages: want 1 to 10"}
	}
	messages := []any{}
	for _, m := range s.receive(name, n, hidden) {
		messages = append(messages, map[string]any{
			"MessageId": m.ID, "ReceiptHandle": m.Receipt, "Body": m.Body, "MD5OfBody": sum(m.Body),
		})
	}
	return map[string]any{"Messages": messages}, nil
}

func (s *SQS) handled(operation, name string, in sqsRequest) (any, *apiError) {
	i := s.find(name, in.ReceiptHandle)
	if i < 0 {
		if operation == "DeleteMessage" {
			return struct{}{}, nil // of one that is gone, SQS says nothing
		}
		return nil, &apiError{"com.amazonaws.sqs#MessageNotInflight", in.ReceiptHandle}
	}
	if operation == "DeleteMessage" {
		if s.Lost == nil || !s.Lost(*s.queues[name][i]) {
			s.queues[name] = slices.Delete(s.queues[name], i, i+1)
		}
		return struct{}{}, nil
	}
	if in.VisibilityTimeout != nil {
		s.queues[name][i].Visible = s.now().Add(time.Duration(*in.VisibilityTimeout) * time.Second)
	}
	return struct{}{}, nil
}

func (s *SQS) attributes(name string) any {
	now := s.now()
	var visible, hidden, delayed int
	for _, m := range s.queues[name] {
		switch {
		case !m.Visible.After(now):
			visible++
		case m.Received > 0:
			hidden++
		default:
			delayed++
		}
	}
	return map[string]any{"Attributes": map[string]string{
		"ApproximateNumberOfMessages":           strconv.Itoa(visible),
		"ApproximateNumberOfMessagesNotVisible": strconv.Itoa(hidden),
		"ApproximateNumberOfMessagesDelayed":    strconv.Itoa(delayed),
		"QueueArn":                              "arn:aws:sqs:" + Region + ":123456789012:" + name,
	}}
}
