package simulation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/amx-lambda/amx/internal/cloudtest"
	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/queue"
	"github.com/amx-lambda/amx/internal/runner"
	"github.com/amx-lambda/amx/internal/ssmexec"
)

// A bug is one that the simulation has to find. It is put in between the runner
// and the cloud, so that the product has no seam for it.
type bug struct {
	name    string
	from    uint64 // a seed that has found it, where the search begins; 0: the first
	tables  func(cloudtest.Table) ledger.Store
	agents  func(cloudtest.SSM) ssmexec.Client
	queues  func(cloudtest.Queue) runner.Queue
	forever bool                // what was worked off is put again
	waits   time.Duration       // a webhook's function waits for the outcome for so long
	shape   func(*shape)        // what it shows in, where that is seldom drawn
	config  func(string) string // of the worker, where it is another
}

func (b bug) store(t cloudtest.Table) ledger.Store {
	if b.tables == nil {
		return t
	}
	return b.tables(t)
}

func (b bug) client(a cloudtest.SSM) ssmexec.Client {
	if b.agents == nil {
		return a
	}
	return b.agents(a)
}

func (b bug) queue(q cloudtest.Queue) runner.Queue {
	if b.queues == nil {
		return q
	}
	return b.queues(q)
}

var bugs = []bug{
	{name: "claim after send", tables: func(t cloudtest.Table) ledger.Store { return &claimsLater{Table: t, held: map[string]ledger.Record{}} }},
	{name: "no version condition", tables: func(t cloudtest.Table) ledger.Store { return blindly{t} }},
	{name: "no tombstone", tables: func(t cloudtest.Table) ledger.Store {
		return edits{t, func(e *cloudtest.Entry) { e.Resolves = nil }, nil}
	}},
	{name: "the SDK retries a send", from: 152, agents: func(a cloudtest.SSM) ssmexec.Client { return sdkRetries{a} }},
	{
		name: "one token for all chunks", from: 31, agents: func(a cloudtest.SSM) ssmexec.Client { return oneToken{a} },
		shape: func(s *shape) { s.chunked = true },
	},
	{name: "a retry under the old run ID", agents: func(a cloudtest.SSM) ssmexec.Client { return oldRunID{a} }},
	{name: "cancel dropped when the claimant died", from: 3, tables: func(t cloudtest.Table) ledger.Store {
		return edits{t, nil, func(e *cloudtest.Entry) {
			forget(e, func(r *cloudtest.Run) bool { return r.Holder != "" && r.Lease.Before(time.Now()) })
		}}
	}},
	{name: "sending without a look", agents: func(a cloudtest.SSM) ssmexec.Client { return blind{a} }},
	{name: "in doubt taken for over", tables: func(t cloudtest.Table) ledger.Store {
		return edits{t, func(e *cloudtest.Entry) {
			for i := range e.Runs {
				e.Runs[i].InDoubt = false
			}
		}, nil}
	}},
	{
		name: "a slot freed by an accepted cancel", tables: func(t cloudtest.Table) ledger.Store { return freesSlots{t} },
		shape: func(s *shape) { s.max, s.perAlert, s.ignore, s.term = 1, true, false, false },
	},
	{name: "answering before the item is on the queue", queues: func(q cloudtest.Queue) runner.Queue { return putsLater{q} }},
	{name: "a put-off firing that runs after its resolve", tables: func(t cloudtest.Table) ledger.Store {
		if !strings.HasPrefix(t.Name, "q") {
			return t
		}
		return edits{t, nil, func(e *cloudtest.Entry) { e.Resolves = nil }}
	}},
	{name: "a put-off resolve that ends the wrong episode", from: 134, queues: func(q cloudtest.Queue) runner.Queue { return forgetsTimes{q} }},
	{
		name: "a wait as long as group_interval", from: 367, waits: 2 * time.Minute,
		shape: func(s *shape) { s.real, s.serve, s.ignore, s.wait = true, false, false, 2*time.Minute },
	},
	{
		name: "a resolve lost behind another command's 500", queues: func(q cloudtest.Queue) runner.Queue { return fails{q, "other"} },
		shape: func(s *shape) { s.real, s.serve, s.ignore, s.other, s.calm = true, false, false, true, true },
	},
	{name: "a tombstone dropped too early", tables: func(t cloudtest.Table) ledger.Store {
		return edits{t, func(e *cloudtest.Entry) {
			e.Resolves = slices.DeleteFunc(e.Resolves, func(t map[string]any) bool {
				sent, err := time.Parse(time.RFC3339Nano, fmt.Sprint(t["sent"]))
				return err == nil && time.Since(sent) > 30*time.Second
			})
		}, nil}
	}},
	{name: "an item that never ends", forever: true},
}

func init() {
	bugs = slices.Concat(bugs, bugsOfRails, bugsOfNodes, bugsOfOthers, bugsOfReleases, bugsOfDays)
}

// putsLater answers before it puts.
type putsLater struct{ cloudtest.Queue }

func (q putsLater) Put(_ context.Context, it queue.Item) error {
	go func() {
		time.Sleep(100 * time.Millisecond)
		_ = q.Queue.Put(context.Background(), it)
	}()
	return nil
}

// forgetsTimes puts resolves off without their times.
type forgetsTimes struct{ cloudtest.Queue }

func (q forgetsTimes) Put(ctx context.Context, it queue.Item) error {
	if it.Message != nil && len(it.Message.Alerts.Firing()) == 0 {
		m := *it.Message
		m.Alerts = slices.Clone(m.Alerts)
		for i := range m.Alerts {
			m.Alerts[i].EndsAt, m.Alerts[i].EndsSent = time.Time{}, time.Time{}
		}
		it.SentAt, m.SentAt, it.Message = time.Time{}, time.Time{}, &m
	}
	return q.Queue.Put(ctx, it)
}

// fails puts nothing of a command.
type fails struct {
	cloudtest.Queue
	command string
}

func (q fails) Put(ctx context.Context, it queue.Item) error {
	if it.Command == q.command {
		return errors.New("no")
	}
	return q.Queue.Put(ctx, it)
}

// claimsLater keeps a claim to itself until there is more to say of it.
type claimsLater struct {
	cloudtest.Table
	mu   sync.Mutex
	held map[string]ledger.Record
}

func (s *claimsLater) Put(ctx context.Context, r ledger.Record) error {
	if !strings.HasPrefix(r.Key, "entry/") {
		return s.Table.Put(ctx, r)
	}
	e, err := cloudtest.ReadEntry(r)
	if err != nil {
		return err
	}
	s.mu.Lock()
	_, holding := s.held[r.Key]
	claim := false
	for i := range e.Runs {
		claim = claim || e.Runs[i].Holder != "" && len(e.Runs[i].Commands) == 0 && !e.Runs[i].InDoubt
	}
	if claim && !holding {
		s.held[r.Key] = ledger.Record{Key: r.Key, Version: r.Version + 1, Value: r.Value}
		s.mu.Unlock()
		return nil
	}
	if holding {
		r.Version--
		delete(s.held, r.Key)
	}
	s.mu.Unlock()
	err = s.Table.Put(ctx, r)
	if holding && errors.Is(err, ledger.ErrConflict) {
		now, getErr := s.Table.Get(ctx, r.Key)
		if getErr != nil {
			return getErr
		}
		r.Version = now[0].Version
		return s.Table.Put(ctx, r)
	}
	return err
}

func (s *claimsLater) Get(ctx context.Context, keys ...string) ([]ledger.Record, error) {
	records, err := s.Table.Get(ctx, keys...)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range records {
		if h, ok := s.held[records[i].Key]; ok {
			records[i] = h
		}
	}
	return records, err
}

// blindly writes over whatever is there.
type blindly struct{ cloudtest.Table }

func (s blindly) Put(ctx context.Context, r ledger.Record) error {
	for {
		err := s.Table.Put(ctx, r)
		if !errors.Is(err, ledger.ErrConflict) || ctx.Err() != nil {
			return err
		}
		s.Cloud.Mu.Lock()
		r.Version = s.Cloud.Records[r.Key].Version
		s.Cloud.Mu.Unlock()
	}
}

// edits changes entries on their way.
type edits struct {
	cloudtest.Table
	put, get func(*cloudtest.Entry)
}

func edited(r ledger.Record, edit func(*cloudtest.Entry)) ledger.Record {
	if edit == nil || !strings.HasPrefix(r.Key, "entry/") || len(r.Value) == 0 {
		return r
	}
	e, err := cloudtest.ReadEntry(r)
	if err != nil {
		return r
	}
	edit(e)
	if value, err := e.Value(); err == nil {
		r.Value = value
	}
	return r
}

func (s edits) Put(ctx context.Context, r ledger.Record) error {
	return s.Table.Put(ctx, edited(r, s.put))
}

func (s edits) Get(ctx context.Context, keys ...string) ([]ledger.Record, error) {
	records, err := s.Table.Get(ctx, keys...)
	for i := range records {
		records[i] = edited(records[i], s.get)
	}
	return records, err
}

// forget takes runs without commands out of an entry.
func forget(e *cloudtest.Entry, which func(*cloudtest.Run) bool) {
	var kept []*cloudtest.Run
	for _, r := range e.Runs {
		if len(r.Commands) > 0 || !which(r) {
			kept = append(kept, r)
		}
	}
	e.Runs = kept
}

type sdkRetries struct{ cloudtest.SSM }

func (a sdkRetries) SendCommand(ctx context.Context, in *ssm.SendCommandInput, o ...func(*ssm.Options)) (out *ssm.SendCommandOutput, err error) {
	for range 3 {
		if out, err = a.SSM.SendCommand(ctx, in, o...); err == nil || ssmexec.Judge(err) != ssmexec.Unknown {
			return out, err
		}
	}
	return out, err
}

type oneToken struct{ cloudtest.SSM }

func (a oneToken) SendCommand(ctx context.Context, in *ssm.SendCommandInput, o ...func(*ssm.Options)) (*ssm.SendCommandOutput, error) {
	copied := *in
	copied.Comment = aws.String(strings.Replace(*in.Comment, " 2/2 ", " 1/2 ", 1))
	return a.SSM.SendCommand(ctx, &copied, o...)
}

// oldRunID gives each run of an entry the ID of the first, as the guard sees it.
type oldRunID struct{ cloudtest.SSM }

func (a oldRunID) SendCommand(ctx context.Context, in *ssm.SendCommandInput, o ...func(*ssm.Options)) (*ssm.SendCommandOutput, error) {
	r := cloudtest.Parse(in)
	a.Cloud.Mu.Lock()
	for _, c := range a.Cloud.Commands {
		if c.Token.Entry == r.Token.Entry && len(c.Alerts) > 0 && len(r.Alerts) > 0 && c.Alerts[0] == r.Alerts[0] {
			in = replaced(in, "amx_run="+r.Run, "amx_run="+c.Run)
			break
		}
	}
	a.Cloud.Mu.Unlock()
	return a.SSM.SendCommand(ctx, in, o...)
}

func replaced(in *ssm.SendCommandInput, line, by string) *ssm.SendCommandInput {
	copied := *in
	lines := make([]string, 0, len(in.Parameters["commands"]))
	for _, l := range in.Parameters["commands"] {
		if l == line {
			l = by
		}
		lines = append(lines, l)
	}
	copied.Parameters = map[string][]string{"commands": lines, "executionTimeout": in.Parameters["executionTimeout"]}
	return &copied
}

// blind finds nothing in SSM's list.
type blind struct{ cloudtest.SSM }

func (a blind) ListCommands(ctx context.Context, in *ssm.ListCommandsInput, o ...func(*ssm.Options)) (*ssm.ListCommandsOutput, error) {
	if in.CommandId == nil {
		return &ssm.ListCommandsOutput{}, nil
	}
	return a.SSM.ListCommands(ctx, in, o...)
}

// freesSlots shows a gate without the runs that were cancelled.
type freesSlots struct{ cloudtest.Table }

func (s freesSlots) Get(ctx context.Context, keys ...string) ([]ledger.Record, error) {
	records, err := s.Table.Get(ctx, keys...)
	for i, r := range records {
		if !strings.HasPrefix(r.Key, "gate/") {
			continue
		}
		g, err := ledger.DecodeGate(r.Value)
		if err != nil {
			return nil, err
		}
		s.Cloud.Mu.Lock()
		for _, c := range s.Cloud.Commands {
			if c.Cancelled {
				g.Step(ledger.Actor{}, ledger.SlotsFree{Over: []string{c.Token.Run}})
			}
		}
		s.Cloud.Mu.Unlock()
		if len(r.Value) > 0 {
			records[i].Value, _ = g.Encode()
		}
	}
	return records, err
}
