// Package lambdatest is Lambda's side of a function, so that the built
// bootstrap is tested as Lambda runs it: the Runtime API on the loopback, an
// environment of its own, deadlines that kill, SIGTERM at the end.
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
package lambdatest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Error is a function's error, as it reports it.
type Error struct {
	Type    string `json:"errorType"`
	Message string `json:"errorMessage"`
}

func (e *Error) Error() string { return e.Type + ": " + e.Message }

// An Answer is what became of one invocation.
type Answer struct {
	Body []byte // of the function's answer
	Err  *Error // it failed, or Lambda ended it

	RequestID string // that its lines of the log carry
}

type invocation struct {
	id       string
	event    []byte
	deadline time.Time
	answer   chan Answer
}

// runtime is the Runtime API for one function.
type runtime struct {
	*httptest.Server
	polled      chan struct{} // closed at the first poll
	invocations chan *invocation
	initError   chan *Error

	mu      sync.Mutex
	pending map[string]*invocation // :: request ID → invocation
	first   time.Time              // of the first poll
}

func newRuntime() *runtime {
	r := &runtime{
		polled: make(chan struct{}), invocations: make(chan *invocation), initError: make(chan *Error, 1),
		pending: map[string]*invocation{},
	}
	mux := http.NewServeMux()
	const api = "/2018-06-01/runtime/"
	mux.HandleFunc("GET "+api+"invocation/next", r.next)
	mux.HandleFunc("POST "+api+"invocation/{id}/response", r.response)
	mux.HandleFunc("POST "+api+"invocation/{id}/error", r.failure)
	mux.HandleFunc("POST "+api+"init/error", r.initFailure)
	r.Server = httptest.NewServer(mux)
	return r
}

func (r *runtime) address() string { return strings.TrimPrefix(r.URL, "http://") }

// next hands out an invocation. It waits for as long as there is none: Lambda
// freezes the function meanwhile.
func (r *runtime) next(out http.ResponseWriter, req *http.Request) {
	now := time.Now()
	r.mu.Lock()
	if r.first.IsZero() {
		r.first = now
		close(r.polled)
	}
	r.mu.Unlock()
	select {
	case i := <-r.invocations:
		r.mu.Lock()
		r.pending[i.id] = i
		r.mu.Unlock()
		h := out.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Lambda-Runtime-Aws-Request-Id", i.id)
		h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(i.deadline.UnixMilli(), 10))
		h.Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-central-1:123456789012:function:amx")
		h.Set("Lambda-Runtime-Trace-Id", "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1")
		out.Write(i.event)
	case <-req.Context().Done():
	}
}

func (r *runtime) take(out http.ResponseWriter, req *http.Request) (*invocation, []byte) {
	body, err := io.ReadAll(req.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	i := r.pending[req.PathValue("id")]
	delete(r.pending, req.PathValue("id"))
	if err != nil || i == nil {
		out.WriteHeader(http.StatusBadRequest)
		return nil, nil
	}
	out.WriteHeader(http.StatusAccepted)
	return i, body
}

func (r *runtime) response(out http.ResponseWriter, req *http.Request) {
	if i, body := r.take(out, req); i != nil {
		i.answer <- Answer{Body: body}
	}
}

func (r *runtime) failure(out http.ResponseWriter, req *http.Request) {
	if i, body := r.take(out, req); i != nil {
		i.answer <- Answer{Err: decodeError(body)}
	}
}

func (r *runtime) initFailure(out http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err == nil && req.Header.Get("Lambda-Runtime-Function-Error-Type") == "" {
		err = fmt.Errorf("no Lambda-Runtime-Function-Error-Type")
	}
	if err != nil {
		out.WriteHeader(http.StatusBadRequest)
		return
	}
	select {
	case r.initError <- decodeError(body):
	default: // only the first counts
	}
	out.WriteHeader(http.StatusAccepted)
}

func decodeError(body []byte) *Error {
	e := new(Error)
	if err := json.Unmarshal(body, e); err != nil {
		return &Error{Type: "Runtime.MalformedError", Message: string(body)}
	}
	return e
}
