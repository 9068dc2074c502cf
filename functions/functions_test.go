package functions

import (
	"debug/buildinfo"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/awstest"
	"github.com/amx-lambda/amx/internal/lambdatest"
)

var start = time.Now().Add(-time.Minute).UTC().Truncate(time.Millisecond)

func TestAnAlertRunsItsCommandOnceAndItsResolveCancelsIt(t *testing.T) {
	t.Parallel()
	e := episode{"DiskFull", node1, start, start.Add(30 * time.Second)}
	for _, source := range []string{"webhook", "sns", "webhook and sns"} {
		t.Run(source, func(t *testing.T) {
			t.Parallel()
			s := newStack(t)
			var deliver []func(status string)
			if strings.Contains(source, "webhook") {
				f := s.webhook()
				deliver = append(deliver, func(status string) {
					if a := s.post(f, e.webhookEvent(status)); a.StatusCode != 200 {
						t.Errorf("%s: got %+v", status, a)
					}
				})
			}
			if strings.Contains(source, "sns") {
				f := s.sns()
				deliver = append(deliver, func(status string) {
					if a := f.Invoke(e.snsEvent(status), 30*time.Second); a.Err != nil {
						t.Errorf("%s: %v", status, a.Err)
					}
				})
			}
			for _, status := range []string{"firing", "firing", "resolved", "resolved"} {
				for _, d := range deliver {
					d(status)
				}
			}
			checkRun(t, s)
			cancels := s.wire.Calls("CancelCommand")
			if len(cancels) != 1 || string(cancels[0].Body) != `{"CommandId":"`+s.ssm.Commands()[0].ID+`"}` {
				t.Errorf("cancelled by %q", cancels)
			}
		})
	}
}

var comment = regexp.MustCompile(`^amx [0-9a-f]{16} [0-9A-HJKMNP-TV-Z]{26} 1/1 clean$`)

// checkRun looks at the one command that was sent: where, and as what.
func checkRun(t *testing.T, s *stack) {
	t.Helper()
	sent := s.ssm.Commands()
	if len(sent) != 1 {
		t.Fatalf("%d commands were sent, want 1", len(sent))
	}
	c := sent[0]
	if !slices.Equal(c.Nodes, []string{node1}) || c.Document != "AWS-RunShellScript" || !comment.MatchString(c.Comment) {
		t.Errorf("sent %s to %s with the comment %q", c.Document, c.Nodes, c.Comment)
	}
	script := c.Parameters["commands"]
	if script[0] != "#!/bin/sh" || script[1] != "# "+c.Comment {
		t.Errorf("the script begins with %q", script[:2])
	}
	text := strings.Join(script, "\n")
	for _, want := range []string{
		`export AMX_ALERT_1_LABEL_path='/tmp/it'\''s {''{ssm:secret}} $(id)'`, "export AMX_COMMAND='clean'", "export AMX_ALERT_TOTAL='1'",
		`'rm -rf "$AMX_LABEL_path"'`, "SSM_COMMAND_ID",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the script lacks %s:\n%s", want, text)
		}
	}
	if strings.Contains(text, "{{") {
		t.Error("the script has what SSM would resolve")
	}
}

// Two functions of each kind, on one table, are given the same deliveries at the
// same time, episode after episode.
func TestFunctionsSideBySideRunEachEpisodeOnce(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	webhooks := []*lambdatest.Function{s.webhook(), s.webhook()}
	topics := []*lambdatest.Function{s.sns(), s.sns()}
	const episodes = 5
	for i := range episodes {
		e := episode{"DiskFull", node1, start.Add(time.Duration(i) * 10 * time.Second), start.Add(time.Duration(i)*10*time.Second + 5*time.Second)}
		if i%2 == 1 {
			e.alert = "NginxDown"
		}
		for _, status := range []string{"firing", "resolved"} {
			var wg sync.WaitGroup
			for _, f := range webhooks {
				wg.Go(func() {
					if a := s.post(f, e.webhookEvent(status)); a.StatusCode != 200 {
						t.Errorf("episode %d, %s: got %+v", i, status, a)
					}
				})
			}
			for _, f := range topics {
				wg.Go(func() {
					if a := f.Invoke(e.snsEvent(status), 30*time.Second); a.Err != nil {
						t.Errorf("episode %d, %s: %v", i, status, a.Err)
					}
				})
			}
			wg.Wait()
		}
	}
	commands := s.ssm.Commands()
	if len(commands) != episodes {
		t.Errorf("%d commands were sent for %d episodes", len(commands), episodes)
	}
	for _, c := range commands {
		if c.Status != "Cancelled" {
			t.Errorf("%s is %s after its resolve", c.Comment, c.Status)
		}
	}
}

func TestInitErrors(t *testing.T) {
	t.Parallel()
	webhook, sns, worker := bootstraps(t)
	for _, tt := range []struct {
		name, bootstrap string
		vars            map[string]string
		want            string
	}{
		{"no table", webhook, map[string]string{"AMX_TABLE": ""}, "InitError: AMX_TABLE is not set: give it the name of the DynamoDB table that holds the ledger"},
		{"no token", webhook, map[string]string{"AMX_TOKEN_PARAMETER": ""}, "InitError: AMX_TOKEN_PARAMETER is not set: give it the name of a SecureString with the accepted tokens, one a line; or set AMX_AUTH to \"iam\" where the function URL authenticates"},
		{"no queue", webhook, map[string]string{"AMX_QUEUE_URL": ""}, "InitError: AMX_QUEUE_URL is not set: give it the URL of the SQS queue that keeps what is put off"},
		{"no dead letters", worker, map[string]string{"AMX_DEAD_LETTER_URL": ""}, "InitError: AMX_DEAD_LETTER_URL is not set: give it the URL of the SQS queue that takes what is given up"},
		{"no such widget", built.widget, map[string]string{"AMX_WIDGET": "all"}, "InitError: AMX_WIDGET is \"all\": want \"read\" or \"control\""},
		{"no topic", sns, map[string]string{"AMX_TOPIC_ARNS": ""}, "InitError: AMX_TOPIC_ARNS is not set: give it the ARNs of the topics whose messages are accepted, separated by commas"},
		{"no configuration in Parameter Store", sns, map[string]string{"AMX_CONFIG": "ssm:/amx/config"}, `InitError: AMX_CONFIG "ssm:/amx/config": GetParameter "/amx/config": ParameterNotFound: `},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newStack(t)
			f := s.start(tt.bootstrap, tt.vars)
			if _, err := f.Init(); err == nil || err.Error() != tt.want {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
			if code := f.ExitCode(); code != 1 {
				t.Errorf("exit code %d", code)
			}
			if !strings.Contains(f.Log(), `"level":"ERROR"`) {
				t.Errorf("logged %s", f.Log())
			}
		})
	}
}

func TestInitCallsNoService(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	for _, f := range []*lambdatest.Function{s.webhook(), s.sns(), s.worker(), s.widget("control")} {
		if _, err := f.Init(); err != nil {
			t.Error(err)
		}
	}
	if calls := append(s.table.Operations(), s.wire.Operations()...); len(calls) > 0 {
		t.Errorf("called %s", calls)
	}
}

// The calls that a message costs, counted at the services. A run has three writes:
// its claim, the outcome of its send, and its record in the history.
func TestCallsPerMessage(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	f := s.webhook()
	e := episode{"NginxDown", node1, start, start.Add(30 * time.Second)}
	s.post(f, episode{"Other", node1, start, start}.webhookEvent("firing")) // reads the tokens
	s.table.Operations()
	s.wire.Operations()
	for _, step := range []struct {
		name string
		e    episode
		want string
	}{
		{"unmatched", episode{"Other", node1, start, start}, "[] []"},
		{"new run", e, "[BatchGetItem PutItem PutItem PutItem] [SendCommand]"},
		{"duplicate", e, "[BatchGetItem] []"},
		{"another run", episode{"NginxDown", node2, start, start}, "[BatchGetItem PutItem PutItem PutItem] [SendCommand]"},
	} {
		a := s.post(f, step.e.webhookEvent("firing"))
		if calls := fmt.Sprint(s.table.Operations(), s.wire.Operations()); calls != step.want || a.StatusCode != 200 {
			t.Errorf("%s: %s, want %s: %+v", step.name, calls, step.want, a)
		}
	}
}

// Connections live on between invocations: no call after the first pays for a
// handshake.
func TestConnectionsAreKept(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.wire.Latency, s.table.Latency = 20*time.Millisecond, 20*time.Millisecond // far more than it takes to have sent a request
	own := s.table.Connections()                                               // the test's
	f := s.webhook()
	for i := range 10 {
		s.post(f, episode{"NginxDown", fmt.Sprintf("i-000000000000001%02d", i), start, start}.webhookEvent("firing"))
	}
	if n := s.wire.Connections(); n > 2 {
		t.Errorf("%d connections to SSM for 11 calls", n)
	}
	// A run's record is written beside the ledger.
	if n := s.table.Connections() - own; n > 2 {
		t.Errorf("%d connections to DynamoDB for 40 calls", n)
	}
}

// An invocation answers before its deadline, whatever hangs (how long before it,
// internal/runner tests under fake time). Runs that are not settled by then are
// put off, are found later, and are not sent again.
func TestAnInvocationAnswersBeforeItsDeadline(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		hangs   []string // operations of SSM, and of SQS
		timeout time.Duration
		want    string // of the error
	}{
		{"a send hangs, and a look finds it", []string{"SendCommand"}, 5 * time.Second, ""},
		{"all of SSM hangs", []string{"SendCommand", "ListCommands"}, 5 * time.Second, ""},
		{
			"the queue hangs too",
			[]string{"SendCommand", "ListCommands", "SendMessage"},
			5 * time.Second,
			`message "message-` + node1 + `firing": command "clean": `,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newStack(t)
			var begun atomic.Bool
			hang := func(c awstest.Call) *awstest.Fault {
				if begun.Load() && slices.Contains(tt.hangs, c.Operation) {
					return &awstest.Fault{After: true, Delay: time.Minute}
				}
				return nil
			}
			s.wire.Fault, s.queue.Fault = hang, hang
			f, worker := s.sns(), s.worker()
			if _, err := f.Init(); err != nil {
				t.Fatal(err)
			}
			e := episode{"DiskFull", node1, start, start}
			begun.Store(true)
			a := f.Invoke(e.snsEvent("firing"), tt.timeout) // which is killed at its deadline
			if (a.Err == nil) != (tt.want == "") || a.Err != nil && !strings.HasPrefix(a.Err.Message, tt.want) {
				t.Errorf("got %v, want %q", a.Err, tt.want)
			}
			begun.Store(false)
			if a.Err != nil { // Lambda invokes again
				if a := f.Invoke(e.snsEvent("firing"), 30*time.Second); a.Err != nil {
					t.Error(a.Err)
				}
			}
			s.drain(worker)
			if n := len(s.ssm.Commands()); n != 1 {
				t.Errorf("%d commands were sent", n)
			}
		})
	}
}

func TestAFunctionGoesAtSIGTERM(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	for _, f := range []*lambdatest.Function{s.webhook(), s.sns(), s.worker(), s.widget("control")} {
		if _, err := f.Init(); err != nil {
			t.Fatal(err)
		}
		if took, err := f.Terminate(); err != nil || took > time.Second {
			t.Errorf("it took %v: %v", took, err)
		}
	}
}

// A function must not carry what only the command line needs; internal/layout
// holds the imports, this the binary.
func TestFunctionsLinkNothingOfTheCommandLine(t *testing.T) {
	t.Parallel()
	webhook, sns, worker := bootstraps(t)
	for _, bootstrap := range []string{webhook, sns, worker, built.widget} {
		info, err := buildinfo.ReadFile(bootstrap)
		if err != nil {
			t.Fatal(err)
		}
		if len(info.Deps) < 5 {
			t.Errorf("%d modules are linked: is this a function?", len(info.Deps))
		}
		for _, m := range info.Deps {
			for _, refused := range []string{"go.etcd.io/bbolt", "github.com/alecthomas/kong", "github.com/prometheus/", "golang.org/x/sys", "github.com/aws/aws-sdk-go-v2/config"} {
				if strings.HasPrefix(m.Path, refused) {
					t.Errorf("%s links %s", bootstrap, m.Path)
				}
			}
		}
	}
}
