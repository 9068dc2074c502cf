package main

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/amx-lambda/amx/internal/amx"
)

// asJSON is a configuration's exported fields.
func asJSON(t *testing.T, name, text string) string {
	t.Helper()
	c, err := amx.ParseConfig(name, []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	out, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestConfigPrintsTheSameConfigurationWithItsDefaults(t *testing.T) {
	for name, text := range map[string]string{
		"minimal":          "commands:\n- cmd: \"true\"\n",
		"nothing":          "",
		"without commands": "verbose: true\n",
		"shared targets":   "targets: [{key: 'tag:Role', values: ['{{ .Labels.role }}', \"it's\"]}]\ncommands:\n- cmd: /bin/a\n- cmd: /sbin/a\n",
		"an alias":         "commands:\n- &one\n  name: one\n  cmd: ls\n  matchers: [a=b]\n- <<: *one\n  name: two\n  args: [\"{{ .Status }}\", \"a: b\", \"\"]\n- {<<: [*one], name: three}\n",
		"amx-large.yaml":   string(must(os.ReadFile("../../examples/amx-large.yaml"))),
		"amx-ec2.yaml":     string(must(os.ReadFile("../../examples/amx-ec2.yaml"))),
	} {
		file := write(t, "amx.yaml", text)
		code, out, errs := amxRun(t, "", "config", file)
		if code != 0 || errs != "" {
			t.Errorf("%s: exit %d, %s", name, code, errs)
			continue
		}
		if got, want := asJSON(t, "amx.yaml", out), asJSON(t, "amx.yaml", text); got != want {
			t.Errorf("%s:\n%s\ngot  %s\nwant %s", name, out, got, want)
		}
		if _, again, _ := amxRun(t, "", "config", write(t, "again.yaml", out)); again != out {
			t.Errorf("%s: printed again it is\n%s\nwant\n%s", name, again, out)
		}
	}
}

// withoutDefault are the keys that amx config adds to no command.
var withoutDefault = []string{
	"cmd", "document", "document_version", "parameters", "args", "match_labels", "matchers",
	"user", "working_directory", "rate_limit", "spread_by", "stop_alarm", "report", "output",
}

// A key that is added later has a default here, or is listed above.
func TestConfigPrintsEveryDefault(t *testing.T) {
	code, out, errs := amxRun(t, "", "config", write(t, "amx.yaml", "targets: [{key: 'tag:a', values: [b]}]\ncommands:\n- {name: x, script: ls}\n"))
	if code != 0 {
		t.Fatal(errs)
	}
	for _, key := range amx.Keys() {
		name, ofCommand := strings.CutPrefix(key, "commands.")
		if !ofCommand {
			continue
		}
		printed := regexp.MustCompile(`(?m)[ {]` + name + `:( |$)`).MatchString(out)
		if want := !slices.Contains(withoutDefault, name); printed != want {
			t.Errorf("%s: printed %v, want %v\n%s", name, printed, want, out)
		}
	}
}

func TestConfigPacksWhatTheFunctionsTake(t *testing.T) {
	text := string(must(os.ReadFile("../../examples/amx-ec2.yaml")))
	file := write(t, "amx.yaml", text)
	code, packed, errs := amxRun(t, "", "config", "--pack", file)
	if code != 0 || errs != "" || strings.Contains(packed, "{{") {
		t.Fatalf("exit %d, %s%s", code, packed, errs)
	}
	if plain, err := amx.Unpack([]byte(packed)); err != nil || string(plain) != text {
		t.Errorf("unpacked it is %q, %v", plain, err)
	}
	// A packed configuration can be checked and shown.
	kept := write(t, "kept", packed)
	if code, out, errs := amxRun(t, "", "check", "--lambda", kept); code != 0 || !strings.HasSuffix(out, "kept: ok, 2 commands\n") {
		t.Errorf("check: exit %d, %s%s", code, out, errs)
	}
	if code, out, _ := amxRun(t, "", "config", "--pack", kept); code != 0 || out != packed {
		t.Errorf("packed again: exit %d, %s", code, out)
	}
}

func TestConfigPackRefuses(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	filler := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte('a' + random.IntN(26))
		}
		return "targets: [{key: 'tag:a', values: [b]}]\ncommands:\n- {name: x, script: \"" + string(b) + "\"}\n"
	}
	for name, tt := range map[string]struct {
		text string
		code int
		errs string
	}{
		"a wrong one":             {"commands:\n- cmds: x\n", 1, `unknown key "cmds"`},
		"one without targets":     {"commands:\n- cmd: x\n", 1, "no targets"},
		"over the standard tier":  {filler(6000), 0, "over 4096: give put-parameter --tier Advanced\n"},
		"more than a parameter":   {filler(12000), 1, "and a parameter takes 8192 at most: shorten it, or build it into the functions (ConfigSource=file)\n"},
		"half a packed one":       {amx.Pack([]byte(filler(10)))[:40], 1, "pack it again with `amx config --pack`"},
		"a file without commands": {"verbose: true\n", 1, "no commands"},
	} {
		code, out, errs := amxRun(t, "", "config", "--pack", write(t, "amx.yaml", tt.text))
		if code != tt.code || !strings.Contains(errs, tt.errs) || (out != "") != (code == 0) {
			t.Errorf("%s: exit %d, %q, want %d and %q; printed %d bytes", name, code, errs, tt.code, tt.errs, len(out))
		}
	}
}

func must(text []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return text
}
