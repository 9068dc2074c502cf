// Package table reads and writes the items of the stack's DynamoDB table, in
// which ledger/dynamo and history/dynamo keep what they have. Every item has a key
// and a version, and replaces only the version that its writer has read.
package table

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/amx-lambda/amx/internal/awserr"
	"github.com/amx-lambda/amx/internal/sleep"
)

// The attributes of an item. template.yaml declares the first and the last.
const (
	Key     = "pk"
	Version = "version"
	Value   = "value"
	Expires = "expires_at"
)

const (
	// maxKeys is what one BatchGetItem takes.
	// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
	maxKeys = 100
	// firstPause is the wait before keys that DynamoDB left unprocessed are
	// asked for again; it doubles up to longestPause, with jitter.
	firstPause   = 25 * time.Millisecond
	longestPause = time.Second
)

// Item is the attributes of an item.
type Item = map[string]types.AttributeValue

// Client is the part of DynamoDB that reads and writes single items, in the SDK's
// own shape. The SDK may retry both calls: a write that meets its own earlier
// attempt is refused, and whoever is told so compares what is stored.
type Client interface {
	BatchGetItem(context.Context, *dynamodb.BatchGetItemInput, ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error)
	PutItem(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
}

// A Table is one table. It is safe for concurrent use.
type Table struct {
	Client Client
	Name   string
	// TellOld has a [ConflictError] carry the item that is there, however large.
	TellOld bool
}

// Get reads the items under the keys, consistently, in one call for each 100.
// Those that are not there are left out.
func (t *Table) Get(ctx context.Context, keys ...string) ([]Item, error) {
	wanted := unique(keys)
	var found []Item
	for len(wanted) > 0 {
		n := min(len(wanted), maxKeys)
		items, err := t.getBatch(ctx, wanted[:n])
		if err != nil {
			return nil, err
		}
		found, wanted = append(found, items...), wanted[n:]
	}
	return found, nil
}

// getBatch reads until nothing is left unprocessed: DynamoDB answers a part of
// a batch when it is throttled, or when the whole would be over 16 MB.
func (t *Table) getBatch(ctx context.Context, keys []string) (found []Item, err error) {
	in := types.KeysAndAttributes{ConsistentRead: aws.Bool(true)}
	for _, key := range keys {
		in.Keys = append(in.Keys, Item{Key: Text(key)})
	}
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		out, err := t.Client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{
			RequestItems: map[string]types.KeysAndAttributes{t.Name: in},
		})
		if err != nil {
			return nil, t.Failed("BatchGetItem", err)
		}
		found = append(found, out.Responses[t.Name]...)
		if in = out.UnprocessedKeys[t.Name]; len(in.Keys) == 0 {
			return found, nil
		}
		in.ConsistentRead = aws.Bool(true)
		if err := sleep.For(ctx, pause/2+rand.N(pause)); err != nil {
			return nil, fmt.Errorf("BatchGetItem: %d keys left unprocessed: %w", len(in.Keys), err)
		}
	}
}

// Put writes the item under a key if the one that is there has this version; 0: if
// there is none. It sets the item's key and its version, which is one more. The
// error is a [types.ConditionalCheckFailedException] if another has written it.
func (t *Table) Put(ctx context.Context, key string, version int64, item Item) error {
	item[Key], item[Version] = Text(key), Number(version+1)
	in := &dynamodb.PutItemInput{
		TableName: &t.Name, Item: item,
		ConditionExpression:      aws.String("attribute_not_exists(#k)"),
		ExpressionAttributeNames: map[string]string{"#k": Key},
	}
	if version > 0 {
		in.ConditionExpression = aws.String("#v = :v")
		in.ExpressionAttributeNames = map[string]string{"#v": Version}
		in.ExpressionAttributeValues = map[string]types.AttributeValue{":v": Number(version)}
	}
	if t.TellOld {
		in.ReturnValuesOnConditionCheckFailure = types.ReturnValuesOnConditionCheckFailureAllOld
	}
	_, err := t.Client.PutItem(ctx, in)
	if refused, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok {
		return &ConflictError{refused.Item}
	}
	if err != nil {
		return t.Failed("PutItem", err)
	}
	return nil
}

// A ConflictError is a write whose version does not hold any more.
type ConflictError struct {
	Item Item // that is there; nil: none, or it was not asked for
}

func (*ConflictError) Error() string { return "written by another since it was read" }

// Failed says which call failed, without what the SDK wraps around DynamoDB's
// answer, and what to do where the answer alone does not tell.
func (t *Table) Failed(call string, err error) error {
	if awserr.Code(err) == "ResourceNotFoundException" {
		return fmt.Errorf("%s: table %q does not exist in this account and region: %w", call, t.Name, awserr.Plain(err))
	}
	return fmt.Errorf("%s: %w", call, awserr.Plain(err))
}

// VersionOf is the version of an item; of nil, which is none, 0. An item without
// one was written by somebody else.
func VersionOf(item Item) (int64, error) {
	if item == nil {
		return 0, nil
	}
	version, err := Integer(item[Version])
	if err != nil || version < 1 {
		return 0, fmt.Errorf("%q is not a number from 1", Version)
	}
	return version, nil
}

// Text is a string as an attribute.
func Text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

// Number is a number as an attribute.
func Number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

// Integer is the number of an attribute.
func Integer(v types.AttributeValue) (int64, error) {
	n, ok := v.(*types.AttributeValueMemberN)
	if !ok {
		return 0, errors.New("not a number")
	}
	return strconv.ParseInt(n.Value, 10, 64)
}

// unique drops repeated keys, for which DynamoDB refuses the whole call.
func unique(keys []string) []string {
	known := make(map[string]bool, len(keys))
	var once []string
	for _, key := range keys {
		if !known[key] {
			known[key] = true
			once = append(once, key)
		}
	}
	return once
}
