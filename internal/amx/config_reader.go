package amx

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// maxNodes bounds how many values a file may unfold to. Without aliases that
// takes a file of some 200 KB; with them, a few lines could ask for more than
// the memory holds. (yaml.v3 guards its own decoding, which is not used here.)
const maxNodes = 100_000

// maxMerges bounds how deep "<<" may be nested, which also ends a mapping that
// is merged into itself.
const maxMerges = 10

// reader turns YAML nodes into a configuration and collects what is wrong, so
// that one look at a file shows all of it. It walks the nodes itself, because
// only they know the line and the text as it was typed.
type reader struct {
	file     string
	keys     []string          // those of the whole configuration: [Keys]
	named    map[string]string // the file's templates, which may come after those that call them
	problems []problem
	known    map[problem]bool // what an alias repeats is said once
	nodes    int
}

type problem struct {
	line int
	text string
}

// fail records a problem. Path says which part of the file it is in, and may be
// empty.
func (r *reader) fail(line int, path, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if path != "" {
		text = path + ": " + text
	}
	p := problem{line, text}
	if r.known[p] || r.nodes > maxNodes { // what follows too many nodes is not in the file
		return
	}
	if r.known == nil {
		r.known = map[problem]bool{}
	}
	r.known[p] = true
	r.problems = append(r.problems, p)
}

func (r *reader) err() error {
	slices.SortStableFunc(r.problems, func(a, b problem) int { return a.line - b.line })
	var errs []error
	for _, p := range r.problems {
		errs = append(errs, fmt.Errorf("%s:%d: %s", r.file, p.line, p.text))
	}
	return errors.Join(errs...)
}

// document returns the root of the only document, or nil if there is none, or
// none that can be read.
func (r *reader) document(data []byte) *yaml.Node {
	if bad, what := badText(data); bad >= 0 {
		r.fail(1+bytes.Count(data[:bad], []byte("\n")), "", "%s: want text in UTF-8, without control characters", what)
		return nil
	}
	var first, second yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(&first); err != nil {
		if !errors.Is(err, io.EOF) {
			r.failSyntax(data, err)
		}
		return nil
	}
	switch err := d.Decode(&second); {
	case err == nil:
		r.fail(second.Line, "", `a second document begins here: want one: remove the "---"`)
	case !errors.Is(err, io.EOF):
		r.failSyntax(data, err)
		return nil
	}
	root := r.resolve(first.Content[0])
	if isNull(root) {
		return nil
	}
	return root
}

// badText finds the first character that YAML forbids, and says what it is;
// yaml.v3 would report it without a line. Without any, the place is negative.
func badText(data []byte) (at int, what string) {
	for i := 0; i < len(data); {
		c, size := utf8.DecodeRune(data[i:])
		switch {
		case c == utf8.RuneError && size == 1:
			return i, fmt.Sprintf("byte %#02x", data[i])
		case c < ' ' && c != '\t' && c != '\n' && c != '\r',
			0x7f <= c && c < 0xa0 && c != 0x85,
			c == 0xfeff && i > 0, c == 0xfffe, c == 0xffff:
			return i, fmt.Sprintf("character %U", c)
		}
		i += size
	}
	return -1, ""
}

var yamlLine = lazily(`^yaml: (?:line (\d+): )?`)

// maxSyntaxLines bounds the files in which brokenLine searches: it reads a file
// as often as it has lines.
const maxSyntaxLines = 1000

// failSyntax records an error of yaml.v3. yaml.v3 gives the line where the list or
// mapping around the error begins, often the first of the file. So failSyntax uses
// that line only if the file is too long to search.
func (r *reader) failSyntax(data []byte, err error) {
	text, line := err.Error(), 1
	if found := yamlLine().FindStringSubmatch(text); found != nil {
		text = text[len(found[0]):]
		if n, err := strconv.Atoi(found[1]); err == nil {
			line = n
		}
	}
	if bytes.Count(data, []byte("\n")) < maxSyntaxLines {
		line = brokenLine(data)
	}
	r.fail(line, "", "reading YAML: %s%s", text, syntaxRemedy(text, data, line))
}

// syntaxRemedy is what to do about the commonest of yaml.v3's errors.
func syntaxRemedy(text string, data []byte, line int) string {
	typed := ""
	if lines := strings.Split(string(data), "\n"); line <= len(lines) {
		typed = lines[line-1]
	}
	indentation := typed[:len(typed)-len(strings.TrimLeft(typed, " \t"))]
	switch {
	case strings.Contains(indentation, "\t"):
		return ": it is indented with a tab: YAML takes spaces"
	case strings.Contains(text, "cannot start any token"):
		return ": quote the value"
	case strings.Contains(text, "mapping values are not allowed") && strings.Count(typed, ": ") > 1:
		return `: quote a value that has ": " in it`
	case strings.Contains(text, "mapping values are not allowed"), strings.Contains(text, "did not find expected"):
		return ": is it indented as the lines above it?"
	}
	return ""
}

// brokenLine is the line after the longest beginning of data that is YAML.
func brokenLine(data []byte) int {
	lines := bytes.SplitAfter(data, []byte("\n"))
	for good := len(lines) - 1; good > 0; good-- {
		data = data[:len(data)-len(lines[good])]
		d := yaml.NewDecoder(bytes.NewReader(data))
		err := d.Decode(new(yaml.Node))
		for err == nil {
			err = d.Decode(new(yaml.Node))
		}
		if errors.Is(err, io.EOF) {
			return good + 1
		}
	}
	return 1
}

// resolve follows aliases.
func (r *reader) resolve(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if r.nodes++; r.nodes == maxNodes {
		r.fail(n.Line, "", "the file unfolds to more than %d values: use fewer aliases", maxNodes)
	}
	if r.nodes >= maxNodes {
		r.nodes = maxNodes + 1
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Line: n.Line}
	}
	return n
}

// entry is one key of a mapping with its value.
type entry struct {
	name  string
	line  int
	merge bool // the key is YAML's "<<"
	value *yaml.Node
}

// entries lists the keys of a mapping, with those that "<<" merges into it
// last. A mapping's own keys win over merged ones, earlier merges over later.
func (r *reader) entries(path string, n *yaml.Node) []entry {
	known := map[string]bool{}
	return slices.DeleteFunc(r.merged(path, n, 0), func(e entry) bool {
		twice := known[e.name]
		known[e.name] = true
		return twice
	})
}

// merged lists the entries of a mapping and, after them, those of the mappings
// that it merges.
func (r *reader) merged(path string, n *yaml.Node, depth int) []entry {
	if depth > maxMerges {
		r.fail(n.Line, path, `"<<" is nested more than %d deep`, maxMerges)
		return nil
	}
	var found, after []entry
	for _, e := range r.ownEntries(path, n) {
		if !e.merge {
			found = append(found, e)
			continue
		}
		sources := []*yaml.Node{r.resolve(e.value)}
		if sources[0].Kind == yaml.SequenceNode {
			sources = r.elements(path, sources[0])
		}
		for _, source := range sources {
			after = append(after, r.merged(path, source, depth+1)...)
		}
	}
	return append(found, after...)
}

func (r *reader) ownEntries(path string, n *yaml.Node) []entry {
	if n.Kind != yaml.MappingNode {
		if !isNull(n) {
			r.fail(n.Line, path, "%s: want keys and values", described(n))
		}
		return nil
	}
	lines := map[string]int{}
	var found []entry
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := r.resolve(n.Content[i])
		if key.Kind != yaml.ScalarNode {
			r.fail(key.Line, path, "%s as a key: want a name", described(key))
			continue
		}
		if first, twice := lines[key.Value]; twice {
			r.fail(n.Content[i].Line, path, "key %q is already on line %d: keep one of them", key.Value, first)
			continue
		}
		lines[key.Value] = n.Content[i].Line
		found = append(found, entry{key.Value, n.Content[i].Line, key.ShortTag() == "!!merge", n.Content[i+1]})
	}
	return found
}

// elements lists the members of a list; a value that is no list is an error,
// and an empty one an empty list.
func (r *reader) elements(path string, n *yaml.Node) []*yaml.Node {
	if n.Kind != yaml.SequenceNode {
		if !isNull(n) {
			r.fail(n.Line, path, "%s: want a list", described(n))
		}
		return nil
	}
	members := make([]*yaml.Node, len(n.Content))
	for i, member := range n.Content {
		members[i] = r.resolve(member)
	}
	return members
}

// scalar returns a single value as it was typed.
func (r *reader) scalar(path string, n *yaml.Node) (string, bool) {
	switch {
	case isNull(n):
		r.fail(n.Line, path, `no value: give it one, "" for an empty text, or remove it`)
	case n.Kind == yaml.MappingNode && len(n.Content) > 0 && n.Content[0].Kind == yaml.MappingNode:
		r.fail(n.Line, path, "YAML takes {{ for a mapping: quote the template, as in '{{ .CommonLabels.instance }}'")
	case n.Kind != yaml.ScalarNode:
		r.fail(n.Line, path, "%s: want a single value", described(n))
	case !slices.Contains([]string{"!!str", "!!int", "!!float", "!!bool", "!!timestamp"}, n.ShortTag()):
		r.fail(n.Line, path, "tag %s: want a plain value", n.Tag)
	case strings.ContainsRune(n.Value, 0):
		r.fail(n.Line, path, "%q: no command can carry the character NUL: remove it", n.Value)
	default:
		return n.Value, true
	}
	return "", false
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// described is a node in an error: a single value is quoted.
func described(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode {
		return fmt.Sprintf("%q", n.Value)
	}
	return yamlKind(n)
}
