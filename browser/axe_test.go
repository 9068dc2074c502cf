package browser

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// axe is the source of axe-core (https://github.com/dequelabs/axe-core), which CI
// installs.
func axe(t *testing.T) string {
	t.Helper()
	file := os.Getenv("AMX_TEST_AXE")
	if file == "" {
		t.Skip("there is no axe-core: name its axe.min.js with AMX_TEST_AXE, as .ci/browser does")
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAxeFindsNothing(t *testing.T) {
	source := axe(t)
	a := serve(t, config)
	run, long := a.sends(certificate("a.example.com"))[0], a.sends(disk(1))[0]
	a.sends(nginx(1))
	b := a.browse()
	for _, look := range []struct {
		width  int64
		scheme string
	}{{1280, "light"}, {1280, "dark"}, {390, "light"}, {390, "dark"}} {
		for _, path := range []string{"/", "/runs", "/runs?state=expired", "/runs/" + run, "/runs/" + long, "/commands", "/try?run=" + run, "/-/page/login"} {
			b.wears(look.width, look.scheme).at(path)
			// Open everything, so that axe checks it too.
			b.eval(`document.querySelectorAll("details").forEach((d) => { d.open = true })`)
			b.do(chromedp.Evaluate(source, nil))
			var findings []string
			b.do(chromedp.Evaluate(`axe.run(document).then((r) => r.violations.flatMap((v) => v.nodes.map((n) => v.id + ": " + n.html + " " + n.failureSummary)))`,
				&findings, chromedp.EvalAsValue, awaits))
			for _, f := range findings {
				t.Errorf("%s, %d pixels, %s: %s", path, look.width, look.scheme, f)
			}
			if got := b.eval(`document.documentElement.scrollWidth <= innerWidth`); got != "true" {
				t.Errorf("%s is wider than %d pixels", path, look.width)
			}
		}
	}
}

func TestTheKeyboardReachesEverything(t *testing.T) {
	a := serve(t, config)
	a.sends(disk(1))
	a.sends(nginx(1))
	b := a.browse().at("/")
	seen := map[string]bool{}
	for range 40 {
		b.do(chromedp.KeyEvent("\t"))
		seen[b.eval(`document.activeElement.textContent.trim().slice(0, 40)`)] = true
		if got := b.eval(`(() => { const e = document.activeElement; const s = getComputedStyle(e), r = getComputedStyle(e.closest("tr") ?? e); return e === document.body || s.outlineStyle !== "none" || r.outlineStyle !== "none"; })()`); got != "true" {
			t.Errorf("the focus is not seen on %q", b.eval(`document.activeElement.outerHTML`))
		}
	}
	for _, want := range []string{"Skip to the content", "Runs", "Commands", "Try", "Log out", "Pause everything…", "clean-disk", "Cancel…", "All runs"} {
		if !seen[want] {
			t.Errorf("the tabulator does not reach %q: %s", want, strings.Join(slices.Sorted(maps.Keys(seen)), " | "))
		}
	}
}

// withoutJavaScript turns the page's scripts off; the test's own still run.
func (t *tab) withoutJavaScript() *tab {
	t.Helper()
	t.do(emulation.SetScriptExecutionDisabled(true))
	return t
}
