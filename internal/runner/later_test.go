package runner_test

import (
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/awstest"
	"github.com/amx-lambda/amx/internal/cloudtest"
)

// A command that is configured no more starts nothing that waited for it, and
// what runs of it is stopped.
func TestAnItemOfACommandThatIsGone(t *testing.T) {
	in(t, once, func(w *world) {
		later := &waiting{}
		w.runner.Queue = later
		w.cloud.Lasts = func(*cloudtest.Command, string) (time.Duration, int) { return 100 * time.Hour, 0 }
		first := w.deliver(30*time.Second, w.fires("a")).Results[0]
		w.wire.Fault = always("SendCommand", awstest.Fault{Error: "AccessDeniedException"})
		w.want(w.deliver(30*time.Second, w.fires("b")), "", "later: SendCommand: AccessDeniedException: a fault of the test:")
		w.wire.Fault = always("CancelCommand", awstest.Fault{Error: "AccessDeniedException"})
		w.want(w.deliver(30*time.Second, w.resolves("a")), "",
			"later: cancelling run "+first.RunID+": CancelCommand \""+first.CommandIDs[0]+"\": AccessDeniedException: a fault of the test:")
		w.wire.Fault = nil
		gone := *w.runner.Config()
		gone.Commands = nil
		w.runner.Config = func() *amx.Config { return &gone }
		w.work(later, time.Hour)
		if n := len(w.wire.Calls("SendCommand")); n != 2 { // the second was refused
			w.Errorf("SendCommand was called %d times", n)
		}
		if ids := w.cloud.Running(); len(ids) > 0 || len(later.items) > 0 {
			w.Errorf("%v runs, and %d items wait", ids, len(later.items))
		}
	})
}
