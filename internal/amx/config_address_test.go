package amx

import (
	"net"
	"strings"
	"testing"
)

var addresses = []string{
	":8080", "127.0.0.1:9000", "localhost:http", "[::1]:8080", "[::]:0", "[fe80::1%eth0]:80", "[::ffff:10.0.0.1]:80",
	"amx.example.com:65535", "my_host-1:http-alt", ":0", "web-1.:8080",
}

func TestListenAddressesThatAreTaken(t *testing.T) {
	for _, s := range addresses {
		if c := parse(t, `listen_address: "`+s+`"`); c.ListenAddress != s {
			t.Errorf("%s: became %q", s, c.ListenAddress)
		}
		if _, _, err := net.SplitHostPort(s); err != nil {
			t.Errorf("package net does not take %q: %v", s, err)
		}
	}
}

func TestListenAddressesThatAreRefused(t *testing.T) {
	const want = `want HOST:PORT or :PORT, such as ":8080"`
	const brackets = `more than one colon: want an IPv6 address in brackets, such as "[::1]:8080", or HOST:PORT or :PORT, such as ":8080"`
	port := func(s string) string {
		return `port "` + s + `": want a number from 0 to 65535, or the name of a service`
	}
	for s, text := range map[string]string{
		"8080":                  want,
		"localhost":             want,
		"http://localhost:8080": want,
		"localhost:8080/":       want,
		"127.0.0.1:808080":      port("808080"),
		"127.0.0.1:65536":       port("65536"),
		":-1":                   port("-1"),
		":+1":                   port("+1"),
		"localhost:":            port(""),
		":80 80":                port("80 80"),
		":99999999999999999999": port("99999999999999999999"),
		"a:b:c":                 brackets,
		"::1":                   brackets,
		"::1:8080":              brackets,
		"[::1":                  brackets,
		"[::1:80":               brackets,
		"[::1]":                 brackets,
		"[web]:80":              `"web" is no IPv6 address: ` + want,
		"[127.0.0.1]:80":        `"127.0.0.1" is no IPv6 address: ` + want,
		"[]:80":                 `"" is no IPv6 address: ` + want,
		"my host:80":            `host "my host": ` + want,
		"[x:80":                 `host "[x": ` + want,
		"[::1%]:80":             `"::1%" is no IPv6 address: ` + want,
	} {
		_, err := ParseConfig("amx.yaml", []byte("verbose: true\nlisten_address: '"+s+"'\n"))
		if full := `amx.yaml:2: listen_address: "` + s + `": ` + text; err == nil || err.Error() != full {
			t.Errorf("got %v\nwant %s", err, full)
		}
	}
}

// If package net cannot parse an address, amx refuses it too.
func FuzzListenAddress(f *testing.F) {
	for _, s := range append(addresses, "a:b:c", "[::1", "http://x:80", "::1", "[[::1]]:80") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if checkAddress(s) != nil {
			return
		}
		if host, port, err := net.SplitHostPort(s); err != nil || strings.ContainsAny(host, "[]/ ") || port == "" {
			t.Errorf("%q is taken: %q, %q, %v", s, host, port, err)
		}
	})
}
