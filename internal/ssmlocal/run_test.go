package ssmlocal

import (
	"testing"
)

func TestACommandRuns(t *testing.T) {
	w := start(t)
	w.wantEnd(w.send(script("echo one", "echo two >&2", "echo three")),
		"Success", "Success", 0, "one\nthree\n\n----------ERROR-------\ntwo\n")
	w.wantText("stdout", "one", "three")
	w.wantText("stderr", "two")
}

func TestAFailureHasTheExitCode(t *testing.T) {
	w := start(t)
	w.wantEnd(w.send(script("exit 7")), "Failed", "Failed", 7, "\n----------ERROR-------\nfailed to run commands: exit status 7")
}
