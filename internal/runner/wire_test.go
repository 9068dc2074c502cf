package runner_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/awstest"
	"github.com/amx-lambda/amx/internal/ledger/bolt"
	"github.com/amx-lambda/amx/internal/runner"
	"github.com/amx-lambda/amx/internal/ssmexec"
	"github.com/amx-lambda/amx/internal/ssmlocal"
)

// A node is a machine with Run Command on it, reached over a wire that can fail
// and that holds every request to SSM's model.
type node struct {
	t      *testing.T
	dir    string
	wire   *awstest.Wire
	runner *runner.Runner
}

// window is how long SSM's list may lag in these tests, which wait for it.
const window = 4 * time.Second

// newNode takes a configuration; @DIR@ in it is the node's own directory.
func newNode(t *testing.T, config string, nodes ...ssmlocal.Node) *node {
	t.Helper()
	n := &node{t: t, dir: t.TempDir()}
	cfg, err := amx.ParseConfig("amx.yaml", []byte(strings.ReplaceAll(config, "@DIR@", n.dir)))
	if err != nil {
		t.Fatal(err)
	}
	local, err := ssmlocal.New(ssmlocal.Options{
		Dir: filepath.Join(n.dir, "commands"), StateDir: filepath.Join(n.dir, "state"), Env: []string{"PATH=" + os.Getenv("PATH")},
		Nodes: nodes,
	})
	if err != nil {
		t.Fatal(err)
	}
	store, err := bolt.Open(filepath.Join(n.dir, "ledger.db"), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := local.Close(ctx); err != nil {
			t.Error(err)
		}
		store.Close()
	})
	n.wire = &awstest.Wire{Next: acme(local), Check: awstest.CheckSSM}
	client := awstest.SSMClient(n.wire.Listen(t))
	n.runner = &runner.Runner{
		Config: func() *amx.Config { return cfg }, Store: store, Window: window, Wait: 20 * time.Second,
		Log:  slog.New(slog.NewTextHandler(testLog{t}, nil)),
		Exec: &ssmexec.Executor{Client: client, Nodes: client, Outputs: client, Poll: 10 * time.Millisecond, Backoff: 20 * time.Millisecond},
	}
	return n
}

// acme is an SSM that has the document Acme-Shell, which is AWS-RunShellScript by
// another name: one that amx does not know to be a shell's code.
func acme(next http.Handler) http.Handler {
	return http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		body, err := io.ReadAll(in.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		body = bytes.Replace(body, []byte(`"DocumentName":"Acme-Shell"`), []byte(`"DocumentName":"AWS-RunShellScript"`), 1)
		in.Body, in.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		next.ServeHTTP(out, in)
	})
}

type testLog struct{ t *testing.T }

func (l testLog) Write(b []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

var began = time.Now().Add(-time.Minute)

// fires is a message in which these alerts fire.
func fires(names ...string) *amx.Message { return message(amx.Firing, names) }

// resolves is a message in which they are resolved.
func resolves(names ...string) *amx.Message { return message(amx.Resolved, names) }

func message(status string, names []string) *amx.Message {
	m := &amx.Message{}
	m.Receiver, m.Status, m.GroupLabels, m.CommonLabels = "amx", status, amx.KV{"alertname": "Down"}, amx.KV{}
	for _, name := range names {
		a := amx.Alert{Status: status, Labels: amx.KV{"alertname": "Down", "instance": name}, StartsAt: began}
		if status == amx.Resolved {
			a.EndsAt = time.Now()
		}
		a.Fingerprint = amx.Fingerprint(a.Labels)
		m.Alerts = append(m.Alerts, a)
	}
	return m
}

// deliver hands over a message that has this long.
func (n *node) deliver(limit time.Duration, m *amx.Message) runner.Answer {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return n.runner.Handle(ctx, m, true)
}

// effects is how often a command wrote a line into the file `effects`.
func (n *node) effects() int {
	n.t.Helper()
	b, err := os.ReadFile(filepath.Join(n.dir, "effects"))
	if err != nil && !os.IsNotExist(err) {
		n.t.Fatal(err)
	}
	return bytes.Count(b, []byte("\n"))
}

// want compares an answer with lines of `action reason status`, and its error
// with a text that it has in it; "" is none.
func (n *node) want(a runner.Answer, failure string, results ...string) {
	n.t.Helper()
	var got []string
	for _, r := range a.Results {
		got = append(got, strings.TrimSpace(fmt.Sprintf("%s: %s: %s", r.Action, r.Reason, r.Status)))
	}
	if fmt.Sprint(got) != fmt.Sprint(results) {
		n.t.Errorf("results %q\nwant    %q", got, results)
	}
	if (a.Err == nil) != (failure == "") || a.Err != nil && !strings.Contains(a.Err.Error(), failure) {
		n.t.Errorf("error %v\nwant  %q", a.Err, failure)
	}
}

// faults hands out one fault for each call of an operation, then none.
func faults(operation string, list ...*awstest.Fault) func(awstest.Call) *awstest.Fault {
	var mu sync.Mutex
	return func(c awstest.Call) *awstest.Fault {
		mu.Lock()
		defer mu.Unlock()
		if c.Operation != operation || len(list) == 0 {
			return nil
		}
		f := list[0]
		list = list[1:]
		return f
	}
}

// lagging leaves out of ListCommands what was sent less than lag ago.
func lagging(next http.Handler, lag time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".ListCommands") {
			next.ServeHTTP(w, r)
			return
		}
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		var answer struct {
			Commands  []map[string]any
			NextToken string `json:",omitempty"`
		}
		if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil {
			panic(err)
		}
		shown := []map[string]any{}
		for _, c := range answer.Commands {
			sent := time.UnixMilli(int64(c["RequestedDateTime"].(float64) * 1e3))
			if time.Since(sent) >= lag {
				shown = append(shown, c)
			}
		}
		answer.Commands = shown
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.WriteHeader(rec.Code)
		b, _ := json.Marshal(answer)
		_, _ = io.Copy(w, bytes.NewReader(b))
	})
}

const once = `
targets: [{key: InstanceIds, values: [mi-00000000000000000]}]
commands:
  - {name: fix, cmd: sh, args: [-c, 'echo x >>@DIR@/effects']}
`

// What goes wrong with a SendCommand ends in one effect and a right answer.
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
			t.Parallel()
			n := newNode(t, once)
			n.wire.Fault = faults("SendCommand", tt.faults...)
			n.wire.Next = lagging(n.wire.Next, tt.lag)
			n.want(n.deliver(30*time.Second, fires("a")), "", "run: firing: Success")
			if got := len(n.wire.Calls("SendCommand")); got != tt.sends {
				t.Errorf("SendCommand was called %d times, want %d", got, tt.sends)
			}
			n.want(n.deliver(30*time.Second, fires("a")), "", "skip: already started for this alert:")
			if got := n.effects(); got != 1 {
				t.Errorf("the command ran %d times, want once", got)
			}
		})
	}
}

func TestThrottledUntilTheTimeIsUpIsSentByTheNextDelivery(t *testing.T) {
	t.Parallel()
	n := newNode(t, once)
	n.wire.Fault = func(c awstest.Call) *awstest.Fault {
		if c.Operation == "SendCommand" {
			return &awstest.Fault{Error: "ThrottlingException"}
		}
		return nil
	}
	n.want(n.deliver(2500*time.Millisecond, fires("a")), `command "fix": SendCommand: ThrottlingException: a fault of the test`)
	n.wire.Fault = nil
	n.want(n.deliver(30*time.Second, fires("a")), "", "run: firing: Success")
	if got := n.effects(); got != 1 {
		t.Errorf("the command ran %d times, want once", got)
	}
}

const held = `
targets: [{key: InstanceIds, values: [mi-00000000000000000]}]
commands:
  - {name: hold, cmd: sh, args: [-c, 'echo $$ >>@DIR@/effects; exec sleep 600'], wait: 0s}
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
			t.Parallel()
			n := newNode(t, held)
			n.wire.Next = lagging(n.wire.Next, tt.lag)
			n.wire.Fault = faults("SendCommand", tt.faults...)
			n.deliver(3*time.Second, fires("a"))
			n.wire.Fault = faults("CancelCommand", tt.cancels...)
			for deadline := time.Now().Add(time.Minute); ; {
				a := n.deliver(3*time.Second, resolves("a"))
				if a.Err == nil {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("the resolve is never acknowledged: %v", a.Err)
				}
				time.Sleep(200 * time.Millisecond) // Alertmanager waits longer before it sends again
			}
			if left := n.running(); len(left) != 0 {
				t.Errorf("processes %v go on after the resolve", left)
			}
			if got := n.effects(); got > 1 {
				t.Errorf("the command ran %d times", got)
			}
		})
	}
}

// running is the processes that wrote their PIDs into `effects` and are there.
func (n *node) running() []string {
	n.t.Helper()
	b, err := os.ReadFile(filepath.Join(n.dir, "effects"))
	if err != nil && !os.IsNotExist(err) {
		n.t.Fatal(err)
	}
	var left []string
	for pid := range strings.FieldsSeq(string(b)) {
		stat, err := os.ReadFile("/proc/" + pid + "/cmdline")
		if err == nil && strings.HasPrefix(string(stat), "sleep\x00600\x00") {
			left = append(left, pid)
		}
	}
	return left
}
