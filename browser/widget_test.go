package browser

import (
	"context"
	_ "embed"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/amx-lambda/amx/internal/operate"
	"github.com/amx-lambda/amx/internal/widget"
)

//go:embed testdata/dashboard.html
var standIn string

const widgetARN = "arn:aws:lambda:eu-central-1:123456789012:function:amx-WidgetFunction"

// dashboard is a page that calls the widget as a dashboard of CloudWatch does, at the
// runs of an amx serve.
func (a *amx) dashboard() *tab {
	a.Helper()
	o := operate.OnSocket(filepath.Join(a.dir, "ledger.sock")).Operator()
	w := &widget.Widget{Viewer: o, Actor: o, Place: "amx-prod", Log: slog.New(slog.DiscardHandler), Now: time.Now}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(out http.ResponseWriter, _ *http.Request) {
		out.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(out, standIn)
	})
	mux.HandleFunc("POST /call", func(out http.ResponseWriter, r *http.Request) {
		event, err := io.ReadAll(r.Body)
		if err != nil {
			a.Error(err)
		}
		_ = json.NewEncoder(out).Encode(w.Answer(r.Context(), widgetARN, event))
	})
	mux.HandleFunc("GET /favicon.ico", func(out http.ResponseWriter, _ *http.Request) { out.WriteHeader(http.StatusNoContent) })
	server := httptest.NewServer(mux)
	a.Cleanup(server.Close)
	url, at := a.url, a.page
	a.url, a.page = server.URL, ""
	b := a.browse()
	a.url, a.page = url, at
	return b
}

// refresh is the dashboard's.
func (t *tab) refresh() {
	t.Helper()
	t.do(chromedp.Evaluate("refresh()", nil, awaits))
}

func TestTheWidgetInABrowser(t *testing.T) {
	a := serve(t, config)
	a.sends(certificate("a.example.com"))
	a.sends(disk(1))
	b := a.dashboard().at("/")
	b.shows("1 run goes on, nothing is paused.", "Problems of the last 24 hours", "failed", "running")

	b.click("#widget a", "rotate-certificate")
	b.shows("Output of ", "Exit code", "a.example.com")

	b.click("#widget a", "Pause everything")
	b.shows("That did not work. Say why")
	b.types("textarea", "the primary moves")
	b.click("#widget a", "Pause everything")
	b.shows("Paused everything until ", "Runs that go on are not stopped. Refresh the widget to see it.")
	b.refresh()
	b.shows("everything is paused", "the primary moves")
	b.click("#widget a", "Resume")
	b.shows("Resumed everything.")
	b.refresh()
	b.types("textarea", "wrong host")
	b.click("#widget tr a", "Cancel")
	b.shows("Asked 1 run to stop.")
	b.refresh()
	b.shows("wrong host")

	var asked []string
	b.do(chromedp.Evaluate("asked", &asked))
	if want := []string{
		"Pause everything? No run starts. Those that go on are not stopped.", "Pause everything? No run starts. Those that go on are not stopped.",
		"Resume everything? What waits begins to run.", `Cancel this run of "clean-disk"? SSM stops what still runs on its nodes.`,
	}; !slices.Equal(asked, want) {
		t.Errorf("asked %q, want %q", asked, want)
	}
}

// Labels that try to be markup run nothing in a browser, and no element is theirs. The
// console of the tab would say so.
func TestTheWidgetShowsHostileLabelsAsText(t *testing.T) {
	a := serve(t, config)
	hostile := `"'><img src=x onerror=console.log(1)><script>console.log(2)</script></td></table><a class="btn">Pause</a><cwdb-action action="call" display="popup">{"do":"pause","all":true}</cwdb-action>`
	one := certificate("a.example.com")
	one.Labels["note"], one.Annotations["summary"] = hostile, hostile
	run := a.sends(one)[0]
	b := a.dashboard().at("/")
	b.shows("Problems of the last 24 hours", "note=")
	b.click("#widget a", "rotate-certificate")
	b.shows(run, "<script>console.log(2)</script></td></table>")
	if got := b.eval(`document.querySelectorAll("#widget img, #popup img, #widget script, #popup script, #popup cwdb-action").length`); got != "0" {
		t.Errorf("%s elements are the label's", got)
	}
	if got := b.eval(`[...document.querySelectorAll(".btn")].every((e) => e.nextElementSibling.getAttribute("endpoint") === ` + quoted(widgetARN) + `)`); got != "true" {
		t.Error("a button calls somebody else")
	}
}

func TestAxeFindsNothingInTheWidget(t *testing.T) {
	source := axe(t)
	a := serve(t, config)
	a.sends(certificate("a.example.com"))
	a.sends(disk(1))
	b := a.dashboard()
	for _, theme := range []string{"light", "dark"} {
		b.at("/?theme=" + theme)
		b.shows("Problems of the last 24 hours")
		b.click("#widget a", "rotate-certificate")
		b.shows("Output of ")
		b.do(chromedp.Evaluate(source, nil))
		var findings []string
		b.do(chromedp.Evaluate(`axe.run("#widget, #popup").then((r) => r.violations.flatMap((v) => v.nodes.map((n) => v.id + ": " + n.html + " " + n.failureSummary)))`,
			&findings, chromedp.EvalAsValue, awaits))
		for _, f := range findings {
			t.Errorf("%s: %s", theme, f)
		}
	}
}

// who is whom the socket of amx serve takes the widget for.
func who(t *testing.T) string {
	t.Helper()
	u, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	return u.Username
}

// TestPicturesOfTheWidget makes the screenshot of docs/page.md, as TestPictures does
// the others.
func TestPicturesOfTheWidget(t *testing.T) {
	dir := os.Getenv("AMX_PICTURES")
	if dir == "" {
		dir = t.TempDir()
	}
	a := serve(t, picturesConfig, "--node", "i-0c1f4e8a2b7d93650", "--node", "i-07be21d90c5f4a83e", "--node", "i-0a94d3c7f1268be50")
	for n := range 4 {
		a.sends(nginx(n + 1))
	}
	a.sends(certificate("shop.example.com"))
	a.sends(disk(1))
	a.sends(disk(2))
	b := a.dashboard().at("/")
	b.types("textarea", "the primary moves to another zone")
	b.do(chromedp.Evaluate(`call({do: "pause", command: "restart-replica"})`, nil, awaits))
	b.refresh()
	b.shows("restart-replica is paused")
	b.eval(`[...document.querySelectorAll("td")].filter((e) => e.textContent === ` + quoted(who(t)) + `).forEach((e) => { e.textContent = "CloudWatch console" })`) // not this machine's user
	b.do(chromedp.EmulateViewport(1120, 880))
	var picture []byte
	b.do(chromedp.ActionFunc(func(ctx context.Context) (err error) {
		picture, err = page.CaptureScreenshot().WithFormat(page.CaptureScreenshotFormatPng).Do(ctx)
		return err
	}))
	if len(picture) < 10_000 || len(picture) > 200_000 {
		t.Errorf("it has %d bytes", len(picture))
	}
	if err := os.WriteFile(filepath.Join(dir, "widget.png"), picture, 0o644); err != nil {
		t.Fatal(err)
	}
}
