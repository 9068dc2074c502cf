package amx

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// parseYAML reads the only document of a text. A text that is no YAML at all is
// most likely of another form.
func parseYAML(body []byte) (*yaml.Node, error) {
	var first, second yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(body))
	if err := d.Decode(&first); err != nil {
		if errors.Is(err, io.EOF) { // comments only
			return nil, errNoForm
		}
		if strings.Contains(err.Error(), "anchor") { // it is quoted, and may be a secret with a * before it
			return nil, fmt.Errorf("%w; as YAML: an anchor or an alias", errNoForm)
		}
		return nil, fmt.Errorf("%w; as YAML: %w", errNoForm, err)
	}
	if err := d.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, errors.New(`a second YAML document: want one, in which no line is "---"`)
	}
	return first.Content[0], nil
}

// hasKey says whether a document is a mapping that has the key, in any case.
func hasKey(root *yaml.Node, key string) bool {
	if root.Kind != yaml.MappingNode {
		return false
	}
	for i := 0; i < len(root.Content); i += 2 {
		if strings.EqualFold(root.Content[i].Value, key) {
			return true
		}
	}
	return false
}

// yamlData reads Data from the nodes of a document. Every scalar is the text
// that was written, whatever YAML takes it for, and null is empty: what a label
// says must not depend on whether it looks like a number. Fields that nobody
// knows are not looked at. An alias is refused: no template needs one, and a few
// of them could unfold to more than the memory holds.
//
// The first error is kept; what is read after it does not count.
type yamlData struct{ err error }

func decodeDataYAML(root *yaml.Node) (*Message, error) {
	var y yamlData
	var d snsData
	y.fields("", root, map[string]func(path string, n *yaml.Node){
		"receiver":          y.text(&d.Receiver),
		"status":            y.text(&d.Status),
		"alerts":            y.alerts(&d),
		"grouplabels":       y.set(&d.GroupLabels),
		"commonlabels":      y.set(&d.CommonLabels),
		"commonannotations": y.set(&d.CommonAnnotations),
		"externalurl":       y.text(&d.ExternalURL),
		"groupkey":          y.text(&d.GroupKey),
		"truncatedalerts":   y.count(&d.TruncatedAlerts),
	})
	if y.err != nil {
		return nil, fmt.Errorf("YAML, %w", y.err)
	}
	return d.message()
}

func (y *yamlData) fail(path string, n *yaml.Node, format string, args ...any) {
	if y.err == nil {
		y.err = fmt.Errorf("line %d: %s: %s", n.Line, path, fmt.Sprintf(format, args...))
	}
}

// pairs calls f for each key of a mapping. null is a mapping without any.
func (y *yamlData) pairs(path string, n *yaml.Node, f func(name string, value *yaml.Node)) {
	if isNull(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		y.fail(path, n, "%s: want keys and values", yamlKind(n))
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind != yaml.ScalarNode {
			y.fail(path, key, "%s as a key: want a name", yamlKind(key))
			return
		}
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

func (y *yamlData) scalar(path string, n *yaml.Node) string {
	switch {
	case isNull(n):
		return ""
	case n.Kind != yaml.ScalarNode:
		y.fail(path, n, "%s: want a text", yamlKind(n))
		return ""
	}
	return n.Value
}

func (y *yamlData) text(to *string) func(string, *yaml.Node) {
	return func(path string, n *yaml.Node) { *to = y.scalar(path, n) }
}

func (y *yamlData) time(to *snsTime) func(string, *yaml.Node) {
	return func(path string, n *yaml.Node) {
		t, err := parseSNSTime(y.scalar(path, n))
		if err != nil {
			y.fail(path, n, "%s", err)
		}
		*to = t
	}
}

func (y *yamlData) count(to *uint64) func(string, *yaml.Node) {
	return func(path string, n *yaml.Node) {
		text := y.scalar(path, n)
		if text == "" {
			return
		}
		var err error
		if *to, err = strconv.ParseUint(text, 10, 64); err != nil {
			y.fail(path, n, "%.40q: want a whole number that is not negative", text)
		}
	}
}

// set reads labels or annotations.
func (y *yamlData) set(to *KV) func(string, *yaml.Node) {
	return func(path string, n *yaml.Node) {
		kv := KV{}
		y.pairs(path, n, func(name string, value *yaml.Node) {
			if _, twice := kv[name]; twice {
				y.fail(path, value, "%.40q comes twice", name)
			}
			kv[name] = y.scalar(path, value)
		})
		*to = kv
	}
}

func (y *yamlData) alerts(to *snsData) func(string, *yaml.Node) {
	return func(path string, n *yaml.Node) {
		if n.Kind != yaml.SequenceNode {
			y.fail(path, n, "%s: want a list", yamlKind(n))
			return
		}
		alerts := make([]snsAlert, len(n.Content))
		for i, element := range n.Content {
			a := &alerts[i]
			y.fields(fmt.Sprintf("%s[%d].", path, i), element, map[string]func(string, *yaml.Node){
				"status":       y.text(&a.Status),
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
