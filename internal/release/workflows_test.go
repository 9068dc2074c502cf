package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

type workflow struct {
	Name        string
	On          any
	Permissions map[string]string
	Jobs        map[string]struct {
		RunsOn  string `yaml:"runs-on"`
		Timeout int    `yaml:"timeout-minutes"`
		Steps   []struct {
			Uses, Run string
		}
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func workflows(t *testing.T) map[string]workflow { // :: file → what it says
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, ".github/workflows/*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no workflow (%v)", err)
	}
	all := map[string]workflow{}
	for _, file := range files {
		name := filepath.Base(file)
		var w workflow
		if err := yaml.Unmarshal([]byte(read(t, ".github/workflows/"+name)), &w); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all[name] = w
	}
	return all
}

// runs are the command lines of a workflow.
func (w workflow) runs() []string {
	var all []string
	for _, job := range w.Jobs {
		for _, step := range job.Steps {
			all = append(all, strings.Split(step.Run, "\n")...)
		}
	}
	return all
}

func TestWorkflowsAreWhole(t *testing.T) {
	for file, w := range workflows(t) {
		if w.Name == "" || w.On == nil || len(w.Permissions) == 0 || len(w.Jobs) == 0 {
			t.Errorf("%s: want name, on, permissions and jobs, got %+v", file, w)
		}
		for name, job := range w.Jobs {
			if job.RunsOn == "" || job.Timeout == 0 || len(job.Steps) == 0 {
				t.Errorf("%s: job %q: want runs-on, timeout-minutes and steps, got %+v", file, name, job)
			}
			for i, step := range job.Steps {
				if (step.Uses == "") == (step.Run == "") {
					t.Errorf("%s: job %q: steps[%d]: want either uses or run", file, name, i)
				}
			}
		}
	}
}

var (
	context  = regexp.MustCompile(`\$\{\{.*?\}\}`) // of the forge: ${{ github.run_number }}
	rule     = regexp.MustCompile(`(?m)^([a-z][a-z-]*):`)
	makeCall = regexp.MustCompile(`(?:^|[;&|=)] *)make((?: [^ ;&|]+)+)`)
)

func TestWorkflowsCallTargetsThatExist(t *testing.T) {
	var targets []string
	for _, m := range rule.FindAllStringSubmatch(read(t, "Makefile"), -1) {
		targets = append(targets, m[1])
	}
	called := 0
	for file, w := range workflows(t) {
		for _, line := range w.runs() {
			for _, call := range makeCall.FindAllStringSubmatch(context.ReplaceAllString(line, ""), -1) {
				for word := range strings.FieldsSeq(call[1]) {
					if strings.Contains(word, "=") {
						continue
					}
					called++
					if !slices.Contains(targets, word) {
						t.Errorf("%s: %q: the Makefile has no target %q", file, line, word)
					}
				}
			}
		}
	}
	if called < 10 {
		t.Errorf("found %d calls of make, want 10 or more", called)
	}
}

// A tag of an action can move to other code; a commit cannot.
func TestActionsArePinnedToACommit(t *testing.T) {
	pinned := regexp.MustCompile(`^[a-z-]+/[a-z-]+@[0-9a-f]{40}$`)
	named := regexp.MustCompile(`(?m)uses: \S+ # v[0-9]+\.[0-9]+\.[0-9]+$`)
	for file, w := range workflows(t) {
		uses := 0
		for name, job := range w.Jobs {
			for i, step := range job.Steps {
				if step.Uses == "" {
					continue
				}
				uses++
				if !pinned.MatchString(step.Uses) {
					t.Errorf("%s: job %q: steps[%d]: uses %q: want owner/name@ and the 40 digits of a commit", file, name, i, step.Uses)
				}
			}
		}
		if n := len(named.FindAllString(read(t, ".github/workflows/"+file), -1)); uses == 0 || n != uses {
			t.Errorf("%s: %d of %d actions have their version as a comment", file, n, uses)
		}
	}
}

// beside are the steps that ci.yml alone has: they prepare the runner, are what a
// function of .ci/run does, or need docker or a database that changes every day.
var beside = []string{
	"sudo apt-get update && sudo apt-get install ",
	"promtool check rules examples/prometheus/amx-rules.yaml",
	"promtool test rules amx-rules_test.yaml",
	"make vulncheck",
	"make release-check",
	"docker build --tag amx .",
}

// A change that passes .ci/run passes the workflow, and the other way round.
func TestTheWorkflowHasTheStepsOfTheScript(t *testing.T) {
	runs := workflows(t)["ci.yml"].runs()
	var script []string
	for line := range strings.Lines(read(t, ".ci/run")) {
		step, ok := strings.CutPrefix(strings.TrimSpace(line), "step ")
		if !ok || !strings.Contains(step, " ") && !strings.Contains(step, "/") {
			continue // a function of the script, which prepares the machine
		}
		script = append(script, step)
		has := func(run string) bool { return strings.HasSuffix(run, step) }
		if !slices.ContainsFunc(runs, has) {
			t.Errorf("ci.yml does not run %q, a step of .ci/run", step)
		}
	}
	if len(script) < 10 {
		t.Errorf("found %d steps in .ci/run, want 10 or more", len(script))
	}
	for _, run := range runs {
		begins := func(step string) bool { return strings.HasPrefix(run, step) }
		ends := func(step string) bool { return strings.HasSuffix(run, step) }
		if run != "" && !slices.ContainsFunc(beside, begins) && !slices.ContainsFunc(script, ends) {
			t.Errorf(".ci/run does not have %q, a step of ci.yml", run)
		}
	}
}

// The Dockerfile's image has the Go release that go.mod names.
func TestTheImageIsBuiltWithTheGoOfTheRelease(t *testing.T) {
	toolchain := regexp.MustCompile(`(?m)^toolchain go(\S+)$`).FindStringSubmatch(read(t, "go.mod"))
	image := regexp.MustCompile(`(?m)^FROM .*\bgolang:(\S+) AS build$`).FindStringSubmatch(read(t, "Dockerfile"))
	if toolchain == nil || image == nil || toolchain[1] != image[1] {
		t.Errorf("go.mod has the toolchain %q, the Dockerfile the image %q: want the same", toolchain, image)
	}
}
