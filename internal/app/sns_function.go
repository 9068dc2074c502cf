package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/queue"
	"github.com/amx-lambda/amx/internal/runner"
)

// An SNSFunction handles the notifications that Alertmanager sends through SNS
// topics.
type SNSFunction struct {
	*common
	topics []string
	log    *slog.Logger
}

// NewSNSFunction makes the function from its environment. It calls AWS only to
// read a configuration from Parameter Store. An error names what is wrong. The
// metrics go to out, which is the function's standard output.
func NewSNSFunction(ctx context.Context, env Getenv, log *slog.Logger, out io.Writer) (*SNSFunction, error) {
	s, err := readSettings(env, snsSettings(env))
	if err != nil {
		return nil, err
	}
	c, err := newCommon(ctx, env, s, log, out)
	if err != nil {
		return nil, err
	}
	return &SNSFunction{common: c, topics: s.topics, log: log}, nil
}

func (f *SNSFunction) handler() any { return f.HandleEvent }

// HandleEvent handles an event of SNS, and says of another one whose it is.
func (f *SNSFunction) HandleEvent(ctx context.Context, event json.RawMessage) error {
	var e events.SNSEvent
	err := json.Unmarshal(event, &e)
	if isSNS := len(e.Records) > 0 && e.Records[0].SNS.MessageID != ""; err == nil && isSNS {
		return f.Handle(ctx, e)
	}
	if foreign := amx.ForeignEvent(event); foreign != nil {
		err = foreign
	}
	if err == nil {
		return f.Handle(ctx, e)
	}
	err = fmt.Errorf("not an event of SNS: %w", err)
	f.log.ErrorContext(ctx, "event", "error", err.Error())
	f.metrics.count(ctx, f.log, messagesRefused, "unreadable", time.Now())
	return err
}

// Handle handles every record of an event. Its error names each message that is
// unsettled or cannot be read: Lambda then invokes twice more, for all of the
// event's records, and at last puts it into the dead-letter queue. A record that
// is settled is skipped the next time.
func (f *SNSFunction) Handle(ctx context.Context, e events.SNSEvent) error {
	if len(e.Records) == 0 {
		return errors.New("the event has no records: it is not one of SNS")
	}
	if source := e.Records[0].EventSource; source != "" && source != "aws:sns" {
		return fmt.Errorf("not an event of SNS: %w", amx.ForeignRecord(source))
	}
	f.config.refresh(ctx)
	errs := make([]error, len(e.Records))
	var wg sync.WaitGroup
	for i := range e.Records {
		wg.Go(func() {
			m := &e.Records[i].SNS
			if err := f.handle(ctx, m); err != nil {
				f.log.ErrorContext(ctx, "message", "message_id", m.MessageID, "topic", m.TopicArn, "error", err.Error())
				errs[i] = fmt.Errorf("message %q: %w", m.MessageID, err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (f *SNSFunction) handle(ctx context.Context, e *events.SNSEntity) error {
	m, why, err := f.read(e)
	if err == nil {
		warn(ctx, f.log, m, f.metrics.truncated(f.log))
		return reporting(ctx, f.reporter, m, func() runner.Answer {
			return f.runner.Handle(ctx, m, runner.Source{Source: queue.Source{Topic: e.TopicArn}})
		}).Err
	}
	f.metrics.count(ctx, f.log, messagesRefused, why, time.Now())
	return err
}

// read decodes a message, or says why it is refused, in a word and as an error.
func (f *SNSFunction) read(e *events.SNSEntity) (m *amx.Message, why string, err error) {
	if !slices.Contains(f.topics, e.TopicArn) {
		return nil, "topic", fmt.Errorf("topic %q is not in AMX_TOPIC_ARNS", e.TopicArn)
	}
	m, err = amx.DecodeSNS(amx.SNS{
		Subject: e.Subject, Body: e.Message, SentAt: e.Timestamp, Attributes: attributes(e.MessageAttributes),
	})
	switch {
	case errors.Is(err, amx.ErrTruncated):
		why = "truncated"
	case errors.Is(err, amx.ErrReplaced):
		why = "replaced"
	case err != nil:
		why = "unreadable"
	}
	return m, why, err
}

// attributes are the values of message attributes, which SNS sends as
// {"Type": "String", "Value": "…"}. One of another shape is there, and empty.
func attributes(sent map[string]any) map[string]string {
	values := make(map[string]string, len(sent))
	for name, attribute := range sent {
		fields, _ := attribute.(map[string]any)
		value, _ := fields["Value"].(string)
		values[name] = value
	}
	return values
}
