package ssmlocal

import (
	"testing"
)

func TestReferencesToParameterStore(t *testing.T) {
	w := start(t)
	w.mustPut("/app/name", "old")
	w.mustPut("/app/name", "you", overwrite)
	w.mustPut("steps", "echo one, 'echo two, three'", listed)
	w.mustPut("token", "s3cret", secret)
	w.mustPut("seconds", "60")
	w.mustPut("forever", "0")
	w.mustPut("dir", "/")
	w.mustPut("shell", "#!/bin/sh -e")
	const failure = "failed to run commands: "
	for _, tt := range []struct {
		name           string
		commands       []string
		parameters     map[string]string
		status         string
		stdout, stderr string
	}{
		{"a name", []string{"echo {{ssm:/app/name}}"}, nil, "Success", "you\n", ""},
		{"with spaces, and twice", []string{"echo {{ ssm:/app/name }}{{  ssm:/app/name}}"}, nil, "Success", "youyou\n", ""},
		{"a version", []string{"echo {{ssm:/app/name:1}}"}, nil, "Success", "old\n", ""},
		{"other braces stay", []string{"echo '{{ssm:}} {{ssm-secure:token}} {{other}}'"}, nil, "Success", "{{ssm:}} {{ssm-secure:token}} {{other}}\n", ""},
		{"a list alone is its items", []string{"{{ ssm:steps }}"}, nil, "Success", "one\ntwo, three\n", ""},
		{"the first line may be a shebang", []string{"{{ssm:shell}}", "false", "echo not here"}, nil, "Failed", "", failure + "exit status 1"},
		{"the working directory", []string{"pwd"}, map[string]string{"workingDirectory": "{{ssm:dir}}"}, "Success", "/\n", ""},
		{"the time it may take", []string{"true"}, map[string]string{"executionTimeout": "{{ssm:seconds}}"}, "Success", "", ""},
		{
			"a list within text",
			[]string{"echo {{ssm:steps}}"},
			nil, "Failed", "",
			failure + `resolving "{{ssm:steps}}": a parameter of type StringList cannot be used as a String`,
		},
		{
			"a secret",
			[]string{"echo {{ssm:token}}"},
			nil, "Failed", "",
			failure + `resolving "{{ssm:token}}": parameters of type SecureString are not supported`,
		},
		{
			"one that is there and one that is not",
			[]string{"echo {{ssm:/app/name}} {{ssm:nobody}}"},
			nil, "Failed", "",
			failure + `resolving "{{ssm:nobody}}": the parameter does not exist`,
		},
		{
			"a version that is not there",
			[]string{"echo {{ssm:/app/name:3}}"},
			nil, "Failed", "",
			failure + `resolving "{{ssm:/app/name:3}}": the parameter does not exist`,
		},
		{
			"a time that is none",
			[]string{"true"},
			map[string]string{"executionTimeout": "{{ssm:forever}}"},
			"Failed", "",
			failure + "parameter value for executionTimeout does not match the allowed pattern " + bare(executionTimeoutPattern),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := script(tt.commands...)
			for name, value := range tt.parameters {
				in.Parameters[name] = []string{value}
			}
			id := w.send(in)
			w.until("it ends", func() bool { s := w.get(id).Status; return s != "Pending" && s != "InProgress" })
			got := w.get(id)
			if string(got.Status) != tt.status || *got.StandardOutputContent != tt.stdout || *got.StandardErrorContent != tt.stderr {
				t.Errorf("it is %s\nstdout %q\nstderr %q\nwant %s\nstdout %q\nstderr %q", got.Status,
					*got.StandardOutputContent, *got.StandardErrorContent, tt.status, tt.stdout, tt.stderr)
			}
		})
	}
}
