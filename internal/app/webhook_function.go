package app

import (
	"context"
	"encoding/base64"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
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
	f := &WebhookFunction{common: c, webhook: Webhook{Runner: c.runner}, log: log}
	if s.tokenParameter != "" {
		tokens := &tokenParameter{client: c.client, name: s.tokenParameter, log: log, metrics: c.metrics, now: time.Now}
		f.webhook.Accepts = tokens.find
	}
	return f, nil
}

func (f *WebhookFunction) handler() any { return f.Handle }

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
