package amx

import (
	"errors"
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"
)

// decodeBlock reads the block that AWS's guide to PagerDuty has people write as
// a receiver's message: the fields of PagerDuty's events, for a whole group.
// https://aws.amazon.com/blogs/mt/using-amazon-managed-service-for-prometheus-alert-manager-to-receive-alerts-with-pagerduty/
//
//	labels       each single value of details, and severity
//	annotations  description, client_url
//	identity     dedup_key
//	status       the subject's
//
// The routing_key is a secret: it is only kept in the message's RoutingKey. links
// are for people.
func decodeBlock(root document, subject string) (*Message, error) {
	y := yamlData{document: root}
	var key string
	labels, details, annotations := KV{}, KV{}, KV{}
	into := func(kv KV, name string) func(string, *yaml.Node) {
		return func(path string, n *yaml.Node) { kv[name] = y.scalar(path, n) }
	}
	y.fields("", root.node, map[string]func(string, *yaml.Node){
		"dedup_key":   y.text(&key),
		"severity":    into(labels, "severity"),
		"details":     y.details(details),
		"description": into(annotations, "description"),
		"client_url":  into(annotations, "client_url"),
	})
	switch {
	case y.err != nil:
		return nil, fmt.Errorf("PagerDuty-shaped block, %w", y.err)
	case key == "":
		return nil, errors.New("PagerDuty-shaped block: dedup_key is missing: it is what the firing and the resolve have in common")
	}
	for name, value := range details {
		if labels[name] == "" { // the template may have found no severity for the block
			labels[name] = value
		}
	}
	status, ok := subjectStatus(subject)
	if !ok {
		return nil, fmt.Errorf(`PagerDuty-shaped block: its subject is %.60q: want one that begins with "[FIRING" or "[RESOLVED]", as Alertmanager's own does; nothing else says whether the alert fires`, subject)
	}
	return &Message{
		Data: Data{
			Status: status,
			Alerts: Alerts{{
				Status: status, Labels: labels, Annotations: annotations,
				// The labels may be those that the group has in common, which
				// change while it fires: they are no part of its identity.
				Fingerprint: Fingerprint(KV{"dedup_key": key}),
			}},
			GroupLabels: KV{}, CommonLabels: labels, CommonAnnotations: annotations,
		},
		Version: webhookVersion, DedupKey: key, RoutingKey: routingKey(root),
	}, nil
}

// routingKey is the first one of a block. One that is no text is none, as nothing
// of it may be in an error.
func routingKey(root document) RoutingKey {
	n := root.get("routing_key")
	if n == nil || n.Kind != yaml.ScalarNode {
		return ""
	}
	return RoutingKey(strings.TrimSpace(n.Value))
}

// details reads those that are single values: a label cannot be a list.
func (y *yamlData) details(to KV) func(string, *yaml.Node) {
	return func(path string, n *yaml.Node) {
		if n.Kind != yaml.MappingNode {
			return
		}
		y.pairs(path, n, func(name string, value *yaml.Node) {
			if value.Kind != yaml.ScalarNode || strings.EqualFold(name, "routing_key") {
				return
			}
			if _, twice := to[name]; twice {
				y.fail(path, value, "%.40q comes twice", name)
			}
			to[name] = y.scalar(path+"."+name, value)
		})
	}
}

var routingKeyValue = lazily(`(?i)(routing_?key\\*["']?\s*[:=]\s*)("(?:[^"\\]|\\.)*"|'[^']*'|\\+"[^"\\]*\\+"|[^\s,}"']+)`)

// WithoutRoutingKeys is a text for a log, without the secrets that a block in the
// shape of PagerDuty's events has in it.
func WithoutRoutingKeys(text string) string {
	return routingKeyValue().ReplaceAllString(text, "${1}(hidden)")
}

// subjectStatus is the status with which Alertmanager's subjects begin:
// "[FIRING:2] …" or "[RESOLVED] …".
func subjectStatus(subject string) (status string, ok bool) {
	head, _, ok := strings.Cut(strings.TrimSpace(subject), "]")
	head, _, _ = strings.Cut(head, ":")
	switch {
	case !ok:
	case strings.EqualFold(head, "[firing"):
		return Firing, true
	case strings.EqualFold(head, "[resolved"):
		return Resolved, true
	}
	return "", false
}
