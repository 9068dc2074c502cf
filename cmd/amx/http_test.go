package main

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/amx-lambda/amx/internal/amx"
)

// listening is a machine with its port.
func (m *machine) listening() string {
	m.t.Helper()
	server := newServer(m.host, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		m.t.Fatal(err)
	}
	go func() { _ = server.Serve(l) }()
	m.t.Cleanup(func() { server.Close() })
	return l.Addr().String()
}

func TestEveryOtherPathIsTheWebhook(t *testing.T) {
	m := newMachine(t, "commands: [{cmd: 'true'}]")
	address := m.listening()
	for _, test := range []struct{ request, want string }{
		{"POST /", "400"},
		{"POST /hook", "400"},
		{"POST //", "400"},
		{"POST /a//b", "400"},
		{"POST /a/../b", "400"},
		{"POST /a/./", "400"},
		{"POST /_health", "400"},
		{"POST //-/reload", "400"},
		{"PUT /a//b", "405"},
		{"GET /a//b", "400"},
		{"GET /_health", "200"},
		{"HEAD /_health", "200"},
		{"GET /-/healthy", "200"},
		{"GET /-/ready", "200"},
		{"GET /metrics", "200"},
		{"GET /-/reload", "400"},
	} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, test.request+" HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 1\r\n\r\n{"); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 "+test.want+" ") {
			t.Errorf("%s: %q (%v), want %s", test.request, line, err, test.want)
		}
		conn.Close()
	}
}

func TestABodyThatIsCutOffIsAnErrorOfReading(t *testing.T) {
	m := newMachine(t, "commands: [{cmd: 'true'}]")
	conn, err := net.Dial("tcp", m.listening())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	m.eventually("it is counted", func() bool { return m.metric(`am_executor_errors_total{stage="read"}`) == "1" })
	if got := m.metric(`am_executor_errors_total{stage="unmarshal"}`); got != "0" {
		t.Errorf("unmarshal %s, want 0", got)
	}
}

func TestAPageOfAnotherSiteIsRefusedWithoutAToken(t *testing.T) {
	m := newMachine(t, "commands: [{cmd: 'true'}]")
	reloads := 0
	m.host.reload = func() (*amx.Config, error) { reloads++; return m.host.current.Load(), nil }
	accepts, err := acceptFile(write(t, "tokens", "new\n"))
	if err != nil {
		t.Fatal(err)
	}
	open, guarded := m.handler, newServer(m.host, accepts).Handler
	page := map[string]string{"Origin": "http://example.org", "Sec-Fetch-Site": "cross-site", "Content-Type": "text/plain"}
	for _, test := range []struct {
		name         string
		handler      http.Handler
		method, path string
		header       map[string]string
		status       int
	}{
		{"Alertmanager and curl", open, "POST", "/", nil, 200},
		{"a page", open, "POST", "/", page, 403},
		{"a page that would reload", open, "POST", "/-/reload", page, 403},
		{"a page in a frame without an origin", open, "POST", "/", map[string]string{"Origin": "null"}, 403},
		{"a page, in an old browser", open, "POST", "/", map[string]string{"Origin": "http://example.org"}, 403},
		{"a page of another port", open, "POST", "/", map[string]string{"Origin": "http://127.0.0.1:3000", "Sec-Fetch-Site": "same-site"}, 403},
		{"a page's PUT", open, "PUT", "/", page, 403},
		{"its own origin", open, "POST", "/", map[string]string{"Origin": "http://127.0.0.1:8080", "Sec-Fetch-Site": "same-origin"}, 200},
		{"prometheus-am-executor's example", open, "GET", "/", nil, 200},
		{"a link to the metrics", open, "GET", "/metrics", page, 200},
		{"a token", guarded, "POST", "/", map[string]string{"Authorization": "Bearer new", "Origin": "http://example.org"}, 200},
		{"a page without the token", guarded, "POST", "/", page, 401},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest(test.method, "http://127.0.0.1:8080"+test.path, strings.NewReader(notification("amx", firing("a", 0))))
			for name, value := range test.header {
				r.Header.Set(name, value)
			}
			w := httptest.NewRecorder()
			test.handler.ServeHTTP(w, r)
			if w.Code != test.status {
				t.Errorf("%d %s, want %d", w.Code, w.Body, test.status)
			}
			const refusal = `{"error":"a web page of another origin sent this, and no token says that it may: start amx serve with --token-file to accept whoever has one"}` + "\n"
			if test.status == 403 && (w.Body.String() != refusal || w.Header().Get("Content-Type") != "application/json") {
				t.Errorf("%s %s, want %s", w.Header().Get("Content-Type"), w.Body, refusal)
			}
		})
	}
	if got := m.metric(`amx_http_requests_total{code="403"}`); reloads != 0 || got != "5" {
		t.Errorf("%d reloads, %s refused notifications, want 0 and 5", reloads, got)
	}
}

// -v logs bodies that explain can read, without the secrets of a block.
func TestVerboseLogsTheBodyOfAMessage(t *testing.T) {
	for _, verbose := range []bool{true, false} {
		m := newMachine(t, "commands: [{cmd: 'true', match_labels: {a: b}}]")
		level := slog.LevelInfo
		if verbose {
			level = slog.LevelDebug
		}
		m.host.log = slog.New(slog.NewTextHandler(&m.log, &slog.HandlerOptions{Level: level}))
		m.handler = newServer(m.host, nil).Handler
		body := `{"alerts":[{"status":"firing","labels":{"x":"some\"text"}}],"routing_key":"s3cr3t","details":{"routingKey": s3cr3t}}`
		m.post(`{"alerts":[{"status":"firing","labels":{"x":"some\"text"}}],"routing_key":"s3cr3t"}`)
		m.post(body) // no JSON: logged all the same, because that is what one wants to see
		m.post(`{"version":"1"}`)
		log := m.log.String()
		if logged := strings.Contains(log, `some\\\"text`); logged != verbose {
			t.Errorf("verbose %t: the body is logged: %t\n%s", verbose, logged, log)
		}
		if strings.Contains(log, "s3cr3t") || verbose && strings.Count(log, "(hidden)") != 3 {
			t.Errorf("verbose %t: a secret is in the log\n%s", verbose, log)
		}
	}
}
