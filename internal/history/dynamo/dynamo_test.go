package dynamo

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/smithy-go"

	"github.com/amx-lambda/amx/internal/awstest"
	"github.com/amx-lambda/amx/internal/history"
	"github.com/amx-lambda/amx/internal/history/storetest"
	"github.com/amx-lambda/amx/internal/table"
)

func TestStore(t *testing.T) {
	// .ci/run names a DynamoDB that nobody of this project wrote (moto).
	server := os.Getenv("AMX_TEST_DYNAMODB_ENDPOINT")
	storetest.Run(t, func(t *testing.T, clock *storetest.Clock, keep history.Keeping, news history.News) storetest.Store {
		table := awstest.NewTable(t, server)
		s := NewReader(awstest.DynamoDBClient(table.Endpoint), table.Name, keep, clock.Now)
		s.News = news
		return s
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

// fill is a table with that many runs, one a minute before noon.
func fill(t testing.TB, n int) (*Reader, *awstest.Table) {
	t.Helper()
	db := &awstest.DynamoDB{Table: "amx"}
	double := &awstest.Table{Name: "amx", Wire: &awstest.Wire{Next: db}}
	double.Endpoint = double.Listen(t)
	s := NewReader(awstest.DynamoDBClient(double.Endpoint), double.Name, history.Default, func() time.Time { return storetest.Noon })
	var items []table.Item
	for i := range n {
		r := storetest.Sample(storetest.Noon.Add(-time.Duration(i)*time.Minute), i)
		item := s.item(&r)
		item[table.Key], item[table.Version] = table.Text(recordKey(r.Run)), table.Number(1)
		items = append(items, item)
	}
	db.Load(items...)
	return s, double
}

func TestAListTakesACallForEachDayThatItShows(t *testing.T) {
	s, table := fill(t, 3000)
	for _, tt := range []struct {
		name  string
		q     history.Query
		want  int
		calls int
	}{
		{"the latest", history.Query{Limit: 50}, 50, 2}, // tomorrow, where another's clock may be, and today
		{"those of two days", history.Query{Limit: 1000, Since: storetest.Noon.Add(-24 * time.Hour)}, 1000, 3},
		{"a command that has none", history.Query{Command: "other", Since: storetest.Noon.Add(-48 * time.Hour)}, 0, 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			page, err := s.List(t.Context(), tt.q)
			if err != nil || len(page.Records) != tt.want {
				t.Errorf("%d records, %v", len(page.Records), err)
			}
			if calls := table.Operations(); len(calls) != tt.calls {
				t.Errorf("%q, want %d", calls, tt.calls)
			}
		})
	}
}

func TestAListTakesNoMoreMemoryOfMoreRuns(t *testing.T) {
	storetest.FlatMemory(t, func(n int) storetest.Store {
		s, _ := fill(t, n)
		return s
	})
}

// BenchmarkList is the last 50 of 100,000 runs.
func BenchmarkList(b *testing.B) {
	s, table := fill(b, 100_000)
	since := storetest.Noon.Add(-89 * 24 * time.Hour)
	b.ReportAllocs()
	for b.Loop() {
		if page, err := s.List(b.Context(), history.Query{Since: since}); err != nil || len(page.Records) != 50 {
			b.Fatal(len(page.Records), err)
		}
		table.Operations()
	}
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	for _, tt := range []struct{ name, fault, want string }{
		{"the table", "ResourceNotFoundException", `listing the history: Query: table "amx" does not exist in this account and region: `},
		{"a right", "AccessDeniedException", "listing the history: Query: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, table := fill(t, 1)
			table.Fault = func(awstest.Call) *awstest.Fault { return &awstest.Fault{Error: tt.fault} }
			_, err := s.List(t.Context(), history.Query{})
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) || strings.Contains(err.Error(), "https response error") || !strings.Contains(err.Error(), tt.fault) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

// noIndex answers as a table of an earlier release does.
type noIndex struct{ Querier }

func (noIndex) Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	return nil, fmt.Errorf("operation error DynamoDB: Query, https response error StatusCode: 400: %w",
		&smithy.GenericAPIError{Code: "ValidationException", Message: "The table does not have the specified index: by_day"})
}

func TestATableWithoutTheIndexIsNamed(t *testing.T) {
	_, err := NewReader(noIndex{}, "amx", history.Default, nil).List(t.Context(), history.Query{})
	want := `listing the history: Query: table "amx" has no index by_day: deploy this release's template.yaml: ` +
		"api error ValidationException: The table does not have the specified index: by_day"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
