package ssmexec

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/ssmlocal"
)

// documented answers a command of docs/commands.md.
func documented(t *testing.T, name string) *amx.Command {
	t.Helper()
	text, err := os.ReadFile("../../docs/commands.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range regexp.MustCompile("(?ms)^```yaml\n(# amx.yaml\n.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		c, err := amx.ParseConfig("commands.md", []byte(block[1]))
		if err != nil {
			t.Fatal(err)
		}
		if c.Commands[0].Name == name {
			return c.Commands[0]
		}
	}
	t.Fatalf("docs/commands.md has no command %q", name)
	return nil
}

// newSleeper is a machine on which a sleep says so, and ends when it is told to.
func newSleeper(t *testing.T) *machine {
	t.Helper()
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "sleep"), []byte("#!/bin/sh\necho asleep\nread -r line <\"$CUE\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	m := newMachine(t, func(o *ssmlocal.Options) {
		o.Env = []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "CUE=" + filepath.Join(filepath.Dir(o.Dir), "cue")}
	})
	m.cue("cue", true)
	return m
}

// begin sends run A of a documented command.
func (m *machine) begin(name string) (id string, c *amx.Command) {
	m.t.Helper()
	c = documented(m.t, name)
	j := job(c)
	return m.sendJob(j), c
}

// shellEnds waits until the shell of run A has ended: a second command sees its
// exit code beside the guard.
func (m *machine) shellEnds() {
	m.t.Helper()
	link := filepath.Join(m.dir, "state", agentNode, "runs", runA+".exit")
	m.over(m.send("name: wait\nscript: until [ -L "+link+" ]; do /bin/sleep 0.02; done", runB, ""))
}

func (m *machine) signal(c *amx.Command) {
	m.t.Helper()
	j := job(c)
	if refused, err := m.x.Signal(context.Background(), Signal{Command: c, Entry: j.Entry, Run: runA, Targets: j.Targets}); err != nil || len(refused) > 0 {
		m.t.Fatal(refused, err)
	}
}

func TestADocumentedChildHoldsTheOutput(t *testing.T) {
	m := newSleeper(t)
	id, _ := m.begin("holds")
	m.says(id, "asleep")
	m.shellEnds()
	m.want(id, "InProgress", -1)
	m.cue("cue", false)
	m.over(id)
	m.want(id, "Success", 0)
}

func TestADocumentedChildLetsGoOfTheOutput(t *testing.T) {
	m := newSleeper(t)
	id, _ := m.begin("lets-go")
	m.over(id)
	m.want(id, "Success", 0)
	m.cue("cue", false) // the child is there, and ends now
}

func TestADocumentedSignalLeavesTheChild(t *testing.T) {
	m := newSleeper(t)
	id, c := m.begin("leaves-its-child")
	m.says(id, "asleep")
	m.signal(c)
	m.shellEnds()
	m.want(id, "InProgress", -1)
	m.cue("cue", false)
	m.over(id)
	if i := m.want(id, "Failed", 143); strings.Contains(i.Output, "not reached") {
		t.Errorf("it wrote %q", i.Output)
	}
}

func TestADocumentedSignalReachesTheChild(t *testing.T) {
	for name, want := range map[string]struct {
		status string
		code   int32
		output string
	}{
		"becomes-its-child": {"Failed", 143, "asleep\n"},
		"stops-its-child":   {"Success", 0, "stopped\n"},
	} {
		m := newSleeper(t)
		id, c := m.begin(name)
		m.says(id, "up")
		m.says(id, "asleep")
		m.signal(c)
		m.over(id)
		if i := m.want(id, want.status, want.code); !strings.Contains(i.Output, want.output) {
			t.Errorf("%s wrote %q, want %q in it", name, i.Output, want.output)
		}
	}
}
