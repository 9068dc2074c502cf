package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// amxAt calls the command line about the amx serve of a folder.
func amxAt(t *testing.T, dir string, args ...string) (code int, out, errs string) {
	t.Helper()
	return amxRun(t, "", append(args, "--ledger", filepath.Join(dir, "ledger.db"))...)
}

func wantOut(t *testing.T, what string, code int, out, errs, pattern string) {
	t.Helper()
	if code != 0 || !regexp.MustCompile(pattern).MatchString(out) {
		t.Errorf("%s: exit %d\n%s%s\nwant %s", what, code, out, errs, pattern)
	}
}

func TestAPersonCancelsARun(t *testing.T) {
	dir := t.TempDir()
	m := &machine{t: t, dir: dir}
	p := startAMX(t, dir, longRun)
	run := p.post(notification("amx", firing("a", 0))).Results[0].RunID
	m.eventually("the command has begun", func() bool { return len(m.lines("runs")) == 1 })

	code, out, errs := amxAt(t, dir, "runs")
	wantOut(t, "runs", code, out, errs, `(?m)^`+run+`  running    .* long  `)
	code, out, errs = amxAt(t, dir, "cancel", run, "--why", "wrong host")
	wantOut(t, "cancel", code, out, errs, `(?s)^asked to cancel run `+run+` of "long"\nrun `+run+` on mi-00000000000000000: Cancelled, exit code -?\d+\nrun `+run+`: cancelled\n$`)
	m.eventually("the command is gone", func() bool { return len(sleepers(t, dir)) == 0 })
	code, out, errs = amxAt(t, dir, "show", run)
	wantOut(t, "show", code, out, errs, `(?s)\nState      cancelled: .*\nCancelled  by `+userName(os.Getuid())+`: wrong host\nAlert      A, .*\nmi-00000000000000000  Cancelled `)

	if code, _, errs = amxAt(t, dir, "cancel", run, "--why", "again"); code != 1 || errs != `amx: run "`+run+`" is over (cancelled): nothing to do`+"\n" {
		t.Errorf("cancel again: exit %d, %s", code, errs)
	}
	// The resolve that comes later is told who it was.
	a := p.post(notification("amx", resolved("a", 0, 60)))
	if len(a.Results) != 1 || a.Results[0].Action != "skip" || !strings.Contains(a.Results[0].Reason, userName(os.Getuid())) {
		t.Errorf("the resolve: %+v", a)
	}
}

func TestTheHistoryOutlivesAMX(t *testing.T) {
	dir := t.TempDir()
	m := &machine{t: t, dir: dir}
	p := startAMX(t, dir, longRun)
	run := p.post(notification("amx", firing("a", 0))).Results[0].RunID
	m.eventually("the command has begun", func() bool { return len(m.lines("runs")) == 1 })
	p.kill()

	p = startAMX(t, dir, longRun)
	code, out, errs := amxAt(t, dir, "show", run)
	wantOut(t, "after the crash", code, out, errs, `(?s)^Run        `+run+`\nCommand    long\nState      running: firing\n.*\nSource     receiver amx`)
	p.post(notification("amx", resolved("a", 0, 60)))
	m.eventually("the end is in the history", func() bool {
		code, out, _ = amxAt(t, dir, "show", run)
		return code == 0 && strings.Contains(out, "\nState      cancelled")
	})
	wantOut(t, "after the resolve", code, out, "", `\nCancelled  by resolve\n`)
}

func TestAPersonPausesEverything(t *testing.T) {
	dir := t.TempDir()
	m := &machine{t: t, dir: dir}
	p := startAMX(t, dir, longRun)
	if code, _, errs := amxAt(t, dir, "pause", "--why", "maintenance"); code != 0 {
		t.Fatal(errs)
	}
	a := p.post(notification("amx", firing("a", 0)))
	if len(a.Results) != 1 || a.Results[0].Action != "later" || !strings.Contains(a.Results[0].Reason, "maintenance") {
		t.Errorf("the firing: %+v", a)
	}
	code, out, errs := amxAt(t, dir, "runs", "--state", "waiting")
	wantOut(t, "runs", code, out, errs, `(?m)^w[0-9a-f]{20} +waiting `)
	code, out, errs = amxAt(t, dir, "status")
	wantOut(t, "status", code, out, errs, `(?s)^paused: everything, .*\nwaiting: long, 1 for .*maintenance.*\nqueue: 1`)
	code, out, errs = amxAt(t, dir, "cancel", "--command", "long", "--why", "not today")
	wantOut(t, "cancel", code, out, errs, `^dropped the waiting alerts of "long"\n$`)
	code, out, errs = amxAt(t, dir, "runs")
	wantOut(t, "runs", code, out, errs, `(?m)^r[0-9a-f]{20} +cancelled `)
	if len(m.lines("runs")) != 0 {
		t.Error("it ran")
	}
}
