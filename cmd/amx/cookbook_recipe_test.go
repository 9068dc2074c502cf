package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const cookbook = "../../docs/cookbook"

// A recipe is a file of the cookbook: the files that it shows, and the steps that
// its reader takes.
type recipe struct {
	files map[string]string // :: name → text, of blocks that begin with "# NAME"
	steps []step
}

// A step is a line that the reader types, with what it prints, or one that ran on a
// node.
type step struct {
	line   int
	node   string // where it ran, or pagerDuty; "": the reader types it
	text   string
	prints []string
}

var (
	cookbookBlock = regexp.MustCompile("(?ms)^```([a-z]+)\n(.*?)^```$")
	onNode        = regexp.MustCompile(`^(m?i-[0-9a-f]{17})\$ (.*)$`)
	atPagerDuty   = regexp.MustCompile(`^(` + pagerDuty + `): (.*)$`)
)

// pagerDuty begins a line that shows an event there.
const pagerDuty = "PagerDuty"

func readRecipe(t *testing.T, file string) recipe {
	t.Helper()
	text := string(must(os.ReadFile(file)))
	r := recipe{files: map[string]string{}}
	for _, at := range cookbookBlock.FindAllStringSubmatchIndex(text, -1) {
		language, block := text[at[2]:at[3]], text[at[4]:at[5]]
		first, _, _ := strings.Cut(block, "\n")
		switch name, named := strings.CutPrefix(first, "# "); {
		case language == "console":
			r.steps = append(r.steps, stepsOf(block, 2+strings.Count(text[:at[0]], "\n"))...)
		case named:
			if r.files[name] != "" {
				t.Errorf("%s has two files %q", file, name)
			}
			r.files[name] = block
		}
	}
	return r
}

func stepsOf(block string, line int) (steps []step) {
	for i, text := range strings.Split(strings.TrimSuffix(block, "\n"), "\n") {
		typed, types := strings.CutPrefix(text, "$ ")
		ran := onNode.FindStringSubmatch(text)
		if ran == nil {
			ran = atPagerDuty.FindStringSubmatch(text)
		}
		switch {
		case types:
			steps = append(steps, step{line: line + i, text: typed})
		case ran != nil:
			steps = append(steps, step{line: line + i, node: ran[1], text: ran[2]})
		case len(steps) > 0:
			last := &steps[len(steps)-1]
			last.prints = append(last.prints, text)
		}
	}
	return steps
}

var (
	aRun    = regexp.MustCompile(`\b01[0-9A-HJKMNP-TV-Z]{24}\b`)
	varying = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [A-Z]+|\b\d+(\.\d)?[smhd]( \d+[smhd])?\b|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
	space   = regexp.MustCompile(` +`)
)

// normal is a line without what differs each time.
func normal(line string) string {
	return strings.TrimSpace(space.ReplaceAllString(varying.ReplaceAllString(aRun.ReplaceAllString(line, "RUN"), "*"), " "))
}

// compare answers how a text differs from what the recipe shows, "" if it does
// not. A line "…" stands for any lines, and one that ends with it for any rest.
// Nothing shown is nothing said. It learns the IDs of runs.
func (k *kitchen) compare(shown []string, text string) string {
	text = strings.ReplaceAll(text, filepath.Join(k.dir, "tmp"), "/var/tmp")
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	found := map[string]string{}
	skip := len(shown) == 0
	for _, want := range shown {
		if want == "…" {
			skip = true
			continue
		}
		at := slices.IndexFunc(lines, func(line string) bool {
			begin, cut := strings.CutSuffix(normal(want), "…")
			is, fitted := strings.CutSuffix(normal(line), "…") // how much fits depends on the other columns
			return normal(line) == normal(want) || cut && (strings.HasPrefix(is, begin) || fitted && strings.HasPrefix(begin, is))
		})
		if at < 0 || at > 0 && !skip {
			return fmt.Sprintf("want the line\n%s\nin\n%s", want, text)
		}
		documented, real := aRun.FindAllString(want, -1), aRun.FindAllString(lines[at], -1)
		for i := range min(len(documented), len(real)) {
			if before := k.runs[documented[i]]; before != "" && before != real[i] {
				return fmt.Sprintf("run %s is %s here, and was %s before, in\n%s", documented[i], real[i], before, text)
			}
			found[documented[i]] = real[i]
		}
		lines, skip = lines[at+1:], false
	}
	if !skip && len(lines) > 0 {
		return fmt.Sprintf("has more lines than the recipe:\n%s", strings.Join(lines, "\n"))
	}
	maps.Copy(k.runs, found)
	return ""
}
