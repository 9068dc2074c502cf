package amx

import (
	"errors"
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"
)

// looksLikeBlock says whether a text has a line that only the PagerDuty-shaped
// block has.
func looksLikeBlock(text []byte) bool {
	for line := range strings.Lines(string(text)) {
		name, _, ok := blockPair(strings.TrimLeft(line, " "))
		if ok && (strings.EqualFold(name, "dedup_key") || strings.EqualFold(name, "routing_key")) {
			return true
		}
	}
	return false
}

// decodeBlockText reads a block line by line, because AWS's guide has people write
// values without quotes: one that is alone on its line is what it says, also where
// YAML would take another meaning from it, or none. Where a value goes on over
// several lines, YAML says what it is, if the text is YAML: root, unless yamlErr
// says otherwise.
func decodeBlockText(text []byte, root document, yamlErr error, subject string) (*Message, error) {
	lines, err := readBlockLines(string(text))
	switch {
	case err == nil:
		return decodeBlock(document{node: lines, form: "YAML"}, subject)
	case yamlErr != nil || !root.has("dedup_key"):
		return nil, fmt.Errorf("PagerDuty-shaped block, %w", err)
	}
	return decodeBlock(root, subject)
}

// blockLines walks over a block; next is the index of the line to be read.
type blockLines struct {
	lines []string
	next  int
}

var errAmbiguous = errors.New("a value that may go on in the next line")

func readBlockLines(text string) (*yaml.Node, error) {
	b := &blockLines{lines: strings.Split(text, "\n")}
	root, err := b.mapping(0, true)
	if err == nil && b.next < len(b.lines) {
		err = b.errorf("it is further left than the block: a line of the value above it, most likely")
	}
	return root, err
}

// mapping reads the keys at one indentation. Nested says that a key without a value
// may have a mapping below it.
func (b *blockLines) mapping(least int, nested bool) (*yaml.Node, error) {
	n := &yaml.Node{Kind: yaml.MappingNode, Line: b.next + 1}
	column := -1
	for b.skipBlank(); b.next < len(b.lines); b.skipBlank() {
		line := b.lines[b.next]
		indentation := len(line) - len(strings.TrimLeft(line, " "))
		if column < 0 && indentation >= least {
			column = indentation
		}
		if indentation < column || indentation < least {
			break
		}
		if strings.TrimSpace(line) == "---" && len(n.Content) == 0 || strings.HasPrefix(line[indentation:], "#") {
			b.next++
			continue
		}
		name, value, ok := blockPair(line[indentation:])
		switch {
		case indentation > column:
			return nil, b.errorf("it is further right than the key above it: a line of the value there, most likely")
		case !ok:
			return nil, b.errorf(`want "key: value"`)
		}
		key := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: name, Line: b.next + 1}
		found, err := b.value(value, column, nested, name)
		if err != nil {
			return nil, err
		}
		n.Content = append(n.Content, key, found)
	}
	return n, nil
}

// value reads what a key has on its line or, if that is nothing, below it.
func (b *blockLines) value(text string, column int, nested bool, name string) (*yaml.Node, error) {
	if text != "" && announcesText(text) {
		return b.blockText(text, column)
	}
	n, err := lineValue(text, b.next+1)
	if err != nil {
		return nil, b.errorf("%s: %w", name, err)
	}
	b.next++
	if text != "" {
		return n, nil
	}
	below := b.next
	for below < len(b.lines) && strings.TrimSpace(b.lines[below]) == "" {
		below++
	}
	if below == len(b.lines) {
		return n, nil
	}
	rest := strings.TrimLeft(b.lines[below], " ")
	deeper := len(b.lines[below])-len(rest) > column
	switch {
	case strings.HasPrefix(rest, "- "), strings.TrimSpace(rest) == "-": // links, which are for people
		b.skipBelow(column)
		return &yaml.Node{Kind: yaml.SequenceNode, Line: below + 1}, nil
	case deeper && (!nested || !strings.EqualFold(name, "details")):
		b.skipBelow(column)
		return &yaml.Node{Kind: yaml.MappingNode, Line: below + 1}, nil
	case deeper:
		return b.mapping(column+1, false)
	}
	return n, nil
}

// blockText reads the text of several lines that | or > announces, as YAML does.
func (b *blockLines) blockText(head string, column int) (*yaml.Node, error) {
	first := b.next
	b.next++
	b.skipBelow(column)
	text := strings.Repeat(" ", column) + "k: " + head + "\n" + strings.Join(b.lines[first+1:b.next], "\n") + "\n"
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		b.next = first
		return nil, b.errorf("%w", err)
	}
	n := doc.Content[0].Content[1]
	setLine(n, first+1)
	return n, nil
}

// skipBelow skips the lines that are deeper than a key, and those of a list that
// stands at its column.
func (b *blockLines) skipBelow(column int) {
	for ; b.next < len(b.lines); b.next++ {
		line := b.lines[b.next]
		rest := strings.TrimLeft(line, " ")
		indentation := len(line) - len(rest)
		if strings.TrimSpace(line) != "" && indentation <= column && (indentation < column || !strings.HasPrefix(rest, "-")) {
			return
		}
	}
}

func (b *blockLines) skipBlank() {
	for b.next < len(b.lines) && strings.TrimSpace(b.lines[b.next]) == "" {
		b.next++
	}
}

func (b *blockLines) errorf(format string, args ...any) error {
	return fmt.Errorf("line %d: %w; quote it: {{ printf \"%%q\" .CommonAnnotations.summary }}", b.next+1, fmt.Errorf(format, args...))
}

// blockPair takes a line apart at its first colon that is followed by white space
// or the end. A key has no white space in it.
func blockPair(line string) (name, value string, ok bool) {
	line = strings.TrimRight(line, " \t\r\n")
	if name, value, ok = strings.Cut(line, ": "); !ok {
		name, ok = strings.CutSuffix(line, ":")
	}
	name = strings.Trim(name, `"'`)
	ok = ok && name != "" && !strings.ContainsAny(name, " \t\"'{}[],#&*!|>%@`:") && !strings.HasPrefix(name, "-")
	return name, strings.TrimSpace(value), ok
}

// lineValue is a value that has its line for itself. Quoted, or a list or mapping
// in brackets, it is what YAML says; where it has an opening quote or bracket that
// its line does not close, or announces a text of several lines, it is ambiguous.
func lineValue(text string, line int) (*yaml.Node, error) {
	asItStands := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.DoubleQuotedStyle, Value: text, Line: line}
	if text == "" {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Line: line}, nil
	}
	var doc yaml.Node
	err := yaml.Unmarshal([]byte("k: "+text), &doc)
	closes := closesOnLine(text)
	escape, _ := yamlEscape(text)
	switch {
	case !strings.ContainsRune("\"'{[", rune(text[0])):
		if err == nil && isNull(doc.Content[0].Content[1]) && !strings.HasPrefix(text, "#") && !strings.HasPrefix(text, "&") && !strings.HasPrefix(text, "!") {
			return doc.Content[0].Content[1], nil // null and ~
		}
		return asItStands, nil
	case !closes:
		return nil, errAmbiguous
	case text[0] == '"' && escape != "":
		return nil, fmt.Errorf("%s, which only YAML takes for another character", escape)
	case err != nil:
		return asItStands, nil
	}
	n := doc.Content[0].Content[1]
	setLine(n, line)
	return n, nil
}

// announcesText says whether a value is the head of a text of several lines: | or >
// with the few characters that may follow it.
func announcesText(text string) bool {
	return (text[0] == '|' || text[0] == '>') && strings.Trim(text[1:], "+-0123456789") == ""
}

// closesOnLine says whether an opening quote or bracket is closed in the text.
func closesOnLine(text string) bool {
	switch quote := text[0]; quote {
	case '{', '[':
		return strings.LastIndexByte(text, map[byte]byte{'{': '}', '[': ']'}[quote]) > 0
	case '\'':
		return strings.Contains(strings.ReplaceAll(text[1:], "''", ""), "'")
	case '"':
		return strings.Contains(strings.ReplaceAll(strings.ReplaceAll(text[1:], `\\`, ""), `\"`, ""), `"`)
	}
	return true
}

func setLine(n *yaml.Node, line int) {
	n.Line = line
	for _, c := range n.Content {
		setLine(c, line)
	}
}
