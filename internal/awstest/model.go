package awstest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// shape is what the service model says of one value.
type shape struct {
	kind     string // structure, list, map, string, integer or boolean
	members  map[string]*shape
	required []string // of members
	element  *shape   // of a list or a map
	min, max int      // characters, elements or the number itself; max 0: no limit
	pattern  string
	enum     []string
}

func text(s shape) *shape { s.kind = "string"; return &s }

func number(least, most int) *shape { return &shape{kind: "integer", min: least, max: most} }

func list(element *shape, least, most int) *shape {
	return &shape{kind: "list", element: element, min: least, max: most}
}

func structure(members map[string]*shape, required ...string) *shape {
	return &shape{kind: "structure", members: members, required: required}
}

var (
	boolean     = &shape{kind: "boolean"}
	anyText     = text(shape{})
	commandID   = text(shape{min: 36, max: 36})
	instanceID  = text(shape{pattern: `(^i-(\w{8}|\w{17})$)|(^mi-\w{17}$)`})
	instanceIDs = list(instanceID, 0, 50)
	filters     = list(structure(map[string]*shape{
		"key":   text(shape{enum: []string{"InvokedAfter", "InvokedBefore", "Status", "ExecutionStage", "DocumentName"}}),
		"value": text(shape{min: 1, max: 128}),
	}, "key", "value"), 1, 5)
)

// requests are the operations that amx may call, as the service model of SSM
// (version 2014-11-06) has their requests. A member that is not here is one that
// amx does not send. TestTheModelIsTheOfficialOne compares it with the model:
// https://github.com/boto/botocore/tree/develop/botocore/data/ssm/2014-11-06
var requests = map[string]*shape{
	"SendCommand": structure(map[string]*shape{
		"InstanceIds": instanceIDs,
		"Targets": list(structure(map[string]*shape{
			"Key": text(shape{
				min: 1, max: 163,
				pattern: `^[\p{L}\p{Z}\p{N}_.:/=\-@]*$|resource-groups:ResourceTypeFilters|resource-groups:Name`,
			}),
			"Values": list(anyText, 0, 50),
		}), 0, 5),
		"DocumentName":       text(shape{pattern: `^[a-zA-Z0-9_\-.:/]{3,128}$`}),
		"DocumentVersion":    text(shape{pattern: `([$]LATEST|[$]DEFAULT|^[1-9][0-9]*$)`}),
		"TimeoutSeconds":     number(30, 2592000),
		"Comment":            text(shape{max: 100}),
		"Parameters":         {kind: "map", element: list(anyText, 0, 0)},
		"OutputS3Region":     text(shape{min: 3, max: 20}),
		"OutputS3BucketName": text(shape{min: 3, max: 63}),
		"OutputS3KeyPrefix":  text(shape{max: 500}),
		"MaxConcurrency":     text(shape{min: 1, max: 7, pattern: `^([1-9][0-9]*|[1-9][0-9]%|[1-9]%|100%)$`}),
		"MaxErrors":          text(shape{min: 1, max: 7, pattern: `^([1-9][0-9]*|[0]|[1-9][0-9]%|[0-9]%|100%)$`}),
		"CloudWatchOutputConfig": structure(map[string]*shape{
			"CloudWatchLogGroupName":  text(shape{min: 1, max: 512}),
			"CloudWatchOutputEnabled": boolean,
		}),
	}, "DocumentName"),
	"CancelCommand": structure(map[string]*shape{
		"CommandId": commandID, "InstanceIds": instanceIDs,
	}, "CommandId"),
	"ListCommands": structure(map[string]*shape{
		"CommandId": commandID, "InstanceId": instanceID, "MaxResults": number(1, 50), "NextToken": anyText,
		"Filters": filters,
	}),
	"ListCommandInvocations": structure(map[string]*shape{
		"CommandId": commandID, "InstanceId": instanceID, "MaxResults": number(1, 50), "NextToken": anyText,
		"Filters": filters, "Details": boolean,
	}),
	"GetCommandInvocation": structure(map[string]*shape{
		"CommandId": commandID, "InstanceId": instanceID,
	}, "CommandId", "InstanceId"),
	"GetParameter": structure(map[string]*shape{
		"Name": text(shape{min: 1, max: 2048}), "WithDecryption": boolean,
	}, "Name"),
	"DescribeInstanceInformation": structure(map[string]*shape{
		"Filters": list(structure(map[string]*shape{
			"Key": text(shape{min: 1}), "Values": list(text(shape{min: 1}), 1, 100),
		}, "Key", "Values"), 0, 0),
		"MaxResults": number(5, 50), "NextToken": anyText,
	}),
}

// CheckSSM holds a request to SSM's service model, and to the limits of
// SendCommand that are documented in prose only. It answers all that is wrong.
func CheckSSM(operation string, body []byte) error {
	errs := check(requests, operation, body)
	if operation == "SendCommand" && len(errs) == 0 {
		errs = checkSendCommand(body)
	}
	return errors.Join(errs...)
}

// check holds a request to a service's model.
func check(requests map[string]*shape, operation string, body []byte) []error {
	s := requests[operation]
	if s == nil {
		return []error{fmt.Errorf("%s is not an operation that amx may call", operation)}
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return []error{err}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return []error{errors.New("more than one JSON value")}
	}
	return s.check(operation, v)
}

func (s *shape) check(path string, v any) []error {
	switch v := v.(type) {
	case map[string]any:
		return s.checkObject(path, v)
	case []any:
		if s.kind != "list" {
			return broken(path, "a list: want a %s", s.kind)
		}
		errs := s.bounds(path, len(v), "elements")
		for i, e := range v {
			errs = append(errs, s.element.check(fmt.Sprintf("%s[%d]", path, i), e)...)
		}
		return errs
	case string:
		return s.checkText(path, v)
	case json.Number:
		n, err := v.Int64()
		if s.kind != "integer" || err != nil {
			return broken(path, "the number %s: want a %s", v, s.kind)
		}
		return s.bounds(path, int(n), "as a number")
	case bool:
		if s.kind == "boolean" {
			return nil
		}
	}
	return broken(path, "%v: want a %s", v, s.kind)
}

func (s *shape) checkObject(path string, v map[string]any) (errs []error) {
	if s.kind != "structure" && s.kind != "map" {
		return broken(path, "an object: want a %s", s.kind)
	}
	for _, name := range s.required {
		if v[name] == nil {
			errs = append(errs, broken(path+"."+name, "missing")...)
		}
	}
	for name, value := range v {
		inner := s.element
		if s.kind == "structure" {
			inner = s.members[name]
		}
		if inner == nil {
			errs = append(errs, broken(path+"."+name, "not a member")...)
			continue
		}
		errs = append(errs, inner.check(path+"."+name, value)...)
	}
	return errs
}

func (s *shape) checkText(path, v string) []error {
	if s.kind != "string" {
		return broken(path, "the text %.40q: want a %s", v, s.kind)
	}
	errs := s.bounds(path, utf8.RuneCountInString(v), "characters")
	if s.pattern != "" && !compiled(s.pattern).MatchString(v) {
		errs = append(errs, broken(path, "%.200q does not match %s", v, s.pattern)...)
	}
	if s.enum != nil && !slices.Contains(s.enum, v) {
		errs = append(errs, broken(path, "%.40q: want one of %s", v, strings.Join(s.enum, ", "))...)
	}
	return errs
}

func (s *shape) bounds(path string, n int, what string) []error {
	if n < s.min || s.max > 0 && n > s.max {
		return broken(path, "%d %s: want %d to %d", n, what, s.min, s.max)
	}
	return nil
}

func broken(path, format string, args ...any) []error {
	return []error{fmt.Errorf("%s: %s", path, fmt.Sprintf(format, args...))}
}

var patterns sync.Map // :: pattern → *regexp.Regexp

// compiled is a pattern of the model, which the service matches with the whole
// of a text.
func compiled(pattern string) *regexp.Regexp {
	re, ok := patterns.Load(pattern)
	if !ok {
		re, _ = patterns.LoadOrStore(pattern, regexp.MustCompile(`^(?:`+pattern+`)$`))
	}
	return re.(*regexp.Regexp)
}
