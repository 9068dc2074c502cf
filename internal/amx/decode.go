package amx

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"gopkg.in/yaml.v3"
)

// webhookVersion is the only version of the webhook's body that Alertmanager
// has sent since 0.5: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
// Grafana sends "1" with the same alerts. amx takes nothing from it.
const webhookVersion = "4"

// Decode reads the body of a webhook that arrived at the given time: [Data] as
// JSON, which Alertmanager and Grafana send, or as YAML. Unknown fields are
// ignored, and so is the type of those from which amx takes nothing. Sets that
// are missing are empty, a missing fingerprint is computed, a missing status of an
// alert follows from the message's and from endsAt. Times are bounded by the
// arrival: see [Alert]; a zero arrival bounds nothing. A body that no Alertmanager
// sends is an error that quotes it, and where it is another service's it says
// whose.
func Decode(body []byte, arrived time.Time) (*Message, error) {
	m, err := decode(body, arrived)
	if err != nil {
		return nil, fmt.Errorf("decoding Alertmanager message: %w", err)
	}
	return m, nil
}

func decode(body []byte, arrived time.Time) (*Message, error) {
	text := trimmed(body)
	switch {
	case len(text) == 0:
		return nil, errors.New("empty body")
	case text[0] == '{' || text[0] == '[':
		m, root, err := decodeJSON(text, arrived)
		if err != nil || m != nil {
			return m, err
		}
		return decodeWebhookRoot(root, arrived)
	}
	root, err := parseYAML(aligned(body))
	if err != nil && bytes.Contains(text, []byte("alerts:")) { // Data as YAML, but for that
		return nil, err
	}
	if err != nil || root.node.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%.20q: want a JSON object", text)
	}
	return decodeWebhookRoot(root, arrived)
}

func decodeWebhookRoot(root document, arrived time.Time) (*Message, error) {
	if root.has("alerts") {
		return decodeData(root, arrived)
	}
	switch foreign := foreignBody(root); {
	case foreign != nil:
		return nil, foreign
	case root.has("dedup_key"):
		return nil, errors.New("a block in the shape of PagerDuty's events: it is taken from SNS only, where the subject says whether the alert fires")
	case root.has("version"):
		return nil, errors.New(`"alerts" is missing: want a list`)
	}
	return nil, errors.New(`not an Alertmanager message: it has neither "version" nor "alerts"`)
}

var byteOrderMark = []byte("\ufeff")

// trimmed is a body without the white space around it, and without a byte order
// mark.
func trimmed(body []byte) []byte {
	return bytes.TrimSpace(bytes.TrimPrefix(bytes.TrimSpace(body), byteOrderMark))
}
