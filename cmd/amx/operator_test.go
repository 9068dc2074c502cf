package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/awstest"
	"github.com/amx-lambda/amx/internal/history"
	historybolt "github.com/amx-lambda/amx/internal/history/bolt"
	historydynamo "github.com/amx-lambda/amx/internal/history/dynamo"
	"github.com/amx-lambda/amx/internal/history/storetest"
	"github.com/amx-lambda/amx/internal/ledger"
	ledgerbolt "github.com/amx-lambda/amx/internal/ledger/bolt"
	ledgerdynamo "github.com/amx-lambda/amx/internal/ledger/dynamo"
)

// The scripts run against every place where an amx can be, and see the same words.
// A script has $WHERE for the flag that names the place, $RUN1 to $RUN6 for the runs
// of [sampleRuns], and $WAITING and $REFUSED for the alerts without one.
func TestScripts(t *testing.T) {
	for _, place := range []struct {
		name  string
		setup func(*testscript.Env) error
	}{
		{"serve", setupServe},
		{"aws", setupAWS},
	} {
		t.Run(place.name, func(t *testing.T) {
			testscript.Run(t, testscript.Params{Dir: "testdata/script", Setup: place.setup, RequireExplicitExec: true})
		})
	}
}

// The scripts that are about one place alone.
func TestServeScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script/serve", Setup: setupServe, RequireExplicitExec: true})
}

func TestAWSScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script/aws", Setup: setupAWS, RequireExplicitExec: true})
}

// sampleRuns is what ran in the hour before now, the newest first.
func sampleRuns(now time.Time) []history.Record {
	now = now.UTC().Truncate(time.Millisecond)
	run := func(n int, ago time.Duration, command string, state history.State, change func(*history.Record)) history.Record {
		r := storetest.Sample(now.Add(-ago), n)
		r.Command, r.State = command, state
		r.CommandIDs = []string{fmt.Sprintf("00000000-0000-0000-0000-%012d", n)}
		if change != nil {
			change(&r)
		}
		return r
	}
	code := 3
	runs := []history.Record{
		run(1, 5*time.Minute+30*time.Second, "restart", history.Failed, func(r *history.Record) {
			r.Status = "Failed"
			r.Nodes = []history.Node{
				{Node: "i-00000000000000001", Status: "Success", Output: "restarted\n"},
				{Node: "i-00000000000000002", Status: "Failed", ExitCode: &code, Started: r.Claimed, Ended: r.Claimed.Add(65 * time.Second), Output: "no such unit\x1b[31m\n"},
			}
			r.Ended = r.Claimed.Add(65 * time.Second)
		}),
		run(2, 20*time.Minute+30*time.Second, "restart", history.Succeeded, nil),
		run(3, 40*time.Minute+30*time.Second, "reboot-a-machine-of-a-very-long-name", history.Cancelled, func(r *history.Record) {
			r.CancelledBy = &history.CancelledBy{Who: "ann", Why: "wrong host", At: r.Claimed.Add(time.Minute)}
			r.Attempt, r.RetryOf = 2, storetest.RunID(now, 9)
		}),
		run(4, 30*time.Hour, "restart", history.Succeeded, nil),
		{
			Run: history.WaitingID("0123456789abcdef", "aa"), Command: "restart", State: history.Waiting, Entry: "0123456789abcdef",
			Reason: "concurrency limit reached (max: 2)", Claimed: now.Add(-90 * time.Second), Updated: now.Add(-time.Second),
			Alerts: []history.Alert{{Fingerprint: "aa", Labels: amx.KV{"alertname": "Down", "instance": "web-7"}}},
		},
		{
			Run: history.RefusedID("0123456789abcdef", "no node", "bb"), Command: "reboot", State: history.Refused, Entry: "0123456789abcdef",
			Reason: "targets: no node has this address", Claimed: now.Add(-time.Hour), Updated: now.Add(-50*time.Minute - 30*time.Second),
		},
	}
	return runs
}

func setRuns(env *testscript.Env, runs []history.Record) {
	for i, r := range runs[:4] {
		env.Setenv(fmt.Sprint("RUN", i+1), r.Run)
	}
	env.Setenv("WAITING", runs[4].Run)
	env.Setenv("REFUSED", runs[5].Run)
}

// setupServe starts an amx serve whose ledger has the runs.
func setupServe(env *testscript.Env) error {
	ledgerFile := filepath.Join(env.WorkDir, "ledger.db")
	file, err := ledgerbolt.Open(ledgerFile, time.Now)
	if err != nil {
		return err
	}
	runs := sampleRuns(time.Now())
	store := &historybolt.Store{File: file, Keep: history.Default}
	for _, r := range runs {
		if err := store.Put(env.T().(testing.TB).Context(), r); err != nil {
			return err
		}
	}
	if err := file.Close(); err != nil {
		return err
	}
	setRuns(env, runs)
	tokens := filepath.Join(env.WorkDir, "tokens")
	if err := os.WriteFile(tokens, []byte("alertmanager s3cret\nann t0ken operator\n"), 0o600); err != nil {
		return err
	}
	env.Setenv("WHERE", "--ledger="+ledgerFile)
	env.Setenv("WHO", userName(os.Getuid()))
	url, stop, err := startServe(env.WorkDir, "serve", "-l", "127.0.0.1:0", "--ledger", ledgerFile, "--token-file", tokens, "true")
	if err != nil {
		return err
	}
	env.Defer(stop)
	env.Setenv("URL", url)
	return nil
}

// startServe starts this test's own binary as amx, and answers where it listens.
func startServe(dir string, args ...string) (url string, stop func(), err error) {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "AMX_TEST_IS_AMX=1", "HOME="+dir)
	errs, err := cmd.StderrPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	lines := bufio.NewScanner(errs)
	for lines.Scan() {
		if _, at, ok := strings.Cut(lines.Text(), "listening on "); ok {
			drained := make(chan struct{})
			go func() {
				for lines.Scan() { // or it would block
				}
				close(drained)
			}()
			return at, func() {
				_ = cmd.Process.Kill() // it may have ended
				<-drained
				_ = cmd.Wait()
			}, nil
		}
	}
	return "", nil, fmt.Errorf("amx %q ended: %w", args, cmd.Wait())
}

// setupAWS serves the runs from a table, behind the four services that the
// command line asks.
func setupAWS(env *testscript.Env) error {
	t := env.T().(testing.TB)
	db := &awstest.DynamoDB{Table: "amx"}
	server := httptest.NewServer(services{db: db})
	env.Defer(server.Close)
	client := awstest.DynamoDBClient(server.URL)
	runs := sampleRuns(time.Now())
	store := &historydynamo.Store{Client: client, Table: "amx", Keep: history.Default}
	for _, r := range runs {
		if err := store.Put(t.Context(), r); err != nil {
			return err
		}
	}
	// An entry of the ledger is in the same table, and is no run.
	if err := (&ledgerdynamo.Store{Client: client, Table: "amx"}).Put(t.Context(), ledger.Record{Key: "entry/x/1", Value: []byte("{}")}); err != nil {
		return err
	}
	setRuns(env, runs)
	env.Setenv("WHERE", "--stack=amx")
	env.Setenv("WHO", "assumed-role/Admin/ann")
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": server.URL, "AWS_REGION": "eu-central-1", "AWS_CONFIG_FILE": "/dev/null",
		"AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_ACCESS_KEY_ID": awstest.AccessKey, "AWS_SECRET_ACCESS_KEY": awstest.SecretKey,
	} {
		env.Setenv(name, value)
	}
	return nil
}

// services is DynamoDB, and what CloudFormation, STS, SQS and SSM answer to the
// calls of the command line.
type services struct {
	db  *awstest.DynamoDB
	ssm http.Handler // nil: it knows no command
}

func (s services) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	service, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if service == "" {
		s.query(w, r)
		return
	}
	switch {
	case strings.HasPrefix(service, "DynamoDB"):
		s.db.ServeHTTP(w, r)
	case operation == "GetQueueAttributes":
		answerJSON(w, http.StatusOK, map[string]any{"Attributes": map[string]string{
			"ApproximateNumberOfMessages": "2", "ApproximateNumberOfMessagesDelayed": "3", "ApproximateNumberOfMessagesNotVisible": "0",
		}})
	case s.ssm != nil && service == "AmazonSSM":
		s.ssm.ServeHTTP(w, r)
	case operation == "GetCommandInvocation":
		answerJSON(w, http.StatusBadRequest, map[string]string{"__type": "InvocationDoesNotExist"})
	default:
		answerJSON(w, http.StatusBadRequest, map[string]string{"__type": "UnknownOperationException", "message": operation})
	}
}

func answerJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client is gone
}

// query answers the protocol of CloudFormation and STS: a form, and XML.
func (s services) query(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/xml")
	output := func(key, value string) string {
		return "<member><OutputKey>" + key + "</OutputKey><OutputValue>" + value + "</OutputValue></member>"
	}
	refuse := func(code, message string) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, "<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>1</RequestId></ErrorResponse>", code, message)
	}
	switch action, stack := r.FormValue("Action"), r.FormValue("StackName"); {
	case action == "GetCallerIdentity":
		fmt.Fprint(w, "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:sts::123456789012:assumed-role/Admin/ann</Arn><UserId>A:ann</UserId><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>")
	case stack == "amx":
		fmt.Fprintf(w, "<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>amx</StackName><Outputs>%s</Outputs></member></Stacks></DescribeStacksResult></DescribeStacksResponse>",
			output("TableName", "amx")+output("WorkQueueURL", "https://sqs.eu-central-1.amazonaws.com/123456789012/work")+output("DeadLetterQueueURL", "https://sqs.eu-central-1.amazonaws.com/123456789012/dead"))
	case stack == "another":
		fmt.Fprint(w, "<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>another</StackName></member></Stacks></DescribeStacksResult></DescribeStacksResponse>")
	case stack == "denied":
		refuse("AccessDenied", "User: arn:aws:iam::123456789012:user/bob is not authorized to perform: cloudformation:DescribeStacks on resource: arn:aws:cloudformation:eu-central-1:123456789012:stack/denied/* because no identity-based policy allows the cloudformation:DescribeStacks action")
	default:
		refuse("ValidationError", "Stack with id "+stack+" does not exist")
	}
}
