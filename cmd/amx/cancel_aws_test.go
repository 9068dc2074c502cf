package main

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/awstest"
	"github.com/amx-lambda/amx/internal/history"
	historydynamo "github.com/amx-lambda/amx/internal/history/dynamo"
	ledgerdynamo "github.com/amx-lambda/amx/internal/ledger/dynamo"
	"github.com/amx-lambda/amx/internal/runner"
	"github.com/amx-lambda/amx/internal/ssmexec"
	"github.com/amx-lambda/amx/internal/ssmlocal"
)

// A stack is a table, and a Run Command of this machine, with a runner as the
// functions have it.
type stack struct {
	*testing.T
	*services
	runner *runner.Runner
}

func newStack(t *testing.T, config string) *stack {
	t.Helper()
	cfg, err := amx.ParseConfig("amx.yaml", []byte(config))
	if err != nil {
		t.Fatal(err)
	}
	s := &stack{T: t}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	local, err := ssmlocal.New(ssmlocal.Options{Dir: t.TempDir(), StateDir: t.TempDir(), Env: environment(), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := local.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	s.services = newServices(t, local)
	s.setenv(t)
	db, ssm := awstest.DynamoDBClient(s.endpoint), awstest.SSMClient(s.endpoint)
	s.runner = &runner.Runner{
		Config: func() *amx.Config { return cfg }, Store: &ledgerdynamo.Store{Client: db, Table: s.table},
		History: &historydynamo.Store{Client: db, Table: s.table, Keep: history.Default},
		Exec:    &ssmexec.Executor{Client: ssm, Outputs: ssm, Poll: 10 * time.Millisecond}, Log: log, Window: time.Minute,
	}
	return s
}

func (s *stack) deliver(body string) []runner.Result {
	s.Helper()
	m, err := amx.Decode([]byte(body), time.Now())
	if err != nil {
		s.Fatal(err)
	}
	a := s.runner.Handle(s.Context(), m, runner.Source{Waits: true})
	if a.Err != nil {
		s.Fatal(a.Err)
	}
	return a.Results
}

// The same words as from amx serve, over the table alone.
func TestAPersonCancelsARunOfAStack(t *testing.T) {
	s := newStack(t, "commands: [{name: long, cmd: sleep, args: ['300'], wait: 0s, targets: [{key: InstanceIds, values: [mi-00000000000000000]}]}]")
	run := s.deliver(notification("amx", firing("a", 0)))[0].RunID

	code, out, errs := amxRun(t, "", "runs", "--stack", s.stack)
	wantOut(t, "runs", code, out, errs, `(?m)^`+run+`  running    .* long  `)
	code, out, errs = amxRun(t, "", "cancel", "--stack", s.stack, run, "--why", "wrong host", "--wait", "0s")
	wantOut(t, "cancel", code, out, errs, `^asked to cancel run `+run+` of "long"\nrun `+run+` has not ended yet: amx show `+run+`\n$`)
	// Nothing hears SSM's events here: the next notification finds the end.
	results := s.deliver(notification("amx", resolved("a", 0, 60)))
	if len(results) != 1 || !strings.Contains(results[0].Reason, "assumed-role/Admin/ann: wrong host") {
		t.Errorf("the resolve: %+v", results)
	}
	code, out, errs = amxRun(t, "", "show", "--stack", s.stack, run)
	wantOut(t, "show", code, out, errs, `(?s)\nCancelled  by assumed-role/Admin/ann: wrong host\n`)
}
