package reporttest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"time"
)

// A Request is one that a receiver took.
type Request struct {
	Header http.Header
	Body   []byte
}

// Receiver is what somebody wrote for a webhook.
type Receiver struct {
	Faults
	URL string

	mu       sync.Mutex
	requests []Request
}

// NewReceiver starts it; stop ends it.
func NewReceiver() (r *Receiver, stop func()) {
	r = &Receiver{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /reports", func(_ http.ResponseWriter, request *http.Request) {
		body, _ := io.ReadAll(request.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.requests = append(r.requests, Request{request.Header.Clone(), body})
	})
	server := httptest.NewServer(r.around(mux))
	r.URL = server.URL + "/reports"
	return r, server.Close
}

// Requests are those that it took, in order.
func (r *Receiver) Requests() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.requests)
}

// Prometheus answers every range query with the same series.
type Prometheus struct {
	Faults
	URL string

	// Series are the labels of each series, and its value at a time.
	Series []Series

	mu      sync.Mutex
	queries []string
	headers []http.Header
}

// Series is one that a Prometheus has.
type Series struct {
	Labels map[string]string
	Value  func(at time.Time) float64
}

// Constant is a value that does not change.
func Constant(v float64) func(time.Time) float64 { return func(time.Time) float64 { return v } }

// NewPrometheus starts it; stop ends it.
func NewPrometheus(series ...Series) (p *Prometheus, stop func()) {
	p = &Prometheus{Series: series}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /workspaces/ws-1/api/v1/query_range", p.queryRange)
	server := httptest.NewServer(p.around(mux))
	p.URL = server.URL + "/workspaces/ws-1"
	return p, server.Close
}

// Queries are the expressions that it was asked for, in order.
func (p *Prometheus) Queries() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.queries)
}

// Headers are those of the queries, in order.
func (p *Prometheus) Headers() []http.Header {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.headers)
}

func (p *Prometheus) queryRange(w http.ResponseWriter, r *http.Request) {
	var at [3]int64
	for i, name := range []string{"start", "end", "step"} {
		n, err := strconv.ParseInt(r.PostFormValue(name), 10, 64)
		if err != nil {
			badData(w, name)
			return
		}
		at[i] = n
	}
	start, end, step := at[0], at[1], at[2]
	if r.PostFormValue("query") == "" || step <= 0 || (end-start)/step > 11000 {
		badData(w, "query")
		return
	}
	p.mu.Lock()
	p.queries = append(p.queries, r.PostFormValue("query"))
	p.headers = append(p.headers, r.Header.Clone())
	p.mu.Unlock()
	result := []any{}
	for _, s := range p.Series {
		var values [][2]any
		for t := start; t <= end; t += step {
			v := s.Value(time.Unix(t, 0))
			values = append(values, [2]any{t, fmt.Sprint(v)})
		}
		result = append(result, map[string]any{"metric": s.Labels, "values": values})
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": map[string]any{"resultType": "matrix", "result": result}})
}

func badData(w http.ResponseWriter, what string) {
	w.WriteHeader(http.StatusBadRequest)
	_ = json.NewEncoder(w).Encode(map[string]string{"status": "error", "errorType": "bad_data", "error": "invalid parameter " + what})
}
