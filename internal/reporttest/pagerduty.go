package reporttest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"unicode/utf8"
)

// RoutingKey is the only one that the stand-in takes.
const RoutingKey = "0123456789abcdef0123456789abcdef"

// A PagerDutyEvent is one that the service has accepted.
type PagerDutyEvent struct {
	RoutingKey string `json:"routing_key"`
	Action     string `json:"event_action"`
	DedupKey   string `json:"dedup_key"`
	Client     string `json:"client"`
	ClientURL  string `json:"client_url"`
	Links      []struct{ Href, Text string }
	Images     []struct{ Src, Href, Alt string }
	Payload    *struct {
		Summary, Source, Severity, Timestamp, Component, Group, Class string
		Details                                                       json.RawMessage `json:"custom_details"`
	}
}

// PagerDuty is one service of PagerDuty's Events API v2.
type PagerDuty struct {
	Faults
	URL string
	// Told is called after each event that is accepted; nil: nobody is. It is set
	// before the first call.
	Told func()

	mu     sync.Mutex
	events []PagerDutyEvent
	open   map[string]bool
	opened map[string]int
	wrong  []string
}

// NewPagerDuty starts it; stop ends it.
func NewPagerDuty() (p *PagerDuty, stop func()) {
	p = &PagerDuty{open: map[string]bool{}, opened: map[string]int{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v2/enqueue", p.enqueue)
	server := httptest.NewServer(p.around(mux))
	p.URL = server.URL + "/v2/enqueue"
	return p, server.Close
}

// Events are those that it has accepted, in order.
func (p *PagerDuty) Events() []PagerDutyEvent {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.events)
}

// Open lists the deduplication keys of open incidents, sorted.
func (p *PagerDuty) Open() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var keys []string
	for key, open := range p.open {
		if open {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// Opened is how many incidents a key has had.
func (p *PagerDuty) Opened(key string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.opened[key]
}

// Wrong lists what it has refused.
func (p *PagerDuty) Wrong() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.wrong)
}

func (p *PagerDuty) enqueue(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	body, _ := io.ReadAll(r.Body)
	p.mu.Lock()
	defer p.mu.Unlock()
	var e PagerDutyEvent
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	var errs []string
	if err := d.Decode(&e); err != nil {
		errs = append(errs, err.Error())
	} else {
		errs = e.faults(len(body))
	}
	if len(errs) > 0 {
		p.wrong = append(p.wrong, errs...)
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]any{"status": "invalid event", "message": "Event object is invalid", "errors": errs})
		return
	}
	switch {
	case e.Action == "trigger" && !p.open[e.DedupKey]:
		p.open[e.DedupKey] = true
		p.opened[e.DedupKey]++
	case e.Action == "resolve":
		p.open[e.DedupKey] = false
	}
	p.events = append(p.events, e)
	if p.Told != nil {
		defer p.Told()
	}
	w.WriteHeader(http.StatusAccepted)
	_ = json.NewEncoder(w).Encode(map[string]string{"status": "success", "message": "Event processed", "dedup_key": e.DedupKey})
}

// faults checks an event:
// https://developer.pagerduty.com/docs/events-api-v2/trigger-events/
func (e *PagerDutyEvent) faults(size int) []string {
	var errs []string
	want := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Sprintf(format, args...))
		}
	}
	want(size <= 512<<10, "over 512 KB")
	want(e.RoutingKey == RoutingKey, "'routing_key' is invalid")
	want(slices.Contains([]string{"trigger", "acknowledge", "resolve"}, e.Action), "'event_action' is %q", e.Action)
	want(e.DedupKey != "" && len(e.DedupKey) <= 255, "'dedup_key' of %d bytes", len(e.DedupKey))
	for _, l := range e.Links {
		u, err := url.Parse(l.Href)
		want(err == nil && u.IsAbs() && l.Text != "", "'links' with %+v", l)
	}
	if u, err := url.Parse(e.ClientURL); e.ClientURL != "" {
		want(err == nil && u.IsAbs(), "'client_url' is %q", e.ClientURL)
	}
	if e.Action != "trigger" {
		return errs
	}
	if e.Payload == nil {
		return append(errs, "'payload' is missing or blank")
	}
	n := utf8.RuneCountInString(e.Payload.Summary)
	want(n > 0 && n <= 1024, "'payload.summary' of %d characters", n)
	want(e.Payload.Source != "", "'payload.source' is missing or blank")
	want(slices.Contains([]string{"critical", "error", "warning", "info"}, e.Payload.Severity), "'payload.severity' is %q", e.Payload.Severity)
	return errs
}
