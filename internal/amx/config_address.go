package amx

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// checkAddress holds listen_address to the form that package net takes for one
// to listen on, which this package does not import: the port after the last
// colon, IPv6 in brackets.
func checkAddress(s string) error {
	const want = `want HOST:PORT or :PORT, such as ":8080"`
	colon := strings.LastIndexByte(s, ':')
	if colon < 0 || strings.Contains(s, "/") {
		return errors.New(want)
	}
	host, port := s[:colon], s[colon+1:]
	inside, bracketed := strings.CutPrefix(host, "[")
	if bracketed {
		inside, bracketed = strings.CutSuffix(inside, "]")
	}
	switch {
	case bracketed && !isIPv6(inside):
		return fmt.Errorf("%q is no IPv6 address: %s", inside, want)
	case !bracketed && strings.Contains(host, ":"):
		return errors.New(`more than one colon: want an IPv6 address in brackets, such as "[::1]:8080", or ` + want[len("want "):])
	case !bracketed && strings.ContainsFunc(host, notInHost):
		return fmt.Errorf("host %q: %s", host, want)
	case !isPort(port):
		return fmt.Errorf("port %q: want a number from 0 to 65535, or the name of a service", port)
	}
	return nil
}

// isIPv6 tells what is none, not all that is one: groups of hexadecimal digits,
// perhaps IPv4 at the end, perhaps a zone.
func isIPv6(s string) bool {
	address, zone, zoned := strings.Cut(s, "%")
	return strings.Count(address, ":") >= 2 && strings.Trim(address, "0123456789abcdefABCDEF:.") == "" &&
		zoned == (zone != "") && !strings.ContainsFunc(zone, notInHost)
}

func notInHost(r rune) bool {
	return !isLetter(r) && !isDigit(r) && !strings.ContainsRune("-._", r)
}

// isPort takes numbers and the names of services, such as http-alt, which only
// the host can look up.
func isPort(s string) bool {
	if n, err := strconv.Atoi(s); err == nil {
		return 0 <= n && n <= 65535 && isDigit(rune(s[0]))
	}
	return strings.ContainsFunc(s, isLetter) &&
		!strings.ContainsFunc(s, func(r rune) bool { return !isLetter(r) && !isDigit(r) && r != '-' })
}

func isLetter(r rune) bool { return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' }

func isDigit(r rune) bool { return '0' <= r && r <= '9' }
