// Package dynamo keeps the ledger in a DynamoDB table, whose partition key is
// the string `pk` and whose TTL attribute is `expires_at`. An item is one
// record:
//
//	pk          string   the record's key
//	version     number   1 and up
//	value       binary   the record's value, gzipped where that saves space
//	expires_at  number   Unix seconds; absent: never
package dynamo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/amx-lambda/amx/internal/awserr"
	"github.com/amx-lambda/amx/internal/ledger"
)

const (
	// maxKeys is what one BatchGetItem takes.
	// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
	maxKeys = 100
	// maxItem is the size of an item in bytes, names of attributes included.
	// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
	maxItem = 400 << 10
	// itemHead is more than what an item has beside its key and its value: the
	// attributes' names and two numbers.
	itemHead = 100
	// firstPause is the wait before keys that DynamoDB left unprocessed are
	// asked for again; it doubles up to longestPause, with jitter.
	firstPause   = 25 * time.Millisecond
	longestPause = time.Second
)

// MaxEntry is the size, in bytes of its encoding, up to which an entry may take
// new runs. What ends them is written past it too: an episode's end and its
// resolve are about as long as the episode, so that an entry of this size still
// fits into an item, gzipped to a quarter, when all of its alerts have resolved.
const MaxEntry = 700 << 10

// Client is the part of DynamoDB that the ledger uses, in the SDK's own shape.
// The SDK may retry both calls: a write that meets its own earlier attempt is a
// conflict, and whoever is told so compares what is stored.
type Client interface {
	BatchGetItem(context.Context, *dynamodb.BatchGetItemInput, ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error)
	PutItem(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
}

// A Store is a [ledger.Store] in one table. It is safe for concurrent use.
type Store struct {
	Client Client
	Table  string
}

// Get reads up to 100 records in one call, consistently.
func (s *Store) Get(ctx context.Context, keys ...string) ([]ledger.Record, error) {
	wanted := unique(keys)
	found := make(map[string]ledger.Record, len(wanted))
	for len(wanted) > 0 {
		n := min(len(wanted), maxKeys)
		if err := s.getBatch(ctx, wanted[:n], found); err != nil {
			return nil, err
		}
		wanted = wanted[n:]
	}
	records := make([]ledger.Record, len(keys))
	for i, key := range keys {
		records[i] = found[key]
		records[i].Key = key
	}
	return records, nil
}

// getBatch reads until nothing is left unprocessed: DynamoDB answers a part of
// a batch when it is throttled, or when the whole would be over 16 MB.
func (s *Store) getBatch(ctx context.Context, keys []string, found map[string]ledger.Record) error {
	in := types.KeysAndAttributes{ConsistentRead: aws.Bool(true)}
	for _, key := range keys {
		in.Keys = append(in.Keys, map[string]types.AttributeValue{attrKey: &types.AttributeValueMemberS{Value: key}})
	}
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		out, err := s.Client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{
			RequestItems: map[string]types.KeysAndAttributes{s.Table: in},
		})
		if err != nil {
			return s.failed("BatchGetItem", err)
		}
		for _, item := range out.Responses[s.Table] {
			r, err := decode(item)
			if err != nil {
				return fmt.Errorf("reading table %q: %w", s.Table, err)
			}
			found[r.Key] = r
		}
		if in = out.UnprocessedKeys[s.Table]; len(in.Keys) == 0 {
			return nil
		}
		in.ConsistentRead = aws.Bool(true)
		if err := sleep(ctx, pause/2+rand.N(pause)); err != nil {
			return fmt.Errorf("BatchGetItem: %d keys left unprocessed: %w", len(in.Keys), err)
		}
	}
}

// Put writes the record on the condition that its version still holds.
func (s *Store) Put(ctx context.Context, r ledger.Record) error {
	value := pack(r.Value)
	if len(r.Key)+len(value)+itemHead > maxItem {
		return ledger.ErrTooLarge
	}
	in := &dynamodb.PutItemInput{
		TableName: &s.Table,
		Item: map[string]types.AttributeValue{
			attrKey:     &types.AttributeValueMemberS{Value: r.Key},
			attrVersion: number(r.Version + 1),
			attrValue:   &types.AttributeValueMemberB{Value: value},
		},
	}
	if !r.Expires.IsZero() {
		in.Item[attrExpires] = number(r.Expires.Unix())
	}
	if r.Version == 0 {
		in.ConditionExpression = aws.String("attribute_not_exists(#k)")
		in.ExpressionAttributeNames = map[string]string{"#k": attrKey}
	} else {
		in.ConditionExpression = aws.String("#v = :v")
		in.ExpressionAttributeNames = map[string]string{"#v": attrVersion}
		in.ExpressionAttributeValues = map[string]types.AttributeValue{":v": number(r.Version)}
	}
	_, err := s.Client.PutItem(ctx, in)
	switch {
	case err == nil:
		return nil
	case errors.As(err, new(*types.ConditionalCheckFailedException)):
		return ledger.ErrConflict
	case tooLarge(err):
		return ledger.ErrTooLarge
	}
	return s.failed("PutItem", err)
}

// tooLarge knows DynamoDB's own word on an item's size, which it counts by
// rules of its own.
func tooLarge(err error) bool {
	return awserr.Code(err) == "ValidationException" && strings.Contains(awserr.Message(err), "Item size has exceeded")
}

// failed says which call failed, without what the SDK wraps around DynamoDB's
// answer, and what to do where the answer alone does not tell.
func (s *Store) failed(call string, err error) error {
	if awserr.Code(err) == "ResourceNotFoundException" {
		return fmt.Errorf("%s: table %q does not exist in this account and region: %w", call, s.Table, awserr.Plain(err))
	}
	return fmt.Errorf("%s: %w", call, awserr.Plain(err))
}

func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
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

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
