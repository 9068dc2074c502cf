package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/alertmanagertest"
	"github.com/amx-lambda/amx/internal/reporttest"
)

// The routes of the recipe, in a real Alertmanager, which sends to amx serve and to
// PagerDuty. Two machines fail, and amx restarts the shop on both. It helps on the
// first alone. Only the second pages.
//
// No time has to pass for it, on however slow a machine: Alertmanager counts
// group_wait from the start of an alert, so it sends at once for an alert that is
// said to have begun before that.
func TestWhatResolvesInTimeNeverPages(t *testing.T) {
	t.Parallel()
	r := readRecipe(t, filepath.Join(cookbook, "page-only-if-the-fix-did-not-help.md"))
	k := newKitchen(t, r, nil)
	defer k.close()
	k.take(r.steps[0])
	k.write("pagerduty-key", reporttest.RoutingKey, 0o600)
	config := "global: {pagerduty_url: " + k.pager.URL + "}\n" + r.files["alertmanager.yml"]
	for from, to := range map[string]string{
		"http://127.0.0.1:8080/":          k.process.url,
		"/etc/alertmanager/pagerduty-key": filepath.Join(k.dir, "pagerduty-key"),
	} {
		if !strings.Contains(config, from) {
			t.Fatalf("the recipe's alertmanager.yml has no %q", from)
		}
		config = strings.ReplaceAll(config, from, to)
	}
	am := alertmanagertest.Start(t, os.Getenv("AMX_TEST_ALERTMANAGER"), config)

	const mended, broken = "i-0123456789abcdef0", "i-0123456789abcdef1"
	post := func(node string, starts time.Time, resolved bool) {
		alert := map[string]any{"labels": map[string]string{"alertname": "ShopDown", "instance_id": node}, "startsAt": starts}
		if resolved {
			alert["endsAt"] = time.Now()
		}
		am.Post(alert)
	}
	post(mended, time.Now(), false)
	post(broken, time.Now(), false)
	k.eventually("amx restarts the shop on both", func() bool { return len(k.calls()) == 2 })
	if events := k.pager.Events(); len(events) != 0 {
		t.Fatalf("PagerDuty has heard of it at once: %+v", events)
	}

	longAgo := time.Now().Add(-11 * time.Minute) // over the pager's group_wait
	post(mended, longAgo, true)
	post(broken, longAgo, false)
	k.eventually("what did not resolve pages", func() bool { return len(k.pager.Events()) > 0 })
	for _, e := range k.pager.Events() {
		if e.Payload == nil || !strings.Contains(e.Payload.Summary, broken) || strings.Contains(e.Payload.Summary, mended) {
			t.Errorf("PagerDuty has heard %q: %+v", e.Action, e.Payload)
		}
	}
	if n := len(k.calls()); n != 2 {
		t.Errorf("%d restarts, want 2", n)
	}
	if wrong := k.pager.Wrong(); len(wrong) > 0 {
		t.Errorf("PagerDuty refused: %q", wrong)
	}
}
