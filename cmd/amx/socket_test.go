package main

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/amx-lambda/amx/internal/app"
)

// get answers what the listener of a machine says to a GET.
func get(t *testing.T, h http.Handler, path, token string) (int, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	out := httptest.NewRecorder()
	h.ServeHTTP(out, r)
	return out.Code, strings.TrimSpace(out.Body.String())
}

func TestTheListenerIsForOperatorsAlone(t *testing.T) {
	m := newMachine(t, "commands: [{cmd: 'true'}]")
	tokens, err := app.ParseTokens("alertmanager s3cret\nann t0ken operator\n")
	if err != nil {
		t.Fatal(err)
	}
	withTokens := newServer(m.host, func(_ context.Context, token string) (*app.Token, error) { return tokens.Find(token), nil }).Handler
	for _, tt := range []struct {
		name    string
		handler http.Handler
		token   string
		status  int
		body    string // contained in it
	}{
		{"nobody's tokens", m.handler, "", 403, `without tokens the operator's interface is only on the socket next to the ledger`},
		{"no token", withTokens, "", 401, `no token: send`},
		{"a wrong token", withTokens, "wrong", 401, `{"error":"the token is not one of the accepted"}`},
		{"Alertmanager's token", withTokens, "s3cret", 403, `the token \"alertmanager\" can send notifications and nothing else`},
		{"an operator's token", withTokens, "t0ken", 200, `{"runs":[]}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if code, body := get(t, tt.handler, "/api/v1/runs", tt.token); code != tt.status || !strings.Contains(body, tt.body) {
				t.Errorf("%d %s, want %d %s", code, body, tt.status, tt.body)
			}
		})
	}
	for _, path := range []string{"/_health", "/-/healthy", "/-/ready"} {
		if code, body := get(t, withTokens, path, ""); code != 200 || body != "ok" {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
}

func TestTheSocketIsItsUsersAlone(t *testing.T) {
	m := newMachine(t, "commands: [{cmd: 'true'}]")
	path := filepath.Join(t.TempDir(), "ledger.sock")
	if err := os.WriteFile(path, nil, 0o600); err != nil { // an earlier process left it
		t.Fatal(err)
	}
	stop, err := m.host.serveSocket(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket is %v, %v", info, err)
	}
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if uid, err := peerUser(c.(*net.UnixConn)); err != nil || uid != os.Getuid() {
		t.Errorf("the user at the other end is %d, %v; want %d", uid, err, os.Getuid())
	}
	stop()
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("after the stop: %v", err)
	}
	if code, body := get(t, onlyUser(http.NotFoundHandler(), os.Getuid()), "/api/v1/runs", ""); code != 500 || body != `{"error":"cannot tell which user is asking: not a socket"}` {
		t.Errorf("not over a socket: %d %s", code, body)
	}
}
