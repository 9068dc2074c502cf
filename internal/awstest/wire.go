// Package awstest is AWS as tests see it, on the loopback: a [Wire] that
// records every request, holds it to the service's own model and can make it
// fail in the ways that networks and services do; and, behind it, small doubles
// of the parts of [DynamoDB], [SQS] and [SSM] that amx uses.
package awstest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A Call is one request of the AWS JSON protocol.
type Call struct {
	Operation string // such as "SendCommand"
	Body      []byte // JSON
}

// Decode reads the request's body into v, which is a pointer.
func (c Call) Decode(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal(c.Body, v); err != nil {
		t.Fatalf("%s: %v", c.Operation, err)
	}
}

// A Fault is what goes wrong with a call. The zero value drops the connection
// before the service has seen the request.
type Fault struct {
	Error  string        // the service answers this error, such as "ThrottlingException"; empty: the connection is dropped
	Status int           // HTTP's status of Error; 0: 400
	After  bool          // the service has acted all the same, and only its answer is lost
	Delay  time.Duration // before all that; the caller may give up earlier
}

// A Wire lies between a client and a service.
type Wire struct {
	Next  http.Handler                              // the service
	Check func(operation string, body []byte) error // optional: what the service's model says of a request
	Fault func(Call) *Fault                         // optional: what is to go wrong; nil: nothing

	// Latency is what the network takes. Where connections are counted it must
	// not be 0: an answer that comes while the client is still busy with having
	// sent the request makes the SDK give the connection up, as it only happens
	// on the loopback.
	Latency time.Duration

	mu          sync.Mutex
	calls       []Call
	violations  []string
	connections int
}

// Listen serves w on the loopback until the test ends, and answers its URL. A
// request that breaks the service's model then fails the test.
func (w *Wire) Listen(t testing.TB) string {
	t.Helper()
	s := httptest.NewUnstartedServer(w)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.connections++
		}
	}
	s.Start()
	t.Cleanup(func() {
		s.CloseClientConnections() // a client that was killed has not closed them
		s.Close()
		for _, v := range w.Violations() {
			t.Error(v)
		}
	})
	return s.URL
}

// Calls lists the requests of these operations so far, in the order in which
// they came; without a name those of all.
func (w *Wire) Calls(operations ...string) []Call {
	w.mu.Lock()
	defer w.mu.Unlock()
	var calls []Call
	for _, c := range w.calls {
		if len(operations) == 0 || slices.Contains(operations, c.Operation) {
			calls = append(calls, c)
		}
	}
	return calls
}

// Operations lists the names of the requests since the last call of it.
func (w *Wire) Operations() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	names := []string{}
	for _, c := range w.calls {
		names = append(names, c.Operation)
	}
	w.calls = nil
	return names
}

// Connections counts the connections that were made to w.
func (w *Wire) Connections() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.connections
}

// Violations lists what requests broke of the service's model.
func (w *Wire) Violations() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.violations...)
}

// ServeHTTP records and checks the request, and hands it on.
func (w *Wire) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // the caller has given up
	}
	call := Call{operation, body}
	w.record(call)
	r.Body = io.NopCloser(bytes.NewReader(body))
	if w.Fault != nil {
		if f := w.Fault(call); f != nil {
			f.happen(out, r, w.Next)
			return
		}
	}
	if w.Latency > 0 {
		time.Sleep(w.Latency)
	}
	w.Next.ServeHTTP(out, r)
}

func (w *Wire) record(c Call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, c)
	if w.Check == nil {
		return
	}
	if err := w.Check(c.Operation, c.Body); err != nil {
		w.violations = append(w.violations, fmt.Sprintf("%s %.2000s: %v", c.Operation, c.Body, err))
	}
}

func (f *Fault) happen(out http.ResponseWriter, r *http.Request, next http.Handler) {
	if f.Delay > 0 {
		select {
		case <-time.After(f.Delay):
		case <-r.Context().Done():
		}
	}
	if f.After {
		next.ServeHTTP(httptest.NewRecorder(), r.WithContext(context.WithoutCancel(r.Context())))
	}
	if f.Error == "" {
		panic(http.ErrAbortHandler) // net/http drops the connection
	}
	status := f.Status
	if status == 0 {
		status = http.StatusBadRequest
	}
	reply(out, status, map[string]string{"__type": f.Error, "message": "a fault of the test"})
}

// apiError is an error that a service answers, by the service's name for it.
type apiError struct{ name, message string }

func (e *apiError) Error() string { return e.name + ": " + e.message }

// serve answers a request with what f makes of its body.
func serve(out http.ResponseWriter, r *http.Request, f func(operation string, body []byte) (any, *apiError)) {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	answer, failed := f(operation, body)
	if failed != nil {
		reply(out, http.StatusBadRequest, map[string]string{"__type": failed.name, "message": failed.message})
		return
	}
	if _, refused := answer.(refusal); refused {
		reply(out, http.StatusBadRequest, answer)
		return
	}
	reply(out, http.StatusOK, answer)
}

func reply(out http.ResponseWriter, status int, answer any) {
	text, err := json.Marshal(answer)
	if err != nil {
		panic(err) // of the double itself
	}
	out.Header().Set("Content-Type", "application/x-amz-json-1.1")
	// DynamoDB's checksum: the SDK gives a connection up whose answer has none.
	out.Header().Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE(text)), 10))
	out.WriteHeader(status)
	out.Write(text)
}
