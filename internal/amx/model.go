package amx

import (
	"cmp"
	"fmt"
	"maps"
	"time"
)

// The two statuses that an alert can have.
const (
	Firing   = "firing"
	Resolved = "resolved"
)

// Alert is one alert of a notification.
type Alert struct {
	Status       string    `json:"status"` // Firing or Resolved
	Labels       KV        `json:"labels"`
	Annotations  KV        `json:"annotations"`
	StartsAt     time.Time `json:"startsAt"` // bounded: see StartsSent; zero: the form has none, or none that can be
	EndsAt       time.Time `json:"endsAt"`   // bounded while resolved; zero or in the future while the alert fires
	GeneratorURL string    `json:"generatorURL"`
	Fingerprint  string    `json:"fingerprint"` // as it was sent, else 16 hex digits of the labels' hash

	// Identity tells the alert from every other one; read it with ID. Decode and
	// DecodeSNS set it where it is not the Fingerprint.
	Identity string `json:"-"`
	// StartsSent and EndsSent are the times as they were sent, where StartsAt or
	// EndsAt had to be bounded; else zero. Read them with SentStart and SentEnd.
	StartsSent time.Time `json:"-"`
	EndsSent   time.Time `json:"-"`
}

// ID is the alert's identity, 16 to 33 characters: the fingerprint of its labels,
// and a hash of the fingerprint that came with it where that is another one
// (Grafana's, a body made by hand). Two alerts of one Fingerprint and different
// labels have different IDs, and an alert has the same ID in every message of its
// sender. In the PagerDuty-shaped form it is the dedup_key's alone, because the
// labels may change while the group fires.
//
// Whatever is recorded of an alert, compared or used as a key goes by ID: an
// episode, a tombstone, what a run covers, the entry of scope: alert. Answers, logs
// and variables show Fingerprint.
func (a *Alert) ID() string { return cmp.Or(a.Identity, a.Fingerprint) }

// SentStart is when the alert began, as it was sent; zero if the form has no
// times. Use it for equality alone: a firing with the SentStart of a recorded
// episode belongs to that episode, however both were bounded. Compare StartsAt for
// the order of two alerts.
func (a *Alert) SentStart() time.Time { return sentTime(a.StartsSent, a.StartsAt) }

// SentEnd is the same of the alert's end.
func (a *Alert) SentEnd() time.Time { return sentTime(a.EndsSent, a.EndsAt) }

// Format prints the alert as Alertmanager's templates do: with the fields that it
// has there.
func (a Alert) Format(s fmt.State, verb rune) {
	fmt.Fprintf(s, fmt.FormatString(s, verb), struct {
		Status              string
		Labels, Annotations KV
		StartsAt, EndsAt    time.Time
		GeneratorURL        string
		Fingerprint         string
	}{a.Status, a.Labels, a.Annotations, a.StartsAt, a.EndsAt, a.GeneratorURL, a.Fingerprint})
}

func sentTime(asSent, bounded time.Time) time.Time {
	if asSent.IsZero() {
		return bounded
	}
	return asSent
}

// Alerts is a list of alerts.
type Alerts []Alert

// Firing returns those that fire, in order.
func (as Alerts) Firing() Alerts { return as.with(Firing) }

// Resolved returns those that are resolved, in order.
func (as Alerts) Resolved() Alerts { return as.with(Resolved) }

func (as Alerts) with(status string) Alerts {
	some := Alerts{}
	for _, a := range as {
		if a.Status == status {
			some = append(some, a)
		}
	}
	return some
}

// status is the status of all alerts together: firing if any of them fires.
func (as Alerts) status() string {
	for _, a := range as {
		if a.Status == Firing {
			return Firing
		}
	}
	return Resolved
}

// Data is what templates see, and the greater part of a webhook's body.
type Data struct {
	Receiver          string `json:"receiver"` // as it arrives: Alertmanager quotes it for regular expressions
	Status            string `json:"status"`
	Alerts            Alerts `json:"alerts"`
	GroupLabels       KV     `json:"groupLabels"`
	CommonLabels      KV     `json:"commonLabels"`
	CommonAnnotations KV     `json:"commonAnnotations"`
	ExternalURL       string `json:"externalURL"`

	now time.Time
}

// At is d for templates that ask for the time: it is then what they are told.
func (d Data) At(now time.Time) Data {
	d.now = now
	return d
}

// Message is one notification, whichever form it arrived in. As JSON it is whole:
// what is decoded again is equal.
type Message struct {
	Data
	Version         string `json:"version"`
	GroupKey        string `json:"groupKey"`
	TruncatedAlerts uint64 `json:"truncatedAlerts"` // alerts of the group that max_alerts cut off

	// SentAt is SNS's timestamp. It is zero for a webhook, where the arrival
	// counts.
	SentAt time.Time `json:"-"`
	// DedupKey identifies a message in the PagerDuty-shaped form. Empty in the
	// others.
	DedupKey string `json:"-"`
	// RoutingKey is the PagerDuty-shaped form's. It is never put on the queue
	// with the message, never kept and never logged.
	RoutingKey RoutingKey `json:"-"`
	// Ungrouped says that the form does not name its group (Alertmanager's
	// default text): each alert is a group of its own.
	Ungrouped bool `json:"-"`
}

// Warnings says what is amiss with a message that is acted on all the same, and what
// to set.
func (m *Message) Warnings() []string {
	if m.TruncatedAlerts == 0 {
		return nil
	}
	return []string{fmt.Sprintf("alerts cut off by max_alerts: %d: no command runs for them, and none that runs is stopped: set max_alerts: 0 in the receiver, or group by more labels", m.TruncatedAlerts)}
}

// Narrow returns the message's data as a run over the given alerts of it sees
// them. The common labels and annotations are the message's own if none of its
// alerts is left out, and computed over the given alerts otherwise. The status
// is firing if any of the given alerts fires.
func (m *Message) Narrow(alerts Alerts) Data {
	d := m.Data
	d.Alerts = alerts
	d.Status = alerts.status()
	if m.coveredBy(alerts) {
		return d
	}
	d.CommonLabels = common(alerts, func(a *Alert) KV { return a.Labels })
	d.CommonAnnotations = common(alerts, func(a *Alert) KV { return a.Annotations })
	return d
}

// coveredBy reports whether every alert of the message is among the given ones.
func (m *Message) coveredBy(alerts Alerts) bool {
	type identity struct{ id, status string }
	given := make(map[identity]bool, len(alerts))
	for i := range alerts {
		given[identity{alerts[i].ID(), alerts[i].Status}] = true
	}
	for i := range m.Alerts {
		if !given[identity{m.Alerts[i].ID(), m.Alerts[i].Status}] {
			return false
		}
	}
	return true
}

// common is what the sets of all alerts have in common.
func common(alerts Alerts, of func(*Alert) KV) KV {
	if len(alerts) == 0 {
		return KV{}
	}
	shared := KV{}
	maps.Copy(shared, of(&alerts[0]))
	for i := 1; i < len(alerts) && len(shared) > 0; i++ {
		other := of(&alerts[i])
		maps.DeleteFunc(shared, func(name, value string) bool {
			v, ok := other[name]
			return !ok || v != value
		})
	}
	return shared
}
