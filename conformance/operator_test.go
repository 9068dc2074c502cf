package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/config"
)

// operators is the configurations of Alertmanager that the project shows to its
// operator, by where they stand.
func operators(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../examples/alertmanager/alertmanager.yml")
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]string{"alertmanager.yml": string(text)}
	files, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	recipes, err := filepath.Glob("../docs/cookbook/*.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?ms)^```yaml\n(# alertmanager.yml\n.*?)^```$")
	for _, file := range append(files, recipes...) {
		page, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, b := range block.FindAllStringSubmatch(string(page), -1) {
			shown[fmt.Sprintf("%s, block %d", filepath.Base(file), i+1)] = b[1]
		}
	}
	return shown
}

// The real Alertmanager takes each, and sends the resolves and all alerts to amx.
func TestAlertmanagerTakesWhatItsOperatorIsShown(t *testing.T) {
	shown := operators(t)
	if len(shown) < 3 {
		t.Errorf("only %d are found", len(shown))
	}
	for name, text := range shown {
		if !strings.Contains(text, "route:") { // the receivers alone
			text += "route: {receiver: amx}\n"
		}
		c, err := config.Load(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if every := c.Route.GroupInterval; every != nil && time.Duration(*every) < 30*time.Second {
			t.Errorf("%s: group_interval is %s; the documents want 30s or more", name, every)
		}
		for _, r := range c.Receivers {
			for _, w := range r.WebhookConfigs {
				if !w.SendResolved() || w.MaxAlerts != 0 {
					t.Errorf("%s, receiver %q: send_resolved is %t, max_alerts %d", name, r.Name, w.SendResolved(), w.MaxAlerts)
				}
				if w.Timeout != 0 && w.Timeout < 15*time.Second {
					t.Errorf("%s, receiver %q: timeout is %s; the documents want 15s or more", name, r.Name, w.Timeout)
				}
			}
		}
	}
}
