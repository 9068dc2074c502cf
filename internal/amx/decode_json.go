package amx

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// decodeJSON reads Data as JSON; names of fields may differ in case. Where the
// body is JSON of another shape, or JSON that is tolerated only, the message is nil
// and the document is for the caller to look at. A text that is no JSON is tried
// with the escapes put right of which the meaning is certain, and then as YAML,
// which takes a comma too many.
func decodeJSON(body []byte, sent time.Time) (*Message, document, error) {
	var d wireData
	err := json.Unmarshal(body, &d)
	if errors.As(err, new(*json.SyntaxError)) {
		if escaped, changed := escapeJSON(body); changed {
			d, body = wireData{}, escaped
			err = json.Unmarshal(body, &d)
		}
	}
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
		if root, yamlErr := parseYAML(yamlOfJSON(body)); yamlErr == nil && root.node.Kind == yaml.MappingNode {
			return nil, root, nil
		}
		return nil, document{}, fmt.Errorf("JSON, byte %d: %w; a template has to escape what it puts between quotes, as in {{ printf \"%%q\" .Value }} and YAML", syntax.Offset, err)
	}
	if err == nil && d.Alerts != nil {
		m, err := d.message(sent)
		return m, document{}, err
	}
	root, err := jsonDocument(body)
	return nil, root, err
}

// jsonDocument is JSON as the nodes that YAML is read from, so that what one form
// takes the other takes: every scalar is its text. The body is known to be JSON.
func jsonDocument(body []byte) (document, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	r := jsonReader{Decoder: d, body: body, line: 1}
	root, err := r.value()
	if err != nil {
		return document{}, fmt.Errorf("JSON: %.120s", err.Error())
	}
	return document{node: root, form: "JSON"}, nil
}

type jsonReader struct {
	*json.Decoder
	body []byte
	read int // of body, of which the lines are counted
	line int
}

func (r *jsonReader) node(kind yaml.Kind) *yaml.Node {
	at := int(r.InputOffset())
	r.line += bytes.Count(r.body[r.read:at], []byte("\n"))
	r.read = at
	return &yaml.Node{Kind: kind, Line: r.line}
}

func (r *jsonReader) value() (*yaml.Node, error) {
	token, err := r.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case json.Delim:
		if t == '[' {
			return r.list()
		}
		return r.object()
	case nil:
		n := r.node(yaml.ScalarNode)
		n.Tag = "!!null"
		return n, nil
	default:
		n := r.node(yaml.ScalarNode)
		n.Tag, n.Style, n.Value = "!!str", yaml.DoubleQuotedStyle, fmt.Sprint(t)
		return n, nil
	}
}

func (r *jsonReader) list() (*yaml.Node, error) {
	n := r.node(yaml.SequenceNode)
	for r.More() {
		member, err := r.value()
		if err != nil {
			return nil, err
		}
		n.Content = append(n.Content, member)
	}
	_, err := r.Token()
	return n, err
}

// object keeps the last of two values of one name, as encoding/json does.
func (r *jsonReader) object() (*yaml.Node, error) {
	n := r.node(yaml.MappingNode)
	at := map[string]int{}
	for r.More() {
		name, err := r.value()
		if err != nil {
			return nil, err
		}
		value, err := r.value()
		if err != nil {
			return nil, err
		}
		if i, twice := at[name.Value]; twice {
			n.Content[i] = value
			continue
		}
		n.Content = append(n.Content, name, value)
		at[name.Value] = len(n.Content) - 1
	}
	_, err := r.Token()
	return n, err
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

// yamlOfJSON is a text that is nearly JSON as YAML has it: without tabs between its
// values, and with characters in the place of pairs of surrogates.
func yamlOfJSON(body []byte) []byte {
	out := make([]byte, 0, len(body))
	quoted := false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case c == '"':
			quoted = !quoted
			out = append(out, c)
		case c == '\t' && !quoted:
			out = append(out, ' ')
		case quoted && c == '\\' && i+1 < len(body):
			var pair string
			if i+12 <= len(body) && json.Unmarshal([]byte(`"`+string(body[i:i+12])+`"`), &pair) == nil && utf8.RuneCountInString(pair) == 1 && len(pair) == 4 {
				out = append(out, pair...)
				i += 11
				continue
			}
			out = append(out, c, body[i+1])
			i++
		default:
			out = append(out, c)
		}
	}
	return out
}
