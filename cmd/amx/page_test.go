package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/amx-lambda/amx/internal/page"
)

// visitor is a browser at an amx serve that listens.
type visitor struct {
	*testing.T
	http.Client
	base string
}

func (m *machine) visitor(h http.Handler) *visitor {
	server := httptest.NewServer(h)
	m.t.Cleanup(server.Close)
	jar, err := cookiejar.New(nil)
	if err != nil {
		m.t.Fatal(err)
	}
	return &visitor{m.t, http.Client{Jar: jar}, server.URL}
}

// sees answers where a request led, and what is there.
func (v *visitor) sees(method, path string, form url.Values) (at, text string) {
	v.Helper()
	r, err := http.NewRequestWithContext(v.Context(), method, v.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		v.Fatal(err)
	}
	r.Header.Set("Accept", "text/html")
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", v.base)
	}
	out, err := v.Do(r)
	if err != nil {
		v.Fatal(err)
	}
	defer out.Body.Close()
	body, err := io.ReadAll(out.Body)
	if err != nil {
		v.Fatal(err)
	}
	return out.Request.URL.RequestURI(), string(body)
}

func (v *visitor) shows(text string, want ...string) {
	v.Helper()
	for _, w := range want {
		if !strings.Contains(text, w) {
			v.Errorf("the page lacks %q:\n%s", w, text)
		}
	}
}

func TestThePageShowsWhatRan(t *testing.T) {
	m := newMachine(t, `commands: [{name: hello, script: 'echo "hello <$AMX_ALERT_1_LABEL_name>"'}]`)
	v := m.visitor(m.handler)
	at, _ := v.sees("GET", "/", nil)
	if at != "/-/page/login?back=%2F" {
		t.Errorf("led to %s", at)
	}
	if at, text := v.sees("GET", "/?key="+m.host.page.Key, nil); at != "/" {
		t.Fatalf("the key leads to %s: %s", at, text)
	}
	a := m.post(notification("amx", firing("a", 0)))
	if len(a.Results) != 1 || a.Results[0].RunID == "" {
		t.Fatalf("%+v", a)
	}
	run := a.Results[0].RunID
	var text string
	m.eventually("the run is on its page", func() bool {
		_, text = v.sees("GET", "/runs/"+run, nil)
		return strings.Contains(text, "hello &lt;a&gt;") && strings.Contains(text, "succeeded")
	})
	v.shows(text, "AWS-RunShellScript", "AMX_ALERT_1_LABEL_name", `<span>name</span> <bdi>a</bdi>`)
	_, text = v.sees("GET", "/commands", nil)
	v.shows(text, "hello", "100 %", "Every alert matches.")
	_, text = v.sees("POST", "/-/page/try", url.Values{"body": {"alertname=Down\r\nname=b\r\n"}})
	v.shows(text, "hello: 1 firing, 0 resolved of 1 alerts match", "AMX_ALERT_1_LABEL_name=&#34;b&#34;", "echo &#34;hello")
	_, text = v.sees("POST", "/-/page/pause", url.Values{"command": {"hello"}, "for": {"1h"}, "why": {"lunch"}, "back": {"/"}})
	v.shows(text, "Paused hello.", "hello is paused", "“lunch”")
	if a := m.post(notification("amx", firing("b", 0))); len(a.Results) != 1 || a.Results[0].Action != "later" {
		t.Errorf("a paused command: %+v", a)
	}
	_, text = v.sees("POST", "/-/page/resume", url.Values{"command": {"hello"}, "back": {"/"}})
	v.shows(text, "Resumed hello.", "nothing is paused")
}

func TestThePageCancelsARun(t *testing.T) {
	m := newMachine(t, `commands: [{name: long, script: sleep 600, wait: 0s}]`)
	v := m.visitor(m.handler)
	v.sees("GET", "/?key="+m.host.page.Key, nil)
	run := m.post(notification("amx", firing("a", 0))).Results[0].RunID
	_, text := v.sees("GET", "/", nil)
	v.shows(text, "1 run goes on", run)
	_, text = v.sees("POST", "/-/page/cancel", url.Values{"run": {run}, "why": {"wrong host"}, "back": {"/runs/" + run}})
	v.shows(text, "Asked 1 run to stop.")
	m.eventually("the run is over", func() bool {
		_, text = v.sees("GET", "/runs/"+run, nil)
		return strings.Contains(text, `<span class="state cancelled">`)
	})
	v.shows(text, "wrong host", userName(os.Getuid()))
}

func TestThePageTakesOperatorsTokensOnly(t *testing.T) {
	accepts, err := acceptFile(write(t, "tokens", "alertmanager s3cret\nann t0ken operator\n"))
	if err != nil {
		t.Fatal(err)
	}
	m := newMachine(t, "commands: [{cmd: 'true'}]")
	v := m.visitor(newServer(m.host, accepts).Handler)
	if m.host.page.Key != "" {
		t.Error("there is a key beside the tokens")
	}
	for token, want := range map[string]string{
		"nobody's": "This token is not accepted",
		"s3cret":   "The token &#34;alertmanager&#34; can send notifications and nothing else: add the word operator to its line of the token file",
	} {
		_, text := v.sees("POST", "/-/page/login", url.Values{"token": {token}})
		v.shows(text, want)
	}
	at, text := v.sees("POST", "/-/page/login", url.Values{"token": {"t0ken"}, "back": {"/runs"}})
	if at != "/runs" {
		t.Errorf("led to %s", at)
	}
	v.shows(text, ">ann</span>")
}

func TestWhatIsNoBrowsersIsTheWebhooks(t *testing.T) {
	m := newMachine(t, "commands: [{cmd: 'true'}]")
	for _, tt := range []struct {
		method, accept, body string
		status               int
	}{
		{"GET", "*/*", "", 405},
		{"GET", "", "", 405},
		{"GET", "text/html", "", 303},
		{"GET", "text/html", notification("amx", firing("a", 0)), 200},
		{"POST", "text/html", notification("amx", firing("b", 0)), 200},
	} {
		r := httptest.NewRequest(tt.method, "http://127.0.0.1:8080/", strings.NewReader(tt.body))
		r.RemoteAddr = "127.0.0.1:1"
		r.Header.Set("Accept", tt.accept)
		w := httptest.NewRecorder()
		if m.handler.ServeHTTP(w, r); w.Code != tt.status {
			t.Errorf("%s %q: %d %s, want %d", tt.method, tt.accept, w.Code, w.Body, tt.status)
		}
	}
}

func TestWhereThePageIs(t *testing.T) {
	p := page.New(page.Options{Key: "k3y"})
	for address, want := range map[string]string{
		"127.0.0.1:8080": "page: http://127.0.0.1:8080/?key=k3y\n",
		"[::]:8080":      "page: http://127.0.0.1:8080/?key=k3y\n",
		"[::1]:8080":     "page: http://[::1]:8080/?key=k3y\n",
		"10.0.0.1:8080":  "", // nobody reaches it through loopback
	} {
		at, err := net.ResolveTCPAddr("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if printPage(&out, p, "http", at); out.String() != want {
			t.Errorf("%s: %q, want %q", address, out.String(), want)
		}
	}
	var out bytes.Buffer
	if printPage(&out, page.New(page.Options{}), "http", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}); out.Len() > 0 {
		t.Errorf("with tokens: %q", out.String())
	}
}

// A stack's page is served on loopback, with the rights of who started it.
func TestThePageOfAStack(t *testing.T) {
	account := newServices(t, nil)
	account.setenv(t)
	runs := account.enterRuns(t)
	ctx, cancel := context.WithCancel(t.Context())
	errs, said := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"page", "--stack", account.stack, "-f", write(t, "amx.yaml", "commands: [{name: restart, cmd: 'true', targets: [{key: InstanceIds, values: [i-1]}]}]")}, stdio{err: said})
		said.Close()
	}()
	line, err := bufio.NewReader(errs).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, errs) }()
	at, err := url.Parse(strings.TrimSpace(strings.TrimPrefix(line, "page: ")))
	if err != nil || at.Hostname() != "127.0.0.1" {
		t.Fatalf("%q, %v", line, err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	v := &visitor{t, http.Client{Jar: jar}, "http://" + at.Host}
	_, text := v.sees("GET", at.RequestURI(), nil)
	v.shows(text, "restart", "Concurrency limit reached (max: 2)", "targets: no node has this address", ">"+account.stack+"</span>", "5 items")
	_, text = v.sees("GET", "/runs/"+runs[0].Run, nil)
	v.shows(text, "no such unit␛[31m", "Exit code 3")
	_, text = v.sees("POST", "/-/page/pause", url.Values{"command": {"restart"}, "for": {"1h"}, "why": {"lunch"}, "back": {"/"}})
	v.shows(text, "restart is paused", "assumed-role/Admin/ann")
	if r, err := v.Post(v.base+"/", "application/json", strings.NewReader("{}")); err != nil || r.StatusCode != http.StatusNotFound {
		t.Errorf("a notification: %v, %v", r, err)
	}
	cancel()
	if code := <-ended; code != 0 {
		t.Errorf("exit %d", code)
	}
}

func TestThePageOfAStackIsOnLoopbackOnly(t *testing.T) {
	for _, address := range []string{":8080", "0.0.0.0:8080", "10.0.0.1:8080", "example.org:8080"} {
		code, _, errs := amxRun(t, "", "page", "--stack", "amx", "-l", address)
		if code != 2 || !strings.Contains(errs, "can be reached from other machines, and the page acts with your rights") {
			t.Errorf("%s: exit %d, %s", address, code, errs)
		}
	}
}
