package runner_test

import (
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/awstest"
)

// Alerts of one command that are put off for one reason are one item.
func TestWhatIsPutOffTogetherIsOneItem(t *testing.T) {
	in(t, "commands: [{name: c, cmd: x, scope: alert, wait: 0s, targets: [{key: InstanceIds, values: [mi-00000000000000000]}]}]", func(w *world) {
		later := &waiting{}
		w.runner.Queue = later
		w.wire.Fault = always("SendCommand", awstest.Fault{Error: "AccessDeniedException"})
		w.want(w.deliver(30*time.Second, w.fires("a", "b", "c")), "", "later: SendCommand: AccessDeniedException: a fault of the test:")
		if n := len(later.items); n != 1 || len(later.items[0].Message.Alerts) != 3 {
			t.Fatalf("%d items: %+v, want one with three alerts", n, later.items)
		}
		w.wire.Fault = nil
		w.work(later, time.Hour)
		if n := w.effects(); n != 3 {
			t.Errorf("%d runs, want one for each alert", n)
		}
	})
}

// If the queue fails, each alert has an error, and no answer says `later`.
func TestWhatCannotBePutOffTogetherIsAnError(t *testing.T) {
	in(t, "commands: [{name: c, cmd: x, scope: alert, wait: 0s, targets: [{key: InstanceIds, values: [mi-00000000000000000]}]}]", func(w *world) {
		w.runner.Queue = &waiting{fails: true}
		w.wire.Fault = always("SendCommand", awstest.Fault{Error: "AccessDeniedException"})
		a := w.deliver(30*time.Second, w.fires("a", "b"))
		if a.Err == nil || len(a.Results) != 0 {
			t.Errorf("%+v", a)
		}
	})
}
