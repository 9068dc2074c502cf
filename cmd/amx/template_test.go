package main

import (
	"os"
	"strings"
	"testing"
)

func TestTemplateAMPPrintsTheDefinition(t *testing.T) {
	const topic = "arn:aws:sns:us-east-2:210987654321:alerts"
	code, out, errs := amxRun(t, "", "template", "amp", "--topic-arn", topic, "--region", "us-east-2")
	if code != 0 || errs != "" || !strings.Contains(out, "topic_arn: "+topic+"\n") || !strings.Contains(out, "region: us-east-2\n") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	for _, step := range []string{"put-alert-manager-definition", "fileb://", "base64"} {
		if !strings.Contains(out, step) {
			t.Errorf("it does not say how to hand it over: %q is missing", step)
		}
	}
	if _, same, _ := amxRun(t, "", "template", "amp", "--topic-arn", topic); same != out {
		t.Error("the region is not taken from the topic")
	}
	if _, short, _ := amxRun(t, "", "template", "amp", "--topic-arn", topic, "--short"); !strings.Contains(short, `message: '{{ template "amx.short" . }}'`) {
		t.Errorf("--short prints\n%s", short)
	}
	example, err := os.ReadFile("../../examples/amp/alertmanager-definition.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, out, _ = amxRun(t, "", "template", "amp", "--topic-arn", "arn:aws:sns:eu-central-1:123456789012:amx-alerts")
	if want := strings.NewReplacer(" # your topic", "", " # its region", "").Replace(string(example)); out != want {
		t.Errorf("the example is not what is printed:\n%s", out)
	}
}

func TestTemplateAMPRefuses(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{nil, "missing flags: --topic-arn=ARN"},
		{[]string{"--topic-arn", "alerts"}, `topic "alerts": want the ARN of an SNS topic`},
		{[]string{"--topic-arn", "arn:aws:sns:eu-west-1:123456789012:a", "--region", "eu-west-2"}, `region "eu-west-2": the topic is in "eu-west-1"`},
	} {
		code, out, errs := amxRun(t, "", append([]string{"template", "amp"}, tt.args...)...)
		if code != 2 || out != "" || !strings.Contains(errs, tt.want) {
			t.Errorf("%q: exit %d\n%s%s", tt.args, code, out, errs)
		}
	}
}
