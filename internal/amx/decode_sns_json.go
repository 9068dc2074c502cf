package amx

import (
	"encoding/json"
	"errors"
	"fmt"
)

// decodeDataJSON reads Data as JSON. Names of fields may differ in case, as
// encoding/json has it. A text that is no JSON is tried once more with the
// escapes put right of which the meaning is certain.
func decodeDataJSON(body []byte) (*Message, error) {
	var d snsData
	err := json.Unmarshal(body, &d)
	if errors.As(err, new(*json.SyntaxError)) {
		if escaped, changed := escapeJSON(body); changed {
			d, body = snsData{}, escaped
			err = json.Unmarshal(body, &d)
		}
	}
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
		return nil, fmt.Errorf("JSON, byte %d: %w; a template has to escape what it puts between quotes, as in {{ printf \"%%q\" .Value }} and YAML", syntax.Offset, err)
	}
	if err != nil {
		return nil, fmt.Errorf("JSON: %w", wrongType(err))
	}
	return d.message()
}

// escapeJSON is what AWS's recipe for JSON needs: it puts values between quotes
// as they are, so that the newlines of an annotation stand in the text; and whoever
// escapes them with the template function js finds \' for an apostrophe.
// https://docs.aws.amazon.com/prometheus/latest/userguide/AMP-alertmanager-receiver-JSON.html
//
// Neither can mean anything else. A quotation mark or a backslash that is not
// escaped can, and is left as it is.
func escapeJSON(body []byte) (escaped []byte, changed bool) {
	escaped = make([]byte, 0, len(body)+len(body)/8)
	quoted := false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case c == '"':
			quoted = !quoted
			escaped = append(escaped, c)
		case quoted && c == '\\' && i+1 < len(body):
			i++
			if body[i] == '\'' {
				changed = true
			} else {
				escaped = append(escaped, c)
			}
			escaped = append(escaped, body[i])
		case quoted && c < ' ':
			escaped = fmt.Appendf(escaped, `\u%04x`, c)
			changed = true
		default:
			escaped = append(escaped, c)
		}
	}
	return escaped, changed
}
