package amx

import (
	"reflect"
	"slices"
	"testing"
	"time"
)

func TestLimitsOfTheFileAndOfACommand(t *testing.T) {
	c := parse(t, `
limits: {max: 20, rate_limit: [{runs: 50, per: 1h}]}
commands:
  - cmd: a
    retry_delay: 1m
    cooldown: 10m
    max: 5000
    rate_limit: [{runs: 3, per: 1h}, {runs: 7, per: 1d}]
    when_limited: skip
    spread_by: '{{ .Labels.availability_zone }}'
    breaker: {failures: 5}
    stop_alarm: [errors-high]
    resolved_signal: TERM
    kill_after: 30s
    mode: observe
    on_stop: rerun
    report: []
  - {name: b, cmd: b, rate_limit: {runs: 1, per: 1s}, breaker: false, cooldown: 0s, stop_alarm: errors-high, kill_after: never}
`)
	if want := (Limits{Max: 20, RateLimit: []Window{{50, time.Hour}}}); !reflect.DeepEqual(c.Limits, want) {
		t.Errorf("limits are %+v, want %+v", c.Limits, want)
	}
	wait := 5 * time.Second
	want := newCommand()
	*want = Command{
		Name: "a", Cmd: "a", Scope: ScopeNotification, MaxTargets: 10, MaxConcurrency: "50", MaxErrors: "0", Platform: "linux", Shell: "sh",
		Timeout: time.Hour, DeliveryTimeout: 10 * time.Minute, Wait: &wait, NotifyOnFailure: true, RetryDelay: time.Minute,
		ResolvedSignal: "SIGTERM", KillAfter: 30 * time.Second, OnStop: StopRerun, Cooldown: 10 * time.Minute, Max: 5000,
		RateLimit: []Window{{3, time.Hour}, {7, 24 * time.Hour}}, WhenLimited: LimitedSkip, SpreadBy: "{{ .Labels.availability_zone }}",
		Breaker: Breaker{5, time.Hour}, StopAlarm: []string{"errors-high"}, Mode: ModeObserve, Report: []string{},
	}
	got := *c.Commands[0]
	got.line, got.lines, got.compiled = 0, nil, nil
	if !reflect.DeepEqual(&got, want) {
		t.Errorf("parsed\n%+v\nwant\n%+v", &got, want)
	}
	b := c.Commands[1]
	if b.Breaker != (Breaker{}) || !slices.Equal(b.RateLimit, []Window{{1, time.Second}}) || !slices.Equal(b.StopAlarm, []string{"errors-high"}) || b.Report != nil {
		t.Errorf("parsed %+v", b)
	}
}

func TestReportsSayWhoIsTold(t *testing.T) {
	c := parse(t, `
prometheus: {url: https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1, sigv4: true}
templates: {where: '{{ .CommonLabels.instance }}'}
reports:
  - {name: ops, slack: {channel: "#alerts", token: "ssm:/amx/stack/slack"}, on: [failed, started], matchers: [team="db"]}
  - {name: hook, slack: {webhook_url: "env:HOOK"}}
  - {name: page, pagerduty: {routing_key: from_message}, on: alert}
  - {name: page2, pagerduty: {routing_key: "file:/etc/amx/key"}, on: all}
  - {name: json, webhook: {url: "https://example.net/in?a=b", secret: "ssm:sign"}}
  - {name: private, webhook: {url: "ssm:/amx/url"}}
commands: [{cmd: a, report: ops}]
`)
	usual := []Occasion{OnFailed, OnRefused, OnExpired, OnBreaker}
	want := []*Report{
		{Name: "ops", Slack: &SlackReport{Channel: "#alerts", Token: "ssm:/amx/stack/slack"}, On: []Occasion{OnStarted, OnFailed}, Matchers: []string{`team="db"`}},
		{Name: "hook", Slack: &SlackReport{WebhookURL: "env:HOOK"}, On: usual},
		{Name: "page", PagerDuty: &PagerDutyReport{FromMessage: true}, On: []Occasion{OnAlert}},
		{Name: "page2", PagerDuty: &PagerDutyReport{RoutingKey: "file:/etc/amx/key"}, On: occasions()},
		{Name: "json", Webhook: &WebhookReport{URL: "https://example.net/in?a=b", Secret: "ssm:sign"}, On: usual},
		{Name: "private", Webhook: &WebhookReport{URLFrom: "ssm:/amx/url"}, On: usual},
	}
	if !c.Reports[0].Matches(&Alert{Labels: KV{"team": "db"}}) || c.Reports[0].Matches(&Alert{Labels: KV{"team": "web"}}) || !c.Reports[1].Matches(&Alert{}) {
		t.Error("a destination's matchers do not decide what it hears of")
	}
	if kind, name := c.Reports[0].Slack.Token.Source(); kind != "ssm" || name != "/amx/stack/slack" {
		t.Errorf("the token is in %q %q", kind, name)
	}
	for i, p := range c.Reports {
		p.line, p.compiled = 0, nil
		if !reflect.DeepEqual(p, want[i]) {
			t.Errorf("reports[%d] is\n%+v, want\n%+v", i, p, want[i])
		}
	}
	if *c.Prometheus != (Prometheus{"https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1", true}) ||
		c.Templates["where"] != "{{ .CommonLabels.instance }}" || !slices.Equal(c.Commands[0].Report, []string{"ops"}) {
		t.Errorf("parsed %+v", c)
	}
}

func TestLimitsAndReportsThatAreRefused(t *testing.T) {
	for _, c := range []struct{ name, yaml, want string }{
		{"limits", "limits: {max: 5001, rate_limit: {runs: 5001, per: 999ms}, cooldown: 1h}", `amx.yaml:1: limits: max: 5001: want 5000 or less
amx.yaml:1: limits: rate_limit: runs: 5001: want 1 to 5000
amx.yaml:1: limits: rate_limit: per: 999ms: want 1s or more
amx.yaml:1: limits: unknown key "cooldown": the nearest are max rate_limit`},
		{"limits without a value", "limits:\n", `amx.yaml:1: limits: no value: want max, rate_limit or both, or remove it`},
		{"windows", "commands: [{cmd: a, rate_limit: 3/h}, {cmd: b, rate_limit: [{runs: 3}, {runs: 0, per: 1h}]}]", `amx.yaml:1: commands[0]: rate_limit: "3/h": want {runs: 3, per: 1h}
amx.yaml:1: commands[1]: rate_limit[0]: want both "runs" and "per"
amx.yaml:1: commands[1]: rate_limit[1]: runs: 0: want 1 to 5000`},
		{"breakers", "commands: [{cmd: a, breaker: true}, {cmd: b, breaker: {failures: 0, for: 1ms}}, {cmd: c, breaker: {failures: 101}}, {cmd: d, breaker: 3}]", `amx.yaml:1: commands[0]: breaker: "true": want false, or {failures: 3, for: 1h}
amx.yaml:1: commands[1]: breaker: failures: 0: want 1 to 100
amx.yaml:1: commands[1]: breaker: for: 1ms: want 1s or more
amx.yaml:1: commands[2]: breaker: failures: 101: want 1 to 100
amx.yaml:1: commands[3]: breaker: "3": want false, or {failures: 3, for: 1h}`},
		{"times", "commands: [{cmd: a, cooldown: 10ms, retry_delay: 0s, kill_after: 0s, resolved_signal: TERM}, {cmd: b, kill_after: 10s}]", `amx.yaml:1: commands[0]: cooldown: 10ms: want 0s, or 1s or more
amx.yaml:1: commands[0]: retry_delay: 0s: want 1s to 6h
amx.yaml:1: commands[0]: kill_after: "0s": want "never", or a duration such as "4h"
amx.yaml:1: commands[1]: "kill_after" goes with a resolved_signal other than SIGKILL, which ends the run at once`},
		{"choices", "commands: [{cmd: a, mode: dry, when_limited: drop, on_stop: no}]", `amx.yaml:1: commands[0]: mode: "dry": want "run" or "observe"
amx.yaml:1: commands[0]: when_limited: "drop": want "wait" or "skip"
amx.yaml:1: commands[0]: on_stop: "no": want "rerun" or "cancelled"`},
		{"alarms", "commands: [{cmd: a, stop_alarm: [a, b]}, {cmd: b, stop_alarm: [' ']}]", `amx.yaml:1: commands[0]: stop_alarm: 2 alarms: SSM takes one: want a composite alarm over them
amx.yaml:1: commands[1]: stop_alarm[0]: " ": want the name of a CloudWatch alarm`},
		{"spread by no field", "commands: [{cmd: a, spread_by: '{{ .Lables.zone }}'}]", `amx.yaml:1: commands[0]: spread_by: "{{ .Lables.zone }}": .Lables.zone: the alert has no field "Lables": did you mean .Labels.zone?`},
		{"a secret in the file", `
reports:
  - {name: a, slack: {channel: c, token: xoxb-1234}}
  - {name: b, pagerduty: {routing_key: "0123456789abcdef"}}
  - {name: c, webhook: {url: "https://user:hunter2@example.net", secret: "file: /x"}}
`, `amx.yaml:3: reports[0]: slack: token: want where the secret is, "ssm:NAME", "file:PATH" or "env:NAME", and not the secret itself
amx.yaml:4: reports[1]: pagerduty: routing_key: want where the secret is, "ssm:NAME", "file:PATH" or "env:NAME", and not the secret itself
amx.yaml:5: reports[2]: webhook: url: it has a password in it: give the whole URL by reference, as ssm:NAME, file:PATH or env:NAME
amx.yaml:5: reports[2]: webhook: secret: want where the secret is, "ssm:NAME", "file:PATH" or "env:NAME", and not the secret itself`},
		{"destinations", `
reports:
  - {slack: {token: "env:A"}}
  - {name: b, slack: {channel: c, webhook_url: "env:A"}, webhook: {}}
  - {name: b, pagerduty: {}, on: [failure]}
  - {name: d, on: []}
  - {name: e, webhook: {url: example.net}}
commands: [{cmd: x, report: [f]}]
`, `amx.yaml:3: reports[0]: slack: "token" without "channel": name the channel, such as "#alerts"
amx.yaml:3: reports[0]: want a "name"
amx.yaml:4: reports[1]: slack: "channel" goes with "token": an incoming webhook has its own channel
amx.yaml:4: reports[1]: webhook: want "url"
amx.yaml:4: reports[1]: want only one of "slack" or "webhook": a destination each
amx.yaml:5: reports[2]: pagerduty: want "routing_key": where the key is, or from_message
amx.yaml:5: reports[2]: on[0]: "failure": want "all", "started", "succeeded", "failed", "cancelled", "refused", "expired", "breaker" or "alert"
amx.yaml:5: reports[2]: its name "b" is also that of reports[1]: give each its own
amx.yaml:6: reports[3]: on: nothing: want at least one of "all", "started", "succeeded", "failed", "cancelled", "refused", "expired", "breaker" or "alert"
amx.yaml:6: reports[3]: nobody to tell: want one of "slack", "pagerduty" or "webhook"
amx.yaml:7: reports[4]: webhook: url: "example.net": want a URL that begins with https:// or http://
amx.yaml:8: commands[0] "x": report: no destination of ` + "`reports`" + ` is named "f": the nearest are b d e`},
		{"nobody to tell", "commands: [{cmd: x, report: ops}]", "amx.yaml:1: commands[0] \"x\": report: no destination of `reports` is named \"ops\": there are no `reports`"},
		{"a graph from nowhere", "prometheus: {sigv4: true}\ntemplates: {a: '{{ nosuch }}'}", `amx.yaml:1: prometheus: want "url"
amx.yaml:2: templates: a: "{{ nosuch }}": 1: function "nosuch" not defined`},
	} {
		if _, err := ParseConfig("amx.yaml", []byte(c.yaml)); err == nil || err.Error() != c.want {
			t.Errorf("%s: got\n%v\nwant\n%s", c.name, err, c.want)
		}
	}
}
