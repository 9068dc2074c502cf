package amx

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// wireData is Data as any sender may have written it. Alerts is a pointer, because
// an empty list is a message and no list is none.
type wireData struct {
	Receiver          string       `json:"receiver"`
	Status            string       `json:"status"`
	Alerts            *[]wireAlert `json:"alerts"`
	GroupLabels       KV           `json:"groupLabels"`
	CommonLabels      KV           `json:"commonLabels"`
	CommonAnnotations KV           `json:"commonAnnotations"`
	ExternalURL       string       `json:"externalURL"`
	GroupKey          looseText    `json:"groupKey"`
	TruncatedAlerts   looseCount   `json:"truncatedAlerts"`
}

type wireAlert struct {
	Status       string   `json:"status"`
	Labels       KV       `json:"labels"`
	Annotations  KV       `json:"annotations"`
	StartsAt     wireTime `json:"startsAt"`
	EndsAt       wireTime `json:"endsAt"`
	GeneratorURL string   `json:"generatorURL"`
	Fingerprint  string   `json:"fingerprint"`
}

// message checks and completes what was decoded.
func (w *wireData) message(sent time.Time) (*Message, error) {
	m := &Message{
		Data: Data{
			Receiver:          w.Receiver,
			Status:            lowerStatus(w.Status),
			Alerts:            make(Alerts, len(*w.Alerts)),
			GroupLabels:       orEmpty(w.GroupLabels),
			CommonLabels:      orEmpty(w.CommonLabels),
			CommonAnnotations: orEmpty(w.CommonAnnotations),
			ExternalURL:       w.ExternalURL,
		},
		Version:         webhookVersion,
		GroupKey:        string(w.GroupKey),
		TruncatedAlerts: uint64(w.TruncatedAlerts),
	}
	for i := range *w.Alerts {
		from := &(*w.Alerts)[i]
		status, err := from.statusIn(m.Status, sent)
		if err != nil {
			return nil, fmt.Errorf("alerts[%d]: %w", i, err)
		}
		if from.Annotations == nil {
			// A template may leave out the annotations of each alert, which take
			// the most room. Each alert then has at least those of all alerts.
			from.Annotations = m.CommonAnnotations
		}
		m.Alerts[i] = Alert{
			Status: status, Labels: orEmpty(from.Labels), Annotations: from.Annotations,
			StartsAt: from.StartsAt.Time, EndsAt: from.EndsAt.Time,
			GeneratorURL: from.GeneratorURL, Fingerprint: from.Fingerprint,
		}
		m.Alerts[i].complete(sent)
	}
	if m.Status != Firing && m.Status != Resolved {
		m.Status = m.Alerts.status()
	}
	return m, nil
}

func lowerStatus(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// statusIn is the alert's status in a message of the given one. Where it was sent
// without, it is the message's: an alert of a message that fires may have
// resolved, which its end shows.
func (a *wireAlert) statusIn(message string, sent time.Time) (string, error) {
	status := lowerStatus(a.Status)
	if status == Firing || status == Resolved {
		return status, nil
	}
	if status != "" {
		return "", fmt.Errorf("status %.40q: want %q or %q", a.Status, Firing, Resolved)
	}
	ended := !impossible(a.EndsAt.Time) && a.EndsAt.Before(sent)
	switch {
	case message == Resolved || ended:
		return Resolved, nil
	case message == Firing:
		return Firing, nil
	}
	return "", fmt.Errorf("status is missing, and so is the message's: want %q or %q", Firing, Resolved)
}

// complete fills in the fingerprint and the identity, and bounds the times by when
// the message was sent.
func (a *Alert) complete(sent time.Time) {
	computed := Fingerprint(a.Labels)
	switch a.Fingerprint {
	case "":
		a.Fingerprint = computed
	case computed:
	default:
		a.Identity = computed + "-" + hash(a.Fingerprint)
	}
	a.StartsAt, a.StartsSent = boundTime(a.StartsAt, sent)
	if a.Status == Resolved {
		a.EndsAt, a.EndsSent = boundTime(a.EndsAt, sent)
	} else if impossible(a.EndsAt) {
		a.EndsAt = time.Time{}
	}
}

func orEmpty(kv KV) KV {
	if kv == nil {
		return KV{}
	}
	return kv
}

// looseText is a text from which amx takes nothing: what is none is none.
type looseText string

func (t *looseText) UnmarshalJSON(raw []byte) error {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		*t = looseText(s)
	} else if raw[0] != '{' && raw[0] != '[' {
		*t = looseText(raw)
	}
	return nil
}

// looseCount is a number of alerts, or 0 for what is none.
type looseCount uint64

func (c *looseCount) UnmarshalJSON(raw []byte) error {
	*c = parseCount(strings.Trim(string(raw), `"`))
	return nil
}

func parseCount(text string) looseCount {
	text = strings.TrimSpace(text)
	if n, err := strconv.ParseUint(text, 10, 64); err == nil {
		return looseCount(n)
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil && f >= 1 && f < 1<<53 { // 50.0, as some templates and languages write it
		return looseCount(f)
	}
	return 0
}
