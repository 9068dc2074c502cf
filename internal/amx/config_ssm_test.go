package amx

import (
	"reflect"
	"testing"
)

func TestWhatSSMIsGiven(t *testing.T) {
	c := parse(t, `
commands:
  - name: patch
    document: arn:aws:ssm:eu-central-1:123456789012:document/Patch
    document_version: 7
    parameters: {Operation: Scan, Extra: ['{{ .Status }}', 2]}
    targets: [{key: Address, values: ['{{ .Labels.instance }}']}]
    timeout: 2h
  - name: heal
    script: Restart-Service Spooler
    platform: windows
    output: {s3_bucket: logs, s3_prefix: amx/, cloudwatch_log_group: /amx}
  - cmd: reboot
    user: deploy
`)
	patch, heal, reboot := c.Commands[0], c.Commands[1], c.Commands[2]
	if patch.Document != "arn:aws:ssm:eu-central-1:123456789012:document/Patch" || patch.DocumentVersion != "7" || patch.Targets[0].Key != "Address" ||
		!reflect.DeepEqual(patch.Parameters, map[string][]string{"Operation": {"Scan"}, "Extra": {"{{ .Status }}", "2"}}) {
		t.Errorf("document: %+v", patch)
	}
	if heal.Platform != "windows" || heal.Output != (Output{"logs", "amx/", "/amx"}) {
		t.Errorf("script: %+v", heal)
	}
	if reboot.User != "deploy" || reboot.Platform != "linux" || reboot.Output != (Output{}) {
		t.Errorf("command: %+v", reboot)
	}
}
