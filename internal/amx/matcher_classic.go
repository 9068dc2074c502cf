package amx

import (
	"fmt"
	"strings"
)

// classicMatcher is a matcher as Alertmanager read it before it knew UTF-8
// names. The value is whatever follows, without the white space around it.
var classicMatcher = lazily(`^\s*([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(=~|=|!=|!~)\s*((?s).*?)\s*$`)

// parseClassicMatchers reads matchers with commas between them, in braces or
// with either brace missing. It takes much that the newer syntax refuses: an
// empty value, bare values with spaces, and a lone backslash, as in job=~"a\.b".
func parseClassicMatchers(s string) ([]matcher, error) {
	s = strings.TrimSuffix(strings.TrimPrefix(s, "{"), "}")
	var found []matcher
	for _, part := range splitClassic(s) {
		m, err := parseClassicMatcher(part)
		if err != nil {
			return nil, err
		}
		found = append(found, m)
	}
	return found, nil
}

// splitClassic cuts at commas that are not in quotes. The last part is dropped
// if it is blank.
func splitClassic(s string) []string {
	var (
		parts           []string
		part            strings.Builder
		quoted, escaped bool
	)
	for _, r := range s {
		if r == ',' && !quoted {
			// A comma does not end an escape: the state stays as it is.
			parts = append(parts, part.String())
			part.Reset()
			continue
		}
		switch {
		case r == '"' && !escaped:
			quoted = !quoted
		case r == '\\':
			escaped = !escaped
			part.WriteRune(r)
			continue
		}
		escaped = escaped && r == ','
		part.WriteRune(r)
	}
	if last := strings.TrimSpace(part.String()); last != "" {
		parts = append(parts, last)
	}
	return parts
}

func parseClassicMatcher(s string) (matcher, error) {
	parts := classicMatcher().FindStringSubmatch(s)
	if parts == nil {
		return matcher{}, fmt.Errorf("%q is not a matcher", s)
	}
	value, err := unescapeClassic(parts[3])
	if err != nil {
		return matcher{}, err
	}
	return newMatcher(parts[1], matchOp(parts[2]), value)
}

// unescapeClassic takes a value out of its quotes, if it has any. \n, \" and \\
// are escapes; a backslash before anything else stands for itself.
func unescapeClassic(raw string) (string, error) {
	text, quoted := strings.CutPrefix(raw, `"`)
	var value strings.Builder
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '"' && quoted && i == len(text)-1:
			return value.String(), nil
		case c == '"':
			return "", fmt.Errorf("%s: unescaped double quote", raw)
		case c == '\\' && i+1 < len(text) && text[i+1] == 'n':
			value.WriteByte('\n')
			i++
		case c == '\\' && i+1 < len(text) && (text[i+1] == '"' || text[i+1] == '\\'):
			value.WriteByte(text[i+1])
			i++
		default:
			value.WriteByte(c)
		}
	}
	if quoted {
		return "", fmt.Errorf("%s: missing double quote", raw)
	}
	return value.String(), nil
}
