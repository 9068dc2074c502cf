package ssmlocal

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// five sends five commands a minute apart from 08:01 on; the third fails and
// the fifth goes on.
func five(t *testing.T) (*world, []string) {
	t.Helper()
	var minute atomic.Int64
	begin := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	w := start(t, func(o *Options) {
		o.Now = func() time.Time { return begin.Add(time.Duration(minute.Load()) * time.Minute) }
	})
	var ids []string
	for i, lines := range []string{"true", "true", "false", "true", "echo up; exec sleep 1000"} {
		minute.Store(int64(i + 1))
		ids = append(ids, w.send(script(lines)))
		if i < 4 {
			w.ended(ids[i])
		}
	}
	w.wantText("stdout", "up")
	return w, ids
}

func TestListCommands(t *testing.T) {
	w, ids := five(t)
	filters := func(pairs ...string) *ssm.ListCommandsInput {
		in := &ssm.ListCommandsInput{}
		for kv := range slices.Chunk(pairs, 2) {
			in.Filters = append(in.Filters, types.CommandFilter{Key: types.CommandFilterKey(kv[0]), Value: &kv[1]})
		}
		return in
	}
	for _, tt := range []struct {
		name string
		in   *ssm.ListCommandsInput
		want []int // positions in ids
	}{
		{"all, newest first", filters(), []int{4, 3, 2, 1, 0}},
		{"invoked after", filters("InvokedAfter", "2026-11-23T08:03:00Z"), []int{4, 3, 2}},
		{"invoked before", filters("InvokedBefore", "2026-11-23T08:03:00Z"), []int{1, 0}},
		{"between", filters("InvokedAfter", "2026-11-23T09:02:00+01:00", "InvokedBefore", "2026-11-23T08:02:30.5Z"), []int{1}},
		{"by status", filters("Status", "Failed"), []int{2}},
		{"executing", filters("ExecutionStage", "Executing"), []int{4}},
		{"complete", filters("ExecutionStage", "Complete"), []int{3, 2, 1, 0}},
		{"by document", filters("DocumentName", shellDocument), []int{4, 3, 2, 1, 0}},
		{"by another document", filters("DocumentName", "AWS-Other"), nil},
		{"one command", &ssm.ListCommandsInput{CommandId: &ids[1]}, []int{1}},
		{"an unknown command", &ssm.ListCommandsInput{CommandId: aws.String("00000000-0000-4000-8000-000000000000")}, nil},
		{"of this instance", &ssm.ListCommandsInput{InstanceId: aws.String(LocalNode)}, []int{4, 3, 2, 1, 0}},
		{"of another instance", &ssm.ListCommandsInput{InstanceId: aws.String("i-12345678")}, nil},
	} {
		for _, page := range []int32{1, 2, 50} {
			var got []string
			tt.in.MaxResults = &page
			pages := ssm.NewListCommandsPaginator(w.client, tt.in)
			for pages.HasMorePages() {
				out, err := pages.NextPage(context.Background())
				if err != nil {
					t.Fatalf("%s: %v", tt.name, err)
				}
				if len(out.Commands) > int(page) {
					t.Errorf("%s: a page of %d has %d", tt.name, page, len(out.Commands))
				}
				for _, c := range out.Commands {
					got = append(got, *c.CommandId)
				}
			}
			var want []string
			for _, i := range tt.want {
				want = append(want, ids[i])
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s, in pages of %d: got %v\nwant %v", tt.name, page, got, want)
			}
		}
	}
}

func TestListCommandInvocations(t *testing.T) {
	w, ids := five(t)
	var got []string
	pages := ssm.NewListCommandInvocationsPaginator(w.client, &ssm.ListCommandInvocationsInput{
		MaxResults: aws.Int32(2), InstanceId: aws.String(LocalNode), Details: true,
		Filters: []types.CommandFilter{{Key: "Status", Value: aws.String("Success")}},
	})
	for pages.HasMorePages() {
		out, err := pages.NextPage(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for _, inv := range out.CommandInvocations {
			got = append(got, *inv.CommandId)
			p := inv.CommandPlugins[0]
			if *p.Name != "aws:runShellScript" || p.ResponseStartDateTime == nil || p.ResponseFinishDateTime == nil {
				t.Errorf("plugin is %+v", p)
			}
		}
	}
	if want := []string{ids[3], ids[1], ids[0]}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	running := w.look(ids[4]).CommandPlugins[0]
	if running.Status != "InProgress" || running.ResponseCode != -1 || running.ResponseFinishDateTime != nil || *running.Output != "up\n" {
		t.Errorf("plugin of a running command is %+v", running)
	}
}

func TestPagesGoOnWhereTheyWereWhenCommandsArrive(t *testing.T) {
	w, ids := five(t)
	in := &ssm.ListCommandsInput{MaxResults: aws.Int32(2)}
	out, err := w.client.ListCommands(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	w.ended(w.send(script("true")))
	in.NextToken = out.NextToken
	out, err = w.client.ListCommands(context.Background(), in)
	if err != nil || len(out.Commands) != 2 || *out.Commands[0].CommandId != ids[2] {
		t.Errorf("the second page is %+v, error %v; want it to begin with %s", out, err, ids[2])
	}
}

func TestListsRefuse(t *testing.T) {
	w := start(t)
	const invalid = "1 validation error detected: Value "
	filter := func(key, value string) []types.CommandFilter {
		return []types.CommandFilter{{Key: types.CommandFilterKey(key), Value: &value}}
	}
	for _, tt := range []struct {
		name          string
		in            ssm.ListCommandsInput
		code, message string
	}{
		{
			"51 results",
			ssm.ListCommandsInput{MaxResults: aws.Int32(51)},
			"ValidationException", invalid + "'51' at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to 50",
		},
		{"a token of its own making", ssm.ListCommandsInput{NextToken: aws.String("x")}, "InvalidNextToken", "The specified token isn't valid."},
		{
			"another list's token",
			ssm.ListCommandsInput{NextToken: aws.String(cursor{1, 0}.token("ListCommandInvocations"))},
			"InvalidNextToken", "The specified token isn't valid.",
		},
		{
			"a short command ID",
			ssm.ListCommandsInput{CommandId: aws.String("x")},
			"ValidationException", invalid + "'x' at 'commandId' failed to satisfy constraint: Member must have length greater than or equal to 36",
		},
		{
			"36 characters that are no command ID",
			ssm.ListCommandsInput{CommandId: aws.String("xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx")},
			"InvalidCommandId", `Command ID "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx" is not valid.`,
		},
		{
			"no filters where there must be one",
			ssm.ListCommandsInput{Filters: []types.CommandFilter{}},
			"ValidationException", invalid + "'0 members' at 'filters' failed to satisfy constraint: Member must have length greater than or equal to 1",
		},
		{"an unknown filter", ssm.ListCommandsInput{Filters: filter("Comment", "amx")}, "ValidationException", invalid +
			"'Comment' at 'filters.1.member.key' failed to satisfy constraint: Member must satisfy enum value set: [InvokedAfter, InvokedBefore, Status, ExecutionStage, DocumentName]"},
		{"an unknown status", ssm.ListCommandsInput{Filters: filter("Status", "Done")}, "ValidationException", `Filter Status can't have the value "Done".`},
		{"yesterday", ssm.ListCommandsInput{Filters: filter("InvokedAfter", "yesterday")}, "ValidationException", `Filter InvokedAfter can't have the value "yesterday".`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := w.client.ListCommands(context.Background(), &tt.in)
			wantError(t, err, tt.code, tt.message)
		})
	}
	_, err := w.client.ListCommandInvocations(context.Background(), &ssm.ListCommandInvocationsInput{Filters: filter("ExecutionStage", "Complete")})
	wantError(t, err, "InvalidFilterKey", "ExecutionStage is a filter of ListCommands only.")
}
