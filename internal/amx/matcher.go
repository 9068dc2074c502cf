package amx

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// matchOp is how a matcher compares: "=", "!=", "=~" or "!~".
type matchOp string

// matcher is one condition on one label.
type matcher struct {
	name  string
	op    matchOp
	value string
	re    *regexp.Regexp // of =~ and !~, anchored at both ends
}

func newMatcher(name string, op matchOp, value string) (matcher, error) {
	m := matcher{name: name, op: op, value: value}
	if op == "=~" || op == "!~" {
		re, err := regexp.Compile("^(?:" + value + ")$")
		if err != nil {
			// Name the expression without the anchors, which nobody typed.
			if _, plain := regexp.Compile(value); plain != nil {
				err = plain
			}
			return matcher{}, fmt.Errorf("regular expression %q: %w", value, err)
		}
		m.re = re
	}
	return m, nil
}

// matches reports whether the labels meet the condition; a label that is not
// there is an empty one.
func (m matcher) matches(labels KV) bool {
	v := labels[m.name]
	switch m.op {
	case "=":
		return v == m.value
	case "!=":
		return v != m.value
	case "=~":
		return m.re.MatchString(v)
	default:
		return !m.re.MatchString(v)
	}
}

func (m matcher) equal(o matcher) bool {
	return m.name == o.name && m.op == o.op && m.value == o.value
}

// parseMatchers reads one or more matchers as Alertmanager reads an element of
// `matchers`. Alertmanager has two parsers, one for UTF-8 names and the classic
// one, and in its default mode takes what the classic one says where both
// accept a text and differ, and what either says where only one accepts it:
// https://prometheus.io/docs/alerting/latest/configuration/#label-matchers
func parseMatchers(s string) ([]matcher, error) {
	found, err := parseUTF8Matchers(s)
	classic, classicErr := parseClassicMatchers(s)
	switch {
	case err != nil && classicErr != nil:
		if meant := operatorMeant(s); meant != nil {
			return nil, meant
		}
		return nil, err
	case err != nil:
		return classic, nil
	case classicErr == nil && !slices.EqualFunc(found, classic, matcher.equal):
		return classic, nil
	}
	return found, nil
}

// operatorMeant explains the operators that other languages have.
func operatorMeant(s string) error {
	for wrong, right := range map[string]string{"==": "=", "~=": "=~"} {
		name, value, ok := strings.Cut(s, wrong)
		if ok && name != "" && !strings.ContainsAny(name, "=~!\"") {
			return fmt.Errorf("there is no %s: want %s%s%s", wrong, strings.TrimSpace(name), right, strings.TrimSpace(value))
		}
	}
	return nil
}

// parseUTF8Matchers reads
//
//	list    = "{" [ members ] "}" | [ members ]
//	members = matcher { "," matcher } [ "," ]
//	matcher = text ( "=" | "!=" | "=~" | "!~" ) text
//
// where a text is in double quotes with Go's escapes, or bare and without
// white space or any of {}!=~,\"'`.
func parseUTF8Matchers(s string) ([]matcher, error) {
	p := matcherScanner{rest: s}
	braced := p.take("{")
	var found []matcher
	for !p.atEnd() && !p.at("}") {
		m, err := p.matcher()
		if err != nil {
			return nil, err
		}
		found = append(found, m)
		if !p.take(",") {
			break
		}
	}
	if closed := p.take("}"); closed != braced {
		if braced {
			return nil, fmt.Errorf("missing } before %s", p.near())
		}
		return nil, errors.New("} without a {")
	}
	if !p.atEnd() {
		return nil, fmt.Errorf("unexpected %s", p.near())
	}
	return found, nil
}

// matcherScanner walks over the text of matchers; rest is what it has not read.
type matcherScanner struct{ rest string }

func (p *matcherScanner) skipSpace() { p.rest = strings.TrimLeftFunc(p.rest, unicode.IsSpace) }

func (p *matcherScanner) atEnd() bool {
	p.skipSpace()
	return p.rest == ""
}

func (p *matcherScanner) at(token string) bool {
	p.skipSpace()
	return strings.HasPrefix(p.rest, token)
}

func (p *matcherScanner) take(token string) bool {
	if !p.at(token) {
		return false
	}
	p.rest = p.rest[len(token):]
	return true
}

// near names the place for an error.
func (p *matcherScanner) near() string {
	if p.atEnd() {
		return "the end"
	}
	return fmt.Sprintf("%.20q", p.rest)
}

func (p *matcherScanner) matcher() (matcher, error) {
	name, err := p.text("a label name")
	if err != nil {
		return matcher{}, err
	}
	op, err := p.operator()
	if err != nil {
		return matcher{}, err
	}
	value, err := p.text("a value")
	if err != nil {
		return matcher{}, err
	}
	return newMatcher(name, op, value)
}

func (p *matcherScanner) operator() (matchOp, error) {
	for _, op := range []string{"=~", "!~", "!=", "="} {
		if p.take(op) {
			return matchOp(op), nil
		}
	}
	return "", fmt.Errorf("want =, !=, =~ or !~ before %s", p.near())
}

func (p *matcherScanner) text(what string) (string, error) {
	if p.at(`"`) {
		return p.quoted()
	}
	end := strings.IndexFunc(p.rest, func(r rune) bool {
		return unicode.IsSpace(r) || strings.ContainsRune("{}!=~,\\\"'`", r)
	})
	if end < 0 {
		end = len(p.rest)
	}
	if end == 0 {
		return "", fmt.Errorf("want %s before %s", what, p.near())
	}
	bare := p.rest[:end]
	p.rest = p.rest[end:]
	return bare, nil
}

func (p *matcherScanner) quoted() (string, error) {
	end, escaped := -1, false
	for i := 1; i < len(p.rest) && end < 0; i++ {
		switch {
		case escaped:
			escaped = false
		case p.rest[i] == '\\':
			escaped = true
		case p.rest[i] == '"':
			end = i + 1
		}
	}
	if end < 0 {
		return "", fmt.Errorf(`missing " after %s`, p.near())
	}
	text, err := strconv.Unquote(p.rest[:end])
	if err != nil || !utf8.ValidString(text) {
		return "", fmt.Errorf(`bad escape in %s: want \\ for a backslash`, p.rest[:end])
	}
	p.rest = p.rest[end:]
	return text, nil
}
