package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/queue"
	"github.com/amx-lambda/amx/internal/queue/sqs"
	"github.com/amx-lambda/amx/internal/ssmexec"
)

// work is what the worker hands on to.
type work interface {
	// HandleItem settles an item that is due, or puts a new one and is done with
	// it all the same: nil. After an error the item is delivered again, unless
	// the error wraps [queue.ErrGivenUp].
	HandleItem(context.Context, queue.Item) error
	// Ended is told that a command of a run has ended. After an error it is told
	// again.
	Ended(ctx context.Context, entry, run, command string) error
}

// putter is a queue that takes an item.
type putter interface {
	Put(context.Context, queue.Item) error
}

// A WorkerFunction handles what was put off, and hears from SSM which commands
// have ended.
type WorkerFunction struct {
	*common
	work        work
	reports     ItemHandler // of those, what people are told
	again       putter      // the queue from which the items come
	deadLetters putter
	log         *slog.Logger
	now         func() time.Time

	store   ledger.Store // optional: where the configuration is entered for people
	entered string       // the text of the one that is there
}

// NewWorkerFunction makes the function from its environment. It calls AWS only
// to read a configuration from Parameter Store. An error names what is wrong.
// The metrics go to out, which is the function's standard output.
// reports makes what sends reports.
func NewWorkerFunction(ctx context.Context, env Getenv, log *slog.Logger, out io.Writer, reports func(ReportParts) ItemHandler) (*WorkerFunction, error) {
	s, err := readSettings(env, workerSettings(env))
	if err != nil {
		return nil, err
	}
	c, err := newCommon(ctx, env, s, log, out)
	if err != nil {
		return nil, err
	}
	f := &WorkerFunction{
		common: c, work: c.runner, again: c.queue,
		deadLetters: &sqs.Queue{Client: c.sqs, URL: s.deadLetters}, log: log, now: time.Now,
		store: c.runner.Store,
	}
	f.reports = reports(f.parts(env, c.conn))
	return f, nil
}

func (f *WorkerFunction) handler() any { return f.Handle }

// Handle handles an event of SQS, whose answer names the messages that are to be
// delivered again, or one of EventBridge about Run Command. An error makes
// Lambda deliver the whole event again.
func (f *WorkerFunction) Handle(ctx context.Context, event json.RawMessage) (any, error) {
	var shape struct {
		Records []struct {
			Source string `json:"eventSource"`
		}
		Source string `json:"source"`
	}
	if err := json.Unmarshal(event, &shape); err != nil {
		return nil, fmt.Errorf("decoding the event: %w", err)
	}
	f.config.refresh(ctx)
	defer f.enterConfig(ctx)
	switch {
	case shape.Source == ssmSource:
		return nil, f.ssmEvent(ctx, event)
	case len(shape.Records) > 0 && shape.Records[0].Source == "aws:sqs":
		var e events.SQSEvent
		if err := json.Unmarshal(event, &e); err != nil {
			return nil, fmt.Errorf("decoding the event of SQS: %w", err)
		}
		return f.messages(ctx, e.Records), nil
	}
	return nil, fmt.Errorf("the event is neither of SQS nor of %q", ssmSource)
}

// messages handles the messages of a batch side by side, what stops before what
// starts. The answer names those that are to be delivered again.
func (f *WorkerFunction) messages(ctx context.Context, records []events.SQSMessage) events.SQSEventResponse {
	answer := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}} // never null
	var mu sync.Mutex
	again := func(m *events.SQSMessage) {
		mu.Lock()
		defer mu.Unlock()
		answer.BatchItemFailures = append(answer.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: m.MessageId})
	}
	var stops, starts []func()
	for i := range records {
		m := &records[i]
		it, err := queue.Decode([]byte(m.Body))
		if err != nil {
			// It stays on the queue for a newer release, if that is what it waits
			// for; SQS moves it to the dead letters in the end.
			f.log.ErrorContext(ctx, "an item cannot be read", "message_id", m.MessageId, "error", err.Error())
			again(m)
			continue
		}
		handle := func() {
			if err := f.item(ctx, it); err != nil {
				f.log.ErrorContext(ctx, "an item is delivered again", "item", it.Subject(), "message_id", m.MessageId, "error", err.Error())
				again(m)
			}
		}
		if stopsOnly(&it) {
			stops = append(stops, handle)
		} else {
			starts = append(starts, handle)
		}
	}
	for _, phase := range [][]func(){stops, starts} {
		var wg sync.WaitGroup
		for _, handle := range phase {
			wg.Go(handle)
		}
		wg.Wait()
	}
	slices.SortFunc(answer.BatchItemFailures, func(a, b events.SQSBatchItemFailure) int {
		return strings.Compare(a.ItemIdentifier, b.ItemIdentifier)
	})
	return answer
}

// stopsOnly reports whether the item can start nothing.
func stopsOnly(it *queue.Item) bool {
	firing := func(a amx.Alert) bool { return a.Status != amx.Resolved }
	return it.Kind == queue.Stop ||
		it.Kind == queue.Notification && it.Message != nil && !slices.ContainsFunc(it.Message.Alerts, firing)
}

// item handles one item. It is done with when the error is nil.
func (f *WorkerFunction) item(ctx context.Context, it queue.Item) error {
	if it.Wait(f.now()) > 0 {
		return f.again.Put(ctx, it) // it was due later than SQS can delay it
	}
	handle := f.work.HandleItem
	if it.Kind == queue.Report {
		handle = f.reports.HandleItem
	}
	err := handle(ctx, it)
	if !errors.Is(err, queue.ErrGivenUp) {
		return err
	}
	f.log.ErrorContext(ctx, "an item is given up", "item", it.Subject(), "reason", it.Reason, "tries", it.Tries, "error", err.Error())
	f.metrics.count(ctx, f.log, itemsGivenUp, string(it.Kind), f.now())
	if err := f.deadLetters.Put(ctx, it); err != nil {
		return fmt.Errorf("giving up: %w", err)
	}
	return nil
}

// ssmEvent passes on the end of a command of amx. An event of another command
// costs no call.
func (f *WorkerFunction) ssmEvent(ctx context.Context, text []byte) error {
	e, ended, err := decodeSSMEvent(text)
	if err != nil || !ended {
		return err
	}
	token, ok := e.Detail.Parameters.token()
	if !ok && f.configures(e.Detail.Document) {
		if token, ok, err = f.exec.TokenOf(ctx, e.Detail.CommandID); err != nil {
			return fmt.Errorf("finding whose command has ended: %w", err)
		}
	}
	if !ok {
		f.log.DebugContext(ctx, "a command of somebody else has ended", "command_id", e.Detail.CommandID, "document", e.Detail.Document)
		return nil
	}
	for _, name := range f.commandsOf(token) {
		if err := f.work.Ended(ctx, string(token.Entry), token.Run, name); err != nil {
			return fmt.Errorf("command %q, run %q: command %q of SSM ended %s: %w", name, token.Run, e.Detail.CommandID, e.Detail.Status, err)
		}
	}
	return nil
}

// configures reports whether a command runs that document. SSM may name it by
// its ARN or without.
func (f *WorkerFunction) configures(document string) bool {
	name := func(s string) string { return s[strings.LastIndex(s, "/")+1:] }
	return slices.ContainsFunc(f.config.current().Commands, func(c *amx.Command) bool {
		return c.Document != "" && name(c.Document) == name(document)
	})
}

// commandsOf is the configured commands that a token may mean: it has only the
// head of a long name.
func (f *WorkerFunction) commandsOf(token ssmexec.Token) []string {
	var names []string
	for _, c := range f.config.current().Commands {
		full := token
		full.Command = c.Name
		if full.String() == token.String() {
			names = append(names, c.Name)
		}
	}
	if len(names) == 0 {
		return []string{token.Command} // it is not configured any more
	}
	return names
}
