package amx

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// webhookVersion is the only version of the webhook's body that Alertmanager
// has sent since 0.5: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
const webhookVersion = "4"

// webhook is a Message on the wire. Alerts is a pointer, because an empty list
// is a message and no list is none.
type webhook struct {
	Receiver          string  `json:"receiver"`
	Status            string  `json:"status"`
	Alerts            *Alerts `json:"alerts"`
	GroupLabels       KV      `json:"groupLabels"`
	CommonLabels      KV      `json:"commonLabels"`
	CommonAnnotations KV      `json:"commonAnnotations"`
	ExternalURL       string  `json:"externalURL"`
	Version           *string `json:"version"`
	GroupKey          string  `json:"groupKey"`
	TruncatedAlerts   uint64  `json:"truncatedAlerts"`
}

// Decode reads the body that Alertmanager's webhook sends. Unknown fields are
// ignored, sets that are missing are empty, a missing fingerprint is computed
// and a missing status is that of the alerts. What no Alertmanager sends is an
// error that quotes it.
func Decode(body []byte) (*Message, error) {
	m, err := decode(body)
	if err != nil {
		return nil, fmt.Errorf("decoding Alertmanager message: %w", err)
	}
	return m, nil
}

func decode(body []byte) (*Message, error) {
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		return nil, errors.New("empty body")
	}
	var w webhook
	if err := json.Unmarshal(body, &w); err != nil {
		return nil, locate(body, err)
	}
	if body[0] != '{' { // encoding/json takes null for an object
		return nil, fmt.Errorf("%.20q: want a JSON object", body)
	}
	if w.Version != nil && *w.Version != webhookVersion {
		return nil, fmt.Errorf("version %.40q: want %q", *w.Version, webhookVersion)
	}
	if w.Alerts == nil {
		if w.Version == nil {
			return nil, errors.New(`not an Alertmanager message: it has neither "version" nor "alerts"`)
		}
		return nil, errors.New(`"alerts" is missing: want a list`)
	}
	return w.message()
}

// message checks and completes what was decoded.
func (w *webhook) message() (*Message, error) {
	m := &Message{
		Data: Data{
			Receiver:          w.Receiver,
			Status:            w.Status,
			Alerts:            *w.Alerts,
			GroupLabels:       orEmpty(w.GroupLabels),
			CommonLabels:      orEmpty(w.CommonLabels),
			CommonAnnotations: orEmpty(w.CommonAnnotations),
			ExternalURL:       w.ExternalURL,
		},
		Version:         webhookVersion,
		GroupKey:        w.GroupKey,
		TruncatedAlerts: w.TruncatedAlerts,
	}
	for i := range m.Alerts {
		a := &m.Alerts[i]
		switch {
		case a.Status == "":
			return nil, fmt.Errorf("alerts[%d]: status is missing: want %q or %q", i, Firing, Resolved)
		case a.Status != Firing && a.Status != Resolved:
			return nil, fmt.Errorf("alerts[%d]: status %.40q: want %q or %q", i, a.Status, Firing, Resolved)
		}
		a.Labels = orEmpty(a.Labels)
		a.Annotations = orEmpty(a.Annotations)
		if a.Fingerprint == "" {
			a.Fingerprint = Fingerprint(a.Labels)
		}
	}
	if m.Status == "" {
		m.Status = m.Alerts.status()
	}
	return m, nil
}

func orEmpty(kv KV) KV {
	if kv == nil {
		return KV{}
	}
	return kv
}

// locate says where in the body a JSON error is. It decodes a second time,
// piece by piece, which only a body that is refused anyway has to pay for.
func locate(body []byte, err error) error {
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
		return fmt.Errorf("byte %d: %w", syntax.Offset, err)
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil {
		return fmt.Errorf("%.20q: want a JSON object", body)
	}
	var alerts []json.RawMessage
	if json.Unmarshal(fields["alerts"], &alerts) == nil {
		for i, raw := range alerts {
			if err := json.Unmarshal(raw, new(Alert)); err != nil {
				return fmt.Errorf("alerts[%d]: %w", i, locateField(raw, err))
			}
		}
	}
	return wrongType(err)
}

// locateField says which field of an alert an error is about. Those of times do
// not know.
func locateField(alert []byte, err error) error {
	var fields map[string]json.RawMessage
	if json.Unmarshal(alert, &fields) != nil {
		return fmt.Errorf("%.20q: want an object", alert)
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		isTime := strings.EqualFold(name, "startsAt") || strings.EqualFold(name, "endsAt") // as encoding/json has it
		if raw := fields[name]; isTime && json.Unmarshal(raw, new(time.Time)) != nil {
			return fmt.Errorf("%q is %.40s: want a time such as %q", name, raw, "2016-04-07T10:08:52Z")
		}
	}
	return wrongType(err)
}

// wrongType puts encoding/json's type errors into the words of the message. Its
// errors may quote a value of any length.
func wrongType(err error) error {
	wrong := (*json.UnmarshalTypeError)(nil)
	if !errors.As(err, &wrong) {
		return fmt.Errorf("%.120s", err.Error())
	}
	want := "a string"
	switch wrong.Type.Kind() {
	case reflect.Map:
		want = "an object of strings"
	case reflect.Slice:
		want = "a list"
	case reflect.Struct:
		want = "an object"
	case reflect.Uint64:
		want = "a whole number that is not negative"
	}
	return fmt.Errorf("%.40q is a JSON %.40s: want %s", wrong.Field, wrong.Value, want)
}
