package runner_test

import (
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/awstest"
)

func TestThePollingStartsFastAndBacksOff(t *testing.T) {
	in(t, `
targets: [{key: InstanceIds, values: [mi-00000000000000000]}]
commands:
  - {name: slow, cmd: /bin/slow, wait: 2s}
`, func(w *world) {
		w.lasting(30 * time.Second)
		w.runner.Exec.Poll = 0 // as it is in use
		begun := time.Now()
		w.want(w.deliver(30*time.Second, w.fires("a")), "", "run: firing: InProgress")
		if took := time.Since(begun); took < 2*time.Second || took > 2100*time.Millisecond {
			w.Errorf("the caller waited %v, want the command's wait of 2s", took)
		}
		// At 0, 200, 500, 950 and 1,625 ms.
		if polls := len(w.wire.Calls("ListCommandInvocations")); polls != 5 {
			w.Errorf("SSM was asked %d times in 2 s, not 5 times", polls)
		}
		w.want(w.deliver(30*time.Second, w.resolves("a")), "", "cancel: resolved: cancelled: Cancelled")
	})
}

func TestARunThatEndedBeforeItsResolveIsNoError(t *testing.T) {
	in(t, once, func(w *world) {
		w.want(w.deliver(30*time.Second, w.fires("a")), "", "run: firing: Success")
		w.wire.Fault = always("CancelCommand", awstest.Fault{Error: "InvalidCommandId"}) // what SSM says of a command that is over is not documented
		w.want(w.deliver(30*time.Second, w.resolves("a")), "", "skip: resolved: its run is over: Success")
	})
}
