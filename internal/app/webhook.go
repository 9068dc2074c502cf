// Package app puts amx together: from a given environment to configuration,
// clients and runner, and from a request to an answer. The functions and
// `amx serve` only carry requests to it.
package app

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/runner"
)

// MaxBody is the size of a webhook's body, in bytes, that is taken: what a
// Lambda function URL takes.
const MaxBody = 6 << 20

// A Webhook answers Alertmanager's webhook.
type Webhook struct {
	Runner *runner.Runner
	// Accepts says whether a token is one of the accepted. nil: the caller was
	// authenticated before, or need not be.
	Accepts func(ctx context.Context, token string) (bool, error)
	// AllowGet takes GET with a body, as prometheus-am-executor's example
	// sends it.
	AllowGet bool
}

// A Request is one call of the webhook.
type Request struct {
	Method        string
	Authorization string    // the header
	Body          io.Reader // read once the caller is known, up to MaxBody
}

// A Response is the answer: an HTTP status and a JSON body.
type Response struct {
	Status int
	Body   []byte
}

type body struct {
	Error   string           `json:"error,omitempty"`
	Results *[]runner.Result `json:"results,omitempty"`
}

// Serve answers a request:
//
//	200  every action is settled: sent, cancelled, skipped or refused
//	400  not an Alertmanager message
//	401  no token, or not an accepted one
//	405  another method than POST
//	413  a body over [MaxBody]
//	500  an action is unsettled, and sending again is right
//
// It never answers 429: Alertmanager does not send again after it.
func (w *Webhook) Serve(ctx context.Context, r Request) Response {
	if r.Method != http.MethodPost && (!w.AllowGet || r.Method != http.MethodGet) {
		return failure(http.StatusMethodNotAllowed, fmt.Sprintf("method %q: Alertmanager's webhook is sent with POST", r.Method))
	}
	if w.Accepts != nil {
		token, ok := bearer(r.Authorization)
		if !ok {
			return failure(http.StatusUnauthorized, `no token: send "Authorization: Bearer <token>", or Basic with the token as password`)
		}
		switch ok, err := w.Accepts(ctx, token); {
		case err != nil:
			w.Runner.Log.ErrorContext(ctx, "reading the accepted tokens", "error", err.Error())
			return failure(http.StatusInternalServerError, "the accepted tokens cannot be read; send again")
		case !ok:
			return failure(http.StatusUnauthorized, "the token is not one of the accepted")
		}
	}
	text, err := io.ReadAll(io.LimitReader(r.Body, MaxBody+1))
	if err != nil {
		return failure(http.StatusBadRequest, fmt.Sprintf("reading the body: %v", err))
	}
	if len(text) > MaxBody {
		return failure(http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is over %d bytes: group by more labels", MaxBody))
	}
	m, err := amx.Decode(text)
	if err != nil {
		w.Runner.Log.WarnContext(ctx, "not an Alertmanager message", "error", err.Error(), "bytes", len(text))
		return failure(http.StatusBadRequest, err.Error())
	}
	a := w.Runner.Handle(ctx, m, true)
	if a.Err != nil {
		return respond(http.StatusInternalServerError, body{Error: a.Err.Error(), Results: &a.Results})
	}
	return respond(http.StatusOK, body{Results: &a.Results})
}

func failure(status int, message string) Response { return respond(status, body{Error: message}) }

func respond(status int, b body) Response {
	text, err := json.Marshal(b)
	if err != nil {
		return Response{http.StatusInternalServerError, []byte(`{"error":"the answer cannot be encoded"}`)}
	}
	return Response{status, append(text, '\n')}
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

// Tokens is the accepted tokens, of which only hashes are kept: comparing them
// takes the same time whatever is sent, its length included.
type Tokens [][sha256.Size]byte

// ParseTokens reads tokens, one a line. Blank lines and space around a token do
// not count.
func ParseTokens(text string) Tokens {
	var ts Tokens
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			ts = append(ts, sha256.Sum256([]byte(line)))
		}
	}
	return ts
}

// Accept says whether token is one of ts, in constant time.
func (ts Tokens) Accept(token string) bool {
	sum, found := sha256.Sum256([]byte(token)), 0
	for i := range ts {
		found |= subtle.ConstantTimeCompare(ts[i][:], sum[:])
	}
	return found == 1
}
