package amx

import (
	"bytes"
	"errors"
	"fmt"
	"time"
)

// DecodeSNS reads the body of an SNS message in any form that is accepted of
// an Alertmanager, which lets its users choose the text: [Data] as JSON or as
// YAML. sent is SNS's timestamp.
//
// Unlike a webhook's body it may leave out the version, it may write times as
// Go prints them, and it may have no times at all. An error quotes no more of
// the body than a name, a status or a time: a text of another form may carry a
// secret, such as PagerDuty's routing_key.
func DecodeSNS(body string, sent time.Time) (*Message, error) {
	m, err := decodeSNS([]byte(body))
	if err != nil {
		return nil, fmt.Errorf("decoding SNS message: %w", err)
	}
	m.SentAt = sent
	return m, nil
}

// errNoForm is for a text that Alertmanager's user wrote in a form of his own.
var errNoForm = errors.New(`of no accepted form: want Alertmanager's Data as YAML or JSON, with a list "alerts"`)

// decodeSNS tells the forms apart.
func decodeSNS(body []byte) (*Message, error) {
	body = bytes.TrimSpace(body)
	switch {
	case len(body) == 0:
		return nil, errors.New("empty body")
	case body[0] == '{':
		return decodeDataJSON(body)
	}
	root, err := parseYAML(body)
	switch {
	case err != nil:
		return nil, err
	case isDataYAML(root):
		return decodeDataYAML(root)
	}
	return nil, errNoForm
}

// message checks and completes what was decoded from either form of Data.
func (d *snsData) message() (*Message, error) {
	if d.Alerts == nil {
		return nil, errNoForm
	}
	alerts := make(Alerts, len(*d.Alerts))
	noTimes := true
	for i, a := range *d.Alerts {
		alerts[i] = Alert{
			Status: a.Status, Labels: a.Labels, Annotations: a.Annotations,
			StartsAt: a.StartsAt.Time, EndsAt: a.EndsAt.Time,
			GeneratorURL: a.GeneratorURL, Fingerprint: a.Fingerprint,
		}
		noTimes = noTimes && alerts[i].StartsAt.IsZero() && alerts[i].EndsAt.IsZero()
	}
	m, err := (&webhook{
		Receiver: d.Receiver, Status: d.Status, Alerts: &alerts,
		GroupLabels: d.GroupLabels, CommonLabels: d.CommonLabels, CommonAnnotations: d.CommonAnnotations,
		ExternalURL: d.ExternalURL, GroupKey: d.GroupKey, TruncatedAlerts: d.TruncatedAlerts,
	}).message()
	if err != nil {
		return nil, err
	}
	m.NoTimes = noTimes
	return m, nil
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
