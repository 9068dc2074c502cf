package main

import (
	"strings"
	"testing"
)

// If amx serve would refuse a notification, explain prints the same error.
func TestExplainRefusesAsARunIsRefused(t *testing.T) {
	for _, test := range []struct{ name, config, alert, reason string }{
		{"a NUL in a label", "{cmd: 'true'}", "a\x00b", "AMX_ALERT_1_LABEL_name has a NUL byte, which no environment variable can carry"},
		{"a NUL in an argument", "{cmd: echo, args: ['{{ (index .Alerts 0).Labels.name }}']}", "a\x00b", "args: the command line has a NUL byte, which no argument can carry"},
		{"too many targets", "{cmd: 'true', max_targets: 1, targets: [{key: InstanceIds, values: [i-01234567, i-01234568]}]}", "a", "2 targets, over max_targets: 1"},
		{"a target that is none", "{cmd: 'true', targets: [{key: InstanceIds, values: ['{{ .Labels.name }}']}]}", "web", `targets: InstanceIds: "web" is no instance ID: want i- and 8 or 17 characters, or mi- and 17`},
		{"a target that is empty", "{cmd: 'true', targets: [{key: InstanceIds, values: ['{{ .Labels.nothing }}']}]}", "web", `rendering targets[0].values[0] "{{ .Labels.nothing }}" of command "true": alert a44a1a840c7b5fae: the value is empty: does the alert have the label?`},
	} {
		t.Run(test.name, func(t *testing.T) {
			config := "commands: [" + test.config + "]"
			body := notification("amx", firing(test.alert, 0))
			m := newMachine(t, config)
			a := m.post(body)
			if a.Status != 200 || len(a.Results) != 1 || a.Results[0].Action != "refuse" {
				t.Fatalf("amx serve: %+v", a)
			}
			code, out, errs := amxRun(t, body, "explain", "-f", write(t, "amx.yaml", config), "-")
			_, said, _ := strings.Cut(out, "\n")
			if want := "  refuse: " + a.Results[0].Reason + "\n"; code != 0 || said != want {
				t.Errorf("exit %d\n%s%s\nwant\n%s", code, out, errs, want)
			}
			if a.Results[0].Reason != test.reason {
				t.Errorf("reason %q, want %q", a.Results[0].Reason, test.reason)
			}
		})
	}
}
