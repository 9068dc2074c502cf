package docs

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// reread is a construction that readers had to read twice.
type reread struct {
	construction *regexp.Regexp
	instead      string
}

// hard is the constructions that readers had to read twice, and words for which
// the documents have another. Each is matched with one sentence.
var hard = []reread{
	{regexp.MustCompile(`^(Of|What) [^?]*$`), "begin with who acts"},
	{regexp.MustCompile(`\b(is|was|are) that\b`), "say it without the frame: the subject, then what it does"},
	{regexp.MustCompile(`\b(who|which) is told\b`), "name who tells whom"},
	{regexp.MustCompile(`\bmay yet\b`), "can still"},
	{regexp.MustCompile(`\bfor want of\b`), "without"},
	{regexp.MustCompile(`\bsays? nothing (of|about)\b`), "does not name, has no effect on"},
	{regexp.MustCompile(`\bwould else\b`), "otherwise it would"},
	{regexp.MustCompile(`\b[Ii]t (is|was) [^.:;,]{1,40} that\b`), "begin with the subject"},
	{regexp.MustCompile(`\bnot without\b`), "with"},
	{regexp.MustCompile(`\bas many \w+ as may be\b`), "name the limit"},
	{regexp.MustCompile(`\b(chunks?|unsure)\b`), "part, in doubt"},
	{regexp.MustCompile(`\b(thereof|therein|whereof|wherein|thereby|hereby|hitherto|lest)\b`), "everyday words"},
}

// hardInDocuments is what readers of the documents also had to read twice.
var hardInDocuments = []reread{
	{regexp.MustCompile(`\bare told\b|^` + "`code` is told"), "name who tells whom"},
	{regexp.MustCompile(`\b(who|which)( of the \S+)? hears? of\b`), "say who sends it to whom"},
	{regexp.MustCompile("as `code` has it"), "as it is in, like"},
	{regexp.MustCompile(`\bof which\b`), "two sentences"},
	{regexp.MustCompile(`\belse (the|computed|a|it)\b`), "otherwise, in a sentence of its own"},
	{regexp.MustCompile(`\b[Ii]t is no ([a-km-z]|l[^o])`), "it is not a"},
	{regexp.MustCompile(`\b(that|it|they) goes? with\b`), "name the condition: it needs"},
	{regexp.MustCompile(`\bstands (below|elsewhere|there)\b`), "is"},
	{regexp.MustCompile(`\bmends\b|\bbears? to\b|\bcosts? the others\b`), "everyday words"},
	{regexp.MustCompile(`\bunless given\b`), "default:"},
	{regexp.MustCompile(`\b[Ss]ay (once|so)\b`), "say what to write"},
}

// longest is how many words a sentence may have. Most should have fewer than 25.
const longest = 30

var (
	codeSpan = regexp.MustCompile("`[^`\n]*`")
	linkText = regexp.MustCompile(`!?\[([^\]]*)\]\([^)]*\)`)
	listItem = regexp.MustCompile(`^\s*([-*]|[0-9]+\.) `)
	contents = regexp.MustCompile(`^\s*- \[[^\]]*\]\(#[^)]*\)$`)
	sentence = regexp.MustCompile("([.!?][\"')\\]]*) +([A-Z\"(\\[`]|amx )")
	markup   = regexp.MustCompile(`<[^<>]*>`)
	emphasis = strings.NewReplacer("**", "", "*", "")
)

// prose is a sentence of a document, or a cell of a table.
type prose struct {
	line int
	text string
}

// sentences takes a document apart: without blocks, headings and its table of
// contents, with `code` for each piece of code.
func sentences(text string) []prose {
	text = fenced.ReplaceAllStringFunc(text, func(b string) string { return strings.Repeat("\n", strings.Count(b, "\n")) })
	var found []prose
	var open []string
	begun := 0
	end := func() {
		joined := emphasis.Replace(markup.ReplaceAllString(linkText.ReplaceAllString(strings.Join(strings.Fields(strings.Join(open, " ")), " "), "$1"), ""))
		open = nil
		for s := range strings.SplitSeq(sentence.ReplaceAllString(joined, "$1\x00$2"), "\x00") {
			if s = strings.TrimSpace(s); s != "" {
				found = append(found, prose{begun, s})
			}
		}
	}
	for i, line := range strings.Split(codeSpan.ReplaceAllString(text, "`code`"), "\n") {
		switch {
		case strings.HasPrefix(line, "|"):
			end()
			for cell := range strings.SplitSeq(strings.Trim(line, "|"), "|") {
				begun, open = i+1, []string{cell}
				end()
			}
			continue
		case strings.TrimSpace(line) == "", strings.HasPrefix(line, "#"), contents.MatchString(line):
			end()
			continue
		case listItem.MatchString(line):
			end()
			line = listItem.ReplaceAllString(line, "")
		}
		if len(open) == 0 {
			begun = i + 1
		}
		open = append(open, line)
	}
	end()
	return found
}

func TestSentences(t *testing.T) {
	got := sentences("# What it is\n\nOne. Two `a. B`\nmore (see [here](x.md)). Three!\n- [What](#what)\n- four\n  and\n\n```sh\nWhat\n```\n\n| **five** | Six. Seven |\n")
	want := "[{3 One.} {3 Two `code` more (see here).} {3 Three!} {6 four and} {13 five} {13 Six.} {13 Seven}]"
	if fmt.Sprint(got) != want {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// comments are the sentences of a Go file's comments. The name of a function at the
// head of its comment is code: report/graph has one that is called Of.
func comments(t *testing.T, name string) []prose {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, read(t, name), parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	names := map[*ast.CommentGroup]string{}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Doc != nil {
			names[f.Doc] = f.Name.Name
		}
	}
	var found []prose
	for _, c := range file.Comments {
		text := c.Text()
		if name := names[c]; name != "" && strings.HasPrefix(text, name+" ") {
			text = "`" + name + "`" + text[len(name):]
		}
		for _, s := range sentences(text) {
			found = append(found, prose{files.Position(c.Pos()).Line, s.text})
		}
	}
	return found
}

// goFiles are the Go files of the repository, tests and the modules beside it
// included.
func goFiles(t *testing.T) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != ".." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "dist"):
			return filepath.SkipDir // tools and what was built
		case !d.IsDir() && filepath.Ext(path) == ".go":
			all = append(all, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 400 {
		t.Fatalf("found %d Go files, want 400 or more", len(all))
	}
	return all
}

// Somebody who changes code reads its comments first.
func TestTheCommentsReadOnce(t *testing.T) {
	for _, file := range goFiles(t) {
		for _, s := range comments(t, file) {
			for _, h := range hard {
				if found := h.construction.FindString(s.text); found != "" {
					t.Errorf("%s:%d: %q (%s): %s", file, s.line, found, h.instead, s.text)
				}
			}
		}
	}
}

var (
	hashComment = regexp.MustCompile(`^\s*# ?(.*)$`)
	description = regexp.MustCompile(`^\s*(?:Alarm|Constraint)?Description: (.*)$`)
)

// hashed are the sentences of a file's lines that are comments after a #, and of
// the descriptions in a template. Code and other lines end a comment.
func hashed(text string) (found []prose) {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = ""
		if m := description.FindStringSubmatch(line); m != nil {
			for _, s := range sentences(m[1]) {
				found = append(found, prose{i + 1, s.text})
			}
		} else if m := hashComment.FindStringSubmatch(line); m != nil && !strings.HasPrefix(line, "#!") {
			lines[i] = m[1]
		}
	}
	return append(found, sentences(strings.Join(lines, "\n"))...)
}

func TestHashed(t *testing.T) {
	got := hashed("#!/bin/sh\n# One,\n# two. Three.\nx: 1 # not this\n  Description: Four. Five.\n  # six\n")
	want := "[{5 Four.} {5 Five.} {2 One, two.} {2 Three.} {6 six}]"
	if fmt.Sprint(got) != want {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// People read these in CloudFormation's console, in an alarm, or in a file that
// they copy.
func TestTheStackAndTheExamplesReadOnce(t *testing.T) {
	for _, file := range find(t, "../template.yaml", "../Makefile", "../Dockerfile", "../.ci/*", "../.ci/sam/*", "../.github/*/*.yml",
		"../examples/*.yaml", "../examples/*.sh", "../examples/*.toml", "../examples/*.service", "../examples/*/*.y*ml") {
		if info, err := os.Stat(file); err != nil || info.IsDir() {
			continue
		}
		for _, s := range hashed(read(t, file)) {
			for _, h := range hard {
				if found := h.construction.FindString(s.text); found != "" {
					t.Errorf("%s:%d: %q (%s): %s", file, s.line, found, h.instead, s.text)
				}
			}
		}
	}
}

// The documents are read at night, by people in a hurry.
func TestTheDocumentsReadOnce(t *testing.T) {
	for _, file := range documents(t) {
		for _, s := range sentences(read(t, file)) {
			for _, list := range [][]reread{hard, hardInDocuments} {
				for _, h := range list {
					if found := h.construction.FindString(s.text); found != "" {
						t.Errorf("%s:%d: %q (%s): %.400s", file, s.line, found, h.instead, s.text)
					}
				}
			}
			if n := len(strings.Fields(s.text)); n > longest {
				t.Errorf("%s:%d: %d words, over %d: %.400s", file, s.line, n, longest, s.text)
			}
		}
	}
}
