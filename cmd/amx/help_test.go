package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

func model(t *testing.T) *kong.Kong {
	t.Helper()
	parser, err := kong.New(&cli{}, kong.Name("amx"), kong.Description(description), kong.Vars{"version": "amx dev"}, kong.PostBuild(addExamples))
	if err != nil {
		t.Fatal(err)
	}
	return parser
}

// typed splits a call as a shell does, up to a redirection.
func typed(t *testing.T, call string) []string {
	t.Helper()
	call, _, _ = strings.Cut(call, " > ")
	out, err := exec.Command("sh", "-c", `printf '%s\n' `+call).Output()
	if err != nil {
		t.Fatalf("%s: %v", call, err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
}

func TestEveryCommandHasExamplesThatAreCallsOfIt(t *testing.T) {
	left := len(examples)
	for _, leaf := range model(t).Model.Leaves(true) {
		path := pathOf(leaf)
		if len(examples[path]) == 0 {
			t.Errorf("amx %s has no example", path)
			continue
		}
		left--
		_, help, _ := amxRun(t, "", append(strings.Fields(path), "--help")...)
		for _, e := range examples[path] {
			args := typed(t, e.call)
			call, err := model(t).Parse(args[1:])
			if err != nil || args[0] != "amx" || pathOf(call.Selected()) != path {
				t.Errorf("%q is no call of amx %s: %v", e.call, path, err)
			}
			if !strings.Contains(help, "    "+e.call+"\n") {
				t.Errorf("the help of amx %s does not show %q:\n%s", path, e.call, help)
			}
		}
	}
	if left != 0 {
		t.Errorf("%d examples are of no command", left)
	}
}

func TestHelpIsThatOfTheFlag(t *testing.T) {
	for _, path := range []string{"", "cancel", "template", "template amp"} {
		_, want, _ := amxRun(t, "", append(strings.Fields(path), "--help")...)
		code, got, errs := amxRun(t, "", append([]string{"help"}, strings.Fields(path)...)...)
		if code != 0 || errs != "" || got != want || want == "" {
			t.Errorf("amx help %s: exit %d, %s\n%s\nwant\n%s", path, code, errs, got, want)
		}
	}
	code, _, errs := amxRun(t, "", "help", "sevre")
	if want := "amx: unexpected argument sevre, did you mean \"serve\"?; see `amx help`\n"; code != 2 || errs != want {
		t.Errorf("exit %d, %q, want %q", code, errs, want)
	}
}

func TestTheManualHasEveryCommandAndFlag(t *testing.T) {
	code, page, errs := amxRun(t, "", "man")
	if code != 0 || errs != "" {
		t.Fatalf("exit %d, %s", code, errs)
	}
	for _, leaf := range model(t).Model.Leaves(true) {
		_, section, ok := strings.Cut(page, "\n.SS \""+roff(leaf.Summary())+"\"\n")
		if !ok {
			t.Errorf("no section %q", leaf.Summary())
		}
		section, _, _ = strings.Cut(section, "\n.S") // the next one
		for _, flag := range leaf.Flags {
			if !strings.Contains(section, "\n.B "+roff(flag.String())+"\n") {
				t.Errorf("%q does not have --%s", leaf.Summary(), flag.Name)
			}
		}
		for _, e := range examples[pathOf(leaf)] {
			if !strings.Contains(section, roff(e.call)+"\n") {
				t.Errorf("%q does not have %q", leaf.Summary(), e.call)
			}
		}
	}
	for i, line := range strings.Split(page, "\n") {
		request, _, _ := strings.Cut(line, " ")
		if strings.HasPrefix(line, "'") || strings.HasPrefix(line, ".") && !strings.Contains(" .TH .SH .SS .TP .PP .B .I .RS .RE .nf .fi ", " "+request+" ") {
			t.Errorf("line %d is read as a request: %s", i+1, line)
		}
	}
}

// complete asks the bash script for what may stand for the last word.
func complete(t *testing.T, script string, words ...string) string {
	t.Helper()
	command := exec.Command("bash", "-c", `eval "$SCRIPT"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _amx; echo "${COMPREPLY[*]}"`, "bash")
	command.Args = append(command.Args, words...)
	command.Env = append(os.Environ(), "SCRIPT="+script)
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestBashCompletes(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("there is no bash")
	}
	_, script, _ := amxRun(t, "", "completion", "bash")
	for _, test := range []struct {
		words []string
		want  string
	}{
		{[]string{"amx", "re"}, "resume"},
		{[]string{"amx", "--v"}, "--version"},
		{[]string{"amx", "template", ""}, "amp"},
		{[]string{"amx", "template", "amp", "--topic"}, "--topic-arn"},
		{[]string{"amx", "runs", "--output", ""}, "table json"},
		{[]string{"amx", "runs", "--st"}, "--state --stack"},
		{[]string{"amx", "runs", "--command", "serve", "--wa"}, "--watch"},
		{[]string{"amx", "serve", "--file", ""}, ""}, // a file: bash's own
		{[]string{"amx", "check", ""}, ""},
		{[]string{"amx", "completion", ""}, "bash zsh fish"},
	} {
		if got := strings.Join(strings.Fields(complete(t, script, test.words...)), " "); got != test.want {
			t.Errorf("%q: got %q, want %q", test.words, got, test.want)
		}
	}
}

// A shell that is not here is passed over: bash is tested above.
func TestScriptsOfCompletionParse(t *testing.T) {
	for shell, flag := range map[string]string{"bash": "-n", "zsh": "-n", "fish": "--no-execute"} {
		code, script, errs := amxRun(t, "", "completion", shell)
		if code != 0 || errs != "" || !strings.Contains(script, "topic-arn") {
			t.Errorf("%s: exit %d, %s", shell, code, errs)
		}
		if _, err := exec.LookPath(shell); err != nil {
			continue
		}
		if out, err := exec.Command(shell, flag, write(t, "amx."+shell, script)).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", shell, err, out)
		}
	}
}
