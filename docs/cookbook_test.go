package docs

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/amx-lambda/amx/internal/amx"
)

// recipes are the files of the cookbook but its index, by name.
func recipes(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, file := range find(t, "cookbook/*.md") {
		if name := filepath.Base(file); name != "README.md" {
			found[name] = read(t, file)
		}
	}
	return found
}

// shownFile is the block of a document that begins with a comment that names the
// file, "" where it has none.
func shownFile(text, name string) string {
	for _, b := range blocks(text) {
		if strings.HasPrefix(b.text, "# "+name+"\n") {
			return b.text
		}
	}
	return ""
}

// Whoever looks for a recipe finds it in the index, and each recipe has what the
// index promises, on a page.
func TestTheCookbooksIndex(t *testing.T) {
	all := recipes(t)
	var listed []string
	for _, row := range regexp.MustCompile(`(?m)^\| \[[^\]]+\]\(([^)]+)\) \| (.+) \|$`).FindAllStringSubmatch(read(t, "cookbook/README.md"), -1) {
		listed = append(listed, row[1])
		if says := strings.Contains(all[row[1]], "has run this recipe yet"); says != strings.Contains(row[2], "Not run yet") {
			t.Errorf("cookbook/README.md says of %s: %s", row[1], row[2])
		}
	}
	slices.Sort(listed)
	if want := slices.Sorted(maps.Keys(all)); !slices.Equal(listed, want) {
		t.Errorf("cookbook/README.md lists %q, want %q", listed, want)
	}
	for name, text := range all {
		if n := strings.Count(text, "\n"); n > 90 {
			t.Errorf("cookbook/%s has %d lines, over a page of 90", name, n)
		}
		for _, want := range []string{"\n# amx.yaml\n", "\n## Stop it\n", "\n## Watch out\n"} {
			if !strings.Contains(text, want) {
				t.Errorf("cookbook/%s has no %q", name, strings.TrimSpace(want))
			}
		}
		if tried := strings.Contains(text, "\n$ amx serve "); tried == strings.Contains(text, "has run this recipe yet") {
			t.Errorf("cookbook/%s has to try its recipe, or to say that no machine has run it", name)
		}
	}
}

// A recipe is copied to AWS as it is.
func TestTheRecipesAreForLambda(t *testing.T) {
	for name, text := range recipes(t) {
		c, err := amx.ParseConfig(name, []byte(shownFile(text, "amx.yaml")))
		if err == nil {
			err = c.ForLambda()
		}
		if err != nil {
			t.Error(err)
		}
	}
}

// The rules of the recipes are rules, and a recipe is tried with the alerts of its
// own rules.
func TestTheRecipesRules(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Log("promtool is not there: the rules are not checked; .ci/run has it")
	}
	alerts := 0
	for name, text := range recipes(t) {
		shown := shownFile(text, "rules.yml")
		if shown == "" {
			continue
		}
		var rules struct {
			Groups []struct{ Rules []struct{ Alert string } }
		}
		if err := yaml.Unmarshal([]byte(shown), &rules); err != nil {
			t.Errorf("cookbook/%s: %v", name, err)
		}
		for _, g := range rules.Groups {
			for _, r := range g.Rules {
				alerts++
				if !strings.Contains(text, "alert.sh firing alertname="+r.Alert+" ") {
					t.Errorf("cookbook/%s: %s does not fire", name, r.Alert)
				}
			}
		}
		if promtool == "" {
			continue
		}
		file := filepath.Join(t.TempDir(), "rules.yml")
		if err := os.WriteFile(file, []byte(shown), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(promtool, "check", "rules", file).CombinedOutput(); err != nil {
			t.Errorf("cookbook/%s: %v\n%s", name, err, out)
		}
	}
	if alerts == 0 {
		t.Error("no recipe has an alert rule")
	}
}
