package stacktest

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// Every parameter, output and alarm has its place in a document.
func TestParametersOutputsAndAlarmsAreDocumented(t *testing.T) {
	read := func(name string) string {
		text, err := os.ReadFile(root + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	template, deploy, runbook := read("template.yaml"), read("docs/deploy.md"), read("docs/runbook.md")
	_, template, _ = strings.Cut(template, "\nParameters:\n")
	parameters, template, _ := strings.Cut(template, "\nConditions:\n")
	resources, outputs, _ := strings.Cut(template, "\nOutputs:\n")
	key := regexp.MustCompile(`(?m)^  (\w+):$`)
	for _, tt := range []struct{ part, document, name, kind string }{
		{parameters, deploy, "deploy.md", ""}, {outputs, deploy, "deploy.md", ""}, {resources, runbook, "runbook.md", "Alarm"},
	} {
		found := 0
		for _, m := range key.FindAllStringSubmatch(tt.part, -1) {
			if !strings.HasSuffix(m[1], tt.kind) {
				continue
			}
			found++
			if !strings.Contains(tt.document, "`"+m[1]+"`") {
				t.Errorf("docs/%s does not name %s", tt.name, m[1])
			}
		}
		if found < 5 {
			t.Errorf("found %d for docs/%s: the test does not read the template as it is", found, tt.name)
		}
	}
}
