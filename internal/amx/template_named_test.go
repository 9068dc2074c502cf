package amx

import (
	"reflect"
	"strings"
	"testing"
)

func TestArgsAndParametersCallNamedTemplates(t *testing.T) {
	c, err := ParseConfig("amx.yaml", []byte(`
commands:
  - {name: a, cmd: echo, args: ['{{ template "where" . }}', 'x']}
  - {name: b, document: Restart, parameters: {Unit: '{{ template "twice" . }}'}}
  - {name: shell, document: AWS-RunShellScript, parameters: {commands: 'echo {{ template "where" . }}'}}
templates:
  twice: '{{ template "where" . }} {{ template "where" . }}'
  where: 'on {{ .CommonLabels.instance }}'
  report: '{{ .Title }}' # sees something else, and is nobody's here
`))
	if err != nil {
		t.Fatal(err)
	}
	d := Data{CommonLabels: KV{"instance": "web-1"}}
	if args, err := c.Commands[0].ExpandArgs(d); err != nil || !reflect.DeepEqual(args, []string{"on web-1", "x"}) {
		t.Errorf("args %q, %v", args, err)
	}
	if parameters, err := c.Commands[1].ExpandParameters(d); err != nil || parameters["Unit"][0] != "on web-1 on web-1" {
		t.Errorf("parameters %q, %v", parameters, err)
	}
	// The rules for a value also hold for the templates that it calls.
	if _, err := c.Commands[0].ExpandArgs(Data{}); err == nil || !strings.Contains(err.Error(), ".CommonLabels.instance is missing or empty") {
		t.Errorf("a label that is missing: %v", err)
	}
	if _, err := c.Commands[2].ExpandParameters(Data{CommonLabels: KV{"instance": "$(reboot)"}}); err == nil {
		t.Error("a named template carries code into a shell")
	}
}
