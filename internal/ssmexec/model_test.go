package ssmexec

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/awstest"
	"github.com/amx-lambda/amx/internal/ssmlocal"
)

// Every request that amx makes passes the service's model: the wire fails the
// test on one that does not.
func TestEveryRequestPassesTheServicesModel(t *testing.T) {
	wire := &awstest.Wire{Next: &awstest.SSM{}, Check: awstest.CheckSSM}
	client := awstest.SSMClient(wire.Listen(t))
	x := &Executor{Client: client, Nodes: client}
	ids := make([]string, 120)
	for i := range ids {
		ids[i] = fmt.Sprintf("i-%017x", i)
	}
	targets := map[string][]amx.Target{
		"120 nodes": {{Key: KeyInstanceIDs, Values: ids}},
		"five tags": {
			{Key: "tag:Role", Values: []string{"a", "b", "c", "d", "e"}},
			{Key: "tag:Ort / Straße", Values: []string{"Köln"}},
			{Key: "tag:x@y=z", Values: []string{"1"}},
			{Key: "tag:" + strings.Repeat("n", 128), Values: []string{"1"}},
			{Key: "tag:aws:cloudformation:stack-name", Values: []string{"amx"}},
		},
		"a group": {{Key: "resource-groups:Name", Values: []string{"web"}}},
	}
	commands := []string{
		"cmd: 'true'",
		"cmd: 'true'\nmax_concurrency: 100%\nmax_errors: 9999999\ndelivery_timeout: 720h\ntimeout: 48h\nworking_directory: /srv\nuser: deploy",
		"name: " + strings.Repeat("n", 64) + "\nscript: exit 0\ndelivery_timeout: 30s\ntimeout: 5s\nmax_concurrency: 1%\nmax_errors: 0%",
		"cmd: fix.exe\nplatform: windows\noutput: {s3_bucket: " + strings.Repeat("b", 63) + ", s3_prefix: " + strings.Repeat("p", 500) + "}",
		"name: d\ndocument: arn:aws:ssm:eu-central-1:123456789012:document/Patch\ndocument_version: $LATEST\nparameters: {A: ['{{ toJson . }}']}\noutput: {cloudwatch_log_group: " + strings.Repeat("g", 512) + "}",
	}
	for _, text := range commands {
		for _, of := range targets {
			for _, data := range []amx.Data{disk, storm()} {
				j := job(command(t, text))
				j.Data, j.Targets = data, of
				if j.Command.Document != "" && len(data.Alerts) > 1 {
					continue // too large, as it should be
				}
				inputs, _, err := Render(j)
				if err != nil {
					t.Fatal(err)
				}
				for _, in := range inputs {
					if _, err := x.Send(t.Context(), in); err != nil {
						t.Error(err)
					}
				}
				if _, err := x.Signal(t.Context(), Signal{Command: j.Command, Entry: j.Entry, Run: j.Run, Targets: of}); err != nil {
					t.Error(err)
				}
			}
		}
	}
	id, err := x.Send(t.Context(), mustRender(t, job(command(t, commands[0]))))
	if err != nil {
		t.Fatal(err)
	}
	_, lookErr := x.List(t.Context(), time.Now(), time.Now())
	_, stateErr := x.State(t.Context(), []Asked{{id, nil}})
	if cancelErr := x.Cancel(t.Context(), id); lookErr != nil || stateErr != nil || cancelErr != nil {
		t.Error(lookErr, stateErr, cancelErr)
	}
	if _, err := x.Resolve(t.Context(), []amx.Target{{Key: KeyAddress, Values: []string{"10.0.0.1"}}}); err == nil {
		t.Error("there is no such node")
	}
	x.parts(t.Context(), ids[:50])
}

// {{ reaches SSM in no parameter, whatever an alert or an argument holds.
func TestBracesNeverReachSSM(t *testing.T) {
	text := strings.Join(nasty, " ")
	data := disk
	a := data.Alerts[0]
	a.Labels, a.Annotations, a.GeneratorURL = amx.KV{"x": text}, amx.KV{}, text
	for i, n := range nasty {
		a.Annotations[fmt.Sprint(i)] = n
	}
	data.Alerts, data.CommonLabels, data.CommonAnnotations, data.Receiver, data.ExternalURL = amx.Alerts{a}, a.Labels, a.Annotations, text, text
	for _, c := range []string{
		"cmd: '/a{{ssm:b}}'\nargs: ['{{ with (index .Alerts 0).Labels.x }}{{ . }}{{ end }}', '{{ .Receiver }}', '{{ toJson . }}']",
		"name: s\nscript: 'echo {{ not a template }} {{{{ssm:x}}'\nargs: ['{{ .Receiver }}']\nuser: deploy",
		"cmd: '/a{{ssm:b}}'\nplatform: windows\nargs: ['{{ with (index .Alerts 0).Labels.x }}{{ . }}{{ end }}', '{{ toJson . }}']",
		"name: s\nscript: 'echo {{ not a template }} {{{{ssm:x}}'\nplatform: windows\nargs: ['{{ .Receiver }}']",
		"name: d\ndocument: Acme\nparameters: {A: '{{ toJson . }}'}",
	} {
		for _, d := range []amx.Data{data, disk} {
			j := job(command(t, c))
			j.Data = d
			for name, values := range mustRender(t, j).Parameters {
				if i := slices.IndexFunc(values, func(v string) bool { return strings.Contains(v, "{{") }); i >= 0 {
					t.Errorf("%s: %s[%d] is %q", c, name, i, values[i])
				}
			}
		}
	}
}

func TestTargetsThatSSMWouldRefuse(t *testing.T) {
	target := func(key string, values ...string) amx.Target { return amx.Target{Key: key, Values: values} }
	for _, tt := range []struct {
		targets []amx.Target
		want    string
	}{
		{nil, "targets: none: want at least one"},
		{[]amx.Target{target(KeyInstanceIDs)}, `targets: key "InstanceIds": no value`},
		{[]amx.Target{target(KeyInstanceIDs, "i-1234")}, `targets: InstanceIds: "i-1234" is no instance ID: want i- and 8 or 17 characters, or mi- and 17`},
		{slices.Repeat([]amx.Target{target("tag:a", "b")}, 6), "targets: 6 keys: SSM takes at most 5"},
		{[]amx.Target{target("tag:"+strings.Repeat("x", 160), "b")}, `targets: key "tag:` + strings.Repeat("x", 160) + `": 164 characters: SSM takes at most 163`},
		{[]amx.Target{target("resource-groups:Name", slices.Repeat([]string{"x"}, 51)...)}, `targets: key "resource-groups:Name": 51 values: SSM takes at most 50`},
		{[]amx.Target{target(KeyInstanceIDs, "i-01234567", "mi-0123456789abcdef0", ssmlocal.LocalNode)}, ""},
	} {
		j := job(command(t, "cmd: 'true'"))
		j.Targets = tt.targets
		_, _, err := Render(j)
		if got := fmt.Sprint(err); tt.want == "" && err != nil || tt.want != "" && got != tt.want {
			t.Errorf("%v\nwant %s", got, tt.want)
		}
	}
}

func TestRunsThatCannotBeSent(t *testing.T) {
	nul := disk
	a := nul.Alerts[0]
	a.Labels = amx.KV{"x": "a\x00b"}
	nul.Alerts = amx.Alerts{a}
	large := disk
	large.Receiver = strings.Repeat("0123456789", 7<<10)
	for _, tt := range []struct {
		command string
		data    amx.Data
		want    string
	}{
		{"cmd: 'true'", nul, "AMX_ALERT_1_LABEL_x has a NUL byte, which no environment variable can carry"},
		{"cmd: 'true'\nplatform: windows", nul, "AMX_ALERT_1_LABEL_x has a NUL byte, which no environment variable can carry"},
		{"cmd: 'true'\nargs: ['{{ with (index .Alerts 0).Labels.x }}{{ . }}{{ end }}']", nul, "args: the command line has a NUL byte, which no argument can carry"},
		{"cmd: 'true'\nplatform: windows\nargs: ['{{ with (index .Alerts 0).Labels.x }}{{ . }}{{ end }}']", nul, "args: the command line has a NUL byte, which no argument can carry"},
		{"name: d\ndocument: Acme\nparameters: {A: '{{ with (index .Alerts 0).Labels.x }}{{ . }}{{ end }}'}", nul, "parameters: A[0]: its value has a NUL byte, which no program takes"},
		{"name: d\ndocument: Acme\nparameters: {A: 'x', B: ['{{ .CommonAnnotations.summary }}']}", disk, "parameters: B[0]: its value has {{, which SSM would resolve on the node: toJson writes text without it"},
		{"name: d\ndocument: Acme\nparameters: {A: '{{ .Receiver }}'}", large, "parameters: 71690 bytes, over the 65536 that SSM takes of a document with its parameters"},
		{"cmd: 'true'\nargs: ['{{ index .Alerts 7 }}']", disk, `rendering args[0] "{{ index .Alerts 7 }}" of command "true": 1:3: at <index .Alerts 7>: error calling index: index out of range: 7`},
	} {
		j := job(command(t, tt.command))
		j.Data = tt.data
		if _, _, err := Render(j); err == nil || err.Error() != tt.want {
			t.Errorf("%q: %v\nwant %s", tt.command, err, tt.want)
		}
	}
}
