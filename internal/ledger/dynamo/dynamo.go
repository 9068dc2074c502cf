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
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/amx-lambda/amx/internal/awserr"
	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/table"
)

const (
	// maxItem is the size of an item in bytes, names of attributes included.
	// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
	maxItem = 400 << 10
	// itemHead is a bound for the rest of an item, beside its key and its value: the
	// attributes' names and two numbers.
	itemHead = 100
)

// MaxEntry is the size, in bytes of its encoding, up to which an entry may take
// new runs. The ends of runs may take an entry past it: an episode's end and its
// resolve are about as long as the episode. An entry of this size still fits into an
// item when all of its alerts have resolved, because gzip makes a quarter of it.
const MaxEntry = 700 << 10

// Client is the part of DynamoDB that the ledger uses.
type Client = table.Client

// A Store is a [ledger.Store] in one table. It is safe for concurrent use.
type Store struct {
	Client Client
	Table  string
}

func (s *Store) table() *table.Table { return &table.Table{Client: s.Client, Name: s.Table} }

// Get reads up to 100 records in one call, consistently.
func (s *Store) Get(ctx context.Context, keys ...string) ([]ledger.Record, error) {
	items, err := s.table().Get(ctx, keys...)
	if err != nil {
		return nil, err
	}
	found := make(map[string]ledger.Record, len(items))
	for _, item := range items {
		r, err := decode(item)
		if err != nil {
			return nil, fmt.Errorf("reading table %q: %w", s.Table, err)
		}
		found[r.Key] = r
	}
	records := make([]ledger.Record, len(keys))
	for i, key := range keys {
		records[i] = found[key]
		records[i].Key = key
	}
	return records, nil
}

// Put writes the record on the condition that its version still holds.
func (s *Store) Put(ctx context.Context, r ledger.Record) error {
	value := pack(r.Value)
	if len(r.Key)+len(value)+itemHead > maxItem {
		return ledger.ErrTooLarge
	}
	item := table.Item{table.Value: &types.AttributeValueMemberB{Value: value}}
	if !r.Expires.IsZero() {
		item[table.Expires] = table.Number(r.Expires.Unix())
	}
	err := s.table().Put(ctx, r.Key, r.Version, item)
	switch {
	case errors.As(err, new(*table.ConflictError)):
		return ledger.ErrConflict
	case tooLarge(err):
		return ledger.ErrTooLarge
	}
	return err
}

// tooLarge knows DynamoDB's own word on an item's size, which it counts by
// rules of its own.
func tooLarge(err error) bool {
	return awserr.Code(err) == "ValidationException" && strings.Contains(awserr.Message(err), "Item size has exceeded")
}
