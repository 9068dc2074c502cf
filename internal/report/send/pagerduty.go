package send

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/history"
	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/report"
)

// PagerDuty's limits:
// https://developer.pagerduty.com/docs/events-api-v2/trigger-events/
const (
	pagerDutyURL = "https://events.pagerduty.com/v2/enqueue"
	maxSummary   = 1024
	maxDedupKey  = 255
	maxEvent     = 512 << 10
	maxDetail    = 1024 // amx's own, for a value
	maxListed    = 50   // alerts and nodes in the details
)

// pagerDutyEvent is an event of the Events API v2.
type pagerDutyEvent struct {
	RoutingKey string            `json:"routing_key"`
	Action     string            `json:"event_action"` // trigger or resolve
	DedupKey   string            `json:"dedup_key"`
	Client     string            `json:"client,omitempty"`
	ClientURL  string            `json:"client_url,omitempty"`
	Links      []pagerDutyLink   `json:"links,omitempty"`
	Payload    *pagerDutyPayload `json:"payload,omitempty"` // of a trigger
}

type pagerDutyLink struct {
	Href string `json:"href"`
	Text string `json:"text"`
}

type pagerDutyPayload struct {
	Summary   string         `json:"summary"`
	Source    string         `json:"source"`
	Severity  string         `json:"severity"`
	Timestamp string         `json:"timestamp,omitempty"`
	Component string         `json:"component,omitempty"`
	Group     string         `json:"group,omitempty"`
	Class     string         `json:"class,omitempty"`
	Details   map[string]any `json:"custom_details,omitempty"`
}

// toPagerDuty returns an error for each incident that could not be sent to PagerDuty.
func (o *outgoing) toPagerDuty(ctx context.Context) []error {
	if o.e.Message == nil {
		return o.tellOfRun(ctx)
	}
	var errs []error
	for _, cmd := range report.Resolving(o.c, o.d, o.e) {
		for _, id := range entries(cmd, o.e.Message) {
			errs = append(errs, o.incident(ctx, o.incidentOf(cmd.Name, id)))
		}
	}
	if slices.Contains(o.d.On, amx.OnAlert) { // if not, only its resolve matters
		errs = append(errs, o.forward(ctx))
	}
	return errs
}

// tellOfRun reports a run. A success closes the breaker of its command, so it also
// resolves the breaker's incident.
func (o *outgoing) tellOfRun(ctx context.Context) []error {
	rec := o.e.Record
	breaker := incidentPrefix + rec.Command + "/breaker"
	if o.e.Kind == amx.OnBreaker {
		return []error{o.incident(ctx, breaker)}
	}
	errs := []error{o.incident(ctx, o.incidentOf(rec.Command, ledger.ID(rec.Entry)))}
	if o.e.Kind == amx.OnSucceeded && slices.Contains(o.d.On, amx.OnBreaker) {
		errs = append(errs, o.incident(ctx, breaker))
	}
	return errs
}

// entries returns the IDs of the ledger's entries for the resolved alerts.
func entries(cmd *amx.Command, m *amx.Message) []ledger.ID {
	var ids []ledger.ID
	for i := range m.Alerts {
		if a := &m.Alerts[i]; report.Ends(cmd, m, a) {
			ids = append(ids, ledger.EntryOf(cmd, m, a))
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

func (o *outgoing) incidentOf(command string, entry ledger.ID) string {
	if entry == "" { // the record has no entry: it gets an incident of its own
		entry = ledger.ID(o.e.Record.Run)
	}
	return incidentPrefix + command + "/" + string(entry)
}

const incidentPrefix = "incident/"

// incident opens an incident for a run that failed, or resolves it.
func (o *outgoing) incident(ctx context.Context, about string) error {
	t, err := o.claim(ctx, about)
	if t == nil || err != nil {
		return err
	}
	opens := o.e.Message == nil && o.e.Kind != amx.OnSucceeded
	if !t.changes(o.e, opens) {
		return t.settle(ctx, o.e, nil)
	}
	event := pagerDutyEvent{Action: "resolve", DedupKey: dedupKey("amx/" + strings.TrimPrefix(about, incidentPrefix))}
	if opens {
		event.Action = "trigger"
		o.describe(&event)
	}
	err = o.postPagerDuty(ctx, event)
	_, unsure := errors.AsType[*temporary](err)
	switch {
	case opens && (err == nil || unsure): // perhaps only the answer was lost
		t.Open = true
	case err == nil:
		t.Open, t.Waiting = false, nil
	}
	return t.settle(ctx, o.e, err)
}

// changes reports whether an event opens or resolves an incident. The queue keeps no
// order. So an end that is older than the latest one changes nothing, and neither does a
// run whose alerts have all resolved since it began.
func (t *subject) changes(e *report.Event, opens bool) bool {
	switch {
	case e.Message != nil:
		t.resolved(e)
		return t.Open && len(t.Waiting) == 0
	case order(e) < t.Order:
		return false
	case !opens:
		return t.Open
	}
	t.Waiting = map[string]time.Time{}
	since := e.At
	if claimed := e.Record.Claimed; !claimed.IsZero() {
		since = claimed
	}
	for _, a := range e.Record.Alerts[:min(len(e.Record.Alerts), maxWaiting)] {
		if !t.Ended[a.Fingerprint].After(since) {
			t.Waiting[a.Fingerprint] = a.StartsAt
		}
	}
	return len(t.Waiting) > 0 || len(e.Record.Alerts) == 0
}

// maxWaiting limits how many alerts an incident waits for, and how many resolves it
// remembers.
const maxWaiting = 500

// resolved notes the alerts that a notification resolves. A late resolve may belong to an
// earlier firing of the alert; the incident then still waits.
func (t *subject) resolved(e *report.Event) {
	if t.Ended == nil {
		t.Ended = map[string]time.Time{}
	}
	for _, a := range e.Message.Alerts.Resolved() {
		if known := t.Ended[a.Fingerprint]; e.At.After(known) && (!known.IsZero() || len(t.Ended) < maxWaiting) {
			t.Ended[a.Fingerprint] = e.At
		}
		if ended := a.EndsAt; ended.IsZero() || !ended.Before(t.Waiting[a.Fingerprint]) {
			delete(t.Waiting, a.Fingerprint)
		}
	}
	maps.DeleteFunc(t.Ended, func(_ string, at time.Time) bool { return e.At.Sub(at) > giveUp+time.Hour })
}

// forward sends the alert itself.
func (o *outgoing) forward(ctx context.Context) error {
	t, err := o.claim(ctx, o.e.Subject())
	if t == nil || err != nil {
		return err
	}
	m := o.e.Message
	event := pagerDutyEvent{Action: "resolve", DedupKey: dedupKey(cmp.Or(m.DedupKey, "amx/alert/"+o.e.Group()))}
	switch {
	case len(m.Alerts.Firing()) > 0:
		event.Action = "trigger"
		o.describe(&event)
	case m.TruncatedAlerts > 0:
		// The alerts that max_alerts cut off may still fire.
		return t.settle(ctx, o.e, nil)
	}
	return t.settle(ctx, o.e, o.postPagerDuty(ctx, event))
}

func dedupKey(key string) string {
	if len(key) > maxDedupKey {
		return "amx/" + digest(key)
	}
	return key
}

// describe fills in the fields of a trigger that people see.
func (o *outgoing) describe(event *pagerDutyEvent) {
	v := o.view
	event.Client, event.ClientURL = "amx", o.clientURL()
	if o.e.Message != nil {
		event.Client = "Alertmanager"
	}
	event.Links = o.pagerDutyLinks()
	event.Payload = &pagerDutyPayload{
		Summary:   cut(o.title, maxSummary),
		Source:    cut(cmp.Or(v.CommonLabels["instance"], v.CommonLabels["instance_id"], v.Source.ExternalURL, v.CommonLabels["alertname"], "amx"), maxDetail),
		Severity:  severity(v.CommonLabels["severity"]),
		Timestamp: o.e.At.UTC().Format("2006-01-02T15:04:05.000Z"),
		Component: cut(v.CommonLabels["job"], maxDetail),
		Group:     cut(v.Command, maxDetail),
		Class:     cut(v.CommonLabels["alertname"], maxDetail),
		Details:   o.details(),
	}
}

// severities maps the values that alerts use to PagerDuty's four severities.
var severities = map[string]string{
	"critical": "critical", "page": "critical", "emergency": "critical", "fatal": "critical", "p1": "critical",
	"error": "error", "major": "error", "high": "error", "p2": "error",
	"warning": "warning", "warn": "warning", "minor": "warning", "medium": "warning", "p3": "warning",
	"info": "info", "notice": "info", "low": "info", "none": "info", "p4": "info", "p5": "info",
}

func severity(label string) string {
	return cmp.Or(severities[strings.ToLower(label)], "error")
}

func (o *outgoing) clientURL() string {
	return cmp.Or(o.runURL(), webURL(o.view.CommonAnnotations["client_url"]), webURL(o.view.Source.ExternalURL))
}

func (o *outgoing) pagerDutyLinks() []pagerDutyLink {
	var links []pagerDutyLink
	for _, l := range o.links() {
		links = append(links, pagerDutyLink{Href: l.url, Text: l.text})
	}
	return links
}

func (o *outgoing) details() map[string]any {
	v := o.view
	d := map[string]any{"labels": shortened(v.CommonLabels), "annotations": shortened(v.CommonAnnotations)}
	if o.text != "" {
		d["text"] = cut(o.text, 4*maxDetail)
	}
	if o.e.Message != nil {
		d["firing"], d["resolved"] = v.Firing, v.Resolved
	} else {
		d["command"], d["run"], d["state"], d["reason"] = v.Command, v.Run, v.State, cut(v.Reason, maxDetail)
	}
	if len(v.Alerts) > 1 {
		var alerts []any
		for _, a := range v.Alerts[:min(len(v.Alerts), maxListed)] {
			alerts = append(alerts, shortened(a.Labels))
		}
		d["alerts"] = alerts
	}
	if failed := v.FailedNodes(); len(failed) > 0 && o.e.Kind == amx.OnFailed {
		var nodes []any
		for _, n := range failed[:min(len(failed), maxListed)] {
			nodes = append(nodes, nodeDetail(n))
		}
		d["failed_nodes"] = nodes
	}
	return d
}

func nodeDetail(n history.Node) map[string]any {
	d := map[string]any{"node": n.Node, "status": n.Status, "output": cut(n.Output, maxDetail)}
	if n.ExitCode != nil {
		d["exit_code"] = *n.ExitCode
	}
	return d
}

func shortened(kv amx.KV) amx.KV {
	short := amx.KV{}
	for _, pair := range kv.SortedPairs() {
		if len(short) == 2*maxListed {
			break
		}
		short[cut(pair.Name, maxDetail)] = cut(pair.Value, maxDetail)
	}
	return short
}

func (o *outgoing) postPagerDuty(ctx context.Context, event pagerDutyEvent) error {
	event.RoutingKey = string(o.e.RoutingKey)
	if !o.d.PagerDuty.FromMessage {
		key, err := o.s.Secrets.Get(ctx, o.d.PagerDuty.RoutingKey)
		if err != nil {
			return err
		}
		event.RoutingKey = key
	}
	body, err := event.encode()
	if err != nil {
		return fmt.Errorf("encoding the event for PagerDuty: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, cmp.Or(o.s.PagerDutyURL, pagerDutyURL), bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("the URL of PagerDuty: %w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	return hiding(o.s.do("PagerDuty", r), event.RoutingKey)
}

// encode returns the event as JSON. If it is too large, encode leaves out details, the
// least important ones first.
func (e *pagerDutyEvent) encode() ([]byte, error) {
	body, err := json.Marshal(e)
	for _, detail := range []string{"alerts", "annotations", "failed_nodes", "labels"} {
		if err != nil || len(body) <= maxEvent || e.Payload == nil {
			break
		}
		delete(e.Payload.Details, detail)
		body, err = json.Marshal(e)
	}
	return body, err
}

// webURL returns text if a browser may open it as a URL, else "".
func webURL(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || len(text) > 2000 {
		return ""
	}
	return u.String()
}
