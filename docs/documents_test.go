// Package docs holds the documents to the program: what they show as a
// configuration is one, what they name is there.
package docs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
)

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func find(t *testing.T, patterns ...string) []string {
	t.Helper()
	var all []string
	for _, pattern := range patterns {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no file %q (%v)", pattern, err)
		}
		all = append(all, files...)
	}
	return all
}

func documents(t *testing.T) []string {
	return find(t, "*.md", "cookbook/*.md", "decisions/*.md", "../*.md")
}

// block is a fenced block of a document.
type block struct {
	line           int
	language, text string
}

// fenced may be indented, as a block within a list is.
var fenced = regexp.MustCompile("(?ms)^ *```([a-z]*)\n(.*?)^ *```$")

func blocks(text string) []block {
	var found []block
	for _, at := range fenced.FindAllStringSubmatchIndex(text, -1) {
		found = append(found, block{1 + strings.Count(text[:at[0]], "\n"), text[at[2]:at[3]], outdented(text[at[4]:at[5]])})
	}
	return found
}

// outdented is a text without the indentation of its first line.
func outdented(text string) string {
	column := len(text) - len(strings.TrimLeft(text, " "))
	return regexp.MustCompile(fmt.Sprintf("(?m)^ {0,%d}", column)).ReplaceAllString(text, "")
}

// A block of YAML begins with a comment that names its file: that of amx.yaml
// loads.
func TestConfigurationsInDocumentsLoad(t *testing.T) {
	for _, file := range documents(t) {
		for _, b := range blocks(read(t, file)) {
			name := fmt.Sprintf("%s:%d", file, b.line)
			switch first, _, _ := strings.Cut(b.text, "\n"); {
			case b.language != "yaml":
			case !strings.HasPrefix(first, "# ") || strings.Contains(first[2:], " "):
				t.Errorf("%s: begins with %q: want a comment that names the file, such as # amx.yaml", name, first)
			case first == "# amx.yaml":
				if _, err := amx.ParseConfig(name, []byte(b.text)); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

func TestExampleConfigurationsLoad(t *testing.T) {
	for _, file := range find(t, "../examples/*.yaml") {
		c, err := amx.ParseConfig(file, []byte(read(t, file)))
		if err != nil {
			t.Error(err)
		} else if len(c.Commands) == 0 {
			t.Errorf("%s has no command", file)
		}
	}
}

func TestExamplePayloadsDecode(t *testing.T) {
	for _, file := range find(t, "../examples/payloads/*.json") {
		m, err := amx.Decode([]byte(read(t, file)), time.Time{})
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		for _, a := range m.Alerts {
			if want := amx.Fingerprint(a.Labels); a.Fingerprint != want {
				t.Errorf("%s: fingerprint %q of %v: want %q", file, a.Fingerprint, a.Labels, want)
			}
		}
	}
}

func TestExamplesOfJSONAreJSON(t *testing.T) {
	for _, file := range documents(t) {
		for _, b := range blocks(read(t, file)) {
			if b.language == "json" && !json.Valid([]byte(b.text)) {
				t.Errorf("%s:%d: not JSON", file, b.line)
			}
		}
	}
}

// bareKeys is the names of all keys as a file has them, each once.
func bareKeys() []string {
	var names []string
	for _, name := range amx.Keys() {
		if name = strings.TrimPrefix(name, "commands."); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func TestEveryKeyIsDocumented(t *testing.T) {
	text := read(t, "configuration.md")
	var headings []string
	for line := range strings.Lines(text) {
		if names, ok := strings.CutPrefix(strings.TrimSpace(line), "### "); ok {
			headings = append(headings, strings.Split(names, ", ")...)
		}
	}
	large := read(t, "../examples/amx-large.yaml")
	for _, key := range bareKeys() {
		if !strings.Contains(text, "[`"+key+"`](#") {
			t.Errorf("configuration.md does not have %q in its table of all keys", key)
		}
		if !slices.Contains(headings, key) {
			t.Errorf("configuration.md has no section %q, and amx takes the key", key)
		}
		if !regexp.MustCompile(`(?m)^[ #-]*` + key + `:`).MatchString(large) {
			t.Errorf("examples/amx-large.yaml lacks %q", key)
		}
	}
}

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

func TestLinksLeadSomewhere(t *testing.T) {
	for _, file := range documents(t) {
		for _, found := range link.FindAllStringSubmatch(read(t, file), -1) {
			path, anchor, _ := strings.Cut(found[1], "#")
			if strings.Contains(path, "://") {
				continue
			}
			target := filepath.Join(filepath.Dir(file), path)
			if path == "" {
				target = file
			}
			if info, err := os.Stat(target); err == nil && info.IsDir() && anchor == "" {
				continue
			}
			text, err := os.ReadFile(target)
			if err != nil {
				t.Errorf("%s: %v", file, err)
			} else if anchor != "" && !slices.Contains(anchors(text), anchor) {
				t.Errorf("%s: %s has no heading for #%s", file, target, anchor)
			}
		}
	}
}

// anchors is GitHub's names for the headings of a document.
func anchors(text []byte) []string {
	text = fenced.ReplaceAll(text, nil)
	var found []string
	times := map[string]int{}
	for line := range bytes.Lines(text) {
		if !bytes.HasPrefix(line, []byte("#")) {
			continue
		}
		title := strings.ToLower(strings.TrimSpace(strings.TrimLeft(string(line), "#")))
		title = regexp.MustCompile(`[^\p{L}\p{N}_ -]`).ReplaceAllString(title, "")
		title = strings.ReplaceAll(title, " ", "-")
		name := title
		if n := times[title]; n > 0 {
			name = fmt.Sprintf("%s-%d", title, n)
		}
		times[title]++
		found = append(found, name)
	}
	return found
}

// The README begins with the demonstration and says no more than a page.
func TestTheREADMEIsShort(t *testing.T) {
	text := read(t, "../README.md")
	if lines := strings.Count(text, "\n"); lines > 120 {
		t.Errorf("README.md has %d lines, over 120", lines)
	}
}

// Whoever follows the documents in a clone makes a secret there.
func TestTheTokenIsNobodyElsesToRead(t *testing.T) {
	made := 0
	for _, file := range []string{"security.md", "../template.yaml"} {
		for line := range strings.Lines(read(t, file)) {
			if !strings.Contains(line, "openssl rand -hex 32 >") {
				continue
			}
			made++
			if !strings.Contains(line, "(umask 077; set -C; openssl rand -hex 32 >") {
				t.Errorf("%s: %q makes a file that others may read, or overwrites one", file, line)
			}
		}
	}
	if made != 2 {
		t.Errorf("%d lines make a token, want 2", made)
	}
	// Nor is what people make in a clone in the way of the next pull.
	for _, name := range []string{"amx-token", "amx.yaml", "samconfig.toml", "amx.packed"} {
		if !strings.Contains(read(t, "../.gitignore"), "\n/"+name+"\n") {
			t.Errorf(".gitignore lacks /%s", name)
		}
	}
}
