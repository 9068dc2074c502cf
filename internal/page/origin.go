package page

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
)

// notLoopback says why a request may not use a key, or "" if it may. The request may come
// from another machine. Or a browser was led to loopback under another name (DNS
// rebinding), and would let that name's pages read the answer.
func notLoopback(r *http.Request) string {
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !remote.Addr().Unmap().IsLoopback() {
		return "Without tokens the page is for this machine alone. Start amx serve with --token-file, and give a token the word operator."
	}
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host // without a port
	}
	if host == "localhost" {
		return ""
	}
	if a, err := netip.ParseAddr(trimBrackets(host)); err == nil && a.Unmap().IsLoopback() {
		return ""
	}
	return "The page is at 127.0.0.1 or localhost; this address has another name."
}

func trimBrackets(host string) string {
	if len(host) > 1 && host[0] == '[' && host[len(host)-1] == ']' {
		return host[1 : len(host)-1]
	}
	return host
}

// sameOrigin reports whether a page of this origin sent the request. Every browser says
// where a POST comes from, so a request that does not say is refused.
func sameOrigin(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" {
		return site == "same-origin"
	}
	origin, err := url.Parse(r.Header.Get("Origin"))
	return err == nil && origin.Host != "" && origin.Host == r.Host
}

// local is a path of this server that a redirect may lead to, else "/".
func local(path string) string {
	u, err := url.Parse(path)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil {
		return "/"
	}
	if _, _, ok := find(u.Path); !ok {
		return "/"
	}
	return (&url.URL{Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery}).String()
}
