package browser

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// TestPictures makes the screenshots of docs/page.md, of real runs. It writes them
// where AMX_PICTURES says; without it nothing is kept.
func TestPictures(t *testing.T) {
	dir := os.Getenv("AMX_PICTURES")
	if dir == "" {
		dir = t.TempDir()
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	a := serve(t, config, "--node", "i-0c1f4e8a2b7d93650,tag:Role=web")
	for n := range 9 {
		a.sends(nginx(n + 1))
	}
	failed := a.sends(certificate("shop.example.com"))[0]
	a.sends(certificate("www.example.com"))
	a.sends(nginx(10))
	a.sends(disk(1))
	b := a.browse()
	b.click("summary", "Pause everything…")
	b.types("input[name=why]", "the database moves")
	b.click("button", "Pause everything")
	b.shows("Everything is paused")
	for _, p := range []struct {
		name, path, scheme string
		width              int64
	}{
		{"now", "/", "light", 1120},
		{"now-dark", "/", "dark", 1120},
		{"phone", "/", "light", 390},
		{"run", "/runs/" + failed, "light", 1120},
		{"commands", "/commands", "light", 1120},
	} {
		b.wears(p.width, p.scheme).at(p.path).shows("amx")
		var picture []byte
		b.do(chromedp.ActionFunc(func(ctx context.Context) (err error) {
			picture, err = page.CaptureScreenshot().WithFormat(page.CaptureScreenshotFormatPng).WithOptimizeForSpeed(false).Do(ctx)
			return err
		}))
		if len(picture) < 10_000 || len(picture) > 200_000 {
			t.Errorf("%s has %d bytes", p.name, len(picture))
		}
		if err := os.WriteFile(filepath.Join(dir, p.name+".png"), picture, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
