package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// explain reads each body of the corpus, as far as it fires or resolves.
func TestExplainReadsEveryBody(t *testing.T) {
	const dir = "../../internal/amx/testdata/bodies"
	text, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all []struct {
		File, Subject string
		Runs, Ends    []string
		Webhook, SNS  string
		Warns         bool
	}
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	config := write(t, "amx.yaml", "commands: [{name: every, script: env, scope: alert}]")
	for _, b := range all {
		code, out, errs := amxRun(t, "", "explain", "-f", config, "--subject", b.Subject, filepath.Join(dir, b.File))
		if refusal := b.SNS; refusal != "" {
			if refusal == "of no accepted form" {
				refusal = b.Webhook // a message without alerts is most likely a webhook's
			}
			if code != 1 || !strings.Contains(errs, refusal) {
				t.Errorf("%s: exit %d\n%s%s\nwant an error with %q", b.File, code, out, errs, refusal)
			}
			continue
		}
		want := fmt.Sprintf("every: %d firing, %d resolved of %d alerts match\n", len(b.Runs), len(b.Ends), len(b.Runs)+len(b.Ends))
		if code != 0 || !strings.HasPrefix(out, want) || strings.Contains(errs, "max_alerts") != b.Warns {
			t.Errorf("%s: exit %d\n%s%s\nwant %s", b.File, code, out, errs, want)
		}
		for _, name := range b.Runs {
			if !strings.Contains(out, fmt.Sprintf("    AMX_ALERT_1_LABEL_alertname=%q\n", name)) {
				t.Errorf("%s: no run for %q\n%s", b.File, name, out)
			}
		}
	}
}

func TestExplainMakesAnAlertOfLabels(t *testing.T) {
	config := write(t, "amx.yaml", `commands: [{name: fix, cmd: fix, args: ['{{ .CommonLabels.instance }}'], match_labels: {env: prod}, matchers: ['severity=~"page|critical"']}]`)
	for _, tt := range []struct {
		args []string
		code int
		want []string
	}{
		{[]string{"alertname=X", "env=prod", "severity=page", "instance=a=b"}, 0, []string{"fix: 1 firing, 0 resolved of 1 alerts match\n  run of 1 alert: [\"fix\" \"a=b\"]\n", "    AMX_GLABEL_alertname=\"X\"\n"}},
		{[]string{"env=prod", "severity=page"}, 0, []string{"  refuse: rendering args[0] \"{{ .CommonLabels.instance }}\" of command \"fix\": .CommonLabels.instance is missing or empty"}},
		{[]string{"env=dev", "severity=page"}, 1, []string{`: match_labels: env: "prod": the alert has "dev"`}},
		{[]string{"severity=page"}, 1, []string{`: match_labels: env: "prod": the alert has no such label`}},
		{[]string{"env=prod", "severity=info"}, 1, []string{`: matchers: severity=~"page|critical": the alert has "info"`}},
	} {
		code, out, errs := amxRun(t, "", append([]string{"explain", "-f", config}, tt.args...)...)
		for _, want := range tt.want {
			if code != tt.code || !strings.Contains(out, want) {
				t.Errorf("%q: exit %d\n%s%s\nwant %s", tt.args, code, out, errs, want)
			}
		}
	}
	if code, _, errs := amxRun(t, "", "explain", "-f", config, "a=b", "file.json"); code != 2 || !strings.Contains(errs, "want one file, or label=value") {
		t.Errorf("exit %d, %s", code, errs)
	}
}

func TestExplainSaysThatAnObservedRunIsNotSent(t *testing.T) {
	config := write(t, "amx.yaml", "commands: [{name: a, cmd: fix, mode: observe}]")
	code, out, _ := amxRun(t, "", "explain", "-f", config, "alertname=X")
	if want := "  observe: amx sends nothing; without mode: observe it would send this\n  run of 1 alert: [\"fix\"]\n"; code != 0 || !strings.Contains(out, want) {
		t.Errorf("exit %d\n%s\nwant %s", code, out, want)
	}
}

// explain reads an event that SNS hands to a function, or a message to another
// subscriber, in the form that is logged.
func TestExplainReadsWhatSNSSends(t *testing.T) {
	config := write(t, "amx.yaml", "commands: [{name: every, script: env}]")
	block := `"Subject":"[FIRING:1] x","Message":"dedup_key: a\ndescription: b: c\n","Timestamp":"2026-11-28T10:00:00Z","TopicArn":"arn:aws:sns:eu-central-1:123456789012:t"`
	for name, body := range map[string]string{
		"an event":           `{"Records":[{"EventSource":"aws:sns","Sns":{` + block + `}}]}`,
		"what HTTP receives": `{"Type":"Notification",` + block + `}`,
	} {
		if code, out, errs := amxRun(t, body, "explain", "-f", config, "-"); code != 0 || !strings.Contains(out, `AMX_ANNOTATION_description="b: c"`) {
			t.Errorf("%s: exit %d\n%s%s", name, code, out, errs)
		}
	}
	cut := `{"Records":[{"Sns":{"Message":"alerts: []","MessageAttributes":{"truncated":{"Type":"String","Value":"true"}}}}]}`
	if code, _, errs := amxRun(t, cut, "explain", "-f", config, "-"); code != 1 || !strings.Contains(errs, `it is marked "truncated"`) {
		t.Errorf("exit %d, %s", code, errs)
	}
	if code, _, errs := amxRun(t, "dedup_key: a\n", "explain", "-f", config, "-"); code != 1 || !strings.Contains(errs, `give it with --subject, such as --subject "[FIRING:1] x"`) {
		t.Errorf("exit %d, %s", code, errs)
	}
}

// The limits are the sender's.
func TestExplainShowsWhatTheSenderLeavesOut(t *testing.T) {
	config := write(t, "amx.yaml", "commands: [{name: every, script: env, ignore_resolved: true}]")
	run := func(annotation string, alerts int, args ...string) string {
		t.Helper()
		one := `{"status":"firing","labels":{"alertname":"A","n":"%d"},"annotations":{"text":"` + annotation + `"}},`
		body := `{"alerts":[`
		for i := range alerts {
			body += fmt.Sprintf(one, i)
		}
		_, out, errs := amxRun(t, body+`{"status":"resolved","labels":{"alertname":"B"},"fingerprint":"b"}]}`, append([]string{"explain", "-f", config, "-"}, args...)...)
		if errs != "" {
			t.Errorf("explain says %s", errs)
		}
		return out
	}
	long := run(strings.Repeat("x", 140_000), 1)
	if strings.Contains(long, "ANNOTATION_text=") || !strings.Contains(long, "    note: AMX_ALERT_1_ANNOTATION_text is left out: ") {
		t.Errorf("a variable that no process can have is there:\n%.2000s", long)
	}
	if !strings.Contains(long, "  resolved b: nothing: ignore_resolved is set\n") {
		t.Errorf("a resolve is said to end the run:\n%.2000s", long)
	}
	packed := run(strings.Repeat("y", 70_000), 1)
	if !strings.Contains(packed, "ANNOTATION_text=\"yyy") || !strings.Contains(packed, "note: amx sends the variables compressed") {
		t.Errorf("a variable is not packed:\n%.300s", packed)
	}
	noise := make([]byte, 1500)
	for i := range noise {
		noise[i] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/"[(i*i*7919+i*104729)%64]
	}
	many := run(string(noise), 1500)
	if !strings.Contains(many, "AMX_ALERT_TOTAL=\"1500\"") || !strings.Contains(many, " of 1500 alerts fit; the others are left out") || strings.Contains(many, "AMX_ALERT_1500_") {
		t.Errorf("alerts that do not fit are shown:\n%.300s", many[max(0, len(many)-600):])
	}
	if script := run("z", 1, "--script"); !strings.Contains(script, "  AWS-RunShellScript, ") || !strings.Contains(script, "\n    | ") {
		t.Errorf("no script:\n%s", script)
	}
}
