package amx

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// aligned is a text of lines that are all indented alike without that indentation,
// and without a byte order mark. Where they are not alike it stays as it is: white
// space is YAML's syntax. The lines keep their numbers.
func aligned(body []byte) []byte {
	lines := strings.Split(string(bytes.TrimRight(bytes.TrimPrefix(body, byteOrderMark), " \t\r\n")), "\n")
	cutIndentation(lines)
	return []byte(strings.Join(lines, "\n"))
}

// alignedButFirst is the same for all lines but the first, if that is not indented
// and the others are, alike.
func alignedButFirst(body []byte) ([]byte, bool) {
	lines := strings.Split(string(body), "\n")
	first := 0
	for first < len(lines) && strings.TrimSpace(lines[first]) == "" {
		first++
	}
	if first == len(lines) || strings.TrimLeft(lines[first], " \t") != lines[first] || !cutIndentation(lines[first+1:]) {
		return nil, false
	}
	return []byte(strings.Join(lines, "\n")), true
}

// cutIndentation cuts what all lines begin with, in place, and says whether that is
// anything. Blank lines do not count; they become empty.
func cutIndentation(lines []string) bool {
	common, known := "", false
	for i, line := range lines {
		indentation := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
		if strings.TrimSpace(line) == "" {
			if !known { // before the first line, where a tab would be no YAML
				lines[i] = ""
			}
			continue
		}
		if !known {
			common, known = indentation, true
		}
		for !strings.HasPrefix(indentation, common) {
			common = common[:len(common)-1]
		}
	}
	if common == "" {
		return false
	}
	for i, line := range lines {
		if rest, ok := strings.CutPrefix(line, common); ok {
			lines[i] = rest
		} else {
			lines[i] = "" // a blank line that is shorter
		}
	}
	return true
}

// unmarked refuses an anchor or a tag at a node: without them its value is
// another text than the one that was written.
func (y *yamlData) unmarked(path string, n *yaml.Node) {
	switch {
	case n.Anchor != "":
		y.fail(path, n, "an anchor, which is no part of the value for YAML: quote the value")
	case n.Style&yaml.TaggedStyle != 0, strings.HasPrefix(y.source(n), "!"):
		y.fail(path, n, "a tag, which is no part of the value for YAML: quote the value")
	case n.Style&yaml.DoubleQuotedStyle != 0 && y.lines != nil:
		text := y.source(n)
		for line := n.Line; !y.escapes(path, n, text) && line < len(y.lines); line++ {
			text = `"` + y.lines[line]
		}
	}
}

// escapes refuses an escape in a double-quoted text that only YAML has. Nobody means
// it: in "C:\Program Files", YAML reads \P as the end of a paragraph. It says whether
// the text is over.
func (y *yamlData) escapes(path string, n *yaml.Node, text string) (over bool) {
	escape, over := yamlEscape(text)
	if escape != "" {
		y.fail(path, n, `%s, which only YAML takes for another character: write \\, as {{ printf "%%q" .Value }} does`, escape)
	}
	return over
}

// yamlEscape is the first escape that only YAML has in a text that begins with a
// double quote, and over says whether its last one is there.
func yamlEscape(text string) (escape string, over bool) {
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] == '"':
			return "", true
		case text[i] != '\\' || i+1 == len(text):
		case strings.IndexByte("eNLP_0 ", text[i+1]) >= 0:
			return text[i : i+2], true
		default:
			i++
		}
	}
	return "", false
}

// source is the rest of the line on which a node begins; "" where there are no
// lines. Nodes come in the order of the text, so that it goes on where it was: a
// message may be one line of 256 KB.
func (y *yamlData) source(n *yaml.Node) string {
	if n.Line < 1 || n.Line > len(y.lines) {
		return ""
	}
	if y.at.line != n.Line || y.at.column > n.Column {
		y.at.line, y.at.column, y.at.offset = n.Line, 1, 0
	}
	line := y.lines[n.Line-1]
	for y.at.column < n.Column && y.at.offset < len(line) {
		_, size := utf8.DecodeRuneInString(line[y.at.offset:])
		y.at.column, y.at.offset = y.at.column+1, y.at.offset+size
	}
	return line[y.at.offset:]
}

// whole is the value of a scalar with what YAML takes for a comment behind it: in
// an unquoted text, " #" is most likely the text's own. Where it is not certain
// how the text goes on, it is refused.
func (y *yamlData) whole(path string, n *yaml.Node, value string) string {
	if n.Style != 0 || y.lines == nil {
		return value
	}
	line, rest := n.Line, y.source(n)
	for word := range strings.FieldsSeq(value) {
		for {
			rest = strings.TrimLeft(rest, " \t\r")
			if rest != "" || line >= len(y.lines) {
				break
			}
			rest, line = y.lines[line], line+1
		}
		var ok bool
		if rest, ok = strings.CutPrefix(rest, word); !ok {
			return value // it is written in another way, which YAML has no comment in
		}
	}
	if line != n.Line {
		y.fail(path, n, "an unquoted value of several lines, which YAML would join: quote the value")
	}
	comment := strings.TrimLeft(rest, " \t")
	if !strings.HasPrefix(comment, "#") || comment == rest {
		return value
	}
	if y.flow {
		y.fail(path, n, "a # behind an unquoted value, which YAML takes for a comment: quote the value")
	}
	if value == "" {
		rest = comment
	}
	return value + strings.TrimRight(rest, " \t\r")
}
