package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
)

// messages reads what is to be explained, in any form that amx takes: the labels of
// an alert, a webhook's body, a text of SNS, what SNS makes of it for a subscriber,
// or the event that Lambda hands to the sns function.
func (c *explainCmd) messages(in io.Reader, now time.Time) ([]*amx.Message, error) {
	if labels, ok := c.labels(); ok {
		m, err := firingAlert(labels, now)
		return []*amx.Message{m}, err
	}
	if len(c.Payload) > 1 {
		return nil, usageError{errors.New("want one file, or label=value for each label of an alert")}
	}
	body, err := c.read(in)
	if err != nil {
		return nil, fmt.Errorf("reading the notification: %w", err)
	}
	if sent := snsMessages(body, now); sent != nil {
		var all []*amx.Message
		for _, s := range sent {
			m, err := amx.DecodeSNS(s)
			if err != nil {
				return nil, err
			}
			all = append(all, m)
		}
		return all, nil
	}
	m, err := c.decode(body, now)
	return []*amx.Message{m}, err
}

// decode reads a body as the webhook does, and as a message of SNS where it is none
// of a webhook or has a subject. If both fail, the error that says more is answered.
func (c *explainCmd) decode(body []byte, now time.Time) (*amx.Message, error) {
	if c.Subject == "" {
		m, err := amx.Decode(body, now)
		if err == nil || errors.As(err, new(*amx.ForeignError)) || strings.HasPrefix(strings.TrimSpace(string(body)), "{") && !strings.Contains(string(body), "dedup_key") {
			return m, err
		}
	}
	m, err := amx.DecodeSNS(amx.SNS{Subject: c.Subject, Body: string(body), SentAt: now})
	if err != nil && c.Subject == "" && strings.Contains(err.Error(), "its subject is") {
		err = fmt.Errorf(`%w: give it with --subject, such as --subject "[FIRING:1] x"`, err)
	}
	return m, err
}

// labels are those of the command line, if it has no file.
func (c *explainCmd) labels() (map[string]string, bool) {
	labels := map[string]string{}
	for _, arg := range c.Payload {
		name, value, ok := strings.Cut(arg, "=")
		if _, err := os.Stat(arg); !ok || name == "" || err == nil {
			return nil, false
		}
		labels[name] = value
	}
	return labels, len(labels) > 0
}

// firingAlert is the notification of an alert that has just begun to fire, as
// Alertmanager would send it, grouped by its name.
func firingAlert(labels map[string]string, now time.Time) (*amx.Message, error) {
	group := map[string]string{}
	if name, ok := labels["alertname"]; ok {
		group["alertname"] = name
	}
	body, err := json.Marshal(map[string]any{
		"status": amx.Firing, "receiver": "explain", "groupLabels": group, "commonLabels": labels,
		"alerts": []any{map[string]any{"status": amx.Firing, "labels": labels, "startsAt": now}},
	})
	if err != nil {
		return nil, err
	}
	return amx.Decode(body, now)
}

// snsMessages are those of an event that Lambda hands to the sns function, or the
// one that SNS sends to another subscriber; nil for what is neither.
func snsMessages(body []byte, now time.Time) []amx.SNS {
	type attribute struct{ Value string }
	type notification struct {
		TopicARN          string `json:"TopicArn"`
		Subject, Message  string
		Timestamp         time.Time
		MessageAttributes map[string]attribute
	}
	var event struct {
		notification
		Records []struct{ SNS *notification }
	}
	if json.Unmarshal(body, &event) != nil {
		return nil
	}
	var found []amx.SNS
	add := func(n *notification) {
		s := amx.SNS{Subject: n.Subject, Body: n.Message, SentAt: n.Timestamp, Attributes: map[string]string{}}
		if s.SentAt.IsZero() {
			s.SentAt = now
		}
		for name, a := range n.MessageAttributes {
			s.Attributes[name] = a.Value
		}
		found = append(found, s)
	}
	for _, r := range event.Records {
		if r.SNS != nil {
			add(r.SNS)
		}
	}
	if event.TopicARN != "" && event.Message != "" {
		add(&event.notification)
	}
	return found
}
