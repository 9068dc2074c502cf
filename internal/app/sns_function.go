package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"github.com/aws/aws-lambda-go/events"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/runner"
)

// An SNSFunction handles the notifications that Alertmanager sends through SNS
// topics.
type SNSFunction struct {
	runner *runner.Runner
	topics []string
	log    *slog.Logger
}

// NewSNSFunction makes the function from its environment. It calls AWS only to
// read a configuration from Parameter Store. An error names what is wrong.
func NewSNSFunction(ctx context.Context, env Getenv, log *slog.Logger) (*SNSFunction, error) {
	s, err := readSettings(env, snsSettings(env))
	if err != nil {
		return nil, err
	}
	r, _, err := newRunner(ctx, env, s, log)
	if err != nil {
		return nil, err
	}
	return &SNSFunction{runner: r, topics: s.topics, log: log}, nil
}

// Handle handles every record of an event. Its error names each message that is
// unsettled or cannot be read: Lambda then invokes twice more, for all of the
// event's records, and at last puts it into the dead-letter queue. A record that
// is settled is skipped the next time.
func (f *SNSFunction) Handle(ctx context.Context, e events.SNSEvent) error {
	if len(e.Records) == 0 {
		return errors.New("the event has no records: it is not one of SNS")
	}
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
	if !slices.Contains(f.topics, e.TopicArn) {
		return fmt.Errorf("topic %q is not in AMX_TOPIC_ARNS", e.TopicArn)
	}
	// AMP cuts what is over 256 KB in the middle of a byte and says so: half of
	// a message is none. The attribute tells, whatever its value.
	// https://docs.aws.amazon.com/prometheus/latest/userguide/AMP-alertmanager-troubleshoot-SNS.html
	if _, ok := e.MessageAttributes["truncated"]; ok {
		return errors.New(`it is marked "truncated": its sender cut it at 256 KB; group by more labels, or send fewer annotations`)
	}
	m, err := amx.DecodeSNS(e.Message, e.Timestamp)
	if err != nil {
		return err
	}
	return f.runner.Handle(ctx, m, false).Err
}
