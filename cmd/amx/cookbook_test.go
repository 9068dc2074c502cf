package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// programs are those that recipes call and no test may: each is a script in the
// PATH of the nodes. It notes how it was called, and then does this.
var programs = map[string]string{
	"aws": "", "docker": "", "journalctl": "echo journal", "jstack": "", "systemctl": "",
}

// tests are what a recipe needs to be tried, by the name of its file.
var tests = map[string]struct {
	programs map[string]string
	form     func(body map[string]any) // changes what alert.sh sends
}{
	"am-executor-before-and-after": {programs: map[string]string{"restart-shop.sh": ""}},
	"amp-to-pagerduty": {
		programs: map[string]string{"systemctl": "exit 1"},
	},
	"capture-evidence": {programs: map[string]string{
		"systemctl": `[ "$1" != show ] || echo 4711`,
		"jstack":    `printf 'Full thread dump\n"main" #1 prio=5\n   java.lang.Thread.State: BLOCKED (on object monitor)\n   more\n'`,
	}},
	"grow-a-volume": {programs: map[string]string{
		"findmnt":    `case $2 in SOURCE) echo /dev/nvme1n1 ;; *) echo xfs ;; esac`,
		"lsblk":      `echo vol0123456789abcdef0`,
		"aws":        `case $2 in describe-volumes) echo 100 ;; *modifications) echo optimizing ;; esac`,
		"xfs_growfs": "",
	}},
	"grafana": {form: grafanas},
	"page-only-if-the-fix-did-not-help": {
		programs: map[string]string{"systemctl": `[ "$AWS_SSM_INSTANCE_ID" = i-0123456789abcdef0 ]`},
	},
	// The second node is not healthy the second time.
	"one-node-at-a-time": {programs: map[string]string{
		"curl": `[ "$AWS_SSM_INSTANCE_ID" != i-0123456789abcdef1 ] || mkdir "$TMPDIR/first" 2>/dev/null || exit 22`,
	}},
}

// onlyExplained are the recipes of which no machine has run anything. Each says so.
var onlyExplained = []string{"patch-with-a-document", "windows"}

// grafanas adds what Grafana's contact point sends beside Alertmanager's fields.
func grafanas(body map[string]any) {
	body["version"], body["orgId"], body["title"], body["state"], body["message"] = "1", 1, "[FIRING:1]", "alerting", "**Firing**"
	for _, a := range body["alerts"].([]any) {
		a := a.(map[string]any)
		a["fingerprint"], a["values"], a["valueString"] = "c6eadffa33fcdf37", map[string]any{"A": 0}, "[ var='A' value=0 ]"
		a["silenceURL"], a["dashboardURL"], a["panelURL"] = "http://grafana.example/alerting/silence/new", "", ""
	}
}

// Each recipe is tried as its reader would: its configuration, its calls, its
// alerts and their resolves are read from the file. The recipe shows what runs on
// which node, in which order, and what amx prints.
func TestTheCookbook(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(cookbook, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".md")
		if name == "README" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := readRecipe(t, file)
			k := newKitchen(t, r, tests[name].programs)
			k.form = tests[name].form
			defer k.close()
			for _, s := range r.steps {
				k.take(s)
			}
			if k.process != nil {
				k.process.kill()
			}
			if more := k.calls()[k.ran:]; len(more) > 0 {
				t.Errorf("the recipe does not show that this ran:\n%s", strings.Join(more, "\n"))
			}
			if more := k.pager.Events()[k.events:]; len(more) > 0 {
				t.Errorf("the recipe does not show that PagerDuty heard %+v", more)
			}
			if wrong := k.pager.Wrong(); len(wrong) > 0 {
				t.Errorf("PagerDuty refused: %q", wrong)
			}
			k.complete(r, slices.Contains(onlyExplained, name))
		})
	}
}

// complete fails a recipe in which no alert fires and resolves, and one without a
// run that does not explain what would run.
func (k *kitchen) complete(r recipe, explained bool) {
	k.t.Helper()
	var text strings.Builder
	for _, s := range r.steps {
		text.WriteString(s.text + "\n")
	}
	wants := []string{"amx serve -f ", "alert.sh firing ", "\namx runs", "alert.sh resolved "}
	if explained {
		wants = []string{"amx check --lambda amx.yaml", "amx explain "}
	}
	if explained && k.process != nil {
		k.t.Error("the recipe has been run: take it off onlyExplained")
	}
	for _, want := range wants {
		if !strings.Contains(text.String(), want) {
			k.t.Errorf("the recipe has no %q", want)
		}
	}
	if r.files["amx.yaml"] == "" {
		k.t.Error("the recipe has no amx.yaml")
	}
}
