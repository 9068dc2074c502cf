package dynamo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"

	"github.com/amx-lambda/amx/internal/awstest"
	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/ledger/storetest"
	"github.com/amx-lambda/amx/internal/table"
)

func TestStore(t *testing.T) {
	// .ci/run names a DynamoDB that nobody of this project wrote (moto).
	server := os.Getenv("AMX_TEST_DYNAMODB_ENDPOINT")
	if server == "" {
		t.Log("on this repository's own double of DynamoDB; AMX_TEST_DYNAMODB_ENDPOINT names a server to test on instead")
	}
	storetest.Run(t, func(t *testing.T) ledger.Store {
		table := awstest.NewTable(t, server)
		return &Store{Client: awstest.DynamoDBClient(table.Endpoint), Table: table.Name}
	})
}

func TestGetReadsAHundredKeysACall(t *testing.T) {
	for _, tt := range []struct{ keys, calls int }{{0, 0}, {1, 1}, {100, 1}, {101, 2}, {250, 3}} {
		t.Run(fmt.Sprintf("%d keys are %d calls", tt.keys, tt.calls), func(t *testing.T) {
			table := awstest.NewTable(t, "")
			store := &Store{Client: awstest.DynamoDBClient(table.Endpoint), Table: table.Name}
			var keys []string
			for i := range tt.keys {
				keys = append(keys, fmt.Sprint("k", i))
			}
			if _, err := store.Get(t.Context(), keys...); err != nil {
				t.Fatal(err)
			}
			if calls := len(table.Calls("BatchGetItem")); calls != tt.calls {
				t.Errorf("got %d calls", calls)
			}
		})
	}
}

// stub answers from functions and keeps what it was given.
type stub struct {
	gets []*dynamodb.BatchGetItemInput
	puts []*dynamodb.PutItemInput
	get  func(n int, keys []string) ([]string, error) // which of the keys are left unprocessed
	put  error
}

func (s *stub) BatchGetItem(_ context.Context, in *dynamodb.BatchGetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error) {
	s.gets = append(s.gets, in)
	var keys []string
	for _, k := range in.RequestItems["t"].Keys {
		keys = append(keys, k["pk"].(*types.AttributeValueMemberS).Value)
	}
	left, err := s.get(len(s.gets), keys)
	if err != nil {
		return nil, err
	}
	out := &dynamodb.BatchGetItemOutput{Responses: map[string][]map[string]types.AttributeValue{}}
	for _, key := range keys {
		k := map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: key}}
		if slices.Contains(left, key) {
			unprocessed := out.UnprocessedKeys["t"]
			unprocessed.Keys = append(unprocessed.Keys, k)
			out.UnprocessedKeys = map[string]types.KeysAndAttributes{"t": unprocessed}
			continue
		}
		k["version"], k["value"] = table.Number(7), &types.AttributeValueMemberB{Value: []byte(key)}
		out.Responses["t"] = append(out.Responses["t"], k)
	}
	return out, nil
}

func (s *stub) PutItem(_ context.Context, in *dynamodb.PutItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error) {
	s.puts = append(s.puts, in)
	return &dynamodb.PutItemOutput{}, s.put
}

func TestKeysThatAreLeftUnprocessedAreAskedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := &stub{get: func(_ int, keys []string) ([]string, error) { return keys[1:], nil }}
		records, err := (&Store{client, "t"}).Get(t.Context(), "a", "b", "c")
		if err != nil {
			t.Fatal(err)
		}
		for i, key := range []string{"a", "b", "c"} {
			if r := records[i]; r.Key != key || r.Version != 7 || string(r.Value) != key {
				t.Errorf("got %+v for %q", r, key)
			}
		}
		if len(client.gets) != 3 {
			t.Errorf("got %d calls", len(client.gets))
		}
		for i, in := range client.gets {
			if !aws.ToBool(in.RequestItems["t"].ConsistentRead) {
				t.Errorf("call %d is not consistent", i)
			}
		}
	})
}

func TestGetGivesUpWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		client := &stub{get: func(_ int, keys []string) ([]string, error) { return keys, nil }}
		_, err := (&Store{client, "t"}).Get(ctx, "a", "b")
		if want := "BatchGetItem: 2 keys left unprocessed: context deadline exceeded"; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
		if n := len(client.gets); n < 8 || n > 20 {
			t.Errorf("%d calls in 5 s, want pauses that grow to a second", n)
		}
	})
}

func TestErrorsSayWhatFailed(t *testing.T) {
	api := func(code, message string) error {
		return fmt.Errorf("operation error DynamoDB: PutItem, https response error StatusCode: 400: %w",
			&smithy.GenericAPIError{Code: code, Message: message})
	}
	for _, tt := range []struct {
		name string
		err  error
		is   error
		want string
	}{
		{"a condition that does not hold is a conflict", &types.ConditionalCheckFailedException{}, ledger.ErrConflict, ""},
		{"an item that DynamoDB finds too large", api("ValidationException", "Item size has exceeded the maximum allowed size"), ledger.ErrTooLarge, ""},
		{
			"no table", api("ResourceNotFoundException", "Requested resource not found"), nil,
			`PutItem: table "t" does not exist in this account and region: api error ResourceNotFoundException: Requested resource not found`,
		},
		{
			"no right", api("AccessDeniedException", "not authorized to perform: dynamodb:PutItem"), nil,
			"PutItem: api error AccessDeniedException: not authorized to perform: dynamodb:PutItem",
		},
		{"no answer", context.DeadlineExceeded, nil, "PutItem: context deadline exceeded"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := (&Store{&stub{put: tt.err}, "t"}).Put(t.Context(), ledger.Record{Key: "k"})
			switch {
			case tt.is != nil && !errors.Is(err, tt.is):
				t.Errorf("got %v, want %v", err, tt.is)
			case tt.is == nil && (err == nil || err.Error() != tt.want):
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestAValueThatNoItemCanHoldIsNotSent(t *testing.T) {
	client := &stub{}
	noise := make([]byte, 401<<10)
	for i, n := 0, uint32(1); i < len(noise); i++ {
		n = n*1664525 + 1013904223
		noise[i] = byte(n >> 24)
	}
	err := (&Store{client, "t"}).Put(t.Context(), ledger.Record{Key: "k", Value: noise})
	if !errors.Is(err, ledger.ErrTooLarge) || len(client.puts) != 0 {
		t.Errorf("got %v after %d calls", err, len(client.puts))
	}
}

func TestAnItem(t *testing.T) {
	client := &stub{}
	store := &Store{client, "t"}
	long := []byte(strings.Repeat(`{"fp":"0123456789abcdef"}`, 100))
	for _, r := range []ledger.Record{
		{Key: "new", Value: []byte("{}")},
		{Key: "known", Version: 41, Value: long, Expires: time.Unix(1800000000, 5)},
	} {
		if err := store.Put(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	first, second := client.puts[0], client.puts[1]
	if got := aws.ToString(first.ConditionExpression); got != "attribute_not_exists(#k)" || first.ExpressionAttributeNames["#k"] != "pk" {
		t.Errorf("the condition of a new item is %q of %v", got, first.ExpressionAttributeNames)
	}
	if _, ok := first.Item["expires_at"]; ok || len(first.Item) != 3 {
		t.Errorf("a record that is kept for ever is %v", first.Item)
	}
	if got := aws.ToString(second.ConditionExpression); got != "#v = :v" || second.ExpressionAttributeNames["#v"] != "version" ||
		second.ExpressionAttributeValues[":v"].(*types.AttributeValueMemberN).Value != "41" {
		t.Errorf("the condition is %q of %v", got, second.ExpressionAttributeNames)
	}
	if n := second.Item["version"].(*types.AttributeValueMemberN).Value; n != "42" {
		t.Errorf("version %s", n)
	}
	if n := second.Item["expires_at"].(*types.AttributeValueMemberN).Value; n != "1800000000" {
		t.Errorf("expires_at %s", n)
	}
	if value := second.Item["value"].(*types.AttributeValueMemberB).Value; len(value) > 200 || bytes.Contains(value, []byte("fp")) {
		t.Errorf("%d bytes are kept as %d", len(long), len(value))
	}
}

func TestAnItemOfSomebodyElseIsAnError(t *testing.T) {
	key := &types.AttributeValueMemberS{Value: "k"}
	value := &types.AttributeValueMemberB{Value: []byte("{}")}
	for want, item := range map[string]map[string]types.AttributeValue{
		`an item has no string "pk"`:                  {"pk": table.Number(1)},
		`item "k": "version" is not a number from 1`:  {"pk": key, "value": value},
		`item "k" has no binary "value"`:              {"pk": key, "version": table.Number(1), "value": key},
		`item "k": "expires_at": not a number`:        {"pk": key, "version": table.Number(1), "value": value, "expires_at": key},
		`item "k": unpacking "value": unexpected EOF`: {"pk": key, "version": table.Number(1), "value": &types.AttributeValueMemberB{Value: []byte{0x1f, 0x8b, 8}}},
	} {
		if _, err := decode(item); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
