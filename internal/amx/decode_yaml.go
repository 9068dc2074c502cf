package amx

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// document is a text as nodes.
type document struct {
	node  *yaml.Node
	lines []string // of the text; nil where nothing in it can change a value
	form  string   // "YAML" or "JSON", for errors
}

// has says whether the document is a mapping that has the key, in any case.
func (d document) has(key string) bool { return d.get(key) != nil }

func (d document) get(key string) *yaml.Node { return valueOf(d.node, key) }

// valueOf is the value of a key of a mapping, in any case; nil if there is none.
func valueOf(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if strings.EqualFold(n.Content[i].Value, key) {
			return n.Content[i+1]
		}
	}
	return nil
}

// parseYAML reads the only document of a text. A text that is no YAML at all is
// most likely of another form.
func parseYAML(body []byte) (document, error) {
	root, err := parseOneYAML(body)
	if err != nil {
		// Whoever passed it on may have cut the white space before the first line.
		if others, ok := alignedButFirst(body); ok {
			if root, again := parseOneYAML(others); again == nil && root.Kind == yaml.MappingNode {
				return document{root, strings.Split(string(others), "\n"), "YAML"}, nil
			}
		}
		return document{}, err
	}
	return document{root, strings.Split(string(body), "\n"), "YAML"}, nil
}

func parseOneYAML(body []byte) (*yaml.Node, error) {
	var first, second yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(body))
	if err := d.Decode(&first); err != nil {
		if errors.Is(err, io.EOF) { // comments only
			return nil, errNoForm
		}
		if strings.Contains(err.Error(), "anchor") { // it is quoted, and may be a secret with a * before it
			return nil, fmt.Errorf("%w; as YAML: an anchor or an alias", errNoForm)
		}
		return nil, fmt.Errorf("%w; as YAML: %w; quote what a template writes: {{ printf \"%%q\" .Value }}", errNoForm, err)
	}
	if err := d.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, errors.New(`a second YAML document: want one, in which no line is "---"`)
	}
	return first.Content[0], nil
}

// yamlData reads Data from the nodes of a document. Every scalar is the text
// that was written, whatever YAML takes it for, and null is empty: what a label
// says must not depend on whether it looks like a number. Fields that nobody
// knows are not looked at. Aliases, anchors and tags are refused: no template
// needs one, they change the text without a word, and a few aliases could unfold
// to more than the memory holds.
//
// The first error is kept; what is read after it does not count.
type yamlData struct {
	document
	err  error
	flow bool                               // inside of {} or []
	at   struct{ line, column, offset int } // where source has looked last
}

// decodeData reads a document that has a list of alerts.
func decodeData(root document, sent time.Time) (*Message, error) {
	y := yamlData{document: root}
	var d wireData
	y.fields("", root.node, map[string]func(path string, n *yaml.Node){
		"receiver":          y.text(&d.Receiver),
		"status":            y.word(&d.Status),
		"alerts":            y.alerts(&d),
		"grouplabels":       y.set(&d.GroupLabels),
		"commonlabels":      y.set(&d.CommonLabels),
		"commonannotations": y.set(&d.CommonAnnotations),
		"externalurl":       y.text(&d.ExternalURL),
		"groupkey":          func(_ string, n *yaml.Node) { d.GroupKey = looseText(n.Value) },
		"truncatedalerts":   func(_ string, n *yaml.Node) { d.TruncatedAlerts = parseCount(n.Value) },
	})
	if y.err != nil {
		return nil, fmt.Errorf("%s, %w", root.form, y.err)
	}
	return d.message(sent)
}

func (y *yamlData) fail(path string, n *yaml.Node, format string, args ...any) {
	if y.err == nil {
		y.err = fmt.Errorf("line %d: %s: %s", n.Line, path, fmt.Sprintf(format, args...))
	}
}

// enter begins a mapping or a list; what it returns ends it.
func (y *yamlData) enter(path string, n *yaml.Node) (leave func()) {
	y.unmarked(path, n)
	outside := y.flow
	y.flow = outside || n.Style&yaml.FlowStyle != 0
	return func() { y.flow = outside }
}

// pairs calls f for each key of a mapping. null is a mapping without any, and so is
// an empty list or text, as some languages write an empty mapping.
func (y *yamlData) pairs(path string, n *yaml.Node, f func(name string, value *yaml.Node)) {
	if isNull(n) || n.Kind == yaml.SequenceNode && len(n.Content) == 0 || n.Kind == yaml.ScalarNode && n.Value == "" {
		return
	}
	if n.Kind != yaml.MappingNode {
		y.fail(path, n, "%s: want keys and values", yamlKind(n))
		return
	}
	defer y.enter(path, n)()
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind != yaml.ScalarNode {
			y.fail(path, key, "%s as a key: want a name", yamlKind(key))
			return
		}
		y.unmarked(path, key)
		f(key.Value, n.Content[i+1])
	}
}

// fields hands each known key's value to its function; the names are in lower
// case, and any case is taken.
func (y *yamlData) fields(prefix string, n *yaml.Node, known map[string]func(path string, n *yaml.Node)) {
	seen := map[string]bool{}
	y.pairs(strings.TrimSuffix(prefix, "."), n, func(name string, value *yaml.Node) {
		lower := strings.ToLower(name)
		read := known[lower]
		if read == nil {
			return
		}
		if seen[lower] {
			y.fail(prefix+name, value, "comes twice")
			return
		}
		seen[lower] = true
		read(prefix+name, value)
	})
}

// scalar is a single value's text.
func (y *yamlData) scalar(path string, n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode {
		y.fail(path, n, "%s: want a text", yamlKind(n))
		return ""
	}
	y.unmarked(path, n)
	if isNull(n) {
		return y.whole(path, n, "")
	}
	return y.whole(path, n, n.Value)
}

// text reads what may be any text.
func (y *yamlData) text(to *string) func(string, *yaml.Node) {
	return func(path string, n *yaml.Node) { *to = y.scalar(path, n) }
}

// word reads what is a word of the form itself, and no sender's text: there, a
// comment behind it is one.
func (y *yamlData) word(to *string) func(string, *yaml.Node) {
	return func(path string, n *yaml.Node) {
		if *to = n.Value; n.Kind != yaml.ScalarNode || isNull(n) {
			*to = y.scalar(path, n)
		}
		y.unmarked(path, n)
	}
}

func (y *yamlData) time(to *wireTime) func(string, *yaml.Node) {
	return func(path string, n *yaml.Node) {
		var text string
		y.word(&text)(path, n)
		t, err := parseWireTime(text)
		if err != nil {
			y.fail(path, n, "%s", err)
		}
		*to = t
	}
}

// set reads labels or annotations. null leaves none.
func (y *yamlData) set(to *KV) func(string, *yaml.Node) {
	return func(path string, n *yaml.Node) {
		kv := KV{}
		y.pairs(path, n, func(name string, value *yaml.Node) {
			if _, twice := kv[name]; twice {
				y.fail(path, value, "%.40q comes twice", name)
			}
			kv[name] = y.scalar(path+"."+name, value)
		})
		*to = kv
	}
}

func (y *yamlData) alerts(to *wireData) func(string, *yaml.Node) {
	return func(path string, n *yaml.Node) {
		if n.Kind != yaml.SequenceNode {
			y.fail(path, n, "%s: want a list", yamlKind(n))
			return
		}
		defer y.enter(path, n)()
		alerts := make([]wireAlert, len(n.Content))
		for i, element := range n.Content {
			a := &alerts[i]
			y.fields(fmt.Sprintf("%s[%d].", path, i), element, map[string]func(string, *yaml.Node){
				"status":       y.word(&a.Status),
				"labels":       y.set(&a.Labels),
				"annotations":  y.set(&a.Annotations),
				"startsat":     y.time(&a.StartsAt),
				"endsat":       y.time(&a.EndsAt),
				"generatorurl": y.text(&a.GeneratorURL),
				"fingerprint":  y.text(&a.Fingerprint),
			})
		}
		to.Alerts = &alerts
	}
}

// yamlKind is a node in an error, which does not quote the body.
func yamlKind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	default:
		return "a single value"
	}
}
