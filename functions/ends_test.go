package functions

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/awstest"
	"github.com/amx-lambda/amx/internal/history"
	historydynamo "github.com/amx-lambda/amx/internal/history/dynamo"
	"github.com/amx-lambda/amx/internal/lambdatest"
	"github.com/amx-lambda/amx/internal/runner"
	"github.com/amx-lambda/amx/internal/ssmlocal"
)

// An ending is a stack whose commands have room for one run at a time, and one run
// of them that goes on.
type ending struct {
	*stack
	webhook, worker *lambdatest.Function
	alert           string
	run             runner.Result
}

const endingConfig = `
targets: [{key: InstanceIds, values: ['{{ .Labels.instance_id }}']}]
commands:
  - {name: clean, script: clean, match_labels: {alertname: DiskFull}, scope: alert, wait: 0s, max: 1}
  - {name: patch, document: AWS-RunPatchBaseline, parameters: {Operation: Scan}, match_labels: {alertname: PatchDue}, scope: alert, wait: 0s, max: 1}
`

func newEnding(t *testing.T, alert string) *ending {
	t.Helper()
	s := newStack(t)
	s.vars["AMX_CONFIG"] = "file:" + write(t, t.TempDir(), "amx.yaml", endingConfig)
	return &ending{stack: s, webhook: s.webhook(), worker: s.worker(), alert: alert}
}

// fires delivers the alert of a node, and answers what became of it.
func (e *ending) fires(node string) runner.Result {
	e.Helper()
	a := e.post(e.webhook, episode{e.alert, node, start, start}.webhookEvent("firing"))
	var body struct{ Results []runner.Result }
	if err := json.Unmarshal([]byte(a.Body), &body); err != nil || a.StatusCode != 200 || len(body.Results) != 1 {
		e.Fatalf("%+v, %v", a, err)
	}
	return body.Results[0]
}

// begin begins the run.
func (e *ending) begin() {
	e.Helper()
	if e.run = e.fires(node1); e.run.Action != "run" {
		e.Fatalf("%+v", e.run)
	}
}

// event is what EventBridge tells of the end of the first command.
func (e *ending) event() []byte {
	e.Helper()
	c := e.ssm.Commands()[0]
	text, err := ssmlocal.StatusChange{
		CommandID: c.ID, DocumentName: c.Document, Parameters: c.Parameters, Status: c.Status, StatusDetails: c.Status, At: time.Now(),
	}.EventBridge("123456789012", awstest.Region)
	if err != nil {
		e.Fatal(err)
	}
	return text
}

// tell tells the worker of that end, and answers the calls that it made of
// DynamoDB and of SSM.
func (e *ending) tell() string {
	e.Helper()
	e.calls()
	if a := e.worker.Invoke(e.event(), 30*time.Second); a.Err != nil {
		e.Fatal(a.Err)
	}
	return e.calls()
}

// calls is what DynamoDB and SSM were asked since the last time.
func (e *ending) calls() string { return fmt.Sprint(e.table.Operations(), e.wire.Operations()) }

func (e *ending) end(status string) { e.ssm.End(e.ssm.Commands()[0].ID, status) }

// record is what the history has of the run.
func (e *ending) record() history.Record {
	e.Helper()
	r, err := historydynamo.NewReader(awstest.DynamoDBClient(e.table.Endpoint), e.table.Name, history.Default, time.Now).Get(e.Context(), e.run.RunID)
	if err != nil {
		e.Fatal(err)
	}
	return r
}

// wantComplete compares what the history has of the run that has ended.
func (e *ending) wantComplete(state history.State, status string, code int) {
	e.Helper()
	r := e.record()
	if r.State != state || r.Status != status || r.Ended.IsZero() || !slices.Equal(r.CommandIDs, e.run.CommandIDs) ||
		len(r.Nodes) != 1 || r.Nodes[0].Node != node1 || r.Nodes[0].Status != status || r.Nodes[0].ExitCode == nil || *r.Nodes[0].ExitCode != code {
		e.Errorf("the record is %+v, want %s", r, state)
	}
	if len(r.Alerts) != 1 || r.Alerts[0].Labels["alertname"] != e.alert || r.Source.Receiver != "amx" {
		e.Errorf("the record tells of the alerts %+v from %+v", r.Alerts, r.Source)
	}
}

// wantRoom has another alert of the command run, with these calls.
func (e *ending) wantRoom(calls string) {
	e.Helper()
	e.calls()
	if r := e.fires(node2); r.Action != "run" {
		e.Errorf("the next alert: %+v", r)
	}
	if got := e.calls(); got != calls {
		e.Errorf("the next run took %s, want %s", got, calls)
	}
}

// A run that takes a slot: the gate's write is one more.
const aRunInAFreeSlot = "[BatchGetItem PutItem PutItem PutItem PutItem] [SendCommand]"

// A run ends, and SSM says so: once, twice, too early, or not at all.
func TestTheEndOfARunCompletesItsRecordAndFreesItsSlot(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ alert, calls string }{
		// It writes the outcome, the slot, the record, which is joined with the one that
		// is there, and at the end the configuration.
		{"DiskFull", "[BatchGetItem PutItem PutItem PutItem PutItem BatchGetItem PutItem] [ListCommandInvocations]"},
		// A document has no token: its comment is asked for.
		{"PatchDue", "[BatchGetItem PutItem PutItem PutItem PutItem BatchGetItem PutItem] [ListCommands ListCommandInvocations]"},
	} {
		t.Run(tt.alert, func(t *testing.T) {
			t.Parallel()
			e := newEnding(t, tt.alert)
			e.begin()
			if r := e.fires(node2); r.Action != "later" || r.Reason != "concurrency limit reached (max: 1)" {
				t.Errorf("there is no room: %+v", r)
			}
			e.end("Failed")
			if calls := e.tell(); calls != tt.calls {
				t.Errorf("the end took %s, want %s", calls, tt.calls)
			}
			e.wantComplete(history.Failed, "Failed", 1)
			e.tell()
			e.wantComplete(history.Failed, "Failed", 1)
			e.wantRoom(aRunInAFreeSlot)
		})
	}
}

// An event that never comes: who finds no room asks SSM, and finds the end.
func TestAnEndThatIsNotToldIsFoundByWhoWaits(t *testing.T) {
	t.Parallel()
	e := newEnding(t, "DiskFull")
	e.begin()
	e.end("Success")
	// Beside the run's own: the gate is read again, those who hold it are read and
	// asked for, and the outcome, the record and the free slot are written.
	e.wantRoom("[BatchGetItem BatchGetItem BatchGetItem PutItem PutItem PutItem PutItem PutItem PutItem PutItem PutItem] [ListCommandInvocations SendCommand]")
	e.wantComplete(history.Succeeded, "Success", 0)
}

// An event that comes while the webhook is still writing that it has sent: the
// worker puts it off.
func TestAnEndThatIsToldTooEarlyWaits(t *testing.T) {
	t.Parallel()
	e := newEnding(t, "DiskFull")
	var told atomic.Bool
	e.table.Fault = func(c awstest.Call) *awstest.Fault {
		if c.Operation == "PutItem" && strings.Contains(string(c.Body), `"entry/`) && len(e.ssm.Commands()) > 0 && told.CompareAndSwap(false, true) {
			e.end("Success")
			if a := e.worker.Invoke(e.event(), 30*time.Second); a.Err != nil {
				t.Error(a.Err)
			}
		}
		return nil
	}
	e.begin()
	if !told.Load() || len(e.sqs.Messages("work")) != 1 {
		t.Errorf("told %v, on the queue: %+v", told.Load(), e.sqs.Messages("work"))
	}
	e.drain(e.worker)
	e.wantComplete(history.Succeeded, "Success", 0)
	e.wantRoom(aRunInAFreeSlot)
}

// The webhook could not write the record: the worker does it later.
func TestARecordThatCouldNotBeWrittenIsWrittenLater(t *testing.T) {
	t.Parallel()
	e := newEnding(t, "DiskFull")
	var fails atomic.Bool
	fails.Store(true)
	e.table.Fault = func(c awstest.Call) *awstest.Fault {
		if fails.Load() && c.Operation == "PutItem" && strings.Contains(string(c.Body), `"history/`) {
			return &awstest.Fault{Error: "InternalServerError", Status: 500}
		}
		return nil
	}
	e.begin()
	fails.Store(false)
	e.webhook.Kill()
	e.webhook.ExitCode() // all that it has logged is read then
	if want := `"HistoryErrors":1,"Reason":"queued"`; !strings.Contains(e.webhook.Log(), want) {
		t.Errorf("the log has no %s:\n%s", want, e.webhook.Log())
	}
	e.end("Success")
	e.tell()
	e.drain(e.worker)
	e.wantComplete(history.Succeeded, "Success", 0)
}
