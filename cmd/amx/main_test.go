package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/rogpeppe/go-internal/testscript"
)

// The test binary is amx itself where a test starts it as a process.
func TestMain(m *testing.M) {
	if os.Getenv("AMX_TEST_IS_AMX") != "" {
		os.Unsetenv("AMX_TEST_IS_AMX")
		main()
	}
	// The scripts of testdata have amx as a program.
	testscript.Main(m, map[string]func(){"amx": main})
}

// amxRun calls the command line without a process.
func amxRun(t *testing.T, in string, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(context.Background(), args, stdio{in: strings.NewReader(in), out: &o, err: &e, env: []string{"HOME=" + t.TempDir()}})
	return code, o.String(), e.String()
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestTheCommandLine(t *testing.T) {
	good := write(t, "good.yaml", "commands:\n- cmd: \"true\"\n")
	none := write(t, "none.yaml", "verbose: true\n")
	bad := write(t, "bad.yaml", "commands:\n- cmd: \"true\"\n  comand: x\n")
	aws := write(t, "aws.yaml", "targets: [{key: 'tag:Role', values: [web]}]\ncommands:\n- cmd: \"true\"\n")
	two := write(t, "two.yaml", "commands:\n- cmd: a\n- cmd: b\n  targets: [{key: 'tag:Role', values: [web]}]\n- cmd: c\n")
	empty := write(t, "tokens", "\n")
	tests := []struct {
		name string
		args []string
		code int
		out  string // contained in standard output
		err  string // contained in standard error
	}{
		{"version", []string{"--version"}, 0, "amx dev\n", ""},
		{"help", []string{"--help"}, 0, "amx serve -f amx.yaml", ""},
		{"no command", nil, 2, "", "expected one of"},
		{"an unknown command", []string{"sevre"}, 2, "", `unexpected argument sevre`},
		{"a good file", []string{"check", good}, 0, "good.yaml: ok, 1 command\n", ""},
		{"a bad file", []string{"check", good, bad}, 1, "good.yaml: ok, 1 command\n", `bad.yaml:3: commands[0]: unknown key "comand"`},
		{"a file that is not there", []string{"check", "nowhere.yaml"}, 1, "", "nowhere.yaml: no such file or directory"},
		{"a file that says nothing", []string{"check", write(t, "nothing.yaml", "# commands:\n")}, 1, "", `nothing.yaml: no commands: want a list under "commands"`},
		{
			"a command that keeps its caller waiting",
			[]string{"check", write(t, "slow.yaml", "commands:\n- cmd: a\n  wait: 20s\n")},
			0, "slow.yaml: ok, 1 command\n",
			`slow.yaml:3: commands[0] "a": wait: 20s: over 8s the answer may come after Alertmanager's group_interval, which then sends no resolve`,
		},
		{"a file without commands", []string{"check", none}, 0, "none.yaml: ok, 0 commands\n", ""},
		{"a file for the functions", []string{"check", "--lambda", aws}, 0, "aws.yaml: ok, 1 command\n", ""},
		{
			"a file without commands, for the functions",
			[]string{"check", "--lambda", none},
			1, "", "none.yaml: no commands: want a list under \"commands\"\n",
		},
		{
			"a file without targets, for the functions",
			[]string{"check", "--lambda", two},
			1, "", `two.yaml:2: commands[0] "a": no targets: add "targets" to it, or to the file as the default
` + two + `:5: commands[2] "c": no targets: add "targets" to it, or to the file as the default
`,
		},
		{"serve with nothing to run", []string{"serve", "-f", none}, 2, "", "no command to run"},
		{"serve without a file", []string{"serve"}, 2, "", "name a configuration with -f, or a script to run for every alert"},
		{"serve with a bad file", []string{"serve", "-f", bad}, 1, "", `unknown key "comand"`},
		{
			"all interfaces without a token",
			[]string{"serve", "-f", good, "-l", ":0"},
			2, "", `":0" can be reached from other machines: add --token-file FILE with an accepted token, or --no-auth to let everybody run the commands`,
		},
		{"no port", []string{"serve", "-f", good, "-l", "localhost"}, 2, "", "write HOST:PORT, or :PORT for all interfaces"},
		{"a token file without a token", []string{"serve", "-f", good, "--token-file", empty}, 1, "", "has none: write one a line"},
		{"a token file and no authentication", []string{"serve", "-f", good, "--token-file", empty, "--no-auth"}, 2, "", "can't be used together"},
		{"a drain that is none", []string{"serve", "-f", good, "--drain=-3s"}, 2, "", "--drain=-3s: want 0s or more"},
		{"a script behind --", []string{"serve", "--", "no-such-program-of-anybody"}, 2, "", `script "no-such-program-of-anybody" is neither`},
		{"a script at a path where none is", []string{"serve", "./missing.sh"}, 2, "", `script "./missing.sh": no such file or directory` + "\n"},
		{"a script that is not executable", []string{"serve", empty}, 2, "", `script "` + empty + `" is not executable: chmod +x ` + empty + "\n"},
		{"a script that is a folder", []string{"serve", "./"}, 2, "", `script "./": is a directory` + "\n"},
		{"a script that is nowhere", []string{"serve", "no-such-program-of-anybody"}, 2, "", "is neither in PATH nor in the working directory"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			code, out, errs := amxRun(t, "", test.args...)
			if code != test.code || !strings.Contains(out, test.out) || !strings.Contains(errs, test.err) {
				t.Errorf("exit %d\nout: %s\nerr: %s\nwant exit %d, out %q, err %q", code, out, errs, test.code, test.out, test.err)
			}
		})
	}
}

// Whoever relies on a flag finds it in the contract.
func TestEveryFlagIsInTheContract(t *testing.T) {
	text, err := os.ReadFile("../../docs/contract.md")
	if err != nil {
		t.Fatal(err)
	}
	parser, err := kong.New(&cli{}, kong.Name("amx"))
	if err != nil {
		t.Fatal(err)
	}
	for _, leaf := range parser.Model.Leaves(false) {
		_, section, ok := strings.Cut(string(text), "\n### "+leaf.FullPath()+"\n")
		if !ok {
			t.Errorf("contract.md has no section %q", leaf.FullPath())
		}
		section, _, _ = strings.Cut(section, "\n##")
		for _, flag := range leaf.Flags {
			if !strings.Contains(section, "--"+flag.Name) && !strings.Contains(section, " -"+string(flag.Short)+" ") {
				t.Errorf("contract.md does not have --%s under %q", flag.Name, leaf.FullPath())
			}
		}
	}
}

func TestExplainShowsADocumentsParameters(t *testing.T) {
	file := write(t, "amx.yaml", `commands: [{name: patch, document: AWS-RunPatchBaseline, parameters: {Operation: Scan, Names: ['{{ (index .Alerts 0).Labels.name }}']}, targets: [{key: Address, values: ['{{ .Labels.name }}']}]}]`)
	code, out, errs := amxRun(t, notification("amx", firing("a", 0)), "explain", "-f", file, "-")
	want := `patch: 1 firing, 0 resolved of 1 alerts match
  run of 1 alert: ["AWS-RunPatchBaseline"] on Address ["a"]
    Names=["a"]
    Operation=["Scan"]
`
	if code != 0 || out != want {
		t.Errorf("exit %d\n%s%s\nwant\n%s", code, out, errs, want)
	}
}

func TestExplainShowsWhatWouldRun(t *testing.T) {
	file := write(t, "amx.yaml", "commands:\n- {name: restart, cmd: systemctl, args: [restart, '{{ .CommonLabels.alertname }}'], match_labels: {name: a}}\n- {cmd: \"true\", match_labels: {name: nobody}}\n")
	code, out, errs := amxRun(t, notification("amx", firing("a", 0), firing("b", 0)), "explain", "-f", file, "-")
	want := "restart: 1 firing, 0 resolved of 2 alerts match\n  run of 1 alert: [\"systemctl\" \"restart\" \"A\"]\n    AMX_ALERT_1_ANNOTATION"
	want = want[:strings.Index(want, "    AMX_")]
	if code != 0 || !strings.HasPrefix(out, want) || !strings.Contains(out, "    AMX_ALERT_1_LABEL_name=\"a\"\n") || !strings.Contains(out, "true: 0 firing, 0 resolved of 2 alerts match\n") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	code, _, errs = amxRun(t, notification("amx", firing("c", 0)), "explain", "-f", file, "-")
	if code != 1 || errs != "amx: no command matches an alert of this notification\n" {
		t.Errorf("exit %d, %s", code, errs)
	}
}
