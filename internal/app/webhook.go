// Package app puts amx together: from a given environment to configuration,
// clients and runner, and from a request to an answer. The functions and
// `amx serve` only carry requests to it.
package app

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/queue"
	"github.com/amx-lambda/amx/internal/report"
	"github.com/amx-lambda/amx/internal/runner"
)

// maxBody is the size of a webhook's body, in bytes, that is taken: what a
// Lambda function URL takes.
const maxBody = 6 << 20

// A Webhook answers Alertmanager's webhook.
type Webhook struct {
	Runner *runner.Runner
	// Accepts answers the accepted token that was sent, nil if it is none of
	// them. Without it the caller was authenticated before, or need not be.
	Accepts func(ctx context.Context, token string) (*Token, error)
	// AllowGet takes GET with a body, as prometheus-am-executor's example
	// sends it.
	AllowGet bool
	// Reporter tells people of alerts themselves; nil: nobody.
	Reporter *report.Reporter
	// Observe is told each answer, and what became of the message where it was
	// one. nil: nobody is.
	Observe func(Response, runner.Answer)
	// Truncated is told how many alerts Alertmanager has cut off a message, if it
	// has. nil: nobody is.
	Truncated func(ctx context.Context, alerts uint64)
}

// A Request is one call of the webhook.
type Request struct {
	Method        string
	Authorization string    // the header
	Body          io.Reader // read once the caller is known, up to maxBody
}

// A Response is the answer: an HTTP status and a JSON body.
type Response struct {
	Status int
	Body   []byte
}

type body struct {
	Error    string           `json:"error,omitempty"`
	Results  *[]runner.Result `json:"results,omitempty"`
	Warnings []string         `json:"warnings,omitempty"`
}

// Serve answers a request:
//
//	200  every action is settled (sent, cancelled, skipped, refused) or put off
//	400  not an Alertmanager message
//	401  no token, or not an accepted one
//	405  another method than POST
//	413  a body over 6 MiB
//	500  an action could be neither settled nor put off, or a command with
//	     notify_on_failure failed: sending again is right
//
// It never answers 429: Alertmanager does not send again after it.
func (w *Webhook) Serve(ctx context.Context, r Request) Response {
	response, answer := w.serve(ctx, r)
	if w.Observe != nil {
		w.Observe(response, answer)
	}
	return response
}

func (w *Webhook) serve(ctx context.Context, r Request) (Response, runner.Answer) {
	if r.Method != http.MethodPost && (!w.AllowGet || r.Method != http.MethodGet) {
		return refuse(http.StatusMethodNotAllowed, "send a notification with POST, as Alertmanager's webhook does")
	}
	token, refusal := w.Authenticate(ctx, r.Authorization)
	if refusal != nil {
		return *refusal, runner.Answer{}
	}
	text, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return refuse(http.StatusBadRequest, fmt.Sprintf("reading the body: %v", err))
	}
	if len(text) > maxBody {
		return refuse(http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is over %d bytes: group by more labels", maxBody))
	}
	m, err := amx.Decode(text, w.now())
	if err != nil {
		w.Runner.Log.WarnContext(ctx, "not an Alertmanager message", "error", err.Error(), "bytes", len(text))
		return refuse(http.StatusBadRequest, err.Error())
	}
	warnings := warn(ctx, w.Runner.Log, m, w.Truncated)
	a := reporting(ctx, w.Reporter, m, func() runner.Answer {
		return w.Runner.Handle(ctx, m, runner.Source{Source: queue.Source{Token: token.Name}, Waits: true, Within: runner.Within})
	})
	if a.Err != nil {
		return respond(http.StatusInternalServerError, body{Error: a.Err.Error(), Results: &a.Results, Warnings: warnings}), a
	}
	return respond(http.StatusOK, body{Results: &a.Results, Warnings: warnings}), a
}

// warn logs what is amiss with a message that is acted on all the same.
func warn(ctx context.Context, log *slog.Logger, m *amx.Message, truncated func(context.Context, uint64)) []string {
	warnings := m.Warnings()
	for _, text := range warnings {
		log.WarnContext(ctx, "the message is amiss", "warning", text, "truncated", m.TruncatedAlerts, "receiver", m.Receiver, "group", m.GroupKey)
	}
	if m.TruncatedAlerts > 0 && truncated != nil {
		truncated(ctx, m.TruncatedAlerts)
	}
	return warnings
}

func (w *Webhook) now() time.Time {
	if w.Runner.Now != nil {
		return w.Runner.Now()
	}
	return time.Now()
}

// Authenticate answers the caller's token, or the refusal of a caller that is not
// accepted. Where nobody needs a token, it is one without a name.
func (w *Webhook) Authenticate(ctx context.Context, authorization string) (Token, *Response) {
	if w.Accepts == nil {
		return Token{}, nil
	}
	token, ok := bearer(authorization)
	status, message := http.StatusUnauthorized, `no token: send "Authorization: Bearer <token>", or Basic with the token as password`
	if ok {
		accepted, err := w.Accepts(ctx, token)
		switch {
		case err != nil:
			w.Runner.Log.ErrorContext(ctx, "reading the accepted tokens", "error", err.Error())
			status, message = http.StatusInternalServerError, "the accepted tokens cannot be read; send again"
		case accepted != nil:
			return *accepted, nil
		default:
			message = "the token is not one of the accepted"
		}
	}
	refusal, _ := refuse(status, message)
	return Token{}, &refusal
}

// refuse answers a request that is no message, or not an accepted one's.
func refuse(status int, message string) (Response, runner.Answer) {
	return respond(status, body{Error: message}), runner.Answer{}
}

func respond(status int, b body) Response {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false) // it is read by people, and is no page
	if err := e.Encode(b); err != nil {
		return Response{http.StatusInternalServerError, []byte(`{"error":"the answer cannot be encoded"}`)}
	}
	return Response{status, text.Bytes()}
}

// bearer is the token of an Authorization header: that of Bearer, or the
// password of Basic, which is what Alertmanager's basic_auth sends.
func bearer(header string) (string, bool) {
	scheme, rest, _ := strings.Cut(header, " ")
	rest = strings.TrimSpace(rest)
	switch {
	case strings.EqualFold(scheme, "Bearer"):
		return rest, rest != ""
	case strings.EqualFold(scheme, "Basic"):
		plain, err := base64.StdEncoding.DecodeString(rest)
		_, password, ok := strings.Cut(string(plain), ":")
		return password, err == nil && ok && password != ""
	}
	return "", false
}
