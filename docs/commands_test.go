package docs

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// On a full disk nothing runs, so the rule that the document proposes looks four
// hours ahead, as the one behind the example's alert does, and leaves room beside.
func TestTheDiskAlertFiresWhileThereIsRoom(t *testing.T) {
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Annotations struct{ Summary string }
			}
		}
	}
	for _, b := range blocks(read(t, "commands.md")) {
		if strings.HasPrefix(b.text, "# rules.yml\n") {
			if err := yaml.Unmarshal([]byte(b.text), &rules); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(rules.Groups) != 1 || len(rules.Groups[0].Rules) != 1 {
		t.Fatalf("commands.md proposes %+v, want one rule", rules)
	}
	rule := rules.Groups[0].Rules[0]
	ahead, room, ok := strings.Cut(rule.Expr, " or ")
	if !ok || room != "node_filesystem_avail_bytes / node_filesystem_size_bytes < 0.1" {
		t.Errorf("the rule %q leaves no tenth of the disk", rule.Expr)
	}

	var example struct {
		Alerts []struct {
			Labels       map[string]string
			Annotations  map[string]string
			GeneratorURL string
		}
	}
	if err := json.Unmarshal([]byte(read(t, "../examples/payloads/disk-filling.json")), &example); err != nil {
		t.Fatal(err)
	}
	for _, a := range example.Alerts {
		u, err := url.Parse(a.GeneratorURL)
		if err != nil {
			t.Fatal(err)
		}
		expr := strings.ReplaceAll(u.Query().Get("g0.expr"), " ", "")
		if a.Labels["alertname"] != rule.Alert || expr != strings.ReplaceAll(ahead, " ", "") ||
			!strings.Contains(a.Annotations["summary"], "full in 4 hours") || !strings.Contains(rule.Annotations.Summary, "full in 4 hours") {
			t.Errorf("the example fires %s by %q, saying %q; the rule is %+v", a.Labels["alertname"], expr, a.Annotations["summary"], rule)
		}
	}
}
