package simulation

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/cloudtest"
	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/queue"
	"github.com/amx-lambda/amx/internal/runner"
	"github.com/amx-lambda/amx/internal/ssmexec"
)

// railed is a shape in which little else is drawn.
func railed(only func(*shape)) func(*shape) {
	return func(s *shape) {
		*s = shape{perAlert: true, groups: 1, wait: s.wait, real: s.real, serve: s.serve, rails: rails{drawn: true}}
		only(s)
	}
}

// bugsOfRails are found by the invariants of the guard rails.
var bugsOfRails = []bug{
	{
		name: "limits over all commands that nobody keeps", tables: func(t cloudtest.Table) ledger.Store { return shows{t, "gate/", true, forgetAll} },
		shape: railed(func(s *shape) { s.rails.second, s.rails.all.Max = true, 1 }),
	},
	{
		name: "a run that is over does not count against rate_limit", tables: func(t cloudtest.Table) ledger.Store { return shows{t, "gate/fix", false, forgetOver} },
		shape: railed(func(s *shape) { s.rails.windows = []amx.Window{{Runs: 1, Per: 5 * time.Minute}} }),
	},
	{
		name: "a cooldown that ends with the episode", tables: func(t cloudtest.Table) ledger.Store { return shows{t, "entry/", false, drops("begun")} },
		shape: railed(func(s *shape) { s.rails.cooldown = 10 * time.Minute }),
	},
	{
		name: "spread_by is read once", tables: func(t cloudtest.Table) ledger.Store { return shows{t, "gate/fix", true, forgetAll} },
		shape: railed(func(s *shape) { s.rails.spread, s.perAlert, s.groups = true, false, 3 }),
	},
	{
		name: "a pause that nobody reads", tables: func(t cloudtest.Table) ledger.Store { return shows{t, ledger.PauseKey, true, forgetAll} },
		shape: railed(func(s *shape) { s.pauses = time.Minute }),
	},
	{
		name: "a pause that lasts when it is lifted", tables: func(t cloudtest.Table) ledger.Store { return remembersPauses{t, new(sync.Map)} },
		shape: railed(func(s *shape) { s.serve, s.pauses = true, time.Minute }),
	},
	{
		name: "a pause that holds back cancellations", agents: func(a cloudtest.SSM) ssmexec.Client { return pausesCancels{a} },
		shape: railed(func(s *shape) { s.pauses = time.Minute }),
	},
	{
		name: "what a limit holds back is forgotten", queues: func(q cloudtest.Queue) runner.Queue { return dropsHeld{q} },
		shape: railed(func(s *shape) { s.max = 1 }),
	},
	{
		name: "an end that is told twice counts twice", tables: func(t cloudtest.Table) ledger.Store { return shows{t, "gate/fix", true, renamesFailures} },
		shape: railed(func(s *shape) { s.rails.breaker = amx.Breaker{Failures: 3, For: 2 * time.Minute} }),
	},
	{
		name: "a breaker that never opens", tables: func(t cloudtest.Table) ledger.Store { return shows{t, "gate/fix", false, drops("breaker")} },
		shape: railed(func(s *shape) { s.rails.breaker = amx.Breaker{Failures: 2, For: 2 * time.Minute} }),
	},
	{
		name: "an open breaker that lets runs through", tables: func(t cloudtest.Table) ledger.Store { return shows{t, "gate/fix", true, opensEarly} },
		shape: railed(func(s *shape) { s.rails.breaker = amx.Breaker{Failures: 1, For: 10 * time.Minute} }),
	},
	{
		name: "two runs try at once", tables: func(t cloudtest.Table) ledger.Store { return shows{t, "gate/fix", true, forgetTrial} },
		shape: railed(func(s *shape) { s.rails.breaker = amx.Breaker{Failures: 1, For: 2 * time.Minute} }),
	},
	{
		name: "a worker that does not know mode: observe", config: func(c string) string { return strings.ReplaceAll(c, "    mode: observe\n", "") },
		shape: railed(func(s *shape) { s.rails.observe, s.max = true, 1 }),
	},
}

// shows changes a record on its way: as it is read, or as it is written.
type shows struct {
	cloudtest.Table
	key    string // its beginning
	read   bool
	change func(map[string]any)
}

func (s shows) changed(r ledger.Record) ledger.Record {
	if !strings.HasPrefix(r.Key, s.key) || s.key == "gate/" && r.Key != "gate/" || len(r.Value) == 0 {
		return r
	}
	all := map[string]any{}
	if err := json.Unmarshal(r.Value, &all); err != nil {
		panic(err)
	}
	s.change(all)
	if len(all) == 0 {
		r.Value = nil
		return r
	}
	r.Value, _ = json.Marshal(all)
	return r
}

func (s shows) Get(ctx context.Context, keys ...string) ([]ledger.Record, error) {
	records, err := s.Table.Get(ctx, keys...)
	for i := range records {
		if s.read {
			records[i] = s.changed(records[i])
		}
	}
	return records, err
}

func (s shows) Put(ctx context.Context, r ledger.Record) error {
	if !s.read {
		r = s.changed(r)
	}
	return s.Table.Put(ctx, r)
}

func forgetAll(r map[string]any) { clear(r) }

func drops(key string) func(map[string]any) {
	return func(r map[string]any) { delete(r, key) }
}

func slotsOf(r map[string]any) []any { all, _ := r["slots"].([]any); return all }

func forgetOver(r map[string]any) {
	var kept []any
	for _, s := range slotsOf(r) {
		if s.(map[string]any)["over"] != true {
			kept = append(kept, s)
		}
	}
	r["slots"] = kept
}

func breakerOf(r map[string]any) map[string]any { b, _ := r["breaker"].(map[string]any); return b }

func forgetTrial(r map[string]any) { delete(breakerOf(r), "trial") }

// opensEarly has the time of an open breaker be up.
func opensEarly(r map[string]any) {
	if b := breakerOf(r); b["until"] != nil {
		b["until"] = time.Now().Add(-time.Second)
	}
}

// renamesFailures forgets of which runs the failures are.
func renamesFailures(r map[string]any) {
	all, _ := breakerOf(r)["failures"].([]any)
	for _, f := range all {
		f.(map[string]any)["run"] = "a run"
	}
}

// remembersPauses reads the pauses once.
type remembersPauses struct {
	cloudtest.Table
	first *sync.Map
}

func (s remembersPauses) Get(ctx context.Context, keys ...string) ([]ledger.Record, error) {
	records, err := s.Table.Get(ctx, keys...)
	for i, r := range records {
		if r.Key == ledger.PauseKey && len(r.Value) > 0 {
			first, _ := s.first.LoadOrStore(r.Key, r)
			records[i] = first.(ledger.Record)
		}
	}
	return records, err
}

// pausesCancels takes no cancellation while something is paused.
type pausesCancels struct{ cloudtest.SSM }

func (a pausesCancels) CancelCommand(ctx context.Context, in *ssm.CancelCommandInput, o ...func(*ssm.Options)) (*ssm.CancelCommandOutput, error) {
	a.Cloud.Mu.Lock()
	p, err := ledger.DecodePauses(a.Cloud.Records[ledger.PauseKey].Value)
	a.Cloud.Mu.Unlock()
	if err != nil {
		return nil, err
	}
	if _, paused := p.Paused("fix", time.Now()); paused {
		return nil, cloudtest.APIError("ThrottlingException")
	}
	return a.SSM.CancelCommand(ctx, in, o...)
}

// dropsHeld puts nothing that a limit or a pause holds back.
type dropsHeld struct{ cloudtest.Queue }

func (q dropsHeld) Put(ctx context.Context, it queue.Item) error {
	if it.Held {
		return nil
	}
	return q.Queue.Put(ctx, it)
}
