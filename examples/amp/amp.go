// Package amp has the alert manager definition for Amazon Managed Service for
// Prometheus, from the file that people copy.
package amp

import (
	_ "embed"
	"fmt"
	"regexp"
	"strings"
)

// Definition is alertmanager-definition.yaml, for a topic of its own.
//
//go:embed alertmanager-definition.yaml
var Definition string

// Lines of Definition that For replaces by the user's own.
const (
	topicLine   = "topic_arn: arn:aws:sns:eu-central-1:123456789012:amx-alerts # your topic"
	regionLine  = "region: eu-central-1 # its region"
	messageLine = `message: '{{ template "amx" . }}' # or amx.short`
)

// topicARN is an ARN in any of AWS's partitions. It also matches a name
// that ends in .fifo, which For refuses.
// https://docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html
var topicARN = regexp.MustCompile(`^arn:aws[a-z-]*:sns:([a-z0-9-]+):[0-9]{12}:[A-Za-z0-9_-]{1,256}(\.fifo)?$`)

// For is the Definition for a topic. region is the topic's; short leaves out the
// annotations of each alert.
func For(topic, region string, short bool) (string, error) {
	parts := topicARN.FindStringSubmatch(topic)
	switch {
	case parts == nil:
		return "", fmt.Errorf("topic %q: want the ARN of an SNS topic, such as arn:aws:sns:eu-central-1:123456789012:amx-alerts", topic)
	case parts[2] != "":
		// Alertmanager gives a firing and its resolve the same deduplication ID,
		// and a FIFO topic drops the second of the two.
		return "", fmt.Errorf("topic %q: want a standard topic: a FIFO topic can drop the resolve", topic)
	case region != parts[1]:
		return "", fmt.Errorf("region %q: the topic is in %q", region, parts[1])
	}
	message := messageLine
	if short {
		message = `message: '{{ template "amx.short" . }}' # or amx`
	}
	return strings.NewReplacer(
		topicLine, "topic_arn: "+topic,
		regionLine, "region: "+region,
		messageLine, message,
	).Replace(Definition), nil
}
