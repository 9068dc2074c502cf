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
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/amx-lambda/amx/internal/history"
	"github.com/amx-lambda/amx/internal/sleep"
	"github.com/amx-lambda/amx/internal/table"
)

// Index is the name of the table's index.
const Index = "by_day"

// The attributes of an item, beside those of every item in the table.
const (
	attrDay     = "day"
	attrRun     = "run"
	attrCommand = "command"
	attrState   = "state"
)

// tries is how often a write that met another is joined with it and written anew.
const tries = 6

// A Store keeps records in one table. It is safe for concurrent use.
type Store struct {
	Client table.Client
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

func (s *Store) table() *table.Table {
	return &table.Table{Client: s.Client, Name: s.Table, TellOld: true}
}

// Put joins the record with what is kept of its run ([history.Merge]). A run
// without a record takes one call; outputs take one more.
func (s *Store) Put(ctx context.Context, r history.Record) error {
	if _, ok := s.Keep.Expires(&r, s.now()); !ok && !history.IsRun(r.Run) {
		return nil
	}
	record, outputs := history.Split(history.Cut(r))
	var was *history.Record
	err := s.merge(ctx, recordKey(r.Run), func(item table.Item) (table.Item, error) {
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
		err = s.merge(ctx, outputKey(r.Run), func(item table.Item) (table.Item, error) {
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
func (s *Store) item(r *history.Record) table.Item {
	expires, _ := s.Keep.Expires(r, s.now())
	item := table.Item{
		table.Value: &types.AttributeValueMemberB{Value: history.Encode(r)},
		attrCommand: table.Text(r.Command), attrState: table.Text(string(r.State)),
		table.Expires: table.Number(expires.Unix()),
	}
	if day, err := history.Day(r.Position()); err == nil && r.Listed() {
		item[attrDay], item[attrRun] = table.Text(day.Format(history.DayForm)), table.Text(r.Position())
	}
	return item
}

func (s *Store) outputItem(r *history.Record, outputs []history.Node) table.Item {
	expires, _ := s.Keep.Expires(r, s.now())
	return table.Item{
		table.Value:   &types.AttributeValueMemberB{Value: history.Encode(outputs)},
		table.Expires: table.Number(expires.Unix()),
	}
}

// merge writes what join makes of the item that is there; nil: of none. It
// begins with none, which is right for most records, and learns from DynamoDB's
// refusal what is there.
func (s *Store) merge(ctx context.Context, key string, join func(item table.Item) (table.Item, error)) error {
	var was table.Item
	for try := 1; ; try++ {
		item, err := join(was)
		if err != nil {
			return err
		}
		version, err := table.VersionOf(was)
		if err != nil {
			return err
		}
		err = s.table().Put(ctx, key, version, item)
		conflict, met := errors.AsType[*table.ConflictError](err)
		if !met || try == tries {
			return err
		}
		if was = conflict.Item; was == nil {
			if was, err = s.read(ctx, key); err != nil {
				return err
			}
		}
		if try > 1 {
			if err := sleep.For(ctx, rand.N(time.Duration(try)*20*time.Millisecond)); err != nil {
				return err
			}
		}
	}
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
func (s *Store) expired(item table.Item) bool {
	at, err := table.Integer(item[table.Expires])
	return err == nil && at <= s.now().Unix()
}

func (s *Store) read(ctx context.Context, key string) (table.Item, error) {
	items, err := s.readAll(ctx, key)
	return items[key], err
}

// readAll is the items by their keys, consistently; those that are not there are
// left out.
func (s *Store) readAll(ctx context.Context, keys ...string) (map[string]table.Item, error) {
	items, err := s.table().Get(ctx, keys...)
	found := map[string]table.Item{}
	for _, item := range items {
		if key, ok := item[table.Key].(*types.AttributeValueMemberS); ok {
			found[key.Value] = item
		}
	}
	return found, err
}

func decodeRecord(item table.Item) (*history.Record, error) {
	value, ok := item[table.Value].(*types.AttributeValueMemberB)
	if !ok {
		return nil, fmt.Errorf("the item has no binary %q", table.Value)
	}
	r := new(history.Record)
	if err := history.Decode(value.Value, r); err != nil {
		return nil, fmt.Errorf("decoding %q: %w", table.Value, err)
	}
	return r, nil
}

// decodeOutputs reads the outputs' item; of nil, none.
func decodeOutputs(item table.Item) (outputs []history.Node, err error) {
	if item == nil {
		return nil, nil
	}
	value, ok := item[table.Value].(*types.AttributeValueMemberB)
	if !ok {
		return nil, fmt.Errorf("the item of the outputs has no binary %q", table.Value)
	}
	if err := history.Decode(value.Value, &outputs); err != nil {
		return nil, fmt.Errorf("decoding the outputs: %w", err)
	}
	return outputs, nil
}
