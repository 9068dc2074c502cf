package simulation

import (
	"bytes"
	"context"
	"strings"
	"time"

	"github.com/amx-lambda/amx/internal/cloudtest"
	"github.com/amx-lambda/amx/internal/ledger"
)

// deploys is how long a deployment takes, in which some processes have the old
// configuration and release, and some the new ones.
const deploys = 5 * time.Minute

// deployed says that a process that begins now has the new configuration.
func (s *schedule) deployed(process string) bool {
	since := time.Since(s.origin) - s.shape.changes
	switch {
	case s.shape.changes == 0 || since < 0:
		return false
	case since > deploys || s.shape.serve:
		return true
	}
	return s.draw("deployed", process).IntN(2) == 0
}

// released is the table as a newer release reads and writes it: the older one can
// neither use nor write what it has written.
func (s *schedule) released(t ledger.Store) ledger.Store {
	if !s.shape.newer || s.shape.serve {
		return t
	}
	return newer{t}
}

type newer struct{ ledger.Store }

const olderForm, newerForm = `{"v":1`, `{"v":2`

func (t newer) Get(ctx context.Context, keys ...string) ([]ledger.Record, error) {
	records, err := t.Store.Get(ctx, keys...)
	for i := range records {
		records[i].Value = reformed(records[i].Value, newerForm, olderForm)
	}
	return records, err
}

func (t newer) Put(ctx context.Context, r ledger.Record) error {
	r.Value = reformed(r.Value, olderForm, newerForm)
	return t.Store.Put(ctx, r)
}

func reformed(value []byte, from, to string) []byte {
	rest, ok := bytes.CutPrefix(value, []byte(from))
	if !ok {
		return value
	}
	return append([]byte(to), rest...)
}

// Bugs of two releases side by side.
var bugsOfReleases = []bug{{
	name: "an entry of a newer release is taken for an empty one", tables: func(t cloudtest.Table) ledger.Store { return emptiesNewer{t} },
	shape: func(s *shape) { s.changes, s.newer, s.serve, s.ignore = time.Minute, true, false, false },
}}

// emptiesNewer shows nothing of what a newer release has written, to the older one.
type emptiesNewer struct{ cloudtest.Table }

func (t emptiesNewer) Get(ctx context.Context, keys ...string) ([]ledger.Record, error) {
	records, err := t.Table.Get(ctx, keys...)
	for i, r := range records {
		if strings.HasPrefix(r.Key, "entry/") && bytes.HasPrefix(r.Value, []byte(newerForm)) {
			records[i].Value = nil
		}
	}
	return records, err
}
