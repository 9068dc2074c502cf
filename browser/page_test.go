package browser

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/history"
	historybolt "github.com/amx-lambda/amx/internal/history/bolt"
	"github.com/amx-lambda/amx/internal/history/storetest"
	ledgerbolt "github.com/amx-lambda/amx/internal/ledger/bolt"
)

const config = `commands:
- name: restart-nginx
  script: |
    echo "nginx on $AMX_ALERT_1_LABEL_instance answers 502"
    echo "active (running)"
  match_labels: {alertname: NginxDown}
  matchers: ['severity=~"page|critical"']
- name: clean-disk
  script: |
    echo "/var is full"
    sleep 600
  match_labels: {alertname: DiskFilling}
  wait: 0s
- name: rotate-certificate
  script: |
    echo "asking the CA for $AMX_ALERT_1_LABEL_domain"
    echo "the CA answers 403: the account is locked" >&2
    exit 3
  match_labels: {alertname: CertificateExpires}
`

func nginx(n int) alert {
	return firing(map[string]string{"alertname": "NginxDown", "instance": "web-" + strconv.Itoa(n), "severity": "page"},
		map[string]string{"summary": "nginx answers 502", "runbook_url": "https://runbooks.example.com/nginx"})
}

func disk(n int) alert {
	return firing(map[string]string{"alertname": "DiskFilling", "instance": "db-" + strconv.Itoa(n)}, map[string]string{"summary": "/var is full in 2 hours"})
}

func certificate(domain string) alert {
	return firing(map[string]string{"alertname": "CertificateExpires", "domain": domain}, map[string]string{"summary": "the certificate expires in 3 days"})
}

func TestEveryView(t *testing.T) {
	a := serve(t, config)
	good, bad, long := a.sends(nginx(1))[0], a.sends(certificate("a.example.com"))[0], a.sends(disk(1))[0]
	b := a.browse()
	b.shows("1 run goes on, nothing is paused.", "Problems of the last 24 hours", "exit code 3", "3 commands")
	b.click("table a", "restart-nginx")
	b.shows("restart-nginx", "succeeded", "nginx on web-1 answers 502", "active (running)", "receiver amx", good)
	b.lacks("AMX_ALERT_LEN") // until it is opened
	b.click("summary", "AWS-RunShellScript")
	b.shows("AMX_ALERT_LEN")
	b.click(".labels a", "web-1")
	b.becomes(`document.querySelectorAll("tbody tr").length === 1`)
	if got := b.eval("location.search"); got != "?alert=instance=web-1&since=30d" {
		t.Errorf("filtered by %q", got)
	}
	b.at("/runs/"+bad).shows("Exit code 3", "the CA answers 403: the account is locked", "Failed")
	b.at("/runs/"+long).shows("running", "Cancel…")
	b.at("/commands").shows("restart-nginx", "100 %", "0 %", `alertname="NginxDown"`, `severity=~"page|critical"`)
	b.at("/try")
	b.types("textarea", "alertname=NginxDown\nseverity=page")
	b.click("button", "What would it do?")
	b.shows("restart-nginx: 1 firing, 0 resolved of 1 alerts match", "No match: clean-disk, rotate-certificate")
}

func TestTheFiltersAreInTheAddress(t *testing.T) {
	a := serve(t, config)
	a.sends(nginx(1))
	a.sends(certificate("a.example.com"))
	b := a.browse().at("/runs")
	b.shows("restart-nginx", "rotate-certificate")
	b.eval(`document.querySelector("select[name=state]").value = "failed"`)
	b.click("button", "Filter")
	b.becomes(`location.search.includes("state=failed") && document.querySelectorAll("tbody tr").length === 1`)
	b.shows("rotate-certificate")
	b.click("a", "Clear")
	b.becomes(`location.search === "" && document.querySelectorAll("tbody tr").length === 2`)
}

func TestAnOpenPageFollowsWhatHappens(t *testing.T) {
	a := serve(t, config)
	b := a.browse()
	b.shows("Nothing runs, nothing is paused.")
	b.eval(`window.here = true`) // gone if the page is loaded again
	run := a.sends(disk(1))[0]
	b.shows("1 run goes on", "clean-disk")
	// Somebody who writes is not disturbed, and sees the rest move on.
	b.click("summary", "Cancel…")
	b.types("input[name=why]", "half a sen")
	a.sends(disk(2))
	b.shows("2 runs go on")
	if got := b.eval(`document.activeElement.value`); got != "half a sen" {
		t.Errorf("what was being written is %q", got)
	}
	b.types("input[name=why]", "tence")
	b.click("button", "Cancel the run")
	b.shows("Asked 1 run to stop.")
	b.at("/runs/"+run).shows("cancelled", "half a sentence")
	b.at("/")
	b.eval(`window.here = true`)
	a.sends(nginx(2))
	b.shows("web-2")
	if b.eval(`window.here === true`) != "true" {
		t.Error("the page was loaded again")
	}
}

func TestPauseAndResume(t *testing.T) {
	a := serve(t, config)
	b := a.browse()
	b.click("summary", "Pause everything…")
	b.types("input[name=why]", "the change window")
	b.click("button", "Pause everything")
	b.shows("Paused everything.", "Everything is paused", "“the change window”")
	b.click("button", "Resume")
	b.shows("Resumed everything.", "nothing is paused")
	b.at("/commands")
	b.click("summary", "Pause…")
	b.types("input[name=why]", "broken")
	b.click("button", "Pause the command")
	b.shows("Paused restart-nginx.")
	b.at("/").shows("restart-nginx is paused")
	b.shows("1 command is paused")
}

func TestTheFormsAskForAReason(t *testing.T) {
	b := serve(t, config).browse()
	b.click("summary", "Pause everything…")
	b.click("button", "Pause everything")
	if b.eval(`document.querySelector("input[name=why]:invalid") !== null && location.pathname === "/"`) != "true" {
		t.Error("the form was sent without a reason")
	}
}

func TestLogin(t *testing.T) {
	tokens := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(tokens, []byte("alertmanager s3cret\nann t0ken operator\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := serve(t, config, "--token-file", tokens)
	b := a.browse().at("/runs?state=failed")
	b.shows("Operator's token")
	b.types("input[name=token]", "s3cret\n")
	b.shows(`The token "alertmanager" can send notifications and nothing else`)
	b.refused(403)
	b.types("input[name=token]", "t0ken\n")
	b.becomes(`location.pathname + location.search === "/runs?state=failed"`)
	b.shows("ann", "No run matches.")
	if got := b.eval(`document.cookie`); got != "" {
		t.Errorf("a script sees the cookie %q", got)
	}
	b.click("button", "Log out")
	b.shows("Log in")
	b.at("/").shows("Operator's token")
}

func TestWithoutJavaScript(t *testing.T) {
	a := serve(t, config)
	run := a.sends(disk(1))[0]
	b := a.browse().withoutJavaScript()
	b.at("/runs/" + run)
	b.shows("running")
	b.click("summary", "Cancel…")
	b.types("input[name=why]", "no script")
	b.click("button", "Cancel the run")
	b.shows("Asked 1 run to stop.")
}

// hostile tries to be markup and script, and to turn around what follows.
const hostile = `"'><script>window.owned=1</script><img src=x onerror="window.owned=2"><b id=owned>` + "\u202e\x1b[31m" + `</textarea></pre>`

func TestHostileTextIsText(t *testing.T) {
	a := serve(t, `commands: [{name: show, script: 'printf "%s\n\033[31mred\033[0m\n" "$AMX_ALERT_1_LABEL_evil"; head -c 1048576 /dev/zero | tr "\0" "x"'}]`)
	run := a.sends(firing(map[string]string{"alertname": hostile, "evil": hostile}, map[string]string{"summary": hostile, "link": "javascript:window.owned=3", "long": strings.Repeat("long ", 10_000)}))[0]
	b := a.browse()
	for _, path := range []string{"/", "/runs", "/runs?alert=evil%3D" + "%22%3E%3Cscript%3Ewindow.owned%3D4%3C%2Fscript%3E", "/runs/" + run, "/commands", "/try?run=" + run} {
		b.at(path)
		b.becomes(`document.readyState === "complete"`)
		if got := b.eval(`String(window.owned) + document.querySelectorAll("#owned, img[src=x], a[href^=javascript]").length`); got != "undefined0" {
			t.Errorf("%s: a text became markup: %s", path, got)
		}
		if got := b.eval(`document.documentElement.scrollWidth <= innerWidth`); got != "true" {
			t.Errorf("%s is wider than the window", path)
		}
	}
	b.at("/runs/"+run).shows(`<script>window.owned=1</script>`, "␛[31mred␛[0m")
}

// seed writes runs into a new ledger.
func seed(t *testing.T, n int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	file, err := ledgerbolt.Open(filepath.Join(dir, "ledger.db"), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	store := &historybolt.Store{File: file, Keep: history.Default, Now: time.Now}
	now := time.Now()
	for i := range n {
		r := storetest.Sample(now.Add(-time.Duration(n-i)*40*time.Second), i)
		r.Command = []string{"restart-nginx", "clean-disk", "rotate-certificate"}[i%3]
		if i%17 == 0 {
			r.State, r.Status = history.Failed, "Failed"
		}
		if err := store.Put(context.Background(), r); err != nil {
			t.Fatal(err)
		}
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestTenThousandRuns(t *testing.T) {
	a := serveIn(t, seed(t, 10_000), config)
	b := a.browse()
	// How long it takes depends on the machine; how much there is does not.
	for path, rows := range map[string]int{"/": 15, "/runs": 50, "/runs?state=failed&since=30d": 50, "/runs?command=clean-disk&state=failed&since=30d": 50} {
		begun := time.Now()
		b.at(path)
		if got := b.eval(`document.querySelectorAll("tbody tr").length`); got != strconv.Itoa(rows) {
			t.Errorf("%s has %s rows, want %d", path, got, rows)
		}
		if size, err := strconv.Atoi(b.eval(`document.documentElement.outerHTML.length`)); err != nil || size > 200_000 {
			t.Errorf("%s has %d characters", path, size)
		}
		t.Logf("%s in %v", path, time.Since(begun).Round(time.Millisecond))
	}
	b.at("/runs?since=30d")
	first := b.eval(`document.querySelector("tbody a").href`)
	for range 3 {
		b.click("a", "Older")
		b.becomes(`document.readyState === "complete" && document.querySelectorAll("tbody tr").length === 50 && document.querySelector("tbody a").href !== ` + quoted(first))
		first = b.eval(`document.querySelector("tbody a").href`)
	}
	b.click("a", "Newest")
	b.becomes(`location.search === "?since=30d"`)
	b.at("/commands").shows("restart-nginx")
}
