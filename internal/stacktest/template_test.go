package stacktest

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const root = "../.."

type object = map[string]any

// template is the transformed template.
type template struct {
	Parameters map[string]struct {
		Type, AllowedPattern string
		Default              any
		AllowedValues        []any
		MinValue, MaxValue   *float64
	}
	Conditions map[string]any
	Resources  map[string]struct {
		Type, Condition, DeletionPolicy, UpdateReplacePolicy string
		Properties                                           object
	}
	Outputs map[string]struct {
		Condition string
		Value     any
	}
	Metadata object
}

func load(t *testing.T) *template {
	t.Helper()
	text, err := os.ReadFile("testdata/transformed.json")
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &template{}
	if err := json.Unmarshal(text, tmpl); err != nil {
		t.Fatal(err)
	}
	return tmpl
}

func TestTheTransformedTemplateIsOfTemplateYAML(t *testing.T) {
	text, err := os.ReadFile(root + "/template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := load(t).Metadata["TemplateSHA256"], fmt.Sprintf("%x", sha256.Sum256(text)); got != want {
		t.Errorf("testdata/transformed.json was made of another template.yaml: run make sam-transform, and look at what changes")
	}
}

// The pseudo parameters of the tests.
var pseudo = map[string]string{
	"AWS::AccountId": "123456789012", "AWS::Partition": "aws", "AWS::Region": "eu-central-1", "AWS::StackName": "amx",
	"AWS::NoValue": "",
}

// stack is the stack that the template makes of parameters: every resource that
// there is, with every reference to another replaced by a name or an ARN.
type stack struct {
	t          *testing.T
	tmpl       *template
	parameters map[string]any
	resources  map[string]resource
	outputs    map[string]string
}

type resource struct {
	kind       string
	properties object
}

// absent is what AWS::NoValue leaves.
type absent struct{}

// deploy makes a stack of the defaults and of what differs from them.
func deploy(t *testing.T, parameters map[string]any) *stack {
	t.Helper()
	s := &stack{t: t, tmpl: load(t), parameters: map[string]any{}, resources: map[string]resource{}, outputs: map[string]string{}}
	for name, p := range s.tmpl.Parameters {
		s.parameters[name] = p.Default
	}
	for name, value := range parameters {
		s.accept(name, value)
		s.parameters[name] = value
	}
	for id, r := range s.tmpl.Resources {
		if s.there(r.Condition) {
			properties, _ := s.value(r.Properties).(object)
			s.resources[id] = resource{r.Type, properties}
		}
	}
	for name, o := range s.tmpl.Outputs {
		if s.there(o.Condition) {
			s.outputs[name] = fmt.Sprint(s.value(o.Value))
		}
	}
	return s
}

// accept checks a value as CloudFormation does.
func (s *stack) accept(name string, value any) {
	s.t.Helper()
	p, ok := s.tmpl.Parameters[name]
	if !ok {
		s.t.Fatalf("the template has no parameter %s", name)
	}
	if p.AllowedPattern != "" {
		pattern := regexp.MustCompile(p.AllowedPattern)
		for v := range strings.SplitSeq(fmt.Sprint(value), ",") {
			if !pattern.MatchString(v) {
				s.t.Fatalf("%s=%v is not of %s", name, value, p.AllowedPattern)
			}
		}
	}
	if p.AllowedValues != nil && !slices.Contains(p.AllowedValues, value) {
		s.t.Fatalf("%s=%v is not one of %v", name, value, p.AllowedValues)
	}
}

func (s *stack) there(condition string) bool {
	if condition == "" {
		return true
	}
	c, ok := s.tmpl.Conditions[condition]
	if !ok {
		s.t.Fatalf("no condition %s", condition)
	}
	return s.value(c).(bool)
}

// value evaluates what a template may say.
func (s *stack) value(v any) any {
	switch v := v.(type) {
	case []any:
		var all []any
		for _, e := range v {
			if e = s.value(e); e != (absent{}) {
				all = append(all, e)
			}
		}
		return all
	case object:
		if len(v) == 1 {
			for name, argument := range v {
				if result, ok := s.function(name, argument); ok {
					return result
				}
			}
		}
		all := object{}
		for _, k := range slices.Sorted(maps.Keys(v)) {
			if e := s.value(v[k]); e != (absent{}) {
				all[k] = e
			}
		}
		return all
	}
	return v
}

func (s *stack) function(name string, argument any) (any, bool) {
	list, _ := argument.([]any)
	switch name {
	case "Ref":
		return s.ref(argument.(string)), true
	case "Condition":
		return s.there(argument.(string)), true
	case "Fn::GetAtt":
		return s.attribute(list[0].(string), list[1].(string)), true
	case "Fn::If":
		if s.there(list[0].(string)) {
			return s.value(list[1]), true
		}
		return s.value(list[2]), true
	case "Fn::Equals":
		return fmt.Sprint(s.value(list[0])) == fmt.Sprint(s.value(list[1])), true
	case "Fn::Not":
		return !s.value(list[0]).(bool), true
	case "Fn::And":
		return !slices.ContainsFunc(list, func(c any) bool { return !s.value(c).(bool) }), true
	case "Fn::Or":
		return slices.ContainsFunc(list, func(c any) bool { return s.value(c).(bool) }), true
	case "Fn::Join":
		var parts []string
		for _, p := range s.value(list[1]).([]any) {
			parts = append(parts, fmt.Sprint(p))
		}
		return strings.Join(parts, list[0].(string)), true
	case "Fn::Select":
		i, err := strconv.Atoi(fmt.Sprint(list[0]))
		if err != nil {
			s.t.Fatalf("Fn::Select %v: %v", list[0], err)
		}
		return s.value(list[1]).([]any)[i], true
	case "Fn::Split":
		var parts []any
		for p := range strings.SplitSeq(fmt.Sprint(s.value(list[1])), list[0].(string)) {
			parts = append(parts, p)
		}
		return parts, true
	case "Fn::Sub":
		return s.sub(argument), true
	}
	if strings.HasPrefix(name, "Fn::") {
		s.t.Fatalf("the tests do not know %s", name)
	}
	return nil, false
}

func (s *stack) ref(name string) any {
	if name == "AWS::NoValue" {
		return absent{}
	}
	if v, ok := pseudo[name]; ok {
		return v
	}
	if v, ok := s.parameters[name]; ok {
		if s.tmpl.Parameters[name].Type != "CommaDelimitedList" {
			return v
		}
		var all []any
		for e := range strings.SplitSeq(v.(string), ",") {
			all = append(all, e)
		}
		return all
	}
	switch s.kind(name) {
	case "AWS::SNS::Topic":
		return "arn:aws:sns:eu-central-1:123456789012:amx-" + name
	case "AWS::IAM::ManagedPolicy":
		return "arn:aws:iam::123456789012:policy/" + name
	case "AWS::SQS::Queue":
		return "https://sqs.eu-central-1.amazonaws.com/123456789012/" + name
	case "AWS::Logs::LogGroup":
		group, _ := s.value(s.tmpl.Resources[name].Properties["LogGroupName"]).(string)
		return group
	}
	return name
}

func (s *stack) attribute(id, attribute string) any {
	services := map[string]string{
		"AWS::Lambda::Function": "lambda:eu-central-1:123456789012:function:", "AWS::DynamoDB::Table": "dynamodb:eu-central-1:123456789012:table/",
		"AWS::SQS::Queue": "sqs:eu-central-1:123456789012:", "AWS::KMS::Key": "kms:eu-central-1:123456789012:key/",
		"AWS::IAM::Role": "iam::123456789012:role/", "AWS::Events::Rule": "events:eu-central-1:123456789012:rule/", "AWS::Logs::LogGroup": "logs:eu-central-1:123456789012:log-group:",
	}
	switch kind := s.kind(id); attribute {
	case "Arn":
		if kind == "AWS::Logs::LogGroup" {
			return "arn:aws:" + services[kind] + s.ref(id).(string) + ":*"
		}
		if services[kind] == "" {
			s.t.Fatalf("the tests do not know the ARN of %s", kind)
		}
		return "arn:aws:" + services[kind] + id
	case "FunctionUrl":
		return "https://example.lambda-url.eu-central-1.on.aws/"
	case "QueueName":
		return id
	}
	s.t.Fatalf("the tests do not know %s.%s", id, attribute)
	return nil
}

// kind is the type of a resource, which has to be there in this stack.
func (s *stack) kind(id string) string {
	r, ok := s.tmpl.Resources[id]
	if !ok {
		s.t.Fatalf("nothing is called %s", id)
	}
	if !s.there(r.Condition) {
		s.t.Errorf("something refers to %s, which this stack has not (condition %s)", id, r.Condition)
	}
	return r.Type
}

var reference = regexp.MustCompile(`\$\{([^}!]+)\}`)

func (s *stack) sub(argument any) string {
	text, ok := argument.(string)
	var own object
	if list, isList := argument.([]any); isList {
		text, own = list[0].(string), list[1].(object)
	} else if !ok {
		s.t.Fatalf("Fn::Sub of %v", argument)
	}
	return reference.ReplaceAllStringFunc(text, func(m string) string {
		name := m[2 : len(m)-1]
		if v, ok := own[name]; ok {
			return fmt.Sprint(s.value(v))
		}
		if id, attribute, ok := strings.Cut(name, "."); ok {
			return fmt.Sprint(s.attribute(id, attribute))
		}
		return fmt.Sprint(s.ref(name))
	})
}

// of lists the resources of a type by their IDs.
func (s *stack) of(kind string) map[string]object {
	all := map[string]object{}
	for id, r := range s.resources {
		if r.kind == kind {
			all[id] = r.properties
		}
	}
	return all
}
