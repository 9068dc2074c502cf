package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/queue"
)

const (
	// resolveFor is how long a resolve stays on the queue, at most.
	resolveFor = 4 * 24 * time.Hour
	// runFor is how long an item about a run stays there: SSM delivers a command for
	// up to 30 days, and lets it run for up to two days.
	runFor = 33 * 24 * time.Hour
	// checks is how often SSM is asked again for the end of a run. The last time is
	// past the window of a send without an answer.
	checks = 7
)

// A Queue keeps items: work that was put off.
type Queue interface {
	// Put keeps the item. When it returns nil, the item is durable. Its error wraps
	// [queue.ErrTooLarge] if it can never take the item.
	Put(context.Context, queue.Item) error
}

var errNoQueue = errors.New("it cannot be put off: there is no queue here")

// deferred puts off a case that could not be settled now. The source gets an error only
// if a case can be neither settled nor put off.
func (t *task) deferred(ctx context.Context, a ledger.Defer) {
	if t.checking {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.failed = append(t.failed, a.Err)
		return
	}
	if a.Aside() {
		return
	}
	if a.Alerts = t.young(ctx, a); t.item != nil && len(a.Alerts) == 0 && a.As() == ledger.AsNotification {
		return
	}
	it := t.itemOf(a)
	switch age := t.now().Sub(t.arrivedFirst()); {
	case it.Kind == queue.Check && !a.Stops() && it.Tries > checks:
		t.Log.DebugContext(ctx, "a run goes on", "command", t.command.Name, "run_id", a.Run, "reason", it.Reason)
		return
	case t.item != nil && it.Kind != queue.Notification && age > runFor:
		t.Log.ErrorContext(ctx, "given up", "command", t.command.Name, "run_id", a.Run, "reason", it.Reason, "tries", it.Tries)
		return
	}
	some := deferral{task: t, Defer: a, item: it}
	if it.Kind != queue.Notification || it.Message == nil {
		t.settleBy(ctx, it, some)
		return
	}
	t.delivery.mu.Lock()
	defer t.delivery.mu.Unlock()
	t.deferrals = append(t.deferrals, some)
}

// young returns the alerts of an item that may still wait. It gives up those that are
// too old. The entry does so for firings, but it may be unreadable.
func (t *task) young(ctx context.Context, a ledger.Defer) amx.Alerts {
	if t.item == nil || a.As() != ledger.AsNotification {
		return a.Alerts
	}
	age := t.now().Sub(t.sentAt())
	old := func(x amx.Alert) bool {
		return x.Status == amx.Firing && age > ledger.Stale+ledger.Late || x.Status == amx.Resolved && age > resolveFor
	}
	given := a.Case
	given.Alerts = slices.DeleteFunc(slices.Clone(a.Alerts), func(x amx.Alert) bool { return !old(x) })
	if len(given.Alerts) > 0 {
		t.giveUp(ctx, given)
	}
	return slices.DeleteFunc(slices.Clone(a.Alerts), old)
}

func (d *delivery) enqueue(ctx context.Context, it queue.Item) error {
	if d.Queue == nil {
		return errNoQueue
	}
	if !d.acted.Load() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(context.WithoutCancel(ctx), d.sends.Add(putTime))
		defer cancel()
	}
	return d.Queue.Put(ctx, it)
}

// itemOf makes the item for the queue: the command's part of the notification with the
// alerts that are left, or the task about a run.
func (t *task) itemOf(a ledger.Defer) queue.Item {
	it := queue.Item{Kind: queue.Kind(a.As()), Command: t.command.Name, SentAt: t.sentAt(), Arrived: t.arrived, Source: t.source.Source}
	if t.item != nil {
		it.Tries = t.item.Tries + 1
		it.Arrived = t.item.Arrived
	}
	it.Reason, it.Held = a.Err.Error(), a.Held
	wait := queue.Backoff(it.Tries, t.fraction())
	if a.Held {
		wait = queue.Held(t.fraction())
	}
	it.Due = t.now().Add(wait)
	switch it.Kind {
	case queue.Notification:
	case queue.Reminder:
		it.Entry, it.Run = string(t.entry), a.Retries()
	default:
		it.Entry, it.Run = string(t.entry), a.Run
	}
	if len(a.Alerts) > 0 {
		it.Message = t.narrowed(a.Alerts)
	}
	return it
}

func (d *delivery) narrowed(alerts amx.Alerts) *amx.Message {
	m := *d.message
	m.Data = d.message.Narrow(alerts)
	m.SentAt = d.sentAt()
	return &m
}

// remind puts a reminder of a run on the queue.
func (t *task) remind(ctx context.Context, run string, alerts amx.Alerts, at time.Time) error {
	return t.enqueue(ctx, queue.Item{
		Kind: queue.Reminder, Command: t.command.Name, Message: t.narrowed(alerts), SentAt: t.sentAt(), Arrived: t.arrived,
		Entry: string(t.entry), Run: run, Due: at, Source: t.source.Source,
	})
}

// giveUp gives up alerts that have waited too long.
func (t *task) giveUp(ctx context.Context, c ledger.Case) {
	t.Log.ErrorContext(ctx, "given up", "command", t.command.Name, "alerts", c.Shown(), "reason", t.item.Reason, "tries", t.item.Tries)
	t.enterExpired(ctx, c)
	if t.item.Held {
		return // a limit or a pause held it back: it is no dead letter
	}
	t.delivery.mu.Lock()
	defer t.delivery.mu.Unlock()
	t.lost = append(t.lost, fmt.Errorf("command %q: alerts %q: %s", t.command.Name, c.Shown(), t.item.Reason))
}

// HandleItem handles an item that is due: it settles the item, or puts a new one on the
// queue. After an error the queue has to deliver the item again, unless the error wraps
// [queue.ErrGivenUp].
func (r *Runner) HandleItem(ctx context.Context, it queue.Item) error {
	if it.Kind == queue.Record {
		return r.writeRecord(ctx, it)
	}
	d, err := r.delivery(ctx, Source{Source: it.Source})
	if err != nil {
		return err
	}
	defer d.cancel()
	d.item = &it
	if it.Message != nil {
		d.message = it.Message
	}
	var a Answer
	switch c := d.commandNamed(it.Command); it.Kind {
	case queue.Notification:
		tasks := d.tasks()
		a = d.handle(ctx, tasks)
		if a.Err == nil {
			parallel(tasks, func(t *task) { t.enterWaited(ctx) })
		}
	case queue.Reminder:
		a = d.about(ctx, d.task(c, ledger.ID(it.Entry)), ledger.Reminded{Run: it.Run, Alerts: d.message.Alerts})
	case queue.Stop:
		a = d.about(ctx, d.task(c, ledger.ID(it.Entry)), ledger.KillDue{Run: it.Run})
	case queue.Check:
		a = d.about(ctx, d.task(c, ledger.ID(it.Entry)), ledger.Check{Run: it.Run, Ended: true})
	default:
		return fmt.Errorf("the %s: this release of amx does not know such items", it.Subject())
	}
	if a.Err == nil && len(d.lost) > 0 {
		return fmt.Errorf("%w: %w", queue.ErrGivenUp, errors.Join(d.lost...))
	}
	return a.Err
}

// Ended handles SSM's report that a command of a run has ended. It asks SSM for the
// outcome and enters it. That frees the slot for the next run.
func (r *Runner) Ended(ctx context.Context, entry, run, command string) error {
	d, err := r.delivery(ctx, Source{})
	if err != nil {
		return err
	}
	defer d.cancel()
	return d.about(ctx, d.task(d.commandNamed(command), ledger.ID(entry)), ledger.Check{Run: run, Ended: true}).Err
}

// A StopRequest names a run to stop, who asks for it, and why. Without a run, it drops
// the alerts of the entry that wait for one.
type StopRequest struct{ Entry, Run, Command, Who, Why string }

// Stop cancels a run, even if its alerts fire and whatever its resolved_signal is.
func (r *Runner) Stop(ctx context.Context, s StopRequest) Answer {
	d, err := r.delivery(ctx, Source{Waits: true})
	if err != nil {
		return Answer{Err: err}
	}
	defer d.cancel()
	t := d.task(d.commandNamed(s.Command), ledger.ID(s.Entry))
	if s.Run == "" {
		return d.about(ctx, t, ledger.DropWaiting{})
	}
	return d.about(ctx, t, ledger.Stop{Run: s.Run, Who: s.Who, Why: s.Why})
}

// about handles an event about one run.
func (d *delivery) about(ctx context.Context, t *task, ev ledger.Event) Answer {
	if err := d.read(d.acts, []*task{t}); err != nil {
		return Answer{Err: err}
	}
	d.rounds(d.acts, func() { t.feed(d.acts, ev) })
	return d.end(ctx)
}

// configures reports whether the command is configured. If not, it starts nothing.
func (d *delivery) configures(c *amx.Command) bool { return slices.Contains(d.config.Commands, c) }

// commandNamed returns the configured command. If it is not configured any more, the
// command that it returns can still stop runs and ask for them.
func (d *delivery) commandNamed(name string) *amx.Command {
	for _, c := range d.config.Commands {
		if c.Name == name {
			return c
		}
	}
	return &amx.Command{Name: name, ResolvedSignal: amx.SIGKILL}
}
