// Package dynamo keeps the history in the ledger's DynamoDB table. A record is
// one item, and its outputs are another:
//
//	pk          string   "history/" and the run; for the outputs, "/output" after it
//	version     number   1 and up
//	value       binary   the record as JSON, gzipped where that saves space
//	day         string   such as 2026-11-28: the partition key of the index by_day
//	run         string   the record's position: the sort key of the index
//	command     string   ⎫ for the filters of a list
//	state       string   ⎭
//	expires_at  number   Unix seconds: the table's TTL attribute
//
// The ledger's items have no day, so that the index holds the history alone. It
// has to project all attributes.
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
	"github.com/amx-lambda/amx/internal/history"
)

// Index is the name of the table's index.
const Index = "by_day"

// The attributes of an item.
const (
	attrKey     = "pk"
	attrVersion = "version"
	attrValue   = "value"
	attrDay     = "day"
	attrRun     = "run"
	attrCommand = "command"
	attrState   = "state"
	attrExpires = "expires_at"
)

// tries is how often a write that met another is joined with it and written anew.
const tries = 6

// Client is the part of DynamoDB that writes and reads single records, in the
// SDK's own shape.
type Client interface {
	BatchGetItem(context.Context, *dynamodb.BatchGetItemInput, ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error)
	PutItem(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
}

// A Store keeps records in one table. It is safe for concurrent use.
type Store struct {
	Client Client
	Table  string
	Keep   history.Keeping
	Now    func() time.Time // nil: time.Now
	News   history.News     // nil: nobody is told
}

func (s *Store) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}

// Put joins the record with what is kept of its run ([history.Merge]). A run
// without a record takes one call; outputs take one more.
func (s *Store) Put(ctx context.Context, r history.Record) error {
	if _, ok := s.Keep.Expires(&r, s.now()); !ok && !history.IsRun(r.Run) {
		return nil
	}
	record, outputs := history.Split(history.Cut(r))
	var was *history.Record
	err := s.merge(ctx, recordKey(r.Run), func(item map[string]types.AttributeValue) (map[string]types.AttributeValue, error) {
		was = nil
		if item == nil {
			return s.item(&record), nil
		}
		var err error
		if was, err = decodeRecord(item); err != nil {
			return nil, err
		}
		joined := history.Cut(history.Merge(*was, record))
		return s.item(&joined), nil
	})
	if err == nil {
		s.News.Tell(ctx, was, &r)
	}
	if err == nil && outputs != nil {
		err = s.merge(ctx, outputKey(r.Run), func(item map[string]types.AttributeValue) (map[string]types.AttributeValue, error) {
			was, err := decodeOutputs(item)
			if err != nil {
				return nil, err
			}
			return s.outputItem(&r, history.MergeOutputs(was, outputs)), nil
		})
	}
	if err != nil {
		return fmt.Errorf("history: run %q: %w", r.Run, err)
	}
	return nil
}

func recordKey(run string) string { return "history/" + run }

func outputKey(run string) string { return "history/" + run + "/output" }

// item is the record as an item, without its key and version.
func (s *Store) item(r *history.Record) map[string]types.AttributeValue {
	expires, _ := s.Keep.Expires(r, s.now())
	item := map[string]types.AttributeValue{
		attrValue:   &types.AttributeValueMemberB{Value: history.Encode(r)},
		attrCommand: text(r.Command), attrState: text(string(r.State)),
		attrExpires: number(expires.Unix()),
	}
	if day, err := history.Day(r.Position()); err == nil && r.Listed() {
		item[attrDay], item[attrRun] = text(day.Format(history.DayForm)), text(r.Position())
	}
	return item
}

func (s *Store) outputItem(r *history.Record, outputs []history.Node) map[string]types.AttributeValue {
	expires, _ := s.Keep.Expires(r, s.now())
	return map[string]types.AttributeValue{
		attrValue:   &types.AttributeValueMemberB{Value: history.Encode(outputs)},
		attrExpires: number(expires.Unix()),
	}
}

// merge writes what join makes of the item that is there; nil: of none. It
// begins with none, which is right for most records, and learns from DynamoDB's
// refusal what is there.
func (s *Store) merge(ctx context.Context, key string, join func(item map[string]types.AttributeValue) (map[string]types.AttributeValue, error)) error {
	var was map[string]types.AttributeValue
	for try := 1; ; try++ {
		item, err := join(was)
		if err != nil {
			return err
		}
		was, err = s.put(ctx, key, item, was)
		if err == nil || !errors.Is(err, errConflict) || try == tries {
			return err
		}
		if was == nil {
			if was, err = s.read(ctx, key); err != nil {
				return err
			}
		}
		if try > 1 {
			if err := sleep(ctx, rand.N(time.Duration(try)*20*time.Millisecond)); err != nil {
				return err
			}
		}
	}
}

var errConflict = errors.New("written by another since it was read")

// put writes the item if it is still as it was; nil: if there is none. Of a
// conflict it answers the item that is there, where DynamoDB tells it.
func (s *Store) put(ctx context.Context, key string, item, was map[string]types.AttributeValue) (now map[string]types.AttributeValue, err error) {
	version, err := versionOf(was)
	if err != nil {
		return nil, err
	}
	item[attrKey], item[attrVersion] = text(key), number(version+1)
	in := &dynamodb.PutItemInput{
		TableName: &s.Table, Item: item,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
		ConditionExpression:                 aws.String("attribute_not_exists(#k)"),
		ExpressionAttributeNames:            map[string]string{"#k": attrKey},
	}
	if was != nil {
		in.ConditionExpression = aws.String("#v = :v")
		in.ExpressionAttributeNames = map[string]string{"#v": attrVersion}
		in.ExpressionAttributeValues = map[string]types.AttributeValue{":v": number(version)}
	}
	_, err = s.Client.PutItem(ctx, in)
	if conflict, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok {
		return conflict.Item, errConflict
	}
	if err != nil {
		return nil, s.failed("PutItem", err)
	}
	return nil, nil
}

// Get answers the record of a run with its outputs, [history.ErrNotFound] where
// there is none.
func (s *Store) Get(ctx context.Context, run string) (history.Record, error) {
	items, err := s.readAll(ctx, recordKey(run), outputKey(run))
	if err != nil {
		return history.Record{}, fmt.Errorf("run %q: %w", run, err)
	}
	item := items[recordKey(run)]
	if item == nil || s.expired(item) {
		return history.Record{}, fmt.Errorf("run %q: %w", run, history.ErrNotFound)
	}
	r, err := decodeRecord(item)
	if err != nil {
		return history.Record{}, fmt.Errorf("run %q: %w", run, err)
	}
	outputs, err := decodeOutputs(items[outputKey(run)])
	if err != nil {
		return history.Record{}, fmt.Errorf("run %q: %w", run, err)
	}
	return history.WithOutputs(*r, outputs), nil
}

// expired says that the TTL of the item has passed: DynamoDB removes it within
// some days.
func (s *Store) expired(item map[string]types.AttributeValue) bool {
	at, err := integer(item[attrExpires])
	return err == nil && at <= s.now().Unix()
}

func (s *Store) read(ctx context.Context, key string) (map[string]types.AttributeValue, error) {
	items, err := s.readAll(ctx, key)
	return items[key], err
}

// readAll reads items, consistently; those that are not there are left out.
func (s *Store) readAll(ctx context.Context, keys ...string) (map[string]map[string]types.AttributeValue, error) {
	in := types.KeysAndAttributes{ConsistentRead: aws.Bool(true)}
	for _, key := range keys {
		in.Keys = append(in.Keys, map[string]types.AttributeValue{attrKey: text(key)})
	}
	found := map[string]map[string]types.AttributeValue{}
	for pause := 25 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		out, err := s.Client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{s.Table: in}})
		if err != nil {
			return nil, s.failed("BatchGetItem", err)
		}
		for _, item := range out.Responses[s.Table] {
			if key, ok := item[attrKey].(*types.AttributeValueMemberS); ok {
				found[key.Value] = item
			}
		}
		if in = out.UnprocessedKeys[s.Table]; len(in.Keys) == 0 {
			return found, nil
		}
		in.ConsistentRead = aws.Bool(true)
		if err := sleep(ctx, pause/2+rand.N(pause)); err != nil {
			return nil, fmt.Errorf("BatchGetItem: %d keys left unprocessed: %w", len(in.Keys), err)
		}
	}
}

// failed says which call failed, without what the SDK wraps around DynamoDB's
// answer, and what to do where the answer alone does not tell.
func (s *Store) failed(call string, err error) error {
	switch plain := awserr.Plain(err); {
	case awserr.Code(err) == "ResourceNotFoundException":
		return fmt.Errorf("%s: table %q does not exist in this account and region: %w", call, s.Table, plain)
	case strings.Contains(awserr.Message(err), "does not have the specified index"):
		return fmt.Errorf("%s: table %q has no index %s: deploy this release's template.yaml: %w", call, s.Table, Index, plain)
	default:
		return fmt.Errorf("%s: %w", call, plain)
	}
}

func versionOf(item map[string]types.AttributeValue) (int64, error) {
	if item == nil {
		return 0, nil
	}
	version, err := integer(item[attrVersion])
	if err != nil || version < 1 {
		return 0, fmt.Errorf("%q is not a number from 1", attrVersion)
	}
	return version, nil
}

func decodeRecord(item map[string]types.AttributeValue) (*history.Record, error) {
	value, ok := item[attrValue].(*types.AttributeValueMemberB)
	if !ok {
		return nil, fmt.Errorf("the item has no binary %q", attrValue)
	}
	r := new(history.Record)
	if err := history.Decode(value.Value, r); err != nil {
		return nil, fmt.Errorf("decoding %q: %w", attrValue, err)
	}
	return r, nil
}

// decodeOutputs reads the outputs' item; of nil, none.
func decodeOutputs(item map[string]types.AttributeValue) (outputs []history.Node, err error) {
	if item == nil {
		return nil, nil
	}
	value, ok := item[attrValue].(*types.AttributeValueMemberB)
	if !ok {
		return nil, fmt.Errorf("the item of the outputs has no binary %q", attrValue)
	}
	if err := history.Decode(value.Value, &outputs); err != nil {
		return nil, fmt.Errorf("decoding the outputs: %w", err)
	}
	return outputs, nil
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

func integer(v types.AttributeValue) (int64, error) {
	n, ok := v.(*types.AttributeValueMemberN)
	if !ok {
		return 0, errors.New("not a number")
	}
	return strconv.ParseInt(n.Value, 10, 64)
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
