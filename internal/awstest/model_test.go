package awstest

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"
)

func TestCheckSSM(t *testing.T) {
	const good = `"InstanceIds":["i-0123456789abcdef0"],"DocumentName":"AWS-RunShellScript"`
	for _, tt := range []struct{ name, operation, body, want string }{
		{"a request as amx sends it", "SendCommand", `{` + good + `,"Comment":"amx","Parameters":{"commands":["true"]},"TimeoutSeconds":600,"MaxConcurrency":"10%","MaxErrors":"0"}`, ""},
		{"an operation of its own", "DeleteParameter", `{}`, "DeleteParameter is not an operation that amx may call"},
		{"no document", "SendCommand", `{"InstanceIds":["i-01234567"]}`, "SendCommand.DocumentName: missing"},
		{"a node of no form", "SendCommand", `{"InstanceIds":["i-1"],"DocumentName":"AWS-RunShellScript"}`, `SendCommand.InstanceIds[0]: "i-1" does not match (^i-(\w{8}|\w{17})$)|(^mi-\w{17}$)`},
		{"a member of another service", "SendCommand", `{` + good + `,"ClientToken":"x"}`, "SendCommand.ClientToken: not a member"},
		{"a long comment", "SendCommand", `{` + good + `,"Comment":"` + strings.Repeat("ä", 101) + `"}`, "SendCommand.Comment: 101 characters: want 0 to 100"},
		{"a hasty delivery", "SendCommand", `{` + good + `,"TimeoutSeconds":29}`, "SendCommand.TimeoutSeconds: 29 as a number: want 30 to 2592000"},
		{"a text for a number", "SendCommand", `{` + good + `,"TimeoutSeconds":"30"}`, `SendCommand.TimeoutSeconds: the text "30": want a integer`},
		{"no node", "SendCommand", `{"DocumentName":"AWS-RunShellScript"}`, "SendCommand: want either InstanceIds or Targets"},
		{"six values of a tag", "SendCommand", `{"Targets":[{"Key":"tag:a","Values":["1","2","3","4","5","6"]}],"DocumentName":"AWS-RunShellScript"}`, "SendCommand.Targets[0]: 6 values of a tag: want at most 5"},
		{"a large script", "SendCommand", `{` + good + `,"Parameters":{"commands":["` + strings.Repeat("x", 61<<10) + `"]}}`, "SendCommand: document and parameters are about 66577 bytes, over 65536"},
		{"a filter that there is none of", "ListCommands", `{"Filters":[{"key":"Comment","value":"amx"}]}`, `ListCommands.Filters[0].key: "Comment": want one of InvokedAfter, InvokedBefore, Status, ExecutionStage, DocumentName`},
		{"a page of a hundred", "ListCommandInvocations", `{"MaxResults":100}`, "ListCommandInvocations.MaxResults: 100 as a number: want 1 to 50"},
		{"no ID", "CancelCommand", `{"CommandId":"x"}`, "CancelCommand.CommandId: 1 characters: want 36 to 36"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got string
			if err := CheckSSM(tt.operation, []byte(tt.body)); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// official is a shape as botocore writes the service model.
type official struct {
	Type     string
	Members  map[string]struct{ Shape string }
	Required []string
	Member   struct{ Shape string }
	Value    struct{ Shape string }
	Min, Max int
	Pattern  string
	Enum     []string
}

// .ci/moto names the files, which come with botocore.
func TestTheModelIsTheOfficialOne(t *testing.T) {
	for _, service := range []struct {
		variable, path string
		requests       map[string]*shape
	}{
		{"AMX_TEST_SSM_MODEL", "data/ssm/2014-11-06/service-2.json.gz", requests},
		{"AMX_TEST_SQS_MODEL", "data/sqs/2012-11-05/service-2.json.gz", sqsRequests},
	} {
		t.Run(service.variable, func(t *testing.T) {
			name := os.Getenv(service.variable)
			if name == "" {
				t.Skipf("%s does not name botocore's %s", service.variable, service.path)
			}
			compareWithOfficial(t, name, service.requests)
		})
	}
}

func compareWithOfficial(t *testing.T, name string, requests map[string]*shape) {
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var in io.Reader = f
	if strings.HasSuffix(name, ".gz") {
		if in, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	var model struct {
		Operations map[string]struct{ Input struct{ Shape string } }
		Shapes     map[string]official
	}
	if err := json.NewDecoder(in).Decode(&model); err != nil {
		t.Fatal(err)
	}
	var compare func(path, name string, s *shape)
	compare = func(path, name string, s *shape) {
		o := model.Shapes[name]
		if o.Type != s.kind || o.Min != s.min || o.Max != s.max || o.Pattern != s.pattern ||
			!reflect.DeepEqual(o.Enum, s.enum) || !reflect.DeepEqual(o.Required, s.required) {
			t.Errorf("%s is %+v, and %+v here", path, o, *s)
		}
		for member, inner := range s.members {
			compare(path+"."+member, o.Members[member].Shape, inner)
		}
		if s.kind == "list" {
			compare(path+"[]", o.Member.Shape, s.element)
		}
		if s.kind == "map" {
			compare(path+"{}", o.Value.Shape, s.element)
		}
	}
	for operation, s := range requests {
		compare(operation, model.Operations[operation].Input.Shape, s)
	}
}
