package functions

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/awstest"
)

// many is a webhook's event with that many alerts of one group.
func many(alert string, n int, status string) []byte {
	alerts := make([]any, n)
	for i := range alerts {
		alerts[i] = map[string]any{
			"status": status, "startsAt": start.Add(time.Duration(i) * time.Millisecond), "endsAt": start.Add(time.Minute),
			"labels": map[string]string{"alertname": alert, "instance_id": node1, "path": fmt.Sprintf("/%04d", i)},
		}
	}
	return urlEvent(must(map[string]any{
		"version": "4", "receiver": "amx", "status": status, "groupLabels": map[string]string{"alertname": alert}, "alerts": alerts,
	}))
}

// The group of the command `restart-nginx` is one entry, however many alerts it has.
func TestAGroupOfAThousandAlerts(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	f := s.webhook()
	for _, status := range []string{"firing", "firing", "resolved", "resolved"} {
		if a := s.post(f, many("NginxDown", 1000, status)); a.StatusCode != 200 {
			t.Errorf("%s: got %d %.300s", status, a.StatusCode, a.Body)
		}
	}
	if sent := s.ssm.Commands(); len(sent) != 1 || sent[0].Status != "Cancelled" {
		t.Errorf("sent %v", sent)
	}
}

// Past what an entry holds nothing new runs: it waits for room, and the answer says
// what to do. Who groups by more labels is served, and so is the resolve of what
// has run.
func TestAGroupThatIsTooLargeForItsEntry(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	f := s.webhook()
	const large = 8000
	for _, step := range []struct {
		alerts int
		status string
		code   int
		want   string
	}{
		{large, "firing", 200, `"action":"later","reason":"the group's entry in the ledger is full, so that nothing new runs for it: group by more labels in Alertmanager, or set scope: alert"`},
		{1000, "firing", 200, `"action":"run"`},
		{large, "firing", 200, `the group's entry in the ledger is full`},
		{1000, "resolved", 200, `"action":"cancel"`},
	} {
		a := s.post(f, many("NginxDown", step.alerts, step.status))
		if a.StatusCode != step.code || !strings.Contains(a.Body, step.want) {
			t.Errorf("%d alerts %s: got %d %.500s", step.alerts, step.status, a.StatusCode, a.Body)
		}
	}
	if sent := s.ssm.Commands(); len(sent) != 1 || sent[0].Status != "Cancelled" {
		t.Errorf("%d commands were sent", len(sent))
	}
}

// The command `clean` runs for each alert by itself: six hundred runs are more
// than one invocation can send. It puts the rest off, and the worker continues
// there.
func TestMoreRunsThanOneInvocationCanSend(t *testing.T) {
	t.Parallel()
	const n = 600
	s := newStack(t)
	var sends atomic.Int64
	s.wire.Fault = func(c awstest.Call) *awstest.Fault {
		if c.Operation == "SendCommand" && sends.Add(1)%10 == 0 {
			return &awstest.Fault{Error: "ThrottlingException"}
		}
		return nil
	}
	s.wire.Latency = 80 * time.Millisecond
	f, worker := s.webhook(), s.worker()
	var answer urlAnswer
	for tries := 1; answer.StatusCode == 0; tries++ {
		// On a busy machine Lambda may kill it, or it cannot even put off what is
		// left; then Alertmanager sends again.
		if a := f.Invoke(many("DiskFull", n, "firing"), 5*time.Second); a.Err != nil {
			if tries == 5 {
				t.Fatal(a.Err)
			}
			f = s.webhook() // the killed one answers no more
		} else if err := json.Unmarshal(a.Body, &answer); err != nil {
			t.Fatal(err)
		} else if answer.StatusCode == 500 && tries < 5 {
			answer = urlAnswer{}
		}
	}
	begun := len(s.ssm.Commands())
	if answer.StatusCode != 200 || begun == 0 || begun < n && !strings.Contains(answer.Body, `"action":"later","reason":"no time left for a claim"`) {
		t.Errorf("after %d runs the answer is %d %.300s", begun, answer.StatusCode, answer.Body)
	}
	s.drain(worker)
	runs := map[string]bool{}
	for _, c := range s.ssm.Commands() {
		runs[c.Parameters["commands"][1]] = true
	}
	if sent := len(s.ssm.Commands()); sent != n || len(runs) != n {
		t.Errorf("%d commands of %d runs for %d alerts", sent, len(runs), n)
	}
}
