// Package desk makes an [operate.Desk] of amx's own parts: the stores of a stack on
// AWS, and a runner that stops runs. It has no client of its own: whoever uses it
// links no operation of a service but those that it hands over.
package desk

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/history"
	historydynamo "github.com/amx-lambda/amx/internal/history/dynamo"
	"github.com/amx-lambda/amx/internal/ledger"
	ledgerdynamo "github.com/amx-lambda/amx/internal/ledger/dynamo"
	"github.com/amx-lambda/amx/internal/operate"
	"github.com/amx-lambda/amx/internal/runner"
	"github.com/amx-lambda/amx/internal/ssmexec"
)

// A Stack is where a stack on AWS keeps what people see.
type Stack struct {
	DB         historydynamo.Querier
	RunCommand ssmexec.Client // stops runs; nil: nothing can be stopped
	Queues     Attributes     // counts what waits; nil: that is not known

	Table       string
	Queue       string // URL; empty: not known
	DeadLetters string // URL; empty: not known

	Keep   history.Keeping // of the records that are written
	Window time.Duration   // by how much SSM's list may lag a send
	Log    *slog.Logger    // of what the runner decides
}

// Desk is the desk of the stack. Its user sets Log, and Outputs where SSM's output
// may be read.
func (s Stack) Desk() *operate.Desk {
	records := historydynamo.NewReader(s.DB, s.Table, s.Keep, time.Now)
	store := &ledgerdynamo.Store{Client: s.DB, Table: s.Table}
	d := &operate.Desk{
		History: records, Ledger: store,
		Gates: &operate.Gates{Ledger: store, Limits: configured(store, seen(records)), Now: time.Now},
	}
	if s.RunCommand != nil {
		hands := &runner.Runner{
			Config: func() *amx.Config { return &amx.Config{} }, Store: store, History: records, MaxEntry: ledgerdynamo.MaxEntry,
			Exec: &ssmexec.Executor{Client: s.RunCommand, Jitter: rand.Float64}, Log: s.Log, Window: s.Window,
		}
		d.Stopper = Stopper{func() *runner.Runner { return hands }}
	}
	if s.Queues != nil && s.Queue != "" {
		d.Queue = s.counts
	}
	return d
}

// A Stopper stops runs through a runner.
type Stopper struct{ Runner func() *runner.Runner }

// Stop asks for the end of a run. It returns an error if it could not ask now.
func (s Stopper) Stop(ctx context.Context, r operate.StopRequest) error {
	return s.Runner().Stop(ctx, runner.StopRequest{Entry: r.Entry, Run: r.Run, Command: r.Command, Who: r.Who, Why: r.Why}).Err
}

// LimitsOf is the commands of a configuration, with their limits.
func LimitsOf(cfg *amx.Config) (all []operate.Limit) {
	for _, c := range cfg.Commands {
		all = append(all, operate.Limit{Command: c.Name, Max: max(0, c.Max)})
	}
	return all
}

// configured is the commands of the configuration that the worker has entered;
// those that are seen where it has entered none yet.
func configured(store ledger.Store, seen func(context.Context) ([]operate.Limit, error)) func(context.Context) ([]operate.Limit, error) {
	return func(ctx context.Context) ([]operate.Limit, error) {
		read, err := store.Get(ctx, ledger.ConfigKey)
		if err != nil {
			return nil, err
		}
		if len(read[0].Value) == 0 {
			return seen(ctx)
		}
		text, err := amx.Unpack(read[0].Value)
		if err != nil {
			return nil, fmt.Errorf("the configuration in the table: %w", err)
		}
		cfg, err := amx.ParseConfig("the configuration in the table", text)
		if err != nil {
			return seen(ctx) // a newer release's
		}
		return LimitsOf(cfg), nil
	}
}

// lookBack is how far back, and how many records, are looked at for the commands
// that there are: the configuration is in the functions.
const (
	lookBack = 7 * 24 * time.Hour
	lookAt   = 2000
)

// seen is the commands that the history shows. Their limits are not known here.
func seen(records *historydynamo.Reader) func(context.Context) ([]operate.Limit, error) {
	return func(ctx context.Context) ([]operate.Limit, error) {
		names := map[string]bool{}
		q := history.Query{Since: time.Now().Add(-lookBack), Limit: history.MaxLimit}
		for n := 0; n < lookAt; {
			page, err := records.List(ctx, q)
			if err != nil {
				return nil, err
			}
			for _, r := range page.Records {
				names[r.Command] = true
			}
			n += len(page.Records)
			if q.Cursor = page.Next; q.Cursor == "" {
				break
			}
		}
		var all []operate.Limit
		for _, name := range slices.Sorted(maps.Keys(names)) {
			all = append(all, operate.Limit{Command: name})
		}
		return all, nil
	}
}
