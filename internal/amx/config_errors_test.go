package amx

import (
	"strings"
	"testing"
)

const batchFile = `a batch file's arguments go through cmd.exe, where nothing quotes them safely: want an .exe, or a "script"`

// Each case is a file, and all that is wrong with it; in the wanted text every
// line is an error.
var refused = []struct{ name, yaml, want string }{
	{"an unknown key of a command", `
commands:
  - cmd: a
  - name: restart
    cmd: systemctl
    args: [restart]
    match_label: {env: prod}
`, `amx.yaml:7: commands[1] "restart": unknown key "match_label": did you mean "match_labels"?`},
	{
		"an unknown key of the file", "listen: :80\n",
		`amx.yaml:1: unknown key "listen": did you mean "listen_address"?`,
	},
	{
		"a key that is like no other", "commands: [{cmd: a, environment: x}]",
		`amx.yaml:1: commands[0]: unknown key "environment": the nearest are document name timeout`,
	},
	{"a key in capitals", "Verbose: true\n", `amx.yaml:1: unknown key "Verbose": did you mean "verbose"?`},
	{"a key twice", "verbose: true\nverbose: false\n", `amx.yaml:2: key "verbose" is already on line 1: keep one of them`},
	{
		"a key twice in a command", "commands:\n  - cmd: a\n    name: b\n    \"cmd\": c\n",
		`amx.yaml:4: commands[0] "b": key "cmd" is already on line 2: keep one of them`,
	},
	{"a key that is no name", "? [a]\n: b\n", `amx.yaml:1: a list as a key: want a name`},
	{"what does not go with a document", `
commands:
  - name: d
    document: AWS-RunPatchBaseline
    args: [x]
    user: nobody
    working_directory: /srv
    resolved_signal: TERM
  - cmd: c
    parameters: {a: b}
    document_version: "1"
`, `amx.yaml:5: commands[0] "d": "args" goes with "cmd" or "script", not with "document"
amx.yaml:6: commands[0] "d": "user" goes with "cmd" or "script", not with "document"
amx.yaml:7: commands[0] "d": "working_directory" goes with "cmd" or "script", not with "document"
amx.yaml:8: commands[0] "d": resolved_signal: "SIGTERM": want SIGKILL, which is SSM's cancellation: there is no process to signal otherwise
amx.yaml:10: commands[1]: "parameters" goes with "document", not with "cmd"
amx.yaml:11: commands[1]: "document_version" goes with "document", not with "cmd"`},
	{"what does not go with windows", `
commands:
  - {cmd: c, platform: windows, shell: bash, user: nobody, resolved_signal: TERM}
`, `amx.yaml:3: commands[0]: "shell" goes with platform "linux", not with "windows"
amx.yaml:3: commands[0]: "user" goes with platform "linux", not with "windows"
amx.yaml:3: commands[0]: resolved_signal: "SIGTERM": want SIGKILL, which is SSM's cancellation: there is no process to signal otherwise`},
	{"a batch file on windows, by any name", `
commands:
  - {name: a, cmd: 'C:\fix.bat', platform: windows, args: ['{{ .CommonLabels.x }}']}
  - {name: b, cmd: 'C:\Fix It.CMD', platform: windows}
  - {name: c, cmd: 'fix.Bat. .', platform: windows}
  - {name: d, cmd: '"C:\fix.cmd "', platform: windows}
  - {name: e, cmd: 'C:\fix.bat.exe', platform: windows}
  - {name: f, cmd: cmd, platform: windows}
  - {name: g, cmd: /opt/fix.bat}
`, `amx.yaml:3: commands[0] "a": cmd: "C:\\fix.bat": ` + batchFile + `
amx.yaml:4: commands[1] "b": cmd: "C:\\Fix It.CMD": ` + batchFile + `
amx.yaml:5: commands[2] "c": cmd: "fix.Bat. .": ` + batchFile + `
amx.yaml:6: commands[3] "d": cmd: "\"C:\\fix.cmd \"": ` + batchFile},
	{"what SSM would not take of a document", `
commands:
  - document: d
    document_version: v1
    parameters: {a_b: x, ok: ['{{ nosuch }}'], one: '{{ .Lables }}'}
  - name: e
    document: d d d
    document_version: "0"
`, `amx.yaml:3: commands[0]: document: "d": want a document's name or ARN: 3 to 128 of the characters A-Z a-z 0-9 _ - . : /
amx.yaml:3: commands[0]: a document needs a "name"
amx.yaml:4: commands[0]: document_version: "v1": want a version's number, or one of "$LATEST" and "$DEFAULT"
amx.yaml:5: commands[0]: parameters: parameter "a_b": want letters and digits only
amx.yaml:5: commands[0]: parameters: ok[0]: "{{ nosuch }}": 1: function "nosuch" not defined
amx.yaml:5: commands[0]: parameters: one[0]: "{{ .Lables }}": .Lables: the notification has no field "Lables": want .CommonLabels, or .Labels within {{ range .Alerts }}
amx.yaml:7: commands[1] "e": document: "d d d": want a document's name or ARN: 3 to 128 of the characters A-Z a-z 0-9 _ - . : /
amx.yaml:8: commands[1] "e": document_version: "0": want a version's number, or one of "$LATEST" and "$DEFAULT"`},
	{"what SSM would not take of an output", `
commands:
  - {cmd: a, output: {s3_bucket: b, s3_prefix: "` + strings.Repeat("x", 501) + `"}}
  - {cmd: b, output: {s3_prefix: p, cloudwatch_log_group: "` + strings.Repeat("x", 513) + `"}}
  - {cmd: c, output: {}}
  - {cmd: d, output: {bucket: b}}
`, `amx.yaml:3: commands[0]: output: s3_bucket: "b": 1 characters: SSM takes 3 to 63
amx.yaml:3: commands[0]: output: s3_prefix: "` + strings.Repeat("x", 501) + `": 501 characters: SSM takes 1 to 500
amx.yaml:4: commands[1]: output: cloudwatch_log_group: "` + strings.Repeat("x", 513) + `": 513 characters: SSM takes 1 to 512
amx.yaml:4: commands[1]: output: s3_prefix without s3_bucket: name the bucket
amx.yaml:5: commands[2]: output: nowhere to go: want s3_bucket, cloudwatch_log_group or both
amx.yaml:6: commands[3]: output: unknown key "bucket": did you mean "s3_bucket"?`},
	{
		"Address beside another key", "targets: [{key: Address, values: [x]}, {key: 'tag:A', values: [y]}]\n",
		`amx.yaml:1: targets: Address together with another key: SSM takes a node only if all keys select it: keep one or the other`,
	},
	{"a key without a certificate", "verbose: true\ntls_key: k\n", `amx.yaml:2: tls_key without tls_crt: TLS needs both: name the certificate's file`},
	{"a certificate without a key", "tls_crt: c\n", `amx.yaml:1: tls_crt without tls_key: TLS needs both: name the key's file`},
	{"a second document", "verbose: true\n---\nverbose: false\n", `amx.yaml:2: a second document begins here: want one: remove the "---"`},
	{"a second document that is empty", "verbose: true\n---\n", `amx.yaml:2: a second document begins here: want one: remove the "---"`},
	{"what is no YAML", "commands:\n  - cmd: a\n   name: b\n", `amx.yaml:3: reading YAML: did not find expected '-' indicator: is it indented as the lines above it?`},
	{"a colon in a value", "commands:\n  - cmd: a\n    args: [x]\n    name: a: b\n", `amx.yaml:4: reading YAML: mapping values are not allowed in this context: quote a value that has ": " in it`},
	{"a tab for indentation", "commands:\n\t- cmd: a\n", `amx.yaml:2: reading YAML: found character that cannot start any token: it is indented with a tab: YAML takes spaces`},
	{"an unquoted sign", "commands:\n  - cmd: @x\n", `amx.yaml:2: reading YAML: found character that cannot start any token: quote the value`},
	{"an unknown alias", "verbose: *x\n", `amx.yaml:1: reading YAML: unknown anchor 'x' referenced`},
	{"bytes that are no UTF-8", "verbose: true\nlisten_address: \"\xff\"\n", `amx.yaml:2: byte 0xff: want text in UTF-8, without control characters`},
	{"a control character", "verbose: \x01true\n", `amx.yaml:1: character U+0001: want text in UTF-8, without control characters`},
	{"a file that is no mapping", "- cmd: a\n", `amx.yaml:1: a list: want keys and values`},
	{"a file that is a word", "hello\n", `amx.yaml:1: "hello": want keys and values`},
	{"commands that are no list", "commands: {cmd: a}\n", `amx.yaml:1: commands: a mapping: want a list`},
	{"a command that is a word", "commands: [reboot]\n", `amx.yaml:1: commands[0]: "reboot": want keys and values`},

	{
		"a command line for cmd", "commands:\n  - cmd: systemctl restart nginx\n",
		`amx.yaml:2: commands[0]: cmd: "systemctl restart nginx": want one program, and its words under "args"; or a "script", which a shell reads`,
	},
	{"what only a shell would make of cmd", `
commands:
  - {name: a, cmd: /usr/bin/systemctl restart nginx}
  - {name: b, cmd: /opt/fix.sh now}
  - {name: c, cmd: echo a | tee b}
  - {name: d, cmd: /bin/echo a > /tmp/b}
  - {name: e, cmd: $HOME/fix.sh}
  - {name: f, cmd: '/opt/{{ .CommonLabels.job }}'}
  - {name: g, cmd: /opt/tool --all}
  - {name: h, cmd: 'C:\Program Files\fix.exe', platform: windows}
`, `amx.yaml:3: commands[0] "a": cmd: "/usr/bin/systemctl restart nginx": want one program, and its words under "args"; or a "script", which a shell reads
amx.yaml:4: commands[1] "b": cmd: "/opt/fix.sh now": want one program, and its words under "args"; or a "script", which a shell reads
amx.yaml:5: commands[2] "c": cmd: "echo a | tee b": no shell reads it: want a "script" for |
amx.yaml:6: commands[3] "d": cmd: "/bin/echo a > /tmp/b": no shell reads it: want a "script" for >
amx.yaml:7: commands[4] "e": cmd: "$HOME/fix.sh": no shell reads it: want the whole path, or a "script" for $
amx.yaml:8: commands[5] "f": cmd: "/opt/{{ .CommonLabels.job }}": it is no template: want a program here, and the template under "args"
amx.yaml:9: commands[6] "g": cmd: "/opt/tool --all": want one program, and its words under "args"; or a "script", which a shell reads`},
	{"a home for cmd", "commands:\n  - cmd: ~/fix.sh\n", `amx.yaml:2: commands[0]: cmd: "~/fix.sh": want the whole path: no shell reads it`},
	{"nothing to run", "commands:\n  - name: a\n", `amx.yaml:2: commands[0] "a": nothing to run: want one of "cmd", "script" or "document"`},
	{"two things to run", "commands:\n  - name: a\n    cmd: b\n    script: c\n", `amx.yaml:2: commands[0] "a": want only one of "cmd" or "script"`},
	{"a script without a name", "commands:\n  - script: a\n", `amx.yaml:2: commands[0]: a script needs a "name"`},
	{
		"two commands of one name", "commands:\n  - {name: a, cmd: b}\n  - {name: a, cmd: c}\n",
		`amx.yaml:3: commands[1]: its name "a" is also that of commands[0] on line 2: give it a "name" of its own`,
	},
	{
		"two commands that differ in their signal only", "commands:\n  - {cmd: a}\n  - {cmd: a, resolved_signal: TERM}\n",
		`amx.yaml:3: commands[1]: its name "a-7fe4d9" is also that of commands[0] on line 2: give it a "name" of its own`,
	},
	{"a name with other characters", "commands: [{name: a b, cmd: c}]\n", `amx.yaml:1: commands[0] "a b": name: "a b": want 1 to 64 of the characters A-Z a-z 0-9 _ . -`},
	{
		"a name that is too long", "commands: [{name: " + strings.Repeat("x", 65) + ", cmd: c}]\n",
		`amx.yaml:1: commands[0] "` + strings.Repeat("x", 65) + `": name: "` + strings.Repeat("x", 65) + `": want 1 to 64 of the characters A-Z a-z 0-9 _ . -`,
	},

	{"no value", "commands:\n  - cmd:\n    args: [a, ~]\n    match_labels: {env: }\n", `amx.yaml:2: commands[0]: cmd: no value: give it one, "" for an empty text, or remove it
amx.yaml:3: commands[0]: args[1]: no value: give it one, "" for an empty text, or remove it
amx.yaml:4: commands[0]: match_labels: env: no value: give it one, "" for an empty text, or remove it`},
	{"an empty value", `commands: [{cmd: ""}]`, `amx.yaml:1: commands[0]: cmd: empty: give it a value or remove it`},
	{"a list for a value", `commands: [{cmd: [a]}]`, `amx.yaml:1: commands[0]: cmd: a list: want a single value`},
	{"a value for a list", `commands: [{cmd: a, args: b}]`, `amx.yaml:1: commands[0]: args: "b": want a list`},
	{"a NUL", `commands: [{cmd: "a\0"}]`, `amx.yaml:1: commands[0]: cmd: "a\x00": no command can carry the character NUL: remove it`},
	{"a tag", `commands: [{cmd: !secret a}]`, `amx.yaml:1: commands[0]: cmd: tag !secret: want a plain value`},
	{"what is neither true nor false", "verbose: maybe\n", `amx.yaml:1: verbose: "maybe": want true or false`},
	{"a truth value in quotes", "verbose: \"true\"\n", `amx.yaml:1: verbose: "true": want true or false`},
	{"an address without a port", "listen_address: localhost\n", `amx.yaml:1: listen_address: "localhost": want HOST:PORT or :PORT, such as ":8080"`},
	{"numbers", "commands: [{cmd: a, max_targets: 0, retries: -1}, {cmd: b, max_targets: \"3\", retries: 1.5}]", `amx.yaml:1: commands[0]: max_targets: 0: want 1 or more
amx.yaml:1: commands[0]: retries: -1: want 0 or more
amx.yaml:1: commands[1]: max_targets: "3": want a whole number
amx.yaml:1: commands[1]: retries: "1.5": want a whole number`},
	{"shares", `commands: [{cmd: a, max_concurrency: 0, max_errors: 101%}, {cmd: b, max_concurrency: 12345678, max_errors: -1}]`, `amx.yaml:1: commands[0]: max_concurrency: "0": want a number from 1 to 9999999, or a percentage from "1%" to "100%"
amx.yaml:1: commands[0]: max_errors: "101%": want a number from 0 to 9999999, or a percentage from "0%" to "100%"
amx.yaml:1: commands[1]: max_concurrency: "12345678": want a number from 1 to 9999999, or a percentage from "1%" to "100%"
amx.yaml:1: commands[1]: max_errors: "-1": want a number from 0 to 9999999, or a percentage from "0%" to "100%"`},
	{
		"durations", "commands:\n  - cmd: a\n    timeout: 4s\n    delivery_timeout: 721h\n    wait: -1s\n    repeat_after: 0s\n  - cmd: b\n    timeout: 60\n    delivery_timeout: 30.5s\n    repeat_after: sometimes\n",
		`amx.yaml:3: commands[0]: timeout: 4s: want 5s to 48h
amx.yaml:4: commands[0]: delivery_timeout: 721h: want 30s to 720h
amx.yaml:5: commands[0]: wait: -1s: want 0s or more
amx.yaml:6: commands[0]: repeat_after: "0s": want "never", or a duration such as "4h"
amx.yaml:8: commands[1]: timeout: "60": want a duration such as "90s", "1h30m" or "2d"
amx.yaml:9: commands[1]: delivery_timeout: 30.5s: want whole seconds, as SSM does
amx.yaml:10: commands[1]: repeat_after: "sometimes": want "never", or a duration such as "4h"`,
	},
	{"choices", `commands: [{cmd: a, scope: all, shell: zsh, platform: macos}]`, `amx.yaml:1: commands[0]: scope: "all": want "notification" or "alert"
amx.yaml:1: commands[0]: shell: "zsh": want "sh" or "bash"
amx.yaml:1: commands[0]: platform: "macos": want "linux" or "windows"`},
	{"a user", `commands: [{cmd: a, user: "-x"}, {cmd: b, user: a b}]`, `amx.yaml:1: commands[0]: user: "-x": want the name of a user on the nodes
amx.yaml:1: commands[1]: user: "a b": want the name of a user on the nodes`},
	{"a relative working directory", "commands:\n  - {cmd: a, working_directory: srv}\n  - {cmd: b, platform: windows, working_directory: /srv}\n  - {cmd: c, platform: windows, working_directory: 'C:\\srv'}\n", `amx.yaml:2: commands[0]: working_directory: "srv": want an absolute path: a relative one that does not exist is ignored on the node
amx.yaml:3: commands[1]: working_directory: "/srv": want an absolute path: a relative one that does not exist is ignored on the node`},
	{
		"max_targets where nobody can count", "targets: [{key: resource-groups:Name, values: [g]}]\ncommands:\n  - cmd: a\n  - cmd: b\n    max_targets: 3\n",
		`amx.yaml:5: commands[1] "b": max_targets: amx cannot count the nodes of resource-groups:Name: remove it: max_concurrency and max_errors are the limit`,
	},
	{"a working directory that SSM would change", "commands: [{cmd: a, working_directory: '/srv/{{ssm:dir}}'}]", `amx.yaml:1: commands[0]: working_directory: "/srv/{{ssm:dir}}": it is no template, and SSM would resolve what {{ begins`},
	{
		"a signal", "commands: [{cmd: a, resolved_signal: SIGFOO}, {cmd: b, resolved_signal: 64}]",
		`amx.yaml:1: commands[0]: resolved_signal: "SIGFOO": want one of ` + strings.Join(signals[1:], " ") + `, or a number from 1 to 31
amx.yaml:1: commands[1]: resolved_signal: "64": want a number from 1 to 31, or a name such as SIGTERM`,
	},
	{
		"matchers", "commands:\n  - cmd: a\n    matchers:\n      - severity=~\"(\"\n      - ok=\"yes\"\n      - severity\n      - '{}'\n      - severity==\"page\"\n      - severity~=\"page\"\n      - \"a: b\"\n",
		"amx.yaml:4: commands[0]: matchers[0]: \"severity=~\\\"(\\\"\": regular expression \"(\": error parsing regexp: missing closing ): `(`\n" +
			`amx.yaml:6: commands[0]: matchers[2]: "severity": want =, !=, =~ or !~ before the end
amx.yaml:7: commands[0]: matchers[3]: "{}": no matcher in it: want one such as severity="page", or remove it
amx.yaml:8: commands[0]: matchers[4]: "severity==\"page\"": there is no ==: want severity="page"
amx.yaml:9: commands[0]: matchers[5]: "severity~=\"page\"": there is no ~=: want severity=~"page"
amx.yaml:10: commands[0]: matchers[6]: "a: b": want =, !=, =~ or !~ before "b"`,
	},
	{
		"templates", "commands:\n  - cmd: a\n    args:\n      - '{{ .Status }'\n      - '{{ nosuch }}'\n      - '{{ .Lables.x }}'\n      - '{{ .Labels.x }}'\n    targets:\n      - key: InstanceIds\n        values: ['{{ .Labels.x }}', '{{ .Lables.x }}']\n",
		`amx.yaml:4: commands[0]: args[0]: "{{ .Status }": 1: unexpected "}" in operand
amx.yaml:5: commands[0]: args[1]: "{{ nosuch }}": 1: function "nosuch" not defined
amx.yaml:6: commands[0]: args[2]: "{{ .Lables.x }}": .Lables.x: the notification has no field "Lables": want .CommonLabels.x, or .Labels.x within {{ range .Alerts }}
amx.yaml:7: commands[0]: args[3]: "{{ .Labels.x }}": .Labels.x: the notification has no field "Labels": want .CommonLabels.x, or .Labels.x within {{ range .Alerts }}
amx.yaml:10: commands[0]: targets[0]: values[1]: "{{ .Lables.x }}": .Lables.x: the alert has no field "Lables": did you mean .Labels.x?`,
	},
	{"a field that nothing has, wherever it is", `
commands:
  - cmd: docker
    args:
      - ps
      - '{{.Names}}'
      - '{{ if .CommonLabels.x }}{{ .CommonLabel.x }}{{ end }}'
      - '{{ range .Alerts }}{{ .Lables.x }}{{ else }}{{ .status }}{{ end }}'
      - '{{ range .Alerts.Firing }}{{ with .Labels.x }}{{ $.Alerts.Labels }}{{ end }}{{ end }}'
      - '{{ with .GroupLabels.x }}{{ .y }}{{ end }}'
      - '{{ (index .Alerts 0).Start }}{{ .Fingerprint }}'
`, `amx.yaml:6: commands[0]: args[1]: "{{.Names}}": .Names: the notification has no field "Names": a label is .CommonLabels.names; if the program itself is to see the braces, write {{"{{"}}
amx.yaml:7: commands[0]: args[2]: "{{ if .CommonLabels.x }}{{ .CommonLabel.x }}{{ end }}": .CommonLabel.x: the notification has no field "CommonLabel": did you mean .CommonLabels.x?
amx.yaml:8: commands[0]: args[3]: "{{ range .Alerts }}{{ .Lables.x }}{{ else }}{{ .status }}{{ end }}": .Lables.x: an alert has no field "Lables": did you mean .Labels.x?
amx.yaml:9: commands[0]: args[4]: "{{ range .Alerts.Firing }}{{ with .Labels.x }}{{ $.Alerts.Labels }}{{ end }}{{ end }}": $.Alerts.Labels: a list of alerts has no field "Labels": want {{ range .Alerts }}…{{ end }}, or index .Alerts 0
amx.yaml:10: commands[0]: args[5]: "{{ with .GroupLabels.x }}{{ .y }}{{ end }}": .y: a text has no field "y": the dot is the text itself there: want {{ . }}, or $ before the field
amx.yaml:11: commands[0]: args[6]: "{{ (index .Alerts 0).Start }}{{ .Fingerprint }}": (index .Alerts 0).Start: an alert has no field "Start": did you mean .StartsAt?`},
	{"a template that nothing defines", `
commands:
  - cmd: a
    args:
      - '{{ template "x" }}'
      - '{{ if .Alerts.Resolved }}{{ range .Alerts }}{{ with .Labels.x }}{{ else }}{{ template "y" . }}{{ end }}{{ end }}{{ end }}'
      - "{{ define \"a\" }}\n{{ template \"z\" }}{{ end }}"
      - '{{ define "w" }}{{ template "v" }}{{ end }}{{ define "v" }}{{ end }}{{ template "w" . }}'
    targets: [{key: InstanceIds, values: ['{{ define "x" }}i-1{{ end }}{{ template "x" }}', '{{ template "" }}']}]
`, `amx.yaml:5: commands[0]: args[0]: "{{ template \"x\" }}": 1: template "x" not defined: want its {{ define }} in the same value
amx.yaml:6: commands[0]: args[1]: "{{ if .Alerts.Resolved }}{{ range .Alerts }}{{ with .Labels.x }}{{ else }}{{ template \"y\" . }}{{ end }}{{ end }}{{ end }}": 1: template "y" not defined: want its {{ define }} in the same value
amx.yaml:7: commands[0]: args[2]: "{{ define \"a\" }}\n{{ template \"z\" }}{{ end }}": 2: template "z" not defined: want its {{ define }} in the same value
amx.yaml:9: commands[0]: targets[0]: values[1]: "{{ template \"\" }}": 1: template "" not defined: want its {{ define }} in the same value`},
	{"targets", `
targets:
  - key: InstanceIds
    values: [i-1]
  - key: tag:Role
    values: [a, b, c, d, e, f]
  - key: tag:Role
    values: [x]
  - {key: instance, values: ['']}
  - {key: tag:A, values: ['*']}
  - {key: tag:B, values: []}
  - {key: tag:C}
  - {values: [x], vals: [y]}
  - {key: "tag:", values: [x]}
  - {key: resource-groups:Name, values: [x]}
`, `amx.yaml:3: targets: InstanceIds together with another key: SSM takes a node only if all keys select it: keep one or the other
amx.yaml:5: targets[1]: 6 values: SSM takes at most 5 for "tag:Role"
amx.yaml:7: targets[2]: key "tag:Role" is there already: give the first one all values
amx.yaml:9: targets[3]: key: "instance": want InstanceIds, Address, tag:NAME or resource-groups:Name
amx.yaml:9: targets[3]: values[0]: "": empty: an empty value would select nothing, or everything
amx.yaml:10: targets[4]: values[0]: "*": it could mean every node: want a tag's value or an instance ID
amx.yaml:11: targets[5]: values: none: want at least one
amx.yaml:12: targets[6]: want both "key" and "values"
amx.yaml:13: targets[7]: unknown key "vals": did you mean "values"?
amx.yaml:13: targets[7]: want both "key" and "values"
amx.yaml:14: targets[8]: key: "tag:": want InstanceIds, Address, tag:NAME or resource-groups:Name`},
	{
		"too many targets", `targets: [{key: resource-groups:Name, values: [x]}, {key: "tag:A", values: [x]}, {key: "tag:B", values: [x]}, {key: "tag:C", values: [x]}, {key: "tag:D", values: [x]}, {key: "tag:E", values: [x]}]`,
		`amx.yaml:1: targets: 6 keys: SSM takes at most 5`,
	},
	{"a mapping merged into itself", "commands:\n  - &a\n    cmd: b\n    <<: *a\n", `amx.yaml:2: commands[0]: "<<" is nested more than 10 deep`},
	{"a merge of a word", "commands:\n  - cmd: b\n    <<: c\n", `amx.yaml:3: commands[0]: "c": want keys and values`},
	{"templates that belong elsewhere", `
commands:
  - cmd: docker
    args: ["{{json .}}", "{{ .State.Running }}", "{{ $labels.x }}", "{{ .CommonLabels.a-b }}", "{{ .Alerts[0].Status }}"]
  - cmd: c
    args: [{{ .CommonLabels.x }}]
`, `amx.yaml:4: commands[0]: args[0]: "{{json .}}": 1: function "json" not defined: did you mean "toJson"?; if the program itself is to see the braces, write {{"{{"}}
amx.yaml:4: commands[0]: args[1]: "{{ .State.Running }}": .State.Running: the notification has no field "State": a label is .CommonLabels.state; if the program itself is to see the braces, write {{"{{"}}
amx.yaml:4: commands[0]: args[2]: "{{ $labels.x }}": 1: undefined variable "$labels": it is one of Prometheus's rules: a label is .CommonLabels.instance, an annotation .CommonAnnotations.summary
amx.yaml:4: commands[0]: args[3]: "{{ .CommonLabels.a-b }}": 1: bad character U+002D '-': want (index .CommonLabels "name-with-dashes")
amx.yaml:4: commands[0]: args[4]: "{{ .Alerts[0].Status }}": 1: bad character U+005B '[': want (index .Alerts 0)
amx.yaml:6: commands[1]: args[0]: YAML takes {{ for a mapping: quote the template, as in '{{ .CommonLabels.instance }}'`},
	{"keys in a wrong place", `
receivers: []
commands:
  - name: a
    cmd: a
    listen_address: ":1"
script: x
`, `amx.yaml:2: unknown key "receivers": it is one of Alertmanager's own configuration
amx.yaml:6: commands[0] "a": unknown key "listen_address": it is a key of the file: want it beside "commands"
amx.yaml:7: unknown key "script": it is a key of a command: is it indented as the lines above it?`},
	{"a few lines that unfold to a billion", `
commands:
  - &a {cmd: a, match_labels: {a: a, b: b, c: c, d: d, e: e, f: f, g: g, h: h}}
  - &b {<<: [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]}
  - &c {<<: [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]}
  - &d {<<: [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]}
  - &e {<<: [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d]}
  - &f {<<: [*e, *e, *e, *e, *e, *e, *e, *e, *e, *e]}
  - &g {<<: [*f, *f, *f, *f, *f, *f, *f, *f, *f, *f]}
`, `amx.yaml:3: the file unfolds to more than 100000 values: use fewer aliases`},
}

func TestFilesThatAreRefused(t *testing.T) {
	for _, c := range refused {
		config, err := ParseConfig("amx.yaml", []byte(c.yaml))
		if err == nil || err.Error() != c.want {
			t.Errorf("%s: got\n%v\nwant\n%s", c.name, err, c.want)
		}
		if config != nil {
			t.Errorf("%s: a configuration comes with the error", c.name)
		}
	}
}
