package amp

import (
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

func TestTheDefinitionIsForTheTopicThatIsNamed(t *testing.T) {
	const topic = "arn:aws-cn:sns:cn-north-1:210987654321:alerts_2"
	for _, short := range []bool{false, true} {
		text, err := For(topic, "cn-north-1", short)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(text, "eu-central-1") || strings.Contains(text, "123456789012") {
			t.Errorf("something of the example is left:\n%s", text)
		}
		var d struct {
			Templates map[string]string `yaml:"template_files"`
			Config    string            `yaml:"alertmanager_config"`
		}
		if err := yaml.Unmarshal([]byte(text), &d); err != nil {
			t.Fatal(err)
		}
		var config struct {
			Templates []string
			Receivers []struct {
				SNS []struct {
					Topic   string `yaml:"topic_arn"`
					SigV4   struct{ Region string }
					Message string
				} `yaml:"sns_configs"`
			}
		}
		if err := yaml.Unmarshal([]byte(d.Config), &config); err != nil {
			t.Fatal(err)
		}
		message := `{{ template "amx" . }}`
		if short {
			message = `{{ template "amx.short" . }}`
		}
		sns := config.Receivers[0].SNS[0]
		if sns.Topic != topic || sns.SigV4.Region != "cn-north-1" || sns.Message != message || d.Templates[config.Templates[0]] == "" {
			t.Errorf("got %+v", config)
		}
	}
}

func TestTheExampleIsWhatIsPrintedForItsTopic(t *testing.T) {
	text, err := For("arn:aws:sns:eu-central-1:123456789012:amx-alerts", "eu-central-1", false)
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.NewReplacer(" # your topic", "", " # its region", "").Replace(Definition); text != want {
		t.Errorf("got\n%s", text)
	}
}

func TestTopicsThatAreRefused(t *testing.T) {
	for _, tt := range []struct{ topic, region, want string }{
		{"amx-alerts", "eu-central-1", `topic "amx-alerts": want the ARN of an SNS topic, such as arn:aws:sns:eu-central-1:123456789012:amx-alerts`},
		{"arn:aws:sqs:eu-central-1:123456789012:a", "eu-central-1", `topic "arn:aws:sqs:eu-central-1:123456789012:a": want the ARN of an SNS topic, such as arn:aws:sns:eu-central-1:123456789012:amx-alerts`},
		{"arn:aws:sns:eu-central-1:123456789012:a\nb", "eu-central-1", `topic "arn:aws:sns:eu-central-1:123456789012:a\nb": want the ARN of an SNS topic, such as arn:aws:sns:eu-central-1:123456789012:amx-alerts`},
		{"arn:aws:sns:eu-central-1:123456789012:a.fifo", "eu-central-1", `topic "arn:aws:sns:eu-central-1:123456789012:a.fifo": want a standard topic: a FIFO topic can drop the resolve`},
		{"arn:aws:sns:eu-central-1:123456789012:a", "eu-west-1", `region "eu-west-1": the topic is in "eu-central-1"`},
	} {
		if _, err := For(tt.topic, tt.region, false); err == nil || err.Error() != tt.want {
			t.Errorf("got  %v\nwant %s", err, tt.want)
		}
	}
}
