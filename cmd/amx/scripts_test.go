package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/amx-lambda/amx/internal/app"
	"github.com/amx-lambda/amx/internal/awstest"
	"github.com/amx-lambda/amx/internal/history"
	historybolt "github.com/amx-lambda/amx/internal/history/bolt"
	"github.com/amx-lambda/amx/internal/ledger"
	ledgerbolt "github.com/amx-lambda/amx/internal/ledger/bolt"
	ledgerdynamo "github.com/amx-lambda/amx/internal/ledger/dynamo"
	"github.com/amx-lambda/amx/internal/ssmlocal"
)

// The scripts run against every place where an amx can be, and see the same words.
// A script has $WHERE for the flag that names the place, $WHO for its user, $RUN1 to
// $RUN4 for the runs of [sampleRuns], and $WAITING and $REFUSED for the alerts
// without one. The place runs the commands of [scriptConfig]. A script's own
// commands are those of [scriptCommands]. The scripts of a folder below are about one
// place alone.
//
// The stack is on this repository's doubles, and under .ci/moto on moto.
func TestScriptsOfAStack(t *testing.T) {
	runScripts(t, setupAWS, "testdata/script", "testdata/script/aws")
}

func TestScriptsOfAServe(t *testing.T) {
	runScripts(t, setupServe, "testdata/script", "testdata/script/serve")
}

// The scripts of what asks no amx.
func TestScriptsOfNoAMX(t *testing.T) { runScripts(t, nil, "testdata/script/local") }

func runScripts(t *testing.T, setup func(*testscript.Env) error, dirs ...string) {
	t.Helper()
	var files []string
	for _, dir := range dirs {
		found, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
		if err != nil || len(found) == 0 {
			t.Fatalf("%s has no script: %v", dir, err)
		}
		files = append(files, found...)
	}
	testscript.Run(t, testscript.Params{
		Files: files, Setup: setup, RequireExplicitExec: true, RequireUniqueNames: true, Cmds: scriptCommands,
		Condition: func(name string) (bool, error) {
			if name != "moto" {
				return false, fmt.Errorf("there is no condition %q", name)
			}
			return moto() != "", nil
		},
	})
}

// scriptConfig is what the places run. A run of broken and of fine goes on until the
// script makes the file go.
const scriptConfig = `
targets: [{key: InstanceIds, values: [mi-00000000000000000]}]
commands:
  - {name: long, cmd: sleep, args: ['300'], match_labels: {name: long}, wait: 0s}
  - {name: fine, script: 'until [ -e @DIR@/go ]; do sleep 0.05; done; echo mended', matchers: ['name=~"fine.*"'], wait: 0s}
  - {name: broken, script: 'until [ -e @DIR@/go ]; do sleep 0.05; done; echo no such unit >&2; exit 3', matchers: ['name=~"broken.*"'], wait: 0s, breaker: {failures: 1, for: 1h}}
  - {name: one, cmd: sleep, args: ['300'], matchers: ['name=~"one.*"'], scope: alert, wait: 0s, max: 1}
`

// A place hands a notification to its amx.
type place struct {
	env     *testscript.Env
	deliver func(body string) (answer, error)
}

type placeKey struct{}

var scriptCommands = map[string]func(*testscript.TestScript, bool, []string){
	"deliver": deliver, "await": await, "watch": watch,
}

// deliver delivers an alert with the label `name`: deliver firing|resolved NAME.
// It prints the results, and makes $RUN the run of the first.
func deliver(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: deliver firing|resolved NAME")
	}
	a := firing(args[1], 0)
	if args[0] == "resolved" {
		a = resolved(args[1], 0, 60)
	}
	answer, err := ts.Value(placeKey{}).(*place).deliver(notification("amx", a))
	ts.Check(err)
	if answer.Status != http.StatusOK || len(answer.Results) == 0 {
		ts.Fatalf("the answer is %+v", answer)
	}
	for _, r := range answer.Results {
		fmt.Fprintf(ts.Stdout(), "%s %s: %s\n", r.Action, r.Command, r.Reason)
	}
	ts.Setenv("RUN", answer.Results[0].RunID)
}

// await runs a program again and again, until its output matches: await PATTERN
// PROGRAM ARGS...
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: await PATTERN PROGRAM ARGS...")
	}
	pattern := regexp.MustCompile("(?m)" + args[0])
	for ; ; time.Sleep(20 * time.Millisecond) {
		ts.Check(ts.Exec(args[1], args[2:]...))
		if pattern.MatchString(ts.ReadFile("stdout")) {
			return
		}
	}
}

// watch runs amx until it has printed lines that match the patterns, one after
// another, and then interrupts it: watch PATTERN... -- ARGS... Between two lines it
// touches the file go.
func watch(ts *testscript.TestScript, neg bool, args []string) {
	at := 0
	for at < len(args) && args[at] != "--" {
		at++
	}
	if neg || at == 0 || at == len(args) {
		ts.Fatalf("usage: watch PATTERN... -- ARGS...")
	}
	amx := exec.Command(os.Args[0], args[at+1:]...)
	amx.Env = append(ts.Value(placeKey{}).(*place).env.Vars, "AMX_TEST_IS_AMX=1")
	var errs bytes.Buffer
	amx.Stderr = &errs
	out, err := amx.StdoutPipe()
	ts.Check(err)
	ts.Check(amx.Start())
	ts.Defer(func() { _ = amx.Process.Kill() }) // it has ended, unless the script fails
	lines := bufio.NewScanner(out)
	for _, pattern := range args[:at] {
		for matches := regexp.MustCompile(pattern).MatchString; ; {
			if !lines.Scan() {
				ts.Fatalf("it ended before a line matched %q: %v\n%s", pattern, amx.Wait(), errs.String())
			}
			fmt.Fprintln(ts.Stdout(), lines.Text())
			if matches(lines.Text()) {
				break
			}
		}
		ts.Check(os.WriteFile(ts.MkAbs("go"), nil, 0o600))
	}
	ts.Check(amx.Process.Signal(os.Interrupt))
	for lines.Scan() {
		fmt.Fprintln(ts.Stdout(), lines.Text())
	}
	ts.Check(amx.Wait())
}

// begin gives a script its variables and its place.
func begin(env *testscript.Env, runs []history.Record, deliver func(body string) (answer, error)) {
	for i, r := range runs[:4] {
		env.Setenv(fmt.Sprint("RUN", i+1), r.Run)
	}
	env.Setenv("WAITING", runs[4].Run)
	env.Setenv("REFUSED", runs[5].Run)
	env.Values[placeKey{}] = &place{env, deliver}
}

// writeConfig writes [scriptConfig] for the script's folder.
func writeConfig(env *testscript.Env) (file string, err error) {
	file = filepath.Join(env.WorkDir, "amx.yaml")
	return file, os.WriteFile(file, []byte(strings.ReplaceAll(scriptConfig, "@DIR@", env.WorkDir)), 0o600)
}

// setupServe starts an amx serve whose ledger has the runs.
func setupServe(env *testscript.Env) error {
	ctx := env.T().(testing.TB).Context()
	ledgerFile := filepath.Join(env.WorkDir, "ledger.db")
	file, err := ledgerbolt.Open(ledgerFile, time.Now)
	if err != nil {
		return err
	}
	runs := sampleRuns(time.Now())
	store := &historybolt.Store{File: file, Keep: history.Default}
	for _, r := range runs {
		if err := store.Put(ctx, r); err != nil {
			return err
		}
	}
	if err := file.Close(); err != nil {
		return err
	}
	tokens := filepath.Join(env.WorkDir, "tokens")
	if err := os.WriteFile(tokens, []byte("alertmanager s3cret\nann t0ken operator\n"), 0o600); err != nil {
		return err
	}
	config, err := writeConfig(env)
	if err != nil {
		return err
	}
	env.Setenv("WHERE", "--ledger="+ledgerFile)
	env.Setenv("WHO", userName(os.Getuid()))
	url, stop, err := startServe(env.WorkDir, "serve", "-f", config, "-l", "127.0.0.1:0", "--ledger", ledgerFile, "--token-file", tokens)
	if err != nil {
		return err
	}
	env.Defer(stop)
	env.Setenv("URL", url)
	begin(env, runs, func(body string) (answer, error) { return postTo(ctx, url, "s3cret", body) })
	return nil
}

// postTo sends a notification to an amx serve.
func postTo(ctx context.Context, url, token, body string) (a answer, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return a, err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return a, err
	}
	defer response.Body.Close()
	a.Status = response.StatusCode
	return a, json.NewDecoder(response.Body).Decode(&a)
}

// startServe starts this test's own binary as amx, and answers where it listens.
// stop stops it as systemd does: its commands end with it.
func startServe(dir string, args ...string) (url string, stop func(), err error) {
	cmd := exec.Command(os.Args[0], append(args, "--drain=0s")...)
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
				_ = cmd.Process.Signal(os.Interrupt) // it may have ended
				<-drained
				_ = cmd.Wait()
			}, nil
		}
	}
	return "", nil, fmt.Errorf("amx %q ended: %w", args, cmd.Wait())
}

// setupAWS makes a stack that has the runs, with the webhook's function, and the
// worker's that hears of the ends of commands.
func setupAWS(env *testscript.Env) error {
	t := env.T().(testing.TB)
	ends := make(chan []byte, 100)
	local, err := ssmlocal.New(ssmlocal.Options{
		Dir: filepath.Join(env.WorkDir, "commands"), StateDir: filepath.Join(env.WorkDir, "state"), Env: environment(), Log: slog.New(slog.DiscardHandler),
		Notify: func(c ssmlocal.StatusChange) {
			if text, err := c.EventBridge("123456789012", awstest.Region); err == nil {
				ends <- text
			}
		},
	})
	if err != nil {
		return err
	}
	env.Defer(func() {
		if err := local.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	s := newServices(t, local)
	runs := s.enterRuns(t)
	// An entry of the ledger is in the same table, and is no run.
	if err := (&ledgerdynamo.Store{Client: awstest.DynamoDBClient(s.endpoint), Table: s.table}).Put(t.Context(), ledger.Record{Key: "entry/x/1", Value: []byte("{}")}); err != nil {
		return err
	}
	env.Setenv("WHERE", "--stack="+s.stack)
	env.Setenv("WHO", "assumed-role/Admin/ann")
	env.Setenv("STACK", s.stack)
	env.Setenv("TABLE", s.table)
	env.Setenv("QUEUE", s.queue)
	for name, value := range s.environment() {
		env.Setenv(name, value)
	}
	config, err := writeConfig(env)
	if err != nil {
		return err
	}
	webhook, stop, err := s.functions(t, config, ends)
	if err != nil {
		return err
	}
	env.Defer(stop)
	begin(env, runs, webhook)
	return nil
}

// functions begins the webhook's function and the worker's, and answers what hands
// the one a notification. The other is handed SSM's events until stop is called.
func (s *services) functions(t testing.TB, config string, ends <-chan []byte) (deliver func(body string) (answer, error), stop func(), err error) {
	vars := s.environment()
	vars["AMX_CONFIG"], vars["AMX_TABLE"], vars["AMX_AUTH"] = "file:"+config, s.table, "iam"
	vars["AMX_QUEUE_URL"], vars["AMX_DEAD_LETTER_URL"] = s.queue, s.deadLetters
	env := func(name string) string { return vars[name] }
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	webhook, err := app.NewWebhookFunction(t.Context(), env, log, io.Discard)
	if err != nil {
		return nil, nil, err
	}
	worker, err := app.NewWorkerFunction(t.Context(), env, log, io.Discard, func(app.ReportParts) app.ItemHandler { return nil })
	if err != nil {
		return nil, nil, err
	}
	deliver = func(body string) (a answer, err error) {
		request := events.LambdaFunctionURLRequest{Body: body}
		request.RequestContext.HTTP.Method = http.MethodPost
		response, err := webhook.Handle(t.Context(), request)
		if err != nil {
			return a, err
		}
		a.Status = response.StatusCode
		return a, json.Unmarshal([]byte(response.Body), &a)
	}
	stopped, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case text := <-ends:
				if _, err := worker.Handle(t.Context(), text); err != nil {
					t.Errorf("the worker: %v\n%s", err, text)
				}
			case <-stopped:
				return
			}
		}
	}()
	return deliver, func() {
		close(stopped)
		<-done
	}, nil
}
