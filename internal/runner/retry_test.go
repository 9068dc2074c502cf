package runner_test

import (
	"strings"
	"testing"
	"time"
)

// A run that SSM calls failed may go on on a node whose agent has crashed.
func TestARetryNamesTheRunBeforeToTheNode(t *testing.T) {
	in(t, strings.Replace(once, "name: fix,", "name: fix, retries: 1,", 1), func(w *world) {
		later := &waiting{}
		w.runner.Queue = later
		w.cloud.Fails = func(string) bool { return true }
		first := w.deliver(30*time.Second, w.fires("a"))
		w.want(w.deliver(30*time.Second, w.fires("a")), "", "skip: failed, retry pending:")
		w.work(later, 10*time.Minute)
		if len(later.items) > 0 {
			w.Errorf("what waits: %+v", later.items)
		}
		sends := w.wire.Calls("SendCommand")
		if len(sends) != 2 {
			w.Fatalf("SendCommand was called %d times; results %+v", len(sends), first.Results)
		}
		const line = `"  amx_b=`
		if body := string(sends[0].Body); strings.Contains(body, line) {
			w.Errorf("the first run names one before: %s", body)
		}
		if body, want := string(sends[1].Body), line+first.Results[0].RunID+`"`; !strings.Contains(body, want) {
			w.Errorf("the retry does not have %s in %s", want, body)
		}
	})
}
