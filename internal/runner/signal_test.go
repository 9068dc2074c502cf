package runner_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/awstest"
	"github.com/amx-lambda/amx/internal/cloudtest"
)

// SSM lists only those nodes of a tag that max_concurrency has let begin. A
// signal keeps the others from beginning.
func TestTheSignalGoesToATag(t *testing.T) {
	for name, refuses := range map[string]bool{"taken": false, "refused, as the tag is nobody's any more": true} {
		t.Run(name, func(t *testing.T) {
			in(t, `
commands:
  - {name: hold, cmd: /bin/hold, resolved_signal: TERM, max_concurrency: '1', wait: 0s, targets: [{key: 'tag:Role', values: [db]}]}
`, func(w *world) {
				w.cloud.Lasts = func(_ *cloudtest.Command, node string) (time.Duration, int) {
					if node == machine(3).ID {
						return time.Second, 0
					}
					return time.Hour, 0
				}
				w.want(w.deliver(30*time.Second, w.fires("a")), "", "run: firing:")
				time.Sleep(time.Minute)
				if refuses {
					w.wire.Fault = func(c awstest.Call) *awstest.Fault {
						var to struct{ Targets []any }
						if c.Decode(w.T, &to); len(to.Targets) == 0 {
							return nil
						}
						return &awstest.Fault{Error: "InvalidInstanceId"}
					}
				}
				w.want(w.deliver(30*time.Second, w.resolves("a")), "", "cancel: resolved: SIGTERM sent: Failed")
				type request struct {
					InstanceIds []string
					Targets     []struct {
						Key    string
						Values []string
					}
				}
				var sent []request
				for _, c := range w.wire.Calls("SendCommand") {
					var r request
					c.Decode(w.T, &r)
					sent = append(sent, r)
				}
				if got, want := fmt.Sprint(sent), "[{[] [{tag:Role [db]}]} {[i-00000000000000001] []} {[] [{tag:Role [db]}]}]"; got != want {
					w.Errorf("the command, and then the signals, went to\n%s\nwant\n%s", got, want)
				}
			}, machines(3)...)
		})
	}
}
