package dynamo

import (
	"os"
	"slices"
	"testing"

	"github.com/amx-lambda/amx/internal/awstest"
	"github.com/amx-lambda/amx/internal/history"
	"github.com/amx-lambda/amx/internal/history/storetest"
)

func TestStore(t *testing.T) {
	// .ci/run names a DynamoDB that nobody of this project wrote (moto).
	server := os.Getenv("AMX_TEST_DYNAMODB_ENDPOINT")
	storetest.Run(t, func(t *testing.T, clock *storetest.Clock, keep history.Keeping) storetest.Store {
		table := awstest.NewTable(t, server)
		return NewReader(awstest.DynamoDBClient(table.Endpoint), table.Name, keep, clock.Now)
	})
}

// Each write of the functions' is one more call beside the ledger's own.
func TestARunTakesOneCallAndItsEndTwo(t *testing.T) {
	table := awstest.NewTable(t, "")
	store := &Store{Client: awstest.DynamoDBClient(table.Endpoint), Table: table.Name, Keep: history.Default}
	end := storetest.Sample(storetest.Noon, 1)
	running, completed := end, end
	running.State, running.Nodes = history.Running, nil
	completed.Nodes = []history.Node{end.Nodes[0]}
	completed.Nodes[0].Output = "done\n"
	for _, step := range []struct {
		name   string
		record history.Record
		calls  int
	}{
		{"a new run", running, 1},
		{"its end", end, 2},
		{"its end, with output", completed, 3},
		{"its end once more", completed, 4},
	} {
		if err := store.Put(t.Context(), step.record); err != nil {
			t.Fatal(err)
		}
		if calls := table.Operations(); len(calls) != step.calls || slices.Contains(calls, "BatchGetItem") {
			t.Errorf("%s: %q, want %d PutItem", step.name, calls, step.calls)
		}
	}
}
