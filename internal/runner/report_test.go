package runner_test

import (
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/awstest"
)

func TestTheAnswerSaysWhichNodeFailedAndHow(t *testing.T) {
	t.Parallel()
	n := newNode(t, `
targets: [{key: 'tag:Role', values: [web, db]}]
commands:
  - name: fix
    script: |
      echo "working on $AWS_SSM_INSTANCE_ID"
      [ "$AWS_SSM_INSTANCE_ID" != i-00000000000000002 ] && exit 0
      echo "disk: no such device" >&2
      echo "second" >&2; echo "third" >&2; echo "fourth" >&2
      exit 9
`, machines(3)...)
	a := n.deliver(30*time.Second, fires("a"))
	n.want(a, `ended Failed; node i-00000000000000002: Failed, exit 9: "disk: no such device\nsecond\nthird"`, "run: firing: Failed")
}

// SSM's lists show 2,500 characters, standard output first.
func TestLongOutputDoesNotHideTheErrors(t *testing.T) {
	t.Parallel()
	n := newNode(t, `
targets: [{key: InstanceIds, values: [mi-00000000000000000]}]
commands:
  - name: fix
    script: |
      i=0; while [ $i -lt 500 ]; do echo "line $i of many"; i=$((i + 1)); done
      echo "disk: no such device" >&2
      exit 9
`)
	a := n.deliver(30*time.Second, fires("a"))
	n.want(a, `ended Failed; node mi-00000000000000000: Failed, exit 9: "disk: no such device\nfailed to run commands: exit status 9"`, "run: firing: Failed")
}

func TestThePollingStartsFastAndBacksOff(t *testing.T) {
	t.Parallel()
	n := newNode(t, `
targets: [{key: InstanceIds, values: [mi-00000000000000000]}]
commands:
  - {name: slow, cmd: sleep, args: [30], wait: 2s}
`)
	n.runner.Exec.Poll = 0 // as it is in use
	begun := time.Now()
	n.want(n.deliver(30*time.Second, fires("a")), "", "run: firing: InProgress")
	if took := time.Since(begun); took < 2*time.Second || took > 4*time.Second {
		t.Errorf("the caller waited %v, want the command's wait of 2s", took)
	}
	// At 0, 200, 500, 950 and 1,625 ms.
	if polls := len(n.wire.Calls("ListCommandInvocations")); polls < 4 || polls > 6 {
		t.Errorf("SSM was asked %d times in 2 s", polls)
	}
	n.want(n.deliver(30*time.Second, resolves("a")), "", "cancel: resolved: cancelled: Cancelled")
}

func TestARunThatEndedBeforeItsResolveIsNoError(t *testing.T) {
	t.Parallel()
	n := newNode(t, once)
	n.want(n.deliver(30*time.Second, fires("a")), "", "run: firing: Success")
	n.wire.Fault = func(c awstest.Call) *awstest.Fault {
		if c.Operation == "CancelCommand" {
			return &awstest.Fault{Error: "InvalidCommandId"} // what SSM says of a command that is over is not documented
		}
		return nil
	}
	n.want(n.deliver(30*time.Second, resolves("a")), "", "skip: resolved: its run is over: Success")
}

func TestASignalInThePlaceOfACancellation(t *testing.T) {
	t.Parallel()
	n := newNode(t, `
targets: [{key: InstanceIds, values: [mi-00000000000000000]}]
commands:
  - name: hold
    script: |
      trap 'echo stopped >>@DIR@/effects; exit 0' TERM
      echo started >>@DIR@/effects
      while :; do sleep 0.05; done
    resolved_signal: TERM
    wait: 0s
`)
	n.want(n.deliver(30*time.Second, fires("a")), "", "run: firing:")
	for n.effects() == 0 {
		time.Sleep(10 * time.Millisecond)
	}
	n.want(n.deliver(30*time.Second, resolves("a")), "", "cancel: resolved: SIGTERM sent: Success")
	if n.effects() != 2 {
		t.Error("the script did not see the signal")
	}
	if calls := n.wire.Calls("CancelCommand"); len(calls) != 0 {
		t.Errorf("CancelCommand was called %d times", len(calls))
	}
}
