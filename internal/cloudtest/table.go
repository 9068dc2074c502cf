package cloudtest

import (
	"context"
	"fmt"

	"github.com/amx-lambda/amx/internal/ledger"
)

// A Table is the process's way to the ledger.
type Table struct{ *Process }

// Table is the process's way to the ledger.
func (p *Process) Table() Table { return Table{p} }

// Get reads the records of these keys.
func (t Table) Get(ctx context.Context, keys ...string) (records []ledger.Record, err error) {
	err = t.do(ctx, "Get", fmt.Sprint(keys), func() error {
		records = nil
		for _, k := range keys {
			r := t.Cloud.Records[k]
			r.Key = k
			records = append(records, r)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("the table: %w", err)
	}
	return records, nil
}

// Put writes a record, if its version is the one that was read.
func (t Table) Put(ctx context.Context, r ledger.Record) error {
	err := t.do(ctx, "Put", r.Key, func() error {
		if t.Cloud.Records[r.Key].Version != r.Version {
			return ledger.ErrConflict
		}
		r := r
		r.Version++
		t.Cloud.Records[r.Key] = r
		if t.Cloud.Written != nil {
			t.Cloud.Written(r)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("the table: %w", err)
	}
	return nil
}
