// Package report decides which events people hear of, and puts them on the queue.
//
// An [Event] is one thing to report: the progress of a run, the refusal of an alert,
// or the alert itself. It travels as an item of the queue with a key of its own. From
// there report/send sends it to Slack, PagerDuty and webhooks. This package knows no
// destination's protocol, so functions that only put events on the queue stay small.
package report

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/history"
	"github.com/amx-lambda/amx/internal/queue"
)

// Version is the version of the form in which this program writes events.
const Version = 1

// ErrNewer is the error of [Decode] for an event that a newer release of amx has
// written.
var ErrNewer = errors.New("written by a newer release of amx")

// An Event is one thing that people may hear of.
type Event struct {
	Version int          `json:"v"`
	Kind    amx.Occasion `json:"kind"`
	At      time.Time    `json:"at"` // when it happened

	// Record is the record of the run, or of the refusal. nil for an alert.
	Record *history.Record `json:"record,omitempty"`
	// Message is the notification, of an alert only.
	Message *amx.Message `json:"message,omitempty"`
	// RoutingKey is PagerDuty's, as a PagerDuty-shaped block carries it. It is
	// "" unless a destination has `routing_key: from_message`.
	RoutingKey amx.RoutingKey `json:"routing_key,omitempty"`
}

// FromRecord returns the event of a record that was written. ok is false if no report
// is about the record: a run in doubt, an alert that waits, a run that is only
// observed.
func FromRecord(rec history.Record) (e Event, ok bool) {
	kinds := map[history.State]amx.Occasion{
		history.Running:   amx.OnStarted,
		history.Succeeded: amx.OnSucceeded,
		history.Failed:    amx.OnFailed,
		history.Unknown:   amx.OnFailed, // it ended, and it is unknown whether it worked
		history.Cancelled: amx.OnCancelled,
		history.Refused:   amx.OnRefused,
		history.Expired:   amx.OnExpired,
	}
	kind, ok := kinds[rec.State]
	if kind == amx.OnStarted && rec.Sent.IsZero() {
		return Event{}, false // claimed, and not sent yet
	}
	if kind == amx.OnRefused && strings.HasPrefix(rec.Reason, breakerReason) {
		if until(rec.Reason) == "" {
			return Event{}, false // one run tries whether it still fails; people have the breaker's report
		}
		kind = amx.OnBreaker
	}
	rec = history.Cut(rec)
	return Event{Version: Version, Kind: kind, At: rec.Updated, Record: &rec}, ok
}

// breakerReason begins the ledger's reasons of a refusal by an open breaker: "breaker:
// 3 runs in a row failed, until 2026-11-28T13:00:00Z".
const breakerReason = "breaker:"

// until is the time in such a reason, or "".
func until(reason string) string {
	_, at, _ := strings.Cut(reason, ", until ")
	return at
}

// FromBreaker returns the event of a breaker that has opened. There is no record of it.
// Alerts that the breaker refuses belong to the same event.
func FromBreaker(command string, failures int, opens, at time.Time) Event {
	reason := fmt.Sprintf("%s %d runs in a row failed, until %s", breakerReason, failures, opens.UTC().Format(time.RFC3339))
	rec := history.Record{
		Run: history.RefusedID(command, reason), Command: command, State: history.Refused, Reason: reason, Ended: at, Updated: at,
	}
	return Event{Version: Version, Kind: amx.OnBreaker, At: at, Record: &rec}
}

// FromMessage returns the event of a notification.
func FromMessage(m *amx.Message, at time.Time) Event {
	return Event{Version: Version, Kind: amx.OnAlert, At: at, Message: m}
}

// Key names an event that is reported once, although the queue may deliver it twice and
// a record is written several times.
func (e *Event) Key() string {
	switch e.Kind {
	case amx.OnAlert:
		text, _ := json.Marshal([]any{e.Group(), e.At.UTC().UnixMilli(), e.Message.Status}) // strings and numbers cannot fail
		return "alert/" + digest(text)
	case amx.OnBreaker:
		// All alerts that one open breaker refuses: one report.
		return "breaker/" + digest([]byte(e.Record.Command+"\n"+until(e.Record.Reason)))
	}
	return string(e.Kind) + "/" + e.Record.Run
}

// Subject names the run or the group of alerts that a message is about. A later message
// on the same subject replaces the earlier one.
func (e *Event) Subject() string {
	switch e.Kind {
	case amx.OnAlert:
		return "group/" + e.Group()
	case amx.OnBreaker:
		return e.Key()
	}
	return "run/" + e.Record.Run
}

// Group names the group of alerts of a notification: by its deduplication key, by
// Alertmanager's group key, or by receiver and group labels. Two routes that group
// by the same labels make two groups: an alert that resolves in one may fire in the
// other. If a form does not name its group, each alert is a group; see [Split].
func (e *Event) Group() string {
	m := e.Message
	var about any
	switch {
	case m.DedupKey != "":
		about = []any{"dedup", m.DedupKey}
	case m.Ungrouped && len(m.Alerts) > 0:
		about = []any{"alert", m.Alerts[0].Fingerprint}
	case m.GroupKey != "":
		about = []any{"key", m.GroupKey}
	default:
		about = []any{"labels", m.Receiver, m.GroupLabels}
	}
	text, _ := json.Marshal(about) // strings cannot fail
	return digest(text)
}

func digest(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

// Split returns one message for each group of alerts: the message itself, or one for
// each alert if the form does not name its group.
func Split(m *amx.Message) []*amx.Message {
	if !m.Ungrouped || len(m.Alerts) < 2 {
		return []*amx.Message{m}
	}
	all := make([]*amx.Message, len(m.Alerts))
	for i := range m.Alerts {
		one := *m
		one.Data = m.Narrow(m.Alerts[i : i+1])
		all[i] = &one
	}
	return all
}

// Alerts returns the alerts that the event is about.
func (e *Event) Alerts() []history.Alert {
	if e.Message != nil {
		return history.Alerts(e.Message.Alerts)
	}
	return e.Record.Alerts
}

// Command is the name of the command that the event is about, or "".
func (e *Event) Command() string {
	if e.Record == nil {
		return ""
	}
	return e.Record.Command
}

// Item returns the event as an item of the queue, due at once.
func (e *Event) Item() (queue.Item, error) {
	text, err := json.Marshal(e)
	if err != nil {
		return queue.Item{}, fmt.Errorf("encoding the report %q: %w", e.Key(), err)
	}
	return queue.Item{
		Version: queue.Version, Kind: queue.Report, Command: e.Command(),
		SentAt: e.At, Arrived: e.At, Report: text, Key: e.Key(),
	}, nil
}

// Decode reads the event of an item.
func Decode(it queue.Item) (Event, error) {
	var head struct {
		Version int `json:"v"`
	}
	if err := json.Unmarshal(it.Report, &head); err != nil {
		return Event{}, fmt.Errorf("decoding the report %q: %w", it.Key, err)
	}
	if head.Version > Version {
		return Event{}, fmt.Errorf("report %q of version %d, this release reads %d: %w", it.Key, head.Version, Version, ErrNewer)
	}
	var e Event
	if err := json.Unmarshal(it.Report, &e); err != nil {
		return Event{}, fmt.Errorf("decoding the report %q: %w", it.Key, err)
	}
	if (e.Kind == amx.OnAlert) != (e.Message != nil) || (e.Record == nil) == (e.Message == nil) {
		return Event{}, fmt.Errorf("decoding the report %q: kind %q: want a message for an alert, and a record for any other kind", it.Key, e.Kind)
	}
	return e, nil
}
