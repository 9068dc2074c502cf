package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
)

// page is what the user sees: plain text, with a little color on a terminal.
type page struct {
	out    io.Writer
	color  bool
	number int // of the step
}

const (
	bold  = "\x1b[1m"
	dim   = "\x1b[2m"
	plain = "\x1b[0m"
)

// colorful says whether out is a terminal that shows colors, whose user has not
// asked for none (https://no-color.org).
func colorful(out *os.File, getenv func(string) string) bool {
	info, err := out.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
}

func (p page) paint(style, text string) string {
	if !p.color {
		return text
	}
	return style + text + plain
}

// step is a sentence that says what happened.
func (p page) step(format string, args ...any) {
	fmt.Fprintf(p.out, "\n%s\n", p.paint(bold, fmt.Sprintf("%d. ", p.number)+fmt.Sprintf(format, args...)))
}

// line is what belongs to the step before.
func (p page) line(format string, args ...any) {
	fmt.Fprintf(p.out, "\n%s\n", fmt.Sprintf(format, args...))
}

// block is what the program itself wrote.
func (p page) block(lines []string) {
	fmt.Fprintln(p.out)
	for _, l := range lines {
		fmt.Fprintln(p.out, p.paint(dim, "    "+l))
	}
}

// shortList is a list of texts over several lines.
var shortList = regexp.MustCompile(`\[\s+("[^"]*"(?:,\s+"[^"]*")*)\s+\]`)

// readable is JSON as a person reads it, by line; what is no JSON stays as it is.
func readable(answer []byte) []string {
	var b bytes.Buffer
	if json.Indent(&b, bytes.TrimSpace(answer), "", "  ") != nil {
		return []string{string(answer)}
	}
	text := shortList.ReplaceAllStringFunc(b.String(), func(list string) string {
		return strings.Join(strings.Fields(list), "")
	})
	return strings.Split(text, "\n")
}
