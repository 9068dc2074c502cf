package page

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/history"
	"github.com/amx-lambda/amx/internal/history/storetest"
	"github.com/amx-lambda/amx/internal/operate"
)

func TestOnlyABrowsersRequestsAreThePages(t *testing.T) {
	p := open(t, nil).page
	for _, tt := range []struct {
		method, path, accept, body string
		want                       bool
	}{
		{"GET", "/", "text/html,*/*", "", true},
		{"HEAD", "/", "text/html", "", true},
		{"GET", "/runs", "text/html", "", true},
		{"GET", "/runs/01R", "text/html", "", true},
		{"GET", "/", "*/*", "", false},         // curl
		{"GET", "/", "", "", false},            // a health check
		{"GET", "/", "text/html", "{}", false}, // prometheus-am-executor's example
		{"POST", "/", "text/html", "{}", false},
		{"POST", "/runs", "*/*", "{}", false},
		{"GET", "/hook", "text/html", "", false},
		{"GET", "/runs/a/b", "text/html", "", false},
		{"GET", "/-/page/style.css", "text/css", "", true},
		{"POST", "/-/page/cancel", "*/*", "", true},
		{"POST", "/-/reload", "*/*", "", false},
	} {
		r := httptest.NewRequest(tt.method, "http://a"+tt.path, strings.NewReader(tt.body))
		r.Header.Set("Accept", tt.accept)
		if got := p.Takes(r); got != tt.want {
			t.Errorf("%s %s %s: %v", tt.method, tt.path, tt.accept, got)
		}
	}
}

func TestNothingIsShownOrDoneWithoutALogin(t *testing.T) {
	b := open(t, nil)
	for _, path := range []string{"/", "/runs?state=failed", "/runs/01R", "/commands", "/try"} {
		r := b.do(http.MethodGet, path, nil, nil)
		if got := r.Header.Get("Location"); r.StatusCode != http.StatusSeeOther || !strings.HasPrefix(got, "/-/page/login?back=") {
			t.Errorf("%s: %d %s", path, r.StatusCode, got)
		}
	}
	for _, name := range []string{"cancel", "pause", "resume", "try", "logout"} {
		b.post(name, http.StatusForbidden, "run", "01R", "all", "yes", "why", "x", "for", "1h")
	}
	b.get("/-/page/events?of=/", http.StatusForbidden)
	if len(b.cancelled)+len(b.paused)+len(b.resumed)+len(b.asked) > 0 {
		t.Errorf("it did %+v", b.operator)
	}
	b.get("/-/page/style.css", http.StatusOK)
	b.get("/-/page/now.html", http.StatusNotFound)
}

func TestTheKeyOpensThePageOnLoopbackAlone(t *testing.T) {
	b := open(t, nil)
	b.shows(b.get("/?key=wrong", http.StatusForbidden), "This key is of an earlier start.")
	b.shows(b.body(b.post("login", http.StatusForbidden, "token", ""), http.StatusForbidden), "This is not the key.")
	r := b.do(http.MethodGet, "/runs?state=failed&key=k3y", nil, nil)
	cookie := r.Header.Get("Set-Cookie")
	if r.Header.Get("Location") != "/runs?state=failed" || !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Strict") || !strings.HasPrefix(cookie, "amx-8080=") {
		t.Errorf("led to %q with the cookie %q", r.Header.Get("Location"), cookie)
	}
	b.get("/", http.StatusOK)
	for _, host := range []string{"localhost:8080", "[::1]:8080", "127.0.0.1:8080"} {
		b.host = host
		b.get("/", http.StatusOK)
	}
	for _, host := range []string{"rebound.example:8080", "rebound.example", "10.0.0.1:8080", "localhost.example:8080", "127.0.0.1.example:8080"} {
		b.host = host
		b.shows(b.get("/", http.StatusForbidden), "The page is at 127.0.0.1 or localhost")
		b.post("pause", http.StatusForbidden, "all", "yes", "why", "x", "for", "1h")
	}
	b.host, b.remote = "127.0.0.1:8080", "10.0.0.9:1234"
	b.shows(b.get("/", http.StatusForbidden), "for this machine alone")
	if len(b.paused) > 0 {
		t.Errorf("paused %+v", b.paused)
	}
}

func TestAPageOfAnotherOriginDoesNothing(t *testing.T) {
	b := in(t)
	form := map[string][]string{"all": {"yes"}, "why": {"x"}, "for": {"1h"}}
	for _, header := range []map[string]string{
		{"Origin": "http://example.org"},
		{"Origin": "null"},
		{"Origin": ""}, // nobody says where it is from
		{"Origin": "http://127.0.0.1:3000"},
		{"Sec-Fetch-Site": "cross-site"},
		{"Sec-Fetch-Site": "same-site"},
		{"Sec-Fetch-Site": "none"},
	} {
		if r := b.do(http.MethodPost, Prefix+"pause", form, header); r.StatusCode != http.StatusForbidden {
			t.Errorf("%v: %d", header, r.StatusCode)
		}
	}
	if len(b.paused) > 0 {
		t.Errorf("paused %+v", b.paused)
	}
	if r := b.do(http.MethodPost, Prefix+"pause", form, map[string]string{"Sec-Fetch-Site": "same-origin"}); r.StatusCode != http.StatusSeeOther || len(b.paused) != 1 {
		t.Errorf("%d, paused %+v", r.StatusCode, b.paused)
	}
}

func TestOperatorsTokensLogIn(t *testing.T) {
	b := open(t, func(o *Options) {
		o.Key = ""
		o.Login = func(_ context.Context, token string) (string, error) {
			if token == "t0ken" {
				return "bob", nil
			}
			return "", errors.New(`the token "alertmanager" can send notifications and nothing else`)
		}
	})
	b.host, b.remote = "amx.example", "10.0.0.9:1234"
	b.get("/?key=", http.StatusSeeOther) // there is no key
	b.shows(b.body(b.post("login", http.StatusForbidden, "token", "s3cret"), http.StatusForbidden), "The token &#34;alertmanager&#34; can send")
	r := b.post("login", http.StatusSeeOther, "token", "t0ken", "back", "/runs?state=failed")
	if r.Header.Get("Location") != "/runs?state=failed" {
		t.Errorf("led to %q", r.Header.Get("Location"))
	}
	b.shows(b.get("/", http.StatusOK), ">bob</span>")
	stolen := b.cookies["amx"]
	b.post("logout", http.StatusSeeOther)
	b.cookies["amx"] = stolen
	b.get("/", http.StatusSeeOther) // the session is gone, not its cookie alone
}

func TestASessionEnds(t *testing.T) {
	now := noon
	b := open(t, func(o *Options) { o.Now = func() time.Time { return now } })
	b.get("/?key=k3y", http.StatusSeeOther)
	now = now.Add(sessionLife - time.Second)
	b.get("/", http.StatusOK)
	now = now.Add(time.Second)
	b.get("/", http.StatusSeeOther)
	for range maxSessions + 10 {
		b.cookies = map[string]string{}
		b.get("/?key=k3y", http.StatusSeeOther)
	}
	if n := len(b.page.sessions.all); n != maxSessions {
		t.Errorf("%d sessions are kept", n)
	}
	b.get("/", http.StatusOK) // the latest is
}

func TestALoginLeadsToThisServerOnly(t *testing.T) {
	for path, want := range map[string]string{
		"/runs?state=failed": "/runs?state=failed", "/runs/01R": "/runs/01R", "": "/", "//example.org/": "/", "https://example.org/": "/",
		`/\example.org`: "/", "/-/page/logout": "/", "javascript:alert(1)": "/", "/%2f/example.org": "/",
	} {
		if got := local(path); got != want {
			t.Errorf("%q leads to %q, want %q", path, got, want)
		}
	}
}

func TestALinkFromElsewhereFindsTheLogin(t *testing.T) {
	b := open(t, nil)
	cross := map[string]string{"Sec-Fetch-Site": "cross-site"}
	text := b.body(b.do(http.MethodGet, "/-/page/login?back=%2Fruns", nil, cross), http.StatusOK)
	b.shows(text, `<meta http-equiv="refresh" content="0; url=/runs">`)
	b.lacks(b.get("/-/page/login?back=%2Fruns", http.StatusOK), "http-equiv")
}

func TestEveryAnswerHasItsHeaders(t *testing.T) {
	b := in(t)
	for _, path := range []string{"/", "/runs", "/runs/01NOBODY", "/-/page/login", "/-/page/script.js", "/-/page/none"} {
		r := b.do(http.MethodGet, path, nil, nil)
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
			"X-Content-Type-Options":  "nosniff", "Referrer-Policy": "same-origin",
		} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
	}
}

// hostile is text that tries to be markup, script, a style, a terminal's code, or
// to turn around what follows it.
const hostile = `"'><script>alert(1)</script><img src=x onerror=alert(2)>{{.}}&amp;` + "\x00\x1b[31m\u202e\r\u009b" + `javascript:alert(3)//--></style></textarea></pre>`

func hostileRecord() history.Record {
	r := storetest.Sample(noon.Add(-time.Minute), 7)
	r.Command, r.Reason, r.Status, r.State = hostile, hostile, hostile, history.Failed
	r.Alerts[0] = history.Alert{Fingerprint: hostile, Labels: amx.KV{"alertname": hostile, hostile: hostile}, Annotations: amx.KV{hostile: hostile, "link": "javascript:alert(1)"}, GeneratorURL: "javascript:alert(1)"}
	r.Source = history.Source{Receiver: hostile, Topic: hostile, Token: hostile, ExternalURL: "javascript:alert(1)"}
	r.Targets = []history.Target{{Key: hostile, Values: []string{hostile}}}
	r.Nodes[0].Node, r.Nodes[0].Status, r.Nodes[0].Output = hostile, hostile, hostile
	r.CommandIDs = []string{hostile}
	r.CancelledBy = &history.CancelledBy{Who: hostile, Why: hostile}
	return r
}

func TestNoTextBecomesMarkup(t *testing.T) {
	b := in(t)
	r := hostileRecord()
	live := running(8, time.Minute)
	live.Command, live.Alerts = hostile, r.Alerts
	b.records = []history.Record{live, r}
	b.streams = []operate.Stream{{Node: hostile, Stdout: hostile, Stderr: hostile}}
	until := noon.Add(time.Hour)
	b.status.Paused = []operate.Pause{{Command: hostile, Who: hostile, Why: hostile, Until: until}}
	b.status.Commands = []operate.Command{{Command: hostile, Breaker: &until}, {Command: hostile, Max: 1}}
	b.status.Waiting = []operate.Waiting{{Command: hostile, Count: 1, Reason: hostile}}
	pages := map[string]string{
		"now": b.get("/", http.StatusOK), "runs": b.get("/runs", http.StatusOK), "run": b.get(runPath(r.Run), http.StatusOK),
		"commands": b.get("/commands", http.StatusOK), "try": b.body(b.post("try", http.StatusOK, "body", hostile, "subject", hostile), http.StatusOK),
		"not found": b.get(runPath(strings.ReplaceAll(hostile, "/", "")), http.StatusNotFound),
	}
	for name, text := range pages {
		for _, bad := range []string{"<script>", "<img src=x", "javascript:alert(1)\"", "</style>", "\x00", "\x1b", "\u202e", "\r", "\u009b"} {
			if strings.Contains(text, bad) {
				t.Errorf("%s has %q", name, bad)
			}
		}
		if n := strings.Count(text, "<script"); n != 1 {
			t.Errorf("%s has %d scripts", name, n)
		}
	}
	b.shows(pages["run"], "&lt;script&gt;alert(1)", "␛[31m")
}

func TestLongTextIsCutInListsAndWholeOnItsPage(t *testing.T) {
	b := in(t)
	r := storetest.Sample(noon.Add(-time.Minute), 1)
	r.Alerts[0].Annotations = amx.KV{"summary": strings.Repeat("long ", 12_000)}
	r.Alerts[0].Labels["instance"] = strings.Repeat("x", 1<<20)
	b.records = []history.Record{r}
	if n := len(b.get("/runs", http.StatusOK)); n > 20_000 {
		t.Errorf("the list has %d bytes", n)
	}
	b.shows(b.get(runPath(r.Run), http.StatusOK), r.Alerts[0].Annotations["summary"])
}
