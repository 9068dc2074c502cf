package app

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/amx-lambda/amx/internal/amx"
)

// A WebhookFunction answers Alertmanager's webhook behind a Lambda function URL.
type WebhookFunction struct {
	*common
	webhook Webhook
	log     *slog.Logger
}

// NewWebhookFunction makes the function from its environment. It calls AWS only
// to read a configuration from Parameter Store. An error names what is wrong.
// The metrics go to out, which is the function's standard output.
func NewWebhookFunction(ctx context.Context, env Getenv, log *slog.Logger, out io.Writer) (*WebhookFunction, error) {
	s, err := readSettings(env, webhookSettings(env))
	if err != nil {
		return nil, err
	}
	c, err := newCommon(ctx, env, s, log, out)
	if err != nil {
		return nil, err
	}
	f := &WebhookFunction{common: c, webhook: Webhook{Runner: c.runner, Reporter: c.reporter, Truncated: c.metrics.truncated(log)}, log: log}
	if s.tokenParameter != "" {
		tokens := &tokenParameter{client: c.client, name: s.tokenParameter, log: log, metrics: c.metrics, now: time.Now}
		f.webhook.Accepts = tokens.find
	}
	return f, nil
}

func (f *WebhookFunction) handler() any { return f.HandleEvent }

// HandleEvent answers an event of a function URL or of an API Gateway HTTP API, and
// says of another one whose it is: as an answer where somebody waits for one, else
// as the invocation's error.
func (f *WebhookFunction) HandleEvent(ctx context.Context, event json.RawMessage) (events.LambdaFunctionURLResponse, error) {
	var e events.LambdaFunctionURLRequest
	err := json.Unmarshal(event, &e)
	if err == nil && e.RequestContext.HTTP.Method != "" {
		return f.Handle(ctx, e)
	}
	if foreign := amx.ForeignEvent(event); foreign != nil {
		err = foreign
	}
	if err == nil {
		err = errors.New("want an event of a function URL or of an HTTP API with payload format 2.0")
	}
	err = fmt.Errorf("not a request to the webhook: %w", err)
	f.log.ErrorContext(ctx, "event", "error", err.Error())
	if asked := (struct{ RequestContext json.RawMessage }{}); json.Unmarshal(event, &asked) == nil && asked.RequestContext != nil {
		a, _ := refuse(http.StatusBadRequest, err.Error())
		return events.LambdaFunctionURLResponse{StatusCode: a.Status, Headers: map[string]string{"Content-Type": "application/json"}, Body: string(a.Body)}, nil
	}
	return events.LambdaFunctionURLResponse{}, err
}

// Handle answers one request: an event of payload format 2.0, in which the names
// of headers are in lower case.
// https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
func (f *WebhookFunction) Handle(ctx context.Context, e events.LambdaFunctionURLRequest) (events.LambdaFunctionURLResponse, error) {
	f.config.refresh(ctx)
	request := e.RequestContext.HTTP
	var body io.Reader = strings.NewReader(e.Body)
	if e.IsBase64Encoded {
		body = base64.NewDecoder(base64.StdEncoding, body)
	}
	a := f.webhook.Serve(ctx, Request{Method: request.Method, Authorization: e.Headers["authorization"], Body: body})
	if a.Status >= 400 && a.Status < 500 {
		f.log.WarnContext(ctx, "refused", "status", a.Status, "method", request.Method, "source", request.SourceIP)
	}
	headers := map[string]string{"Content-Type": "application/json"}
	switch a.Status {
	case http.StatusUnauthorized:
		headers["WWW-Authenticate"] = `Bearer realm="amx"`
	case http.StatusMethodNotAllowed:
		headers["Allow"] = http.MethodPost
	}
	return events.LambdaFunctionURLResponse{StatusCode: a.Status, Headers: headers, Body: string(a.Body)}, nil
}
