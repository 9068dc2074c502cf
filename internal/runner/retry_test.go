package runner_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/awstest"
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

// SSM does not take a retry. It uses no attempt, and is tried again: nobody else
// begins it, because a source's own delivery does not.
func TestARetryThatSSMDoesNotTakeIsTriedAgain(t *testing.T) {
	for _, code := range []string{"InvalidDocument", "AccessDeniedException", "ThrottlingException"} {
		for _, retries := range []string{"1", "2"} {
			t.Run(code+" "+retries, func(t *testing.T) {
				in(t, strings.Replace(once, "name: fix,", "name: fix, retries: "+retries+",", 1), func(w *world) {
					later := &waiting{}
					w.runner.Queue = later
					w.cloud.Fails = func(string) bool { return true }
					w.deliver(30*time.Second, w.fires("a"))
					w.wire.Fault = always("SendCommand", awstest.Fault{Error: code})
					w.work(later, 20*time.Minute)
					w.want(w.deliver(30*time.Second, w.fires("a")), "", "skip: failed, retry pending:")
					if n := len(later.items); n == 0 || n > 2 { // the retry's own reminder may be one
						w.Errorf("%d items wait", n)
					}
					tried := len(w.wire.Calls("SendCommand"))
					w.wire.Fault = nil
					w.work(later, time.Hour)
					if sent := len(w.wire.Calls("SendCommand")) - tried; fmt.Sprint(sent) != retries || len(later.items) > 0 {
						w.Errorf("%d retries were sent, and %d items wait", sent, len(later.items))
					}
				})
			})
		}
	}
}

// Its alert resolves meanwhile: nothing waits any more.
func TestARetryThatSSMDoesNotTakeEndsWithItsAlert(t *testing.T) {
	in(t, strings.Replace(once, "name: fix,", "name: fix, retries: 1,", 1), func(w *world) {
		later := &waiting{}
		w.runner.Queue = later
		w.cloud.Fails = func(string) bool { return true }
		w.deliver(30*time.Second, w.fires("a"))
		w.wire.Fault = always("SendCommand", awstest.Fault{Error: "InvalidDocument"})
		w.work(later, 20*time.Minute)
		w.want(w.deliver(30*time.Second, w.resolves("a")), "", "skip: resolved: its run is over:")
		w.work(later, 20*time.Minute)
		if n := len(later.items); n > 0 {
			w.Errorf("%d items wait", n)
		}
	})
}

// The node of a retry is not found for a while: it is refused, and tried again.
func TestARetryWhoseNodeIsGoneIsTriedAgain(t *testing.T) {
	config := strings.Replace(on(`[{key: Address, values: ['{{ .Labels.instance }}']}]`), "name: fix", "name: fix\n    retries: 1", 1)
	in(t, config, func(w *world) {
		later := &waiting{}
		w.runner.Queue = later
		w.cloud.Fails = func(string) bool { return true }
		w.want(w.deliver(30*time.Second, w.fires("10.0.0.1")), "", "run: firing: Failed")
		nodes := w.cloud.Nodes
		w.cloud.Nodes = machines(3)[1:]
		w.work(later, 20*time.Minute)
		w.wantReached(ids(1)...)
		w.cloud.Nodes = nodes
		w.work(later, time.Hour)
		w.wantReached(ids(1, 1)...)
		if n := len(later.items); n > 0 {
			w.Errorf("%d items wait", n)
		}
	}, machines(3)...)
}
