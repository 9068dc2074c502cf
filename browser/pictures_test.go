package browser

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

const picturesConfig = `commands:
- name: restart-nginx
  script: |
    echo "nginx on $AMX_ALERT_1_LABEL_instance answers 502"
    sleep 0.$(( $$ % 9 ))
    echo "systemctl restart nginx"
    echo "active (running)"
  match_labels: {alertname: NginxDown}
  matchers: ['severity=~"page|critical"']
  targets: [{key: InstanceIds, values: [i-0c1f4e8a2b7d93650]}]
  rate_limit: {runs: 30, per: 1h}
- name: clean-disk
  script: |
    echo "/var is full"
    sleep 600
  match_labels: {alertname: DiskFilling}
  targets: [{key: InstanceIds, values: [i-07be21d90c5f4a83e]}]
  max: 1
  wait: 0s
- name: rotate-certificate
  script: |
    echo "asking the CA for $AMX_ALERT_1_LABEL_domain"
    sleep 0.3
    echo "the CA answers 403: the account is locked" >&2
    exit 3
  match_labels: {alertname: CertificateExpires}
  targets: [{key: InstanceIds, values: [i-0c1f4e8a2b7d93650, i-07be21d90c5f4a83e]}]
- name: restart-replica
  script: |
    echo "the replica on $AMX_ALERT_1_LABEL_instance follows again"
  match_labels: {alertname: ReplicationLag, team: dba}
  targets: [{key: InstanceIds, values: [i-0a94d3c7f1268be50]}]
`

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
	tokens := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(tokens, []byte("alertmanager s3cret\nann t0ken operator\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := serve(t, picturesConfig, "--token-file", tokens, "--node", "i-0c1f4e8a2b7d93650", "--node", "i-07be21d90c5f4a83e", "--node", "i-0a94d3c7f1268be50")
	for n := range 9 {
		a.sends(nginx(n + 1))
	}
	for n := range 3 {
		a.sends(firing(map[string]string{"alertname": "ReplicationLag", "instance": "db-" + strconv.Itoa(n+1), "team": "dba"}, map[string]string{"summary": "the replica is 40 s behind"}))
	}
	failed := a.sends(certificate("shop.example.com"))[0]
	a.sends(certificate("www.example.com"))
	a.sends(certificate("api.example.com"))
	a.sends(nginx(10))
	a.sends(disk(1))
	a.sends(disk(2))
	b := a.browse().at("/")
	b.types("input[name=token]", "t0ken\n")
	b.shows("Now")
	b.at("/commands")
	b.click("article:last-of-type summary", "Pause…")
	b.types("article:last-of-type input[name=why]", "the primary moves to another zone")
	b.click("article:last-of-type button", "Pause the command")
	b.shows("Paused restart-replica")
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
		b.eval(`document.querySelector(".place").textContent = "monitor-1"`) // not this machine's name
		var picture []byte
		b.do(chromedp.ActionFunc(func(ctx context.Context) (err error) {
			picture, err = page.CaptureScreenshot().WithFormat(page.CaptureScreenshotFormatPng).WithOptimizeForSpeed(false).Do(ctx)
			return err
		}))
		if len(picture) < 10_000 || len(picture) > 200_000 {
			t.Errorf("%s has %d bytes", p.name, len(picture))
		}
		if err := os.WriteFile(filepath.Join(dir, "page-"+p.name+".png"), picture, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
