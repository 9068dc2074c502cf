// Package reporttest stands in for the services that amx reports to, on the
// loopback: Slack, PagerDuty, a webhook's receiver and Prometheus. Each checks a
// request against the form and the limits that the service documents, and
// refuses what the service would refuse. Each fails when it is told to.
package reporttest

import (
	"net/http"
	"strconv"
	"sync"
)

// A Fault is what goes wrong with one call.
type Fault struct {
	Status     int  // answered instead of doing anything; 0: none
	RetryAfter int  // seconds, with Status
	Down       bool // the connection breaks before the call is read
	LoseAnswer bool // the call is done, and its connection breaks
	// Hold, where it is not nil, keeps the call until the channel is closed or
	// the caller has gone.
	Hold <-chan struct{}
}

// Faults are those of one service. The zero value has none.
type Faults struct {
	mu   sync.Mutex
	next map[string][]Fault // :: path → faults of its next calls
}

// Add makes the next calls of a path fail, one by one.
func (f *Faults) Add(path string, faults ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.next == nil {
		f.next = map[string][]Fault{}
	}
	f.next[path] = append(f.next[path], faults...)
}

func (f *Faults) take(path string) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.next[path]) == 0 {
		return Fault{}
	}
	fault := f.next[path][0]
	f.next[path] = f.next[path][1:]
	return fault
}

// broken ends a connection as a crash does.
func broken() { panic(http.ErrAbortHandler) }

// around serves a call, with the fault that is next for its path.
func (f *Faults) around(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fault := f.take(r.URL.Path)
		if fault.Hold != nil {
			select {
			case <-fault.Hold:
			case <-r.Context().Done():
				return
			}
		}
		switch {
		case fault.Down:
			broken()
		case fault.Status != 0:
			if fault.RetryAfter > 0 {
				w.Header().Set("Retry-After", strconv.Itoa(fault.RetryAfter))
			}
			w.WriteHeader(fault.Status)
			return
		case fault.LoseAnswer:
			next.ServeHTTP(&lost{header: http.Header{}}, r)
			broken()
		}
		next.ServeHTTP(w, r)
	})
}

// lost is an answer that nobody gets.
type lost struct{ header http.Header }

func (l *lost) Header() http.Header         { return l.header }
func (l *lost) Write(b []byte) (int, error) { return len(b), nil }
func (l *lost) WriteHeader(int)             {}
