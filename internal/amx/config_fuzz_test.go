package amx

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var errorLine = regexp.MustCompile(`^amx\.yaml:[1-9][0-9]*: `)

func FuzzParseConfig(f *testing.F) {
	contract, err := os.ReadFile("testdata/contract.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(contract)
	for _, c := range refused {
		f.Add([]byte(c.yaml))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseConfig("amx.yaml", data)
		if (c == nil) == (err == nil) {
			t.Fatalf("configuration %v and error %v", c, err)
		}
		if err != nil {
			if !errorLine.MatchString(err.Error()) {
				t.Fatalf("an error without a line: %v", err)
			}
			return
		}
		names := map[string]bool{}
		for i, cmd := range c.Commands {
			if !explicitName().MatchString(cmd.Name) || names[cmd.Name] {
				t.Fatalf("commands[%d] has the name %q", i, cmd.Name)
			}
			names[cmd.Name] = true
			runs := slices.DeleteFunc([]string{cmd.Cmd, cmd.Script, cmd.Document}, func(s string) bool { return s == "" })
			if len(runs) != 1 || strings.Contains(runs[0], "\x00") {
				t.Fatalf("commands[%d] runs %q", i, runs)
			}
			cmd.Matches(&web1)
			if targets, err := cmd.ExpandTargets(sample, Alerts{web1}); err == nil && len(targets) != len(cmd.Targets) {
				t.Fatalf("commands[%d] has targets %v, rendered %v", i, cmd.Targets, targets)
			}
		}
	})
}
