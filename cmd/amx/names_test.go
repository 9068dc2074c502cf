package main

import (
	"context"
	"regexp"
	"strings"
	"testing"
)

func TestTheCommandThatSignalsIsLoggedUnderItsRun(t *testing.T) {
	m := newMachine(t, "commands: [{name: trap, cmd: sh, resolved_signal: SIGUSR1, wait: 0s, args: [-c, 'trap \"exit 0\" USR1; echo up >>@DIR@/up; while :; do sleep 0.02; done']}]")
	run := m.post(notification("amx", firing("a", 0))).Results[0].RunID
	m.eventually("it has its trap", func() bool { return len(m.lines("up")) == 1 })
	m.post(notification("amx", resolved("a", 0, 60)))
	ended := regexp.MustCompile(`level=INFO msg="run ended" command=trap run_id=` + run + ` state=\w+ status=Success took=\S+\n`)
	signalled := regexp.MustCompile(`level=INFO msg=signalled command=trap run_id=` + run + ` signal=SIGUSR1 command_id=\S+ status=Success\n`)
	said := regexp.MustCompile(`level=INFO msg=output command=trap run_id=` + run + ` command_id=\S+ stream=stdout line="amx: sent SIGUSR1 to process \d+"\n`)
	m.eventually("both are logged", func() bool {
		return ended.MatchString(m.log.String()) && signalled.MatchString(m.log.String()) && said.MatchString(m.log.String())
	})
	if strings.Contains(m.log.String(), `run_id="" command_id`) {
		t.Errorf("a command without its run:\n%s", m.log.String())
	}
}

// A person who greps for warnings finds the run that failed, with its exit code.
func TestTheEndOfARunThatFailed(t *testing.T) {
	m := newMachine(t, "commands: [{name: bad, cmd: sh, args: [-c, 'echo no; exit 7']}]")
	defer m.host.workQueue(context.Background())() // an end that comes early is put off
	run := m.post(notification("amx", firing("a", 0))).Results[0].RunID
	ended := regexp.MustCompile(`level=WARN msg="run ended" command=bad run_id=` + run + ` state=failed status=Failed took=\S+\n`)
	node := regexp.MustCompile(`level=WARN msg="node ended" command=bad run_id=` + run + ` node=mi-00000000000000000 status=Failed exit_code=7\n`)
	output := regexp.MustCompile(`level=INFO msg=output command=bad run_id=` + run + ` command_id=\S+ stream=stdout line=no\n`)
	m.eventually("all of it is logged", func() bool {
		return ended.MatchString(m.log.String()) && node.MatchString(m.log.String()) && output.MatchString(m.log.String())
	})
}
