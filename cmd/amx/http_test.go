package main

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
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
