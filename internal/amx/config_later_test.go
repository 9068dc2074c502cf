package amx

import (
	"reflect"
	"testing"
	"time"
)

// The keys in notYet are read and checked already; only that they are named
// there keeps them out.
func TestKeysThatAreNotYetSupportedAreReadAsTheContractHasThem(t *testing.T) {
	kept := notYet
	notYet = nil
	defer func() { notYet = kept }()
	c := parse(t, `
tls_key: certs/key.pem
tls_crt: certs/cert.pem
commands:
  - name: patch
    document: AWS-RunPatchBaseline
    document_version: 7
    parameters: {Operation: Scan, Extra: ['{{ .Status }}', 2]}
    platform: windows
    targets: [{key: Address, values: ['{{ .Labels.instance }}']}]
  - cmd: reboot
    user: nobody
    max: -1
    cooldown: 10m
    rate_limit: {runs: 3, per: 1h}
    mode: observe
    output: {s3_bucket: b, s3_prefix: p, cloudwatch_log_group: g}
  - name: often
    cmd: reboot
    rate_limit: [{runs: 3, per: 1h}, {runs: 7, per: 1d}]
`)
	if c.TLSKey != "certs/key.pem" || c.TLSCrt != "certs/cert.pem" {
		t.Errorf("TLS: %+v", c)
	}
	patch, reboot, often := c.Commands[0], c.Commands[1], c.Commands[2]
	if patch.Document != "AWS-RunPatchBaseline" || patch.DocumentVersion != "7" || patch.Platform != "windows" || patch.Targets[0].Key != "Address" ||
		!reflect.DeepEqual(patch.Parameters, map[string][]string{"Operation": {"Scan"}, "Extra": {"{{ .Status }}", "2"}}) {
		t.Errorf("document: %+v", patch)
	}
	if reboot.User != "nobody" || reboot.Max != -1 || reboot.Cooldown != 10*time.Minute || reboot.Mode != "observe" ||
		reboot.Output != (Output{"b", "p", "g"}) || !reflect.DeepEqual(reboot.RateLimit, []RateLimit{{3, time.Hour}}) {
		t.Errorf("command: %+v", reboot)
	}
	if !reflect.DeepEqual(often.RateLimit, []RateLimit{{3, time.Hour}, {7, 24 * time.Hour}}) {
		t.Errorf("windows: %v", often.RateLimit)
	}

	_, err := ParseConfig("amx.yaml", []byte(`
commands:
  - document: d
    args: [x]
    parameters: {a_b: x, ok: ['{{ nosuch }}']}
  - cmd: c
    parameters: {a: b}
    document_version: "1"
    mode: dry
    rate_limit: [{runs: 0, per: 0s}, {runs: 1}]
    output: {bucket: b}
`))
	want := `amx.yaml:3: commands[0]: a document needs a "name"
amx.yaml:4: commands[0]: "args" goes with "cmd" or "script", not with "document"
amx.yaml:5: commands[0]: parameters: parameter "a_b": want letters and digits only
amx.yaml:5: commands[0]: parameters: ok[0]: "{{ nosuch }}": 1: function "nosuch" not defined
amx.yaml:7: commands[1]: "parameters" goes with "document", not with "cmd"
amx.yaml:8: commands[1]: "document_version" goes with "document", not with "cmd"
amx.yaml:9: commands[1]: mode: "dry": want "run" or "observe"
amx.yaml:10: commands[1]: rate_limit[0]: runs: 0: want 1 or more
amx.yaml:10: commands[1]: rate_limit[0]: per: 0s: want 1s or more
amx.yaml:10: commands[1]: rate_limit[1]: want both "runs" and "per", such as {runs: 3, per: 1h}
amx.yaml:11: commands[1]: output: unknown key "bucket": want one of s3_bucket s3_prefix cloudwatch_log_group`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}
