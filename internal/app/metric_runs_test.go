package app

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/awstest"
	"github.com/amx-lambda/amx/internal/history"
	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/ledger/dynamo"
)

func TestRunsCountByState(t *testing.T) {
	noon := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	run := history.Record{
		Run: "01KB5ZQ3G0ABCDEFGHJKMNPQRS", Command: "restart", State: history.Failed,
		Claimed: noon.Add(-65 * time.Second), Ended: noon, Updated: noon,
	}
	waits, waited, refused := run, run, run
	waits.Run, waits.State, waits.Reason, waits.Ended = history.WaitingID("e", "f"), history.Waiting, "concurrency limit reached (max: 1)", time.Time{}
	waited.Run, waited.State = history.WaitingID("e", "f"), history.Waiting
	refused.Run, refused.State = history.RefusedID("e", "no node", "f"), history.Refused
	dimensions := `"CloudWatchMetrics":[{"Dimensions":[["Table","State"],["Table","State","Command"]],"Metrics":[`
	for _, tt := range []struct {
		name   string
		record history.Record
		want   string
	}{
		{"alerts that have waited", waited, ""},
		{"alerts that wait", waits, `{"Command":"restart","Reason":"limit","Runs":1,"State":"waiting","Table":"amx","_aws":{"CloudWatchMetrics":[` +
			`{"Dimensions":[["Table","State"],["Table","State","Command"],["Table","State","Reason"]],"Metrics":[{"Name":"Runs","Unit":"Count"}],"Namespace":"amx"}],` +
			`"Timestamp":1795867200000},"level":"ERROR","timestamp":"2026-11-28T12:00:00.000Z"}` + "\n"},
		{"one that failed", run, `{"Command":"restart","RunSeconds":65,"Runs":1,"State":"failed","Table":"amx","_aws":{` + dimensions +
			`{"Name":"Runs","Unit":"Count"},{"Name":"RunSeconds","Unit":"Seconds"}],"Namespace":"amx"}],"Timestamp":1795867200000},"level":"ERROR","timestamp":"2026-11-28T12:00:00.000Z"}` + "\n"},
		{"a refusal", refused, `{"Command":"restart","Runs":1,"State":"refused","Table":"amx","_aws":{` + dimensions +
			`{"Name":"Runs","Unit":"Count"}],"Namespace":"amx"}],"Timestamp":1795867200000},"level":"ERROR","timestamp":"2026-11-28T12:00:00.000Z"}` + "\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			m := &metrics{out: &out, function: "amx-worker"}
			m.told(t.Context(), slog.New(slog.DiscardHandler), "amx", tt.record)
			if out.String() != tt.want {
				t.Errorf("got\n%s\nwant\n%s", out.String(), tt.want)
			}
		})
	}
}

// Pauses and breakers are counted with what a delivery reads anyway.
func TestPausesAndOpenBreakersAreCounted(t *testing.T) {
	s := newStack(t)
	const config = `
targets: [{key: InstanceIds, values: ['{{ .Labels.instance_id }}']}]
commands:
  - {name: restart, cmd: restart, match_labels: {alertname: NginxDown}, scope: alert, wait: 5s, notify_on_failure: false, breaker: {failures: 1, for: 1h}}
  - {name: clean, cmd: clean, match_labels: {alertname: DiskFull}, scope: alert, wait: 0s}
`
	if err := os.WriteFile(filepath.Join(s.vars["LAMBDA_TASK_ROOT"], "amx.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	webhook := s.webhook(nil)
	counted := func(metric string) (commands []string) {
		t.Helper()
		for line := range strings.Lines(s.out.String()) {
			var values map[string]any
			if err := json.Unmarshal([]byte(line), &values); err != nil {
				t.Fatal(err)
			}
			if values[metric] != nil {
				if values[metric] != 1.0 || values["Table"] != s.table.Name || !strings.Contains(line, `"Dimensions":[["Table"],["Table","Command"]],"Metrics":[{"Name":"`+metric+`","Unit":"None"}]`) {
					t.Errorf("got %s", line)
				}
				commands = append(commands, values["Command"].(string))
			}
		}
		return commands
	}
	deliver := func(alerts ...map[string]any) []string {
		t.Helper()
		s.calls()
		if a := s.post(webhook, alerts...); a.StatusCode != 200 {
			t.Fatalf("%+v", a)
		}
		return s.calls()
	}

	s.ssm.Status = "Failed"
	deliver(alert("NginxDown", node1, start, time.Time{}))
	if got := counted(breakerOpen); !slices.Equal(got, []string{"restart"}) {
		t.Errorf("a breaker that opens: %q", got)
	}
	// Two alerts of one delivery count once.
	calls := deliver(alert("NginxDown", node2, start, time.Time{}), alert("NginxDown", "i-00000000000000003", start, time.Time{}))
	if got := counted(breakerOpen); !slices.Equal(got, []string{"restart", "restart"}) || len(counted(paused)) != 0 {
		t.Errorf("and holds alerts back: %q, %q", got, counted(paused))
	}
	if want := []string{"BatchGetItem"}; !slices.Equal(slices.DeleteFunc(calls, func(c string) bool { return c == "PutItem" }), want) {
		t.Errorf("with the calls %q, want one reading", calls)
	}

	p := ledger.Pauses{}
	p.Set("", ledger.Pause{Who: "ann", Why: "maintenance", Until: time.Now().Add(time.Hour)})
	value, expires := p.Encode(time.Now())
	store := &dynamo.Store{Client: awstest.DynamoDBClient(s.table.Endpoint), Table: s.table.Name}
	if err := store.Put(t.Context(), ledger.Record{Key: ledger.PauseKey, Value: value, Expires: expires}); err != nil {
		t.Fatal(err)
	}
	calls = deliver(alert("DiskFull", node1, start, time.Time{}))
	if got := counted(paused); !slices.Equal(got, []string{"clean"}) {
		t.Errorf("a pause: %q", got)
	}
	if want := []string{"BatchGetItem"}; !slices.Equal(slices.DeleteFunc(calls, func(c string) bool { return c == "PutItem" }), want) {
		t.Errorf("with the calls %q, want one reading", calls)
	}
	if got := counted(breakerOpen); len(got) != 2 {
		t.Errorf("the breaker of another command: %q", got)
	}
}
