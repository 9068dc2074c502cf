package awstest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// operatorRequests are the operations that `amx doctor` calls beside those of
// [CheckSSM] and [CheckSQS], as the services' models have their requests: by
// service and operation.
var operatorRequests = map[string]map[string]*shape{
	"cloudformation": {
		"DescribeStacks":     structure(map[string]*shape{"StackName": anyText, "NextToken": text(shape{min: 1, max: 1024})}),
		"ListStackResources": structure(map[string]*shape{"StackName": anyText, "NextToken": text(shape{min: 1, max: 1024})}, "StackName"),
	},
	"cloudwatch": {
		"DescribeAlarms": structure(map[string]*shape{
			"AlarmNames": list(text(shape{min: 1, max: 255}), 0, 100), "MaxRecords": number(1, 100), "NextToken": anyText,
		}),
	},
	"sns": {
		"GetTopicAttributes":       structure(map[string]*shape{"TopicArn": anyText}, "TopicArn"),
		"ListSubscriptionsByTopic": structure(map[string]*shape{"TopicArn": anyText, "NextToken": anyText}, "TopicArn"),
		"Publish": structure(map[string]*shape{
			"TopicArn": anyText, "Message": anyText, "Subject": anyText,
		}, "Message"),
	},
	"ssm": {
		"DescribeParameters": structure(map[string]*shape{
			"ParameterFilters": list(structure(map[string]*shape{
				"Key":    text(shape{min: 1, max: 132, pattern: `^(tag:.+|Name|Type|KeyId|Path|Label|Tier|DataType)$`}),
				"Option": text(shape{min: 1, max: 10}),
				"Values": list(text(shape{min: 1, max: 1024}), 1, 50),
			}, "Key"), 0, 0),
			"MaxResults": number(1, 50), "NextToken": anyText,
		}),
	},
}

// CheckOperator holds a request of a person's tool to the model of its service:
// "cloudformation", "cloudwatch", "sns", "sqs" or "ssm". The request is the SDK's
// input, of which members that are not set do not count.
func CheckOperator(service, operation string, input any) error {
	s := operatorRequests[service][operation]
	if s == nil && service == "ssm" {
		s = requests[operation]
	} else if s == nil && service == "sqs" {
		s = sqsRequests[operation]
	}
	if s == nil {
		return fmt.Errorf("%s of %s is not an operation that amx doctor may call", operation, service)
	}
	text, err := json.Marshal(input)
	if err != nil {
		return err
	}
	var v any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return err
	}
	return errors.Join(s.check(operation, s.wire(v))...)
}

// wire is an input of the SDK as it is sent. It leaves out members that are not set:
// nulls, and false, 0 and "" unless they are pointers. Members have the model's
// names; the SDK's begin with a capital letter.
func (s *shape) wire(v any) any {
	switch v := v.(type) {
	case map[string]any:
		sent := map[string]any{}
		for k, e := range v {
			if e == nil || e == "" || e == false || e == json.Number("0") {
				continue
			}
			inner := s.element
			for name, member := range s.members {
				if strings.EqualFold(name, k) {
					k, inner = name, member
				}
			}
			if inner != nil {
				e = inner.wire(e)
			}
			sent[k] = e
		}
		return sent
	case []any:
		for i := range v {
			if s.element != nil {
				v[i] = s.element.wire(v[i])
			}
		}
	}
	return v
}
