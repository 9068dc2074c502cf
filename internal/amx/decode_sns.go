package amx

import (
	"bytes"
	"errors"
	"fmt"
	"time"
)

// SNS is a message of a topic, as Lambda and HTTP subscriptions receive it.
type SNS struct {
	Subject    string // empty: it has none
	Body       string
	SentAt     time.Time         // SNS's timestamp
	Attributes map[string]string // the message attributes' values
}

// DecodeSNS reads an SNS message in any form that is accepted of an
// Alertmanager, which lets its users choose the text:
//
//   - [Data] as JSON or as YAML. Unlike a webhook's body it may leave out the
//     version, write times as Go prints them, or have none.
//   - the block in the shape of PagerDuty's events ([Message].DedupKey is set)
//   - Alertmanager's own default text ([Message].Ungrouped is set)
//
// A form without times leaves them zero. A message that its sender has cut or
// replaced is [ErrTruncated] or [ErrReplaced]. An error quotes no more of the
// body than a name, a status or a time: a text of another form may carry a
// secret, such as PagerDuty's routing_key.
func DecodeSNS(s SNS) (*Message, error) {
	if err := s.spoilt(); err != nil {
		return nil, err
	}
	m, err := s.decode()
	if err != nil {
		if replaced := s.replacedWithoutSayingSo(err); replaced != nil {
			return nil, replaced
		}
		return nil, fmt.Errorf("decoding SNS message: %w", err)
	}
	m.SentAt = s.SentAt
	return m, nil
}

// errNoForm is for a text that Alertmanager's user wrote in a form of his own.
var errNoForm = errors.New(`of no accepted form: want Alertmanager's Data as YAML or JSON, with a list "alerts"`)

// decode tells the forms apart. The default text goes before YAML, which a text
// of many lines can resemble; Data in YAML has its headings in no line of their
// own, because they would have to be indented there. It may also begin like JSON,
// with an annotation that does.
func (s *SNS) decode() (*Message, error) {
	body := bytes.TrimSpace([]byte(s.Body))
	if len(body) == 0 {
		return nil, errors.New("empty body")
	}
	var notJSON error
	if body[0] == '{' {
		m, err := decodeDataJSON(body)
		if err == nil {
			return m, nil
		}
		notJSON = err
	}
	if text := findDefaultText(s.Body); text != nil {
		return text.decode(s.Subject)
	}
	if notJSON != nil && !errors.Is(notJSON, errNoForm) {
		return nil, notJSON
	}
	return decodeYAML(body, s.Subject)
}

// decodeYAML reads Data or the block; JSON is YAML too.
func decodeYAML(body []byte, subject string) (*Message, error) {
	root, err := parseYAML(body)
	switch {
	case err != nil:
		return nil, err
	case hasKey(root, "alerts"):
		return decodeDataYAML(root)
	case hasKey(root, "dedup_key"), hasKey(root, "routing_key"):
		return decodeBlock(root, subject)
	}
	return nil, errNoForm
}

// message checks and completes what was decoded from either form of Data.
func (d *snsData) message() (*Message, error) {
	if d.Alerts == nil {
		return nil, errNoForm
	}
	alerts := make(Alerts, len(*d.Alerts))
	for i, a := range *d.Alerts {
		// A template may leave out what takes the most room. What all alerts
		// have in common each of them has.
		if a.Annotations == nil {
			a.Annotations = d.CommonAnnotations
		}
		alerts[i] = Alert{
			Status: a.Status, Labels: a.Labels, Annotations: a.Annotations,
			StartsAt: a.StartsAt.Time, EndsAt: a.EndsAt.Time,
			GeneratorURL: a.GeneratorURL, Fingerprint: a.Fingerprint,
		}
	}
	return (&webhook{
		Receiver: d.Receiver, Status: d.Status, Alerts: &alerts,
		GroupLabels: d.GroupLabels, CommonLabels: d.CommonLabels, CommonAnnotations: d.CommonAnnotations,
		ExternalURL: d.ExternalURL, GroupKey: d.GroupKey, TruncatedAlerts: d.TruncatedAlerts,
	}).message()
}

// snsData is Data as a template may have written it.
type snsData struct {
	Receiver          string      `json:"receiver"`
	Status            string      `json:"status"`
	Alerts            *[]snsAlert `json:"alerts"`
	GroupLabels       KV          `json:"groupLabels"`
	CommonLabels      KV          `json:"commonLabels"`
	CommonAnnotations KV          `json:"commonAnnotations"`
	ExternalURL       string      `json:"externalURL"`
	GroupKey          string      `json:"groupKey"`
	TruncatedAlerts   uint64      `json:"truncatedAlerts"`
}

type snsAlert struct {
	Status       string  `json:"status"`
	Labels       KV      `json:"labels"`
	Annotations  KV      `json:"annotations"`
	StartsAt     snsTime `json:"startsAt"`
	EndsAt       snsTime `json:"endsAt"`
	GeneratorURL string  `json:"generatorURL"`
	Fingerprint  string  `json:"fingerprint"`
}
