package runner_test

import (
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/cloudtest"
)

// Who waits at the gate over all commands finds that another command's run has
// ended. That command's own gate is told, though nobody has read it before: a
// success ends its row of failures.
func TestAnEndThatAnotherCommandFindsIsTold(t *testing.T) {
	in(t, `
limits: {max: 1}
targets: [{key: InstanceIds, values: [mi-00000000000000000]}]
commands:
  - {name: a, cmd: x, scope: alert, wait: 0s, match_labels: {instance: a}}
  - {name: b, cmd: x, scope: alert, wait: 5s, matchers: ['instance=~"b."'], breaker: {failures: 2, for: 1h}, notify_on_failure: false}
`, func(w *world) {
		w.runner.Queue = &waiting{}
		outcome := func(lasts time.Duration, code int) {
			w.cloud.Lasts = func(*cloudtest.Command, string) (time.Duration, int) { return lasts, code }
		}
		outcome(time.Second, 1)
		w.want(w.deliver(30*time.Second, w.fires("b1")), "", "run: firing: Failed")
		outcome(30*time.Second, 0)
		w.want(w.deliver(30*time.Second, w.fires("b2")), "", "run: firing: InProgress")
		time.Sleep(time.Minute)
		outcome(time.Second, 1)
		w.want(w.deliver(30*time.Second, w.fires("a")), "", "run: firing:")
		time.Sleep(time.Minute)
		w.want(w.deliver(30*time.Second, w.fires("b3")), "", "run: firing: Failed")
		w.want(w.deliver(30*time.Second, w.fires("b4")), "", "run: firing: Failed")
	})
}
