package stacktest

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The section of docs/security.md about the widget has every action of its role, and
// no other.
func TestTheRightsOfTheWidgetAreDocumented(t *testing.T) {
	text, err := os.ReadFile(root + "/docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## The widget\n")
	section, _, _ = strings.Cut(section, "\n## ")
	said := map[string]bool{}
	for line := range strings.Lines(section) {
		for _, m := range regexp.MustCompile("`([a-z]+:[A-Z][A-Za-z]+)`").FindAllStringSubmatch(line, -1) {
			if strings.HasPrefix(line, "|") {
				said[m[1]] = strings.Contains(line, "`read`")
			}
		}
	}
	for choice, read := range map[string]bool{"a widget that shows": true, "a widget that acts": false} {
		may := map[string]bool{}
		for _, st := range deploy(t, choices[choice]).statements("WidgetRole") {
			for _, a := range st.actions {
				may[a] = true
			}
		}
		for a := range may {
			if _, there := said[a]; !there {
				t.Errorf("docs/security.md does not name %s of the widget's role", a)
			}
		}
		for a, always := range said {
			if (always || !read) != may[a] {
				t.Errorf("%s: docs/security.md has %s, and the role %v", choice, a, may[a])
			}
		}
	}
}

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
