package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// words are those of one command of a shell, up to what belongs to the shell: a
// pipe, a redirection, a comment. Quotes of both kinds are taken off.
func words(line string) []string {
	var found []string
	word, open, quote := "", false, rune(0)
	end := func() {
		if open {
			found = append(found, word)
		}
		word, open = "", false
	}
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			quote, open = r, true
		case quote == 0 && r == ' ':
			end()
		case quote == 0 && strings.ContainsRune("|>&;#<", r):
			end()
			return found
		default:
			word, open = word+string(r), true
		}
	}
	end()
	return found
}

func TestWords(t *testing.T) {
	for line, want := range map[string]string{
		`amx pause --why "moving the database" --for 2h`: `["amx" "pause" "--why" "moving the database" "--for" "2h"]`,
		`amx config --pack amx.yaml > amx.packed`:        `["amx" "config" "--pack" "amx.yaml"]`,
		`amx serve -f amx.yaml & # in the background`:    `["amx" "serve" "-f" "amx.yaml"]`,
		`amx runs --alert '' --since 1h | head`:          `["amx" "runs" "--alert" "" "--since" "1h"]`,
	} {
		if got := fmt.Sprintf("%q", words(line)); got != want {
			t.Errorf("%s: %s, want %s", line, got, want)
		}
	}
}

var (
	consoleBlock = regexp.MustCompile("(?ms)^```(?:console|sh)\n(.*?)^```$")
	typedAmx     = regexp.MustCompile(`(?m)^(?:\$ )?(?:bin/)?(amx .*)$`)
	incomplete   = regexp.MustCompile(`missing flags|missing value|expected "<`)
	saidAmx      = regexp.MustCompile("`(?:bin/)?(amx [a-z]+ [^`…]*--[^`…]+)`")
)

// Every call of amx that a document shows is one that the command line takes.
func TestTheCallsOfAmxInTheDocumentsParse(t *testing.T) {
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	recipes, err := filepath.Glob(filepath.Join(cookbook, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	files = append(files, recipes...)
	checked := map[string]bool{}
	for _, file := range append(files, "../../README.md", "../../CONTRIBUTING.md") {
		text := string(must(os.ReadFile(file)))
		var calls []string
		said := map[string]bool{}
		for _, block := range consoleBlock.FindAllStringSubmatch(text, -1) {
			for _, m := range typedAmx.FindAllStringSubmatch(strings.ReplaceAll(block[1], "\\\n", " "), -1) {
				calls = append(calls, m[1])
			}
		}
		for _, m := range saidAmx.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(m[1], "[") && m[1] == strings.ToLower(m[1]) { // a call, not its form
				calls, said[m[1]] = append(calls, m[1]), true
			}
		}
		for _, call := range calls {
			args := words(call)[1:]
			parser, err := kong.New(&cli{}, kong.Vars{"version": ""}, kong.Exit(func(int) {}))
			if err != nil {
				t.Fatal(err)
			}
			// A sentence may name a call without what it is about.
			_, err = parser.Parse(args)
			if err != nil && (!said[call] || !incomplete.MatchString(err.Error())) {
				t.Errorf("%s: %s: %v", filepath.Base(file), call, err)
			}
			checked[args[0]] = true
		}
	}
	for _, name := range []string{"serve", "check", "explain", "config", "doctor", "template", "pause", "resume", "status"} {
		if !checked[name] {
			t.Errorf("no document shows amx %s", name)
		}
	}
}

// systemd begins amx with calls that the command line takes, and leaves its commands
// to it: they outlive a crash, as the documents promise.
func TestTheUnitOfSystemd(t *testing.T) {
	unit := string(must(os.ReadFile("../../examples/amx.service")))
	calls := regexp.MustCompile(`(?m)^Exec(?:StartPre|Start)=/usr/local/bin/(amx .*)$`).FindAllStringSubmatch(unit, -1)
	if len(calls) != 2 {
		t.Errorf("found the calls %q", calls)
	}
	for _, call := range calls {
		parser, err := kong.New(&cli{}, kong.Vars{"version": ""}, kong.Exit(func(int) {}))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.Parse(words(call[1])[1:]); err != nil {
			t.Errorf("%s: %v", call[1], err)
		}
	}
	for _, line := range []string{"KillMode=process", "OOMPolicy=continue", "ExecReload=/bin/kill -HUP $MAINPID"} {
		if !slices.Contains(strings.Split(unit, "\n"), line) {
			t.Errorf("the unit has no line %s", line)
		}
	}
}
