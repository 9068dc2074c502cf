// Package storetest is what every store of the history has to do, as tests.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/history"
)

// A Store is what is tested.
type Store interface {
	Put(context.Context, history.Record) error
	Get(ctx context.Context, run string) (history.Record, error)
	List(context.Context, history.Query) (history.Page, error)
}

// Noon is the time of the stores under test, where a test does not move it.
var Noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// A Clock is a store's time, which the tests move.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// Now is the time as it is set.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *Clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t
}

// Run tests a store. Each call of open answers an empty one, which keeps records
// as it is told to.
func Run(t *testing.T, open func(t *testing.T, clock *Clock, keep history.Keeping, news history.News) Store) {
	for _, test := range []struct {
		name string
		keep history.Keeping
		f    func(*store)
	}{
		{"a run that was never written is not found", history.Default, neverWritten},
		{"a record is read as it was written", history.Default, writtenAndRead},
		{"writes in every order make one record", history.Default, anyOrder},
		{"writers at the same time lose nothing", history.Default, sideBySide},
		{"a list begins with the newest, across days", history.Default, newestFirst},
		{"pages follow one another without gap or repeat", history.Default, pages},
		{"a list chooses by command, state, label and time", history.Default, chooses},
		{"lists leave out outputs, and a record has them", history.Default, outputs},
		{"a refusal that repeats is one record, listed where it was last seen", history.Default, repeats},
		{"what waited is not listed beside its run", history.Default, waited},
		{"a record expires", history.Default, expires},
		{"where nothing is kept, a run is listed until it is over", 0, keepsNothing},
		{"a wrong query is an error", history.Default, wrong},
		{"the end of a run is told once, and each refusal", history.Default, told},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &store{T: t, clock: &Clock{now: Noon}, ctx: t.Context()}
			s.Store = open(t, s.clock, test.keep, func(_ context.Context, r history.Record) { s.told(r) })
			test.f(s)
		})
	}
}

type store struct {
	*testing.T
	Store
	clock *Clock
	ctx   context.Context

	mu   sync.Mutex
	news []string // the runs and states of which the store told
}

func (s *store) told(r history.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.news = append(s.news, r.Run+" "+string(r.State))
}

// RunID is a run's ID of that time, as the runner makes them: the time, and n in
// the place of randomness.
func RunID(at time.Time, n int) string {
	return history.After(at) + fmt.Sprintf("%016d", n)
}

// Sample is the record of a run that has ended.
func Sample(at time.Time, n int) history.Record {
	code := 0
	return history.Record{
		Run: RunID(at, n), Command: "restart", State: history.Succeeded, Reason: "firing", Status: "Success",
		Alerts: []history.Alert{{
			Fingerprint: "00000000000000aa", Labels: amx.KV{"alertname": "Down", "instance": "web-1"},
			Annotations: amx.KV{"summary": "web-1 is down"}, StartsAt: at.Add(-time.Minute), GeneratorURL: "http://prometheus/graph",
		}},
		Source:  history.Source{Receiver: "amx", Token: "alertmanager", ExternalURL: "http://alertmanager"},
		Targets: []history.Target{{Key: "InstanceIds", Values: []string{"i-0123456789abcdef0"}}},
		Nodes: []history.Node{{
			Node: "i-0123456789abcdef0", Status: "Success", ExitCode: &code, Started: at.Add(time.Second), Ended: at.Add(2 * time.Second),
		}},
		CommandIDs: []string{"11111111-2222-3333-4444-555555555555"}, Attempt: 1,
		Claimed: at, Sent: at.Add(time.Second / 2), Ended: at.Add(3 * time.Second), Updated: at.Add(4 * time.Second), Entry: "0123456789abcdef",
	}
}

func (s *store) put(r history.Record) {
	s.Helper()
	if err := s.Put(s.ctx, r); err != nil {
		s.Fatalf("Put(%s): %v", r.Run, err)
	}
}

func (s *store) get(run string) history.Record {
	s.Helper()
	r, err := s.Get(s.ctx, run)
	if err != nil {
		s.Fatalf("Get: %v", err)
	}
	return r
}

// all is the runs of every page of the query.
func (s *store) all(q history.Query) (runs []string) {
	s.Helper()
	for range 1000 {
		page, err := s.List(s.ctx, q)
		if err != nil {
			s.Fatalf("List: %v", err)
		}
		for _, r := range page.Records {
			runs = append(runs, r.Run)
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			return runs
		}
	}
	s.Fatal("List: a thousand pages, and still another")
	return nil
}

func (s *store) lists(q history.Query, want ...string) {
	s.Helper()
	if got := s.all(q); !slices.Equal(got, want) {
		s.Errorf("listed:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func (s *store) isMissing(run string) {
	s.Helper()
	if r, err := s.Get(s.ctx, run); !errors.Is(err, history.ErrNotFound) {
		s.Errorf("Get(%q): %+v, %v; want %v", run, r, err, history.ErrNotFound)
	}
}

func neverWritten(s *store) {
	s.isMissing(RunID(Noon, 1))
	s.lists(history.Query{})
}

func writtenAndRead(s *store) {
	want := Sample(Noon, 1)
	s.put(want)
	s.put(want)
	if got := s.get(want.Run); !reflect.DeepEqual(got, want) {
		s.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
	page, err := s.List(s.ctx, history.Query{})
	if err != nil || len(page.Records) != 1 || !reflect.DeepEqual(page.Records[0], want) {
		s.Errorf("listed %+v, %v", page, err)
	}
}

// story is the writes of one run: sent, cancelled by a person, ended, and the
// end once more by one who knows no labels.
func story(n int) []history.Record {
	end := Sample(Noon, n)
	sent := end
	sent.State, sent.Status, sent.Ended, sent.Updated, sent.Nodes = history.Running, "", time.Time{}, Noon.Add(time.Second), nil
	asked := sent
	asked.Updated = Noon.Add(2 * time.Second)
	asked.CancelledBy = &history.CancelledBy{Who: "ann", Why: "wrong host", At: Noon.Add(2 * time.Second)}
	end.State, end.Status = history.Cancelled, "Cancelled"
	end.Nodes[0].Output = "stopped\n"
	event := end
	event.Alerts, event.Source = []history.Alert{{Fingerprint: "00000000000000aa"}}, history.Source{}
	event.CommandIDs, event.Updated = []string{"99999999-2222-3333-4444-555555555555"}, Noon.Add(5*time.Second)
	return []history.Record{sent, asked, end, event}
}

func anyOrder(s *store) {
	var want history.Record
	for n := range 30 {
		writes := story(n)
		order := rand.New(rand.NewPCG(7, uint64(n))).Perm(2 * len(writes))
		for _, i := range order {
			s.put(writes[i%len(writes)])
		}
		got := s.get(writes[0].Run)
		got.Run = ""
		if n == 0 {
			want = got
			if got.State != history.Cancelled || got.CancelledBy.Who != "ann" || len(got.CommandIDs) != 2 || got.Alerts[0].Labels["alertname"] != "Down" || got.Nodes[0].Output != "stopped\n" || got.Source.Token != "alertmanager" {
				s.Fatalf("got %+v", got)
			}
		}
		if !reflect.DeepEqual(got, want) {
			s.Fatalf("in the order %v it is\n%+v\nwant\n%+v", order, got, want)
		}
	}
}

func sideBySide(s *store) {
	var wg sync.WaitGroup
	base := Sample(Noon, 1)
	for i := range 6 {
		wg.Go(func() {
			r := base
			r.CommandIDs = []string{fmt.Sprint("command-", i)}
			for s.Put(s.ctx, r) != nil { // a store may give up on a record that many write
				if s.ctx.Err() != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	if got := s.get(base.Run); len(got.CommandIDs) != 6 {
		s.Errorf("the commands are %q", got.CommandIDs)
	}
}

func expires(s *store) {
	r := Sample(Noon, 1)
	s.put(r)
	s.clock.set(Noon.Add(90*24*time.Hour - time.Minute))
	s.get(r.Run)
	s.lists(history.Query{Since: Noon.Add(-time.Hour)}, r.Run)
	s.clock.set(Noon.Add(90*24*time.Hour + time.Minute))
	s.isMissing(r.Run)
	s.lists(history.Query{Since: Noon.Add(-time.Hour)})
}

func keepsNothing(s *store) {
	writes := story(1)
	s.put(refusal(Noon))
	s.lists(history.Query{})
	s.put(writes[0])
	s.put(writes[1])
	s.lists(history.Query{}, writes[0].Run)
	if got := s.get(writes[0].Run); got.CancelledBy == nil {
		s.Errorf("it is %+v", got)
	}
	s.put(writes[2])
	s.lists(history.Query{})
	s.isMissing(writes[0].Run)
}

func wrong(s *store) {
	for want, q := range map[string]history.Query{
		`state "done": want one of ["waiting" "running" "succeeded" "failed" "cancelled" "refused" "expired" "observed" "unknown"]`: {State: "done"},
		`limit 1001: want 1 to 1000`:                      {Limit: 1001},
		`cursor "no": it is not one that a page answered`: {Cursor: "no"},
	} {
		if _, err := s.List(s.ctx, q); err == nil || !strings.HasSuffix(err.Error(), want) {
			s.Errorf("List(%+v): %v, want %s", q, err, want)
		}
	}
}

func told(s *store) {
	writes := story(1)
	for _, i := range []int{0, 2, 1, 0, 3, 2, 2} {
		s.put(writes[i])
	}
	first, second := refusal(Noon), refusal(Noon.Add(time.Hour))
	s.put(first)
	s.put(second)
	run, refused := writes[0].Run+" cancelled", first.Run+" refused"
	if want := []string{run, refused, refused}; !slices.Equal(s.news, want) {
		s.Errorf("told %q, want %q", s.news, want)
	}
}
