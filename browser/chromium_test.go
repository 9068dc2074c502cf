package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// A tab is an open page. Each message in its console is an error of the test.
type tab struct {
	*testing.T
	ctx  context.Context
	base string

	mu      sync.Mutex
	console []string
}

// browse opens a tab at an amx, logged in where there is a key.
func (a *amx) browse() *tab {
	a.Helper()
	path := os.Getenv("AMX_TEST_CHROMIUM")
	if path == "" {
		for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
			if found, err := exec.LookPath(name); err == nil {
				path = found
				break
			}
		}
	}
	if path == "" {
		a.Skip("there is no Chromium: install it, or name it with AMX_TEST_CHROMIUM")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path),
		chromedp.NoSandbox, // root has none
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.WSURLReadTimeout(time.Minute))
	ctx, cancelAll := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancelTab := chromedp.NewContext(ctx)
	t := &tab{T: a.T, ctx: ctx, base: a.url}
	a.Cleanup(func() {
		cancelTab()
		cancelAll()
		t.mu.Lock()
		defer t.mu.Unlock()
		for _, line := range t.console {
			t.Errorf("the console: %s", line)
		}
	})
	chromedp.ListenTarget(ctx, t.listen)
	t.do(log.Enable(), emulation.SetDeviceMetricsOverride(1280, 844, 1, false))
	if a.page != "" {
		t.do(chromedp.Navigate(a.page))
	}
	return t
}

func (t *tab) listen(event any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		t.console = append(t.console, fmt.Sprint(e.Type))
	case *runtime.EventExceptionThrown:
		t.console = append(t.console, e.ExceptionDetails.Error())
	case *log.EventEntryAdded:
		t.console = append(t.console, fmt.Sprintf("%s: %s %s", e.Entry.Level, e.Entry.Text, e.Entry.URL))
	}
}

// refused takes the console's lines about answers that refuse, which a test wants.
func (t *tab) refused(status int) {
	t.Helper()
	t.mu.Lock()
	defer t.mu.Unlock()
	var left []string
	for _, line := range t.console {
		if !strings.Contains(line, fmt.Sprintf("status of %d", status)) {
			left = append(left, line)
		}
	}
	if len(left) == len(t.console) {
		t.Errorf("nothing was refused with %d", status)
	}
	t.console = left
}

func (t *tab) do(actions ...chromedp.Action) {
	t.Helper()
	if err := chromedp.Run(t.ctx, actions...); err != nil {
		var text string
		_ = chromedp.Run(t.ctx, chromedp.Evaluate("location.href + ' ' + document.body.innerText.slice(0, 1500)", &text))
		t.Fatalf("%v\n%s", err, text)
	}
}

// at opens a path.
func (t *tab) at(path string) *tab {
	t.Helper()
	t.do(chromedp.Navigate(t.base + path))
	return t
}

// eval answers an expression of the page's.
func (t *tab) eval(expression string) string {
	t.Helper()
	var out any
	t.do(chromedp.Evaluate(expression, &out))
	if s, ok := out.(string); ok {
		return s
	}
	text, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// becomes waits until an expression is true, as long as go test lets it.
func (t *tab) becomes(expression string) {
	t.Helper()
	t.Logf("waiting for %s", expression)
	for is := false; !is; {
		// While another page is loaded there is none to ask.
		if err := chromedp.Run(t.ctx, chromedp.Evaluate("!!("+expression+")", &is)); err == nil && is {
			return
		}
		if err := chromedp.Run(t.ctx, chromedp.Sleep(50*time.Millisecond)); err != nil {
			t.Fatalf("the browser is gone: %v", err)
		}
	}
}

// shows waits until the page has a text, as a reader sees it.
func (t *tab) shows(texts ...string) {
	t.Helper()
	for _, text := range texts {
		t.becomes("document.body && document.body.innerText.includes(" + quoted(text) + ")")
	}
}

func (t *tab) lacks(text string) {
	t.Helper()
	if t.eval("document.body.innerText.includes("+quoted(text)+")") == "true" {
		t.Errorf("the page has %q", text)
	}
}

func quoted(s string) string {
	text, _ := json.Marshal(s) // a string always marshals
	return string(text)
}

// click clicks the first visible element of that selector with the text.
func (t *tab) click(selector, text string) {
	t.Helper()
	t.marks(selector, text)
	t.do(chromedp.Click("[data-test]", chromedp.ByQuery))
}

// types writes into a visible field.
func (t *tab) types(selector, text string) {
	t.Helper()
	t.marks(selector, "")
	t.do(chromedp.SendKeys("[data-test]", text, chromedp.ByQuery))
}

// marks waits for a visible element with the text, and marks it for the driver.
func (t *tab) marks(selector, text string) {
	t.Helper()
	t.becomes(`(() => {
		const e = [...document.querySelectorAll(` + quoted(selector) + `)].find((e) => e.textContent.includes(` + quoted(text) + `) && e.checkVisibility());
		document.querySelectorAll("[data-test]").forEach((o) => o.removeAttribute("data-test"));
		e?.setAttribute("data-test", "");
		e?.scrollIntoView({block: "center"});
		return e;
	})()`)
}

// wears sets width and colours.
func (t *tab) wears(width int64, scheme string) *tab {
	t.Helper()
	t.do(emulation.SetDeviceMetricsOverride(width, 844, 1, width < 500),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}))
	return t
}

// awaits waits for the promise that an expression answers.
func awaits(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }
