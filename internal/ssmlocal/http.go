package ssmlocal

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// maxBody is far above the limit of the service. The operation itself answers a document
// above that with MaxDocumentSizeExceeded.
const maxBody = 16 << 20

// operations are the supported calls: the name in X-Amz-Target → its function. A function
// decodes the body with decode. It returns a value to encode or an error, which is an
// *apiError if the service has a name for it.
var operations = map[string]func(s *Server, body []byte) (any, error){
	"SendCommand":            operation((*Server).sendCommand),
	"CancelCommand":          operation((*Server).cancelCommand),
	"ListCommands":           operation((*Server).listCommands),
	"ListCommandInvocations": operation((*Server).listCommandInvocations),

	"GetParameter":                operation((*Server).getParameter),
	"PutParameter":                operation((*Server).putParameter),
	"GetCommandInvocation":        operation((*Server).getCommandInvocation),
	"DescribeInstanceInformation": operation((*Server).describeInstanceInformation),
}

// operation adapts a method with a typed request to the table's form.
func operation[Request, Response any](f func(*Server, *Request) (Response, error)) func(*Server, []byte) (any, error) {
	return func(s *Server, body []byte) (any, error) {
		req := new(Request)
		if err := json.Unmarshal(body, req); err != nil {
			return nil, &apiError{"SerializationException", err.Error()}
		}
		return f(s, req)
	}
}

// apiError is an error for the client, with the service's name for it.
type apiError struct{ Type, Message string }

func (e *apiError) Error() string { return e.Type + ": " + e.Message }

// ServeHTTP answers one call of the AWS JSON 1.1 protocol
// (https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html).
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		s.answer(w, http.StatusMethodNotAllowed, &apiError{"UnknownOperationException", "the method must be POST"})
		return
	}
	name, ours := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "AmazonSSM.")
	op := operations[name]
	if !ours || op == nil {
		s.answer(w, http.StatusBadRequest, &apiError{"UnknownOperationException", "unknown operation " + strconv.Quote(name)})
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		s.answer(w, http.StatusBadRequest, &apiError{"SerializationException", err.Error()})
		return
	}
	out, err := op(s, body)
	var known *apiError
	switch {
	case err == nil:
		s.answer(w, http.StatusOK, out)
	case errors.As(err, &known) && known.Type != "InternalServerError":
		s.answer(w, http.StatusBadRequest, known)
	default:
		s.o.Log.ErrorContext(r.Context(), "ssmlocal: call failed", "operation", name, "err", err)
		s.answer(w, http.StatusInternalServerError, &apiError{"InternalServerError", err.Error()})
	}
}

func (s *Server) answer(w http.ResponseWriter, status int, v any) {
	if e, ok := v.(*apiError); ok {
		v = struct {
			Type    string `json:"__type"`
			Message string `json:"message"`
		}{e.Type, e.Message}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		s.o.Log.Error("ssmlocal: encoding an answer", "err", err)
		status, b = http.StatusInternalServerError, bytes.Buffer{}
	}
	h := w.Header()
	h.Set("Content-Type", "application/x-amz-json-1.1")
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	w.Write(b.Bytes())
}

// Client returns an HTTP client whose requests s answers directly, without a socket. The
// address and the signature of a request do not matter.
func (s *Server) Client() *http.Client { return &http.Client{Transport: direct{s}} }

type direct struct{ handler http.Handler }

// RoundTrip calls the handler on the caller's goroutine. The operations never wait, so it
// checks the deadline of the request's context once, before the call.
func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r = r.Clone(r.Context())
		r.Body = http.NoBody
	}
	defer r.Body.Close()
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w := &recorder{header: http.Header{}, status: http.StatusOK}
	d.handler.ServeHTTP(w, r)
	return &http.Response{
		Status:     strconv.Itoa(w.status) + " " + http.StatusText(w.status),
		StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.header, Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()), Request: r,
	}, nil
}

type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *recorder) Header() http.Header         { return w.header }
func (w *recorder) WriteHeader(status int)      { w.status = status }
func (w *recorder) Write(b []byte) (int, error) { return w.body.Write(b) }
