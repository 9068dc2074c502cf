package amx

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// read is how a key's value is taken into a T.
type read[T any] func(r *reader, path string, n *yaml.Node, into *T)

// text takes a single value that is not empty, as it was typed: a number or a
// truth value is the text of it.
func text[T any](field func(*T) *string) read[T] {
	return checked(field, func(s string) error { return nil })
}

// checked is text with a condition. The error of the condition says what is
// wanted.
func checked[T any](field func(*T) *string, check func(string) error) read[T] {
	return func(r *reader, path string, n *yaml.Node, into *T) {
		s, ok := r.scalar(path, n)
		if !ok {
			return
		}
		if s == "" {
			r.fail(n.Line, path, "empty: give it a value or remove it")
		} else if err := check(s); err != nil {
			r.fail(n.Line, path, "%q: %v", s, err)
		} else {
			*field(into) = s
		}
	}
}

// choice takes one of a few words.
func choice[T any](field func(*T) *string, words ...string) read[T] {
	return checked(field, func(s string) error {
		if slices.Contains(words, s) {
			return nil
		}
		return fmt.Errorf("want %s", either(words))
	})
}

// either lists words as `"a", "b" or "c"`.
func either(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = strconv.Quote(w)
	}
	last := len(quoted) - 1
	if last <= 0 {
		return strings.Join(quoted, "")
	}
	return strings.Join(quoted[:last], ", ") + " or " + quoted[last]
}

// texts takes a list of single values; they may be empty. One that is wrong
// keeps its place, so that nothing else is said about the length of the list.
func texts[T any](field func(*T) *[]string, check func(string) error) read[T] {
	return func(r *reader, path string, n *yaml.Node, into *T) {
		members := r.elements(path, n)
		list := make([]string, len(members))
		for i, member := range members {
			at := fmt.Sprintf("%s[%d]", path, i)
			s, ok := r.scalar(at, member)
			if !ok {
				continue
			}
			if err := check(s); err != nil {
				r.fail(member.Line, at, "%q: %v", s, err)
			}
			list[i] = s
		}
		*field(into) = list
	}
}

// templates takes a list of templates over the notification, which may call those
// of the file.
func templates[T any](field func(*T) *[]string) read[T] {
	return func(r *reader, path string, n *yaml.Node, into *T) {
		texts(field, func(s string) error { return checkTemplate[Data](s, r.named) })(r, path, n, into)
	}
}

// boolean takes true or false, and YAML 1.1's words for them, which am-executor
// took as well.
func boolean[T any](field func(*T) *bool) read[T] {
	return func(r *reader, path string, n *yaml.Node, into *T) {
		s, ok := r.scalar(path, n)
		if !ok {
			return
		}
		quoted := n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0
		switch word := strings.ToLower(s); {
		case !quoted && slices.Contains([]string{"true", "yes", "on"}, word):
			*field(into) = true
		case !quoted && slices.Contains([]string{"false", "no", "off"}, word):
			*field(into) = false
		default:
			r.fail(n.Line, path, "%q: want true or false", s)
		}
	}
}

// whole takes a whole number that is at least least.
func whole[T any](least int, field func(*T) *int) read[T] {
	return within(least, math.MaxInt, field)
}

// within takes a whole number between two bounds; math.MaxInt is no bound.
func within[T any](least, most int, field func(*T) *int) read[T] {
	return func(r *reader, path string, n *yaml.Node, into *T) {
		s, ok := r.scalar(path, n)
		if !ok {
			return
		}
		var number int
		switch {
		case n.ShortTag() != "!!int" || n.Decode(&number) != nil:
			r.fail(n.Line, path, "%q: want a whole number", s)
		case number > most && least == minInt:
			r.fail(n.Line, path, "%s: want %d or less", s, most)
		case number < least && most == math.MaxInt:
			r.fail(n.Line, path, "%s: want %d or more", s, least)
		case number < least || number > most:
			r.fail(n.Line, path, "%s: want %d to %d", s, least, most)
		default:
			*field(into) = number
		}
	}
}

// duration takes a length of time between two bounds; most of 0 is no bound.
// Unit is what it must be a multiple of.
func duration[T any](least, most, unit time.Duration, field func(*T) *time.Duration) read[T] {
	return func(r *reader, path string, n *yaml.Node, into *T) {
		s, ok := r.scalar(path, n)
		if !ok {
			return
		}
		d, err := ParseDuration(s)
		switch {
		case err != nil:
			r.fail(n.Line, path, "%q: %v", s, err)
		case most > 0 && (d < least || d > most):
			r.fail(n.Line, path, "%s: want %s to %s", s, ShortDuration(least), ShortDuration(most))
		case d < least:
			r.fail(n.Line, path, "%s: want %s or more", s, ShortDuration(least))
		case d%unit != 0:
			r.fail(n.Line, path, "%s: want whole seconds, as SSM does", s)
		default:
			*field(into) = d
		}
	}
}

// never takes "never", which is 0, or a duration of at least least.
func never[T any](least time.Duration, field func(*T) *time.Duration) read[T] {
	return func(r *reader, path string, n *yaml.Node, into *T) {
		if n.Kind == yaml.ScalarNode && n.Value == "never" {
			*field(into) = 0
			return
		}
		s, ok := r.scalar(path, n)
		if !ok {
			return
		}
		d, err := ParseDuration(s)
		if err != nil || d < least {
			r.fail(n.Line, path, `%q: want "never", or a duration such as "4h"`, s)
			return
		}
		*field(into) = d
	}
}

// signals are Linux's, by number; the empty ones are none that a process would
// be told with. am-executor's configuration has these names and numbers.
var signals = [...]string{
	1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE",
	9: "SIGKILL", 10: "SIGUSR1", 11: "SIGSEGV", 12: "SIGUSR2", 13: "SIGPIPE", 14: "SIGALRM", 15: "SIGTERM",
	16: "SIGSTKFLT", 17: "SIGCHLD", 18: "SIGCONT", 19: "SIGSTOP", 20: "SIGTSTP", 21: "SIGTTIN", 22: "SIGTTOU",
	23: "SIGURG", 24: "SIGXCPU", 25: "SIGXFSZ", 26: "SIGVTALRM", 27: "SIGPROF", 28: "SIGWINCH", 29: "SIGIO",
	30: "SIGPWR", 31: "SIGSYS",
}

// signalName takes a signal's name, with or without SIG and in any case, or its
// number, and returns the name.
func signalName(s string) (string, error) {
	name := strings.ToUpper(s)
	if n, err := strconv.Atoi(s); err == nil {
		if n < 1 || n >= len(signals) {
			return "", fmt.Errorf("want a number from 1 to %d, or a name such as SIGTERM", len(signals)-1)
		}
		return signals[n], nil
	}
	if !strings.HasPrefix(name, "SIG") {
		name = "SIG" + name
	}
	switch name { // other names of the same number
	case "SIGIOT":
		return "SIGABRT", nil
	case "SIGPOLL":
		return "SIGIO", nil
	case "SIGCLD":
		return "SIGCHLD", nil
	}
	if slices.Contains(signals[1:], name) {
		return name, nil
	}
	return "", fmt.Errorf("want one of %s, or a number from 1 to %d", strings.Join(signals[1:], " "), len(signals)-1)
}
