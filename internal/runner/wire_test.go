package runner_test

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/awstest"
)

const once = `
targets: [{key: InstanceIds, values: [mi-00000000000000000]}]
commands:
  - {name: fix, cmd: /bin/fix}
`

// Whatever goes wrong with a SendCommand, there is one effect and a right answer.
func TestOneEffectWhateverTheWireDoes(t *testing.T) {
	throttled := &awstest.Fault{Error: "ThrottlingException"}
	internal := &awstest.Fault{Error: "InternalServerError", Status: 500}
	internalAfter := &awstest.Fault{Error: "InternalServerError", Status: 500, After: true}
	dropped, droppedAfter := &awstest.Fault{}, &awstest.Fault{After: true}
	for _, tt := range []struct {
		name   string
		faults []*awstest.Fault
		lag    time.Duration
		sends  int
	}{
		{"nothing goes wrong", nil, 0, 1},
		{"throttled", []*awstest.Fault{throttled, throttled, throttled}, 0, 4},
		{"an internal error before the effect", []*awstest.Fault{internal}, 0, 2},
		{"an internal error before the effect, and a list that lags", []*awstest.Fault{internal}, 3 * time.Second, 2},
		{"an internal error after the effect", []*awstest.Fault{internalAfter}, 0, 1},
		{"an internal error after the effect, and a list that lags", []*awstest.Fault{internalAfter}, 3 * time.Second, 2},
		{"the connection dropped before the effect", []*awstest.Fault{dropped}, 0, 2},
		{"the connection dropped after the effect", []*awstest.Fault{droppedAfter}, 0, 1},
		{"the connection dropped after the effect, and a list that lags", []*awstest.Fault{droppedAfter}, 3 * time.Second, 2},
		{"throttled, then dropped after the effect", []*awstest.Fault{throttled, droppedAfter}, 0, 2},
		{"a list that lags", nil, 3 * time.Second, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in(t, once, func(w *world) {
				w.wire.Fault = faults("SendCommand", tt.faults...)
				w.cloud.Lag = tt.lag
				w.want(w.deliver(30*time.Second, w.fires("a")), "", "run: firing: Success")
				if got := len(w.wire.Calls("SendCommand")); got != tt.sends {
					w.Errorf("SendCommand was called %d times, want %d", got, tt.sends)
				}
				w.want(w.deliver(30*time.Second, w.fires("a")), "", "skip: already started for this alert:")
				time.Sleep(time.Minute) // a send that is under way would have its effect by then
				if got := w.effects(); got != 1 {
					w.Errorf("the command ran %d times, want once", got)
				}
			})
		})
	}
}

func TestThrottledUntilTheTimeIsUpIsSentByTheNextDelivery(t *testing.T) {
	in(t, once, func(w *world) {
		w.wire.Fault = always("SendCommand", awstest.Fault{Error: "ThrottlingException"})
		w.want(w.deliver(4500*time.Millisecond, w.fires("a")), `command "fix": SendCommand: ThrottlingException: a fault of the test`)
		w.wire.Fault = nil
		w.want(w.deliver(30*time.Second, w.fires("a")), "", "run: firing: Success")
		if got := w.effects(); got != 1 {
			w.Errorf("the command ran %d times, want once", got)
		}
	})
}

// A delivery is answered before its deadline, whatever hangs, and half a second
// before it all calls have returned. A run that is not settled by then comes
// again, is found, and is not sent again.
func TestADeliveryIsAnsweredBeforeItsDeadline(t *testing.T) {
	for _, tt := range []struct {
		name    string
		hangs   []string // operations of SSM
		timeout time.Duration
		want    string // of the error
	}{
		{"a send hangs, and a look finds it", []string{"SendCommand"}, 6 * time.Second, ""},
		{"a send hangs, longer", []string{"SendCommand"}, 8 * time.Second, ""},
		{"all of SSM hangs", []string{"SendCommand", "ListCommands"}, 6 * time.Second, `command "fix": `},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in(t, once, func(w *world) {
				var healed atomic.Bool // what hung may still be asking when the delivery is over
				w.wire.Fault = func(c awstest.Call) *awstest.Fault {
					if healed.Load() || !slices.Contains(tt.hangs, c.Operation) {
						return nil
					}
					return &awstest.Fault{After: true, Delay: time.Minute}
				}
				for _, c := range w.runner.Config().Commands { // as for SNS, which waits for no outcome
					c.Wait = new(time.Duration)
				}
				begun := time.Now()
				a := w.deliver(tt.timeout, w.fires("a"))
				if took := time.Since(begun); took > tt.timeout-500*time.Millisecond {
					w.Errorf("it took %v of %v", took, tt.timeout)
				}
				if (a.Err == nil) != (tt.want == "") || a.Err != nil && !strings.HasPrefix(a.Err.Error(), tt.want) {
					w.Errorf("got %v, want %q", a.Err, tt.want)
				}
				healed.Store(true)
				// It comes again. Until the claim's lease is over that fails too.
				for tries := 1; w.deliver(30*time.Second, w.fires("a")).Err != nil; tries++ {
					if tries == 5 {
						w.Fatal("the run is not found")
					}
				}
				if n := w.effects(); n != 1 {
					w.Errorf("the command ran %d times", n)
				}
			})
		})
	}
}

const held = `
targets: [{key: InstanceIds, values: [mi-00000000000000000]}]
commands:
  - {name: hold, cmd: /bin/hold, wait: 0s}
`

// Whatever became of the send, a resolve that is answered well has ended it.
func TestNoRunOutlivesItsResolve(t *testing.T) {
	internal := &awstest.Fault{Error: "InternalServerError", Status: 500}
	dropped, droppedAfter := &awstest.Fault{}, &awstest.Fault{After: true}
	for _, tt := range []struct {
		name    string
		faults  []*awstest.Fault
		cancels []*awstest.Fault
		lag     time.Duration
	}{
		{"nothing goes wrong", nil, nil, 0},
		{"an internal error before the effect", []*awstest.Fault{internal}, nil, 0},
		{"dropped after the effect", []*awstest.Fault{droppedAfter}, nil, 0},
		{"dropped after the effect, and a list that lags", []*awstest.Fault{droppedAfter}, nil, 3 * time.Second},
		{"dropped after both effects, and a list that lags", []*awstest.Fault{droppedAfter, droppedAfter}, nil, 3 * time.Second},
		{"dropped before the effect, and a list that lags", []*awstest.Fault{dropped, droppedAfter}, nil, 3 * time.Second},
		{"a cancel that is dropped", nil, []*awstest.Fault{dropped, dropped, dropped}, 0},
		{"a cancel whose answer is lost", nil, []*awstest.Fault{droppedAfter, droppedAfter, droppedAfter}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in(t, held, func(w *world) {
				w.lasting(10 * time.Minute)
				w.cloud.Lag = tt.lag
				w.wire.Fault = faults("SendCommand", tt.faults...)
				w.deliver(3*time.Second, w.fires("a"))
				w.wire.Fault = faults("CancelCommand", tt.cancels...)
				for deadline := time.Now().Add(time.Minute); ; {
					a := w.deliver(3*time.Second, w.resolves("a"))
					if a.Err == nil {
						break
					}
					if time.Now().After(deadline) {
						w.Fatalf("the resolve is never acknowledged: %v", a.Err)
					}
					time.Sleep(200 * time.Millisecond) // Alertmanager waits longer before it sends again
				}
				time.Sleep(100 * time.Millisecond) // until the node has heard of it
				if left := w.cloud.Running(); len(left) != 0 {
					w.Errorf("commands %v go on after the resolve", left)
				}
				time.Sleep(time.Minute)
				if left := w.cloud.Running(); len(left) != 0 {
					w.Errorf("commands %v have begun since the resolve", left)
				}
				if got := w.effects(); got > 1 {
					w.Errorf("the command ran %d times", got)
				}
			})
		})
	}
}
