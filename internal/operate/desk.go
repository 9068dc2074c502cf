package operate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/amx-lambda/amx/internal/history"
	"github.com/amx-lambda/amx/internal/ledger"
)

// History has the records.
type History interface {
	Get(ctx context.Context, run string) (history.Record, error)
	List(context.Context, history.Query) (history.Page, error)
	Put(context.Context, history.Record) error
}

// A Stopper stops one run, or drops alerts that wait for one. It enters into the run's
// record who asked, and why.
type Stopper interface {
	Stop(context.Context, StopRequest) error
}

// A StopRequest names a run to stop, by its record.
type StopRequest struct {
	Run     string // empty: drop the alerts that wait for a run
	Entry   string // the ledger entry's ID
	Command string
	Who     string
	Why     string
}

// A Gatekeeper knows which limits and breakers hold a command back.
type Gatekeeper interface {
	// Gates returns the commands whose gate is not empty, sorted.
	Gates(context.Context) ([]Command, error)
	// CloseBreaker lets runs of the command start again, and reports whether its
	// breaker was open.
	CloseBreaker(ctx context.Context, command string) (bool, error)
}

// A Desk is an [Operator] that reads and writes the stores. History and Ledger are
// required. If another field is nil, answers say that its part is unknown, or not
// possible here.
type Desk struct {
	History History
	Ledger  ledger.Store // the pauses
	Outputs Outputs
	Stopper Stopper
	Gates   Gatekeeper
	Queue   func(context.Context) (Queue, error)
	Log     *slog.Logger
	Now     func() time.Time // nil: time.Now

	// LookBack is how far back Status looks for alerts that wait; 0: as far as
	// for anything else that still goes on.
	LookBack time.Duration
}

// Operator returns the desk as both interfaces.
func (d *Desk) Operator() Operator { return Operator{d, d} }

func (d *Desk) now() time.Time {
	if d.Now == nil {
		return time.Now()
	}
	return d.Now()
}

// Runs lists records.
func (d *Desk) Runs(ctx context.Context, q history.Query) (history.Page, error) {
	return d.History.List(ctx, q)
}

// Run returns one run with all details.
func (d *Desk) Run(ctx context.Context, run string) (Detail, error) {
	r, err := d.History.Get(ctx, run)
	if err != nil {
		return Detail{}, err
	}
	out := Detail{Record: r}
	if d.Outputs != nil && len(r.CommandIDs) > 0 {
		out.Streams = streams(ctx, d.Outputs, &r)
	}
	return out, nil
}

// lookBack is how far back the desk looks for runs that still go on: SSM delivers a
// command for up to 30 days.
const lookBack = 32 * 24 * time.Hour

// all returns the records of every page.
func (d *Desk) all(ctx context.Context, q history.Query) (records []history.Record, err error) {
	q.Limit = history.MaxLimit
	if q.Since.IsZero() {
		q.Since = d.now().Add(-lookBack)
	}
	for {
		page, err := d.History.List(ctx, q)
		if err != nil {
			return nil, err
		}
		records = append(records, page.Records...)
		if q.Cursor = page.Next; q.Cursor == "" {
			return records, nil
		}
	}
}

// Cancel stops a run, or stops all runs of a command and drops its alerts that wait.
// After an error nothing was cancelled. If only some of several runs could not be
// cancelled, their elements have the errors.
func (d *Desk) Cancel(ctx context.Context, in CancelRequest) (Cancelled, error) {
	out := Cancelled{Runs: []CancelledRun{}}
	if d.Stopper == nil {
		return out, errors.New("cancelling: not possible here")
	}
	records, err := d.toCancel(ctx, in)
	if err != nil {
		return out, err
	}
	for i := range records {
		r := &records[i]
		stop := StopRequest{Entry: r.Entry, Command: r.Command, Who: in.Who, Why: in.Why}
		if history.IsRun(r.Run) {
			stop.Run = r.Run
		}
		one := CancelledRun{Run: r.Run, Command: r.Command, State: r.State}
		err := d.Stopper.Stop(ctx, stop)
		if err == nil && stop.Run == "" {
			err = d.dropped(ctx, *r, in)
		}
		if err != nil {
			one.Error = err.Error()
		}
		d.log(ctx, "cancel", err, "command", r.Command, "run_id", r.Run, "who", in.Who, "why", in.Why)
		out.Runs = append(out.Runs, one)
	}
	return out, nil
}

// dropped enters who dropped alerts that waited, and why. This needs a record of its own,
// because the record of the waiting ends with the item of the queue.
func (d *Desk) dropped(ctx context.Context, r history.Record, in CancelRequest) error {
	now := d.now()
	out := r
	out.Run = history.RefusedID(r.Entry, r.Run+now.UTC().Format(time.RFC3339))
	out.State, out.Ended, out.Updated = history.Cancelled, now, now
	out.CancelledBy = &history.CancelledBy{Who: in.Who, Why: in.Why, At: now}
	r.Ended, r.Updated = now, now
	return errors.Join(d.History.Put(ctx, out), d.History.Put(ctx, r))
}

func (d *Desk) toCancel(ctx context.Context, in CancelRequest) ([]history.Record, error) {
	switch {
	case (in.Run == "") == (in.Command == ""):
		return nil, invalid("name either a run or a command")
	case in.Why == "":
		return nil, invalid("say why: it is kept in the record")
	case in.Run != "":
		r, err := d.History.Get(ctx, in.Run)
		if err == nil && r.State != history.Running && !r.IsWaiting() {
			err = fmt.Errorf("run %q is over (%s): %w", r.Run, r.State, ErrNothing)
		}
		return []history.Record{r}, err
	}
	running, err := d.all(ctx, history.Query{Command: in.Command, State: history.Running})
	if err != nil {
		return nil, err
	}
	waiting, err := d.all(ctx, history.Query{Command: in.Command, State: history.Waiting})
	if err == nil && len(running)+len(waiting) == 0 {
		err = fmt.Errorf("no run of command %q goes on, and none waits: %w", in.Command, ErrNothing)
	}
	return append(waiting, running...), err // stop the waiting first: they must not take the place of the runs that are stopped
}

// The bounds of a pause.
const (
	defaultPause = 24 * time.Hour
	maxPause     = 90 * 24 * time.Hour
)

// Pause holds back new runs.
func (d *Desk) Pause(ctx context.Context, in PauseRequest) ([]Pause, error) {
	length := cmp.Or(in.For, defaultPause)
	switch {
	case length < time.Minute || length > maxPause:
		return nil, invalid("a pause of %v: want 1m to %v", length, maxPause)
	case in.Why == "":
		return nil, invalid("say why: those who are held back are told")
	}
	paused, err := d.changePauses(ctx, func(p *ledger.Pauses, now time.Time) error {
		p.Set(in.Command, ledger.Pause{Who: in.Who, Why: in.Why, Since: now, Until: now.Add(length)})
		return nil
	})
	d.log(ctx, "pause", err, "command", in.Command, "for", length, "who", in.Who, "why", in.Why)
	return paused, err
}

// Resume ends a pause. If the request names a command, it also closes its breaker.
func (d *Desk) Resume(ctx context.Context, in ResumeRequest) ([]Pause, error) {
	closed := false
	if in.Command != "" && d.Gates != nil {
		var err error
		if closed, err = d.Gates.CloseBreaker(ctx, in.Command); err != nil {
			return nil, fmt.Errorf("closing the breaker of %q: %w", in.Command, err)
		}
	}
	paused, err := d.changePauses(ctx, func(p *ledger.Pauses, now time.Time) error {
		if _, was := p.Lift(in.Command, now); was || closed {
			return nil
		}
		if in.Command == "" {
			return fmt.Errorf("everything is not paused: %w", ErrNothing)
		}
		return fmt.Errorf("command %q is neither paused nor is its breaker open: %w", in.Command, ErrNothing)
	})
	d.log(ctx, "resume", err, "command", in.Command, "who", in.Who)
	return paused, err
}

// changePauses changes the pauses and writes them. If somebody else writes them at the
// same time, it tries again.
func (d *Desk) changePauses(ctx context.Context, change func(*ledger.Pauses, time.Time) error) ([]Pause, error) {
	for try := 1; ; try++ {
		r, p, err := d.pauses(ctx)
		if err != nil {
			return nil, err
		}
		now := d.now()
		if err := change(p, now); err != nil {
			return nil, err
		}
		r.Value, r.Expires = p.Encode(now)
		err = d.Ledger.Put(ctx, r)
		if err == nil {
			return list(p.Current(now)), nil
		}
		if !errors.Is(err, ledger.ErrConflict) || try == 5 {
			return nil, fmt.Errorf("writing the pauses: %w", err)
		}
		if err := rest(ctx); err != nil {
			return nil, err
		}
	}
}

func (d *Desk) pauses(ctx context.Context) (ledger.Record, *ledger.Pauses, error) {
	records, err := d.Ledger.Get(ctx, ledger.PauseKey)
	if err != nil {
		return ledger.Record{}, nil, fmt.Errorf("reading the pauses: %w", err)
	}
	p, err := ledger.DecodePauses(records[0].Value)
	return records[0], p, err
}

// list returns the pauses. The pause of everything comes first.
func list(p *ledger.Pauses) []Pause {
	out := []Pause{}
	add := func(command string, q ledger.Pause) {
		out = append(out, Pause{Command: command, Who: q.Who, Why: q.Why, Since: q.Since, Until: q.Until})
	}
	if p.All != nil {
		add("", *p.All)
	}
	for _, command := range slices.Sorted(maps.Keys(p.Commands)) {
		add(command, p.Commands[command])
	}
	return out
}

// Status returns what holds runs back, and which alerts wait.
func (d *Desk) Status(ctx context.Context) (s Status, err error) {
	_, p, err := d.pauses(ctx)
	if err != nil {
		return s, err
	}
	s = Status{Paused: list(p.Current(d.now())), Commands: []Command{}, Queue: Queue{Items: -1, DeadLetters: -1}}
	waiting, err := d.all(ctx, history.Query{State: history.Waiting, Since: d.now().Add(-cmp.Or(d.LookBack, lookBack))})
	if err != nil {
		return s, err
	}
	s.Waiting = byCommand(waiting)
	if d.Gates != nil {
		if s.Commands, err = d.Gates.Gates(ctx); err != nil {
			return s, fmt.Errorf("reading the limits: %w", err)
		}
	}
	if d.Queue != nil {
		if s.Queue, err = d.Queue(ctx); err != nil {
			return s, fmt.Errorf("reading the queue's attributes: %w", err)
		}
	}
	return s, nil
}

func byCommand(records []history.Record) []Waiting {
	found := map[string]Waiting{}
	for _, r := range records {
		w, ok := found[r.Command]
		if !ok || r.Claimed.Before(w.Since) {
			w.Since, w.Reason = r.Claimed, r.Reason
		}
		w.Command = r.Command
		w.Count++
		found[r.Command] = w
	}
	return slices.SortedFunc(maps.Values(found), func(a, b Waiting) int { return cmp.Compare(a.Command, b.Command) })
}

// log logs what a person did. It does not log a request that was refused because
// there was nothing to do.
func (d *Desk) log(ctx context.Context, what string, err error, args ...any) {
	switch {
	case d.Log == nil || errors.Is(err, ErrNothing):
	case err != nil:
		d.Log.ErrorContext(ctx, "operator", append([]any{"action", what, "error", err.Error()}, args...)...)
	default:
		d.Log.InfoContext(ctx, "operator", append([]any{"action", what}, args...)...)
	}
}

// An InvalidError says that the request itself is wrong.
type InvalidError string

func (e InvalidError) Error() string { return string(e) }

func invalid(format string, args ...any) error { return InvalidError(fmt.Sprintf(format, args...)) }
