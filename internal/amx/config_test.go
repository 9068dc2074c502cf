package amx

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestConfigHasWhatTheFileSays(t *testing.T) {
	data, err := os.ReadFile("testdata/contract.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := ParseConfig("contract.yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	if c.ListenAddress != "127.0.0.1:9000" || !c.Verbose || len(c.Commands) != 3 {
		t.Errorf("parsed %+v", c)
	}
	wait := time.Duration(0)
	want := &Command{
		Name: "restart-nginx", Cmd: "systemctl",
		Args:        []string{"restart", "nginx", "3", "1.50", "true", "{{ .CommonLabels.job }}"},
		MatchLabels: map[string]string{"env": "prod", "shard": "07"},
		Matchers:    []string{`severity=~"page|critical"`, `team!="dba"`},
		Scope:       ScopeAlert,
		Targets:     []Target{{"InstanceIds", []string{"{{ .Labels.instance_id }}"}}},
		MaxTargets:  3, MaxConcurrency: "10%", MaxErrors: "1", Platform: "linux", Shell: "bash",
		WorkingDirectory: "/srv", Timeout: 150 * time.Minute, DeliveryTimeout: 24 * time.Hour, Wait: &wait,
		Retries: 2, RetryDelay: 30 * time.Second, RepeatAfter: 4 * time.Hour, IgnoreResolved: true, ResolvedSignal: "SIGTERM",
		OnStop: StopCancelled, WhenLimited: LimitedWait, Breaker: Breaker{3, time.Hour}, Mode: ModeRun,
	}
	got := *c.Commands[0]
	got.line, got.lines, got.compiled = 0, nil, nil
	if !reflect.DeepEqual(&got, want) {
		t.Errorf("parsed\n%+v\nwant\n%+v", &got, want)
	}
	if s := c.Commands[1]; s.Script != "set -e\necho \"$AMX_LABEL_instance\"\n" || s.Name != "cleanup" {
		t.Errorf("the script is %+v", s)
	}
}

func TestTLSAndALimitBelowZero(t *testing.T) {
	c := parse(t, "tls_key: certs/key.pem\ntls_crt: certs/cert.pem\ncommands: [{cmd: reboot, max: -1}]")
	if c.TLSKey != "certs/key.pem" || c.TLSCrt != "certs/cert.pem" || c.Commands[0].Max != -1 {
		t.Errorf("parsed %+v, %+v", c, c.Commands[0])
	}
}

func TestDefaults(t *testing.T) {
	c := parse(t, "targets: [{key: tag:Role, values: [web]}]\ncommands: [{cmd: /usr/bin/true}]")
	wait := 5 * time.Second
	want := &Command{
		Name: "true", Cmd: "/usr/bin/true", Scope: ScopeNotification, Targets: []Target{{"tag:Role", []string{"web"}}},
		MaxTargets: 10, MaxConcurrency: "50", MaxErrors: "0", Platform: "linux", Shell: "sh", Timeout: time.Hour,
		DeliveryTimeout: 10 * time.Minute, Wait: &wait, NotifyOnFailure: true, RetryDelay: 30 * time.Second, ResolvedSignal: SIGKILL,
		OnStop: StopCancelled, WhenLimited: LimitedWait, Breaker: Breaker{3, time.Hour}, Mode: ModeRun,
	}
	got := *c.Commands[0]
	got.line, got.lines, got.compiled = 0, nil, nil
	if !reflect.DeepEqual(&got, want) {
		t.Errorf("parsed\n%+v\nwant\n%+v", &got, want)
	}
	for _, empty := range []string{"", "---\n", "# nothing yet\n", "{}", "commands:", "commands: []\ntargets: []\n", "\ufeffverbose: false"} {
		c := parse(t, empty)
		if c.ListenAddress != "" || c.Verbose || len(c.Commands) != 0 || len(c.Targets) != 0 {
			t.Errorf("%q became %+v", empty, c)
		}
	}
}

func TestNamesOfCommands(t *testing.T) {
	for _, c := range []struct{ name, yaml, want string }{
		{"the base name of cmd", "[{cmd: /usr/sbin/reboot}, {cmd: echo}]", "reboot echo"},
		{"what a name cannot have becomes a dash", `[{cmd: "/opt/my tool (é)"}]`, "my-tool----"},
		{
			"a hash where two share it", "[{cmd: echo, args: [a]}, {cmd: /bin/echo, args: [a]}, {cmd: echo, args: [a], match_labels: {b: c, a: d}}]",
			"echo-7e3d89 echo-c4f074 echo-c958ff",
		},
		{"a hash where a name is given already", "[{cmd: /bin/x, name: echo}, {cmd: echo}]", "echo echo-10e17b"},
		{"of a long one the first 57", "[{cmd: " + strings.Repeat("x", 100) + "}]", strings.Repeat("x", 57)},
		{"its own", "[{cmd: echo, name: A-1_b.c}]", "A-1_b.c"},
	} {
		var names []string
		for _, cmd := range parse(t, "commands: "+c.yaml).Commands {
			names = append(names, cmd.Name)
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

func TestAnchorsAndMerges(t *testing.T) {
	c := parse(t, `
commands:
  - &base
    name: one
    cmd: echo
    timeout: 5m
    match_labels: &labels {env: prod, team: web}
    targets: &targets [{key: tag:Role, values: [web]}]
  - <<: *base
    name: two
    match_labels: {<<: *labels, team: db}
  - <<: [{name: three, cmd: first}, *base]
    targets: *targets
  - <<: {<<: *base, timeout: 6m}
    name: four
`)
	for i, want := range []struct {
		name, cmd string
		timeout   time.Duration
		labels    map[string]string
	}{
		{"one", "echo", 5 * time.Minute, map[string]string{"env": "prod", "team": "web"}},
		{"two", "echo", 5 * time.Minute, map[string]string{"env": "prod", "team": "db"}},
		{"three", "first", 5 * time.Minute, map[string]string{"env": "prod", "team": "web"}},
		{"four", "echo", 6 * time.Minute, map[string]string{"env": "prod", "team": "web"}},
	} {
		got := c.Commands[i]
		if got.Name != want.name || got.Cmd != want.cmd || got.Timeout != want.timeout || !reflect.DeepEqual(got.MatchLabels, want.labels) || len(got.Targets) != 1 {
			t.Errorf("commands[%d] is %+v, want %+v", i, got, want)
		}
	}
}

func TestForLambda(t *testing.T) {
	c := parse(t, "commands:\n  - cmd: echo\n  - name: two\n    cmd: echo\n    targets: [{key: tag:a, values: [b]}]\n  - cmd: ls\n")
	want := `amx.yaml:2: commands[0] "echo": no targets: add "targets" to it, or to the file as the default
amx.yaml:6: commands[2] "ls": no targets: add "targets" to it, or to the file as the default`
	if err := c.ForLambda(); err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
	if err := parse(t, "targets: [{key: tag:a, values: [b]}]\ncommands: [{cmd: ls}]").ForLambda(); err != nil {
		t.Errorf("with a default: %v", err)
	}
	for text, want := range map[string]string{
		"# commands:\n":  `amx.yaml: no commands: want a list under "commands"`,
		"verbose: true":  `amx.yaml: no commands: want a list under "commands"`,
		"commands: []\n": "<nil>",
	} {
		if err := parse(t, text).ForLambda(); fmt.Sprint(err) != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestDurations(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "90s": 90 * time.Second, "1h30m": 90 * time.Minute, "2d": 48 * time.Hour, "1w2d3h": 219 * time.Hour,
		"1y": 8760 * time.Hour, "1.5h": 90 * time.Minute, "100ms": 100 * time.Millisecond, "1d100ms": 24*time.Hour + 100*time.Millisecond, "-1s": -time.Second,
	} {
		if got, err := ParseDuration(s); err != nil || got != want {
			t.Errorf("%s: got %v, %v, want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "1", "d", "1h2d", "1.5d", "one hour", "99999999999999999999d", "300y", "1 h", "1x"} {
		if got, err := ParseDuration(s); err == nil {
			t.Errorf("%q: got %v", s, got)
		}
	}
	for d, want := range map[time.Duration]string{5 * time.Second: "5s", 48 * time.Hour: "48h", 10 * time.Minute: "10m", 90 * time.Minute: "1h30m", 0: "0s"} {
		if got := ShortDuration(d); got != want {
			t.Errorf("ShortDuration(%v) = %s, want %s", d, got, want)
		}
	}
}

func TestSignals(t *testing.T) {
	for s, want := range map[string]string{
		"SIGTERM": "SIGTERM", "sigterm": "SIGTERM", "TERM": "SIGTERM", "15": "SIGTERM", "9": SIGKILL, "KILL": SIGKILL, "SIGUSR1": "SIGUSR1",
		"10": "SIGUSR1", "SIGIOT": "SIGABRT", "SIGPOLL": "SIGIO", "SIGCLD": "SIGCHLD", "1": "SIGHUP", "31": "SIGSYS",
	} {
		if got, err := signalName(s); err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", s, got, err, want)
		}
	}
	for _, s := range []string{"", "0", "32", "-9", "SIG", "SIGFOO", "SIGSIGTERM", "9.0", "10999"} {
		if got, err := signalName(s); err == nil {
			t.Errorf("%q: got %s", s, got)
		}
	}
}

func parse(t *testing.T, yaml string) *Config {
	t.Helper()
	c, err := ParseConfig("amx.yaml", []byte(yaml))
	if err != nil {
		t.Fatalf("%v\n%s", err, yaml)
	}
	return c
}

// A mistake that Alertmanager takes too, or that a program may well want, is no error:
// amx says what it does.
func TestWarnings(t *testing.T) {
	c, err := ParseConfig("amx.yaml", []byte(`
commands:
  - name: a
    cmd: a
    match_labels: {severity: '=~crit.*', team: ops}
    matchers: ['a == b', 'a = ~b', "a = 'b'", 'a=b and c=d', 'a="== b"', 'summary=salt and pepper', 'a!=b']
    args: [$AMX_LABEL_instance, '${AMX_STATUS}', 'at $AMX_STATUS', $HOME]
  - name: b
    cmd: sh
    args: [-c, $AMX_ANNOTATION_command]
    spread_by: zone
reports:
  - {name: page, pagerduty: {routing_key: from_message}, matchers: [a == b]}
  - {name: all, pagerduty: {routing_key: from_message}, on: all}
`))
	if err != nil {
		t.Fatal(err)
	}
	const noShell = `: no shell reads it, so the program gets this text: want a template such as {{ .CommonLabels.instance }}, or a "script"`
	want := []string{
		`amx.yaml:13: reports[0] "page": from_message: only an alert has a routing_key, so nobody is told: want on: alert`,
		`amx.yaml:13: reports[0] "page": matchers[0]: "a == b": it compares with the text "= b": there is no ==: want a="b"`,
		`amx.yaml:5: commands[0] "a": match_labels: severity: it compares with the text "=~crit.*" itself: want "severity=~crit.*" under matchers`,
		`amx.yaml:6: commands[0] "a": matchers[0]: "a == b": it compares with the text "= b": there is no ==: want a="b"`,
		`amx.yaml:6: commands[0] "a": matchers[1]: "a = ~b": it compares with the text "~b": there is no =~ with a blank in it: want a=~"b"`,
		`amx.yaml:6: commands[0] "a": matchers[2]: "a = 'b'": it compares with the text "'b'": want double quotes: a="b"`,
		`amx.yaml:6: commands[0] "a": matchers[3]: "a=b and c=d": it compares with the text "b and c=d": want a matcher for each condition, all of which hold`,
		`amx.yaml:7: commands[0] "a": args[0]: "$AMX_LABEL_instance"` + noShell,
		`amx.yaml:7: commands[0] "a": args[1]: "${AMX_STATUS}"` + noShell,
		`amx.yaml:11: commands[1] "b": spread_by: "zone": it is the same for every alert, so it holds nothing back: want a template such as {{ .Labels.availability_zone }}`,
	}
	if got := c.Warnings(); !slices.Equal(got, want) {
		t.Errorf("warnings\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
