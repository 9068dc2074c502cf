package runner

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/ssmexec"
)

// A task is one entry of a message: a command, and the alerts that the entry is
// about.
type task struct {
	*delivery
	command *amx.Command
	entry   ledger.ID
	alerts  amx.Alerts
	record  *record
	gates   []*gate // that its runs pass
	quiet   bool    // the command does not match: only stop runs that it already has

	mu     sync.Mutex
	inputs map[string][]*ssm.SendCommandInput // :: run → one for each part
	states map[string]*ssmexec.State          // :: run → SSM's last state of it

	starts map[string]*start    // :: alert → the last start for it, where the command has a cooldown
	cools  map[string]time.Time // :: alert → until when a run of another entry holds it back

	waiting string // the last record of waiting alerts that the history got

	checking bool    // this checks a run for a gate, so there is no answer
	failed   []error // errors of that check
	released string  // the run of which the check found that it was never sent
}

// tasks matches the alerts of the message, each by itself, with the commands. An item
// of the queue concerns its own command alone; its resolves do so even if the command
// matches them no more. A resolve under a dedup_key concerns every command, because
// its labels may have changed.
func (d *delivery) tasks() []*task {
	var tasks []*task
	commands := d.config.Commands
	if d.item != nil {
		commands = []*amx.Command{d.commandNamed(d.item.Command)}
	}
	for _, c := range commands {
		known := map[ledger.ID]*task{}
		for _, a := range d.message.Alerts {
			matches := d.configures(c) && c.Matches(&a)
			if !matches && (a.Status != amx.Resolved || d.item == nil && d.message.DedupKey == "") {
				continue
			}
			id := ledger.EntryOf(c, d.message, &a)
			t := known[id]
			if t == nil {
				t = d.task(c, id)
				t.quiet = true
				known[id] = t
				tasks = append(tasks, t)
			}
			t.quiet = t.quiet && !matches
			t.alerts = append(t.alerts, a)
		}
	}
	return tasks
}

func (d *delivery) task(c *amx.Command, id ledger.ID) *task {
	return &task{
		delivery: d, command: c, entry: id, gates: d.gatesOf(c), record: newRecord(ledger.EntryKey(c.Name, id)),
		inputs: map[string][]*ssm.SendCommandInput{}, states: map[string]*ssmexec.State{},
		starts: map[string]*start{}, cools: map[string]time.Time{},
	}
}

// actor returns this delivery as an actor, now.
func (t *task) actor() ledger.Actor {
	c := t.command
	signal := c.ResolvedSignal
	if signal == amx.SIGKILL {
		signal = ""
	}
	return ledger.Actor{
		Process: t.Process, Delivery: t.id, Now: t.now(), SentAt: t.sentAt(), Lease: t.lease, ClaimBy: t.claims,
		Until: t.sends.Add(c.DeliveryTimeout + c.Timeout), Window: t.Window, MaxEntry: t.MaxEntry, Queued: t.item != nil, Cooling: t.cools,
		Policy: ledger.Policy{
			Sends: c.Sends(), Retries: c.Retries, RetryDelay: c.RetryDelay, RepeatAfter: c.RepeatAfter, Cooldown: c.Cooldown,
			IgnoreResolved: c.IgnoreResolved, Unguarded: c.Document != "", Observe: c.Mode == amx.ModeObserve,
			Signal: signal, KillAfter: c.KillAfter, Skips: c.WhenLimited == amx.LimitedSkip,
			Rerun: c.OnStop == amx.StopRerun && t.Process != "",
		},
	}
}

// feed is the loop: events change the entry, and the entry is written. Then its actions
// are done, side by side. The result of each is the next event.
func (t *task) feed(ctx context.Context, events ...ledger.Event) {
	var actions []ledger.Action
	var notes sync.WaitGroup
	defer notes.Wait()
	err := t.change(ctx, t.record, func(value []byte) ([]byte, time.Time, error) {
		entry, err := ledger.Decode(value)
		if err != nil {
			return nil, time.Time{}, err
		}
		actions = t.besideTheWrite(ctx, &notes, entry.Step(t.actor(), events...))
		after, expires := entry.Encode()
		return after, expires, nil
	})
	if err != nil {
		for _, ev := range events {
			if w, ok := ev.(ledger.Awaited); ok {
				t.settled(ctx, w.Unrecorded()) // the run goes on and is recorded; only its outcome is not
				continue
			}
			t.deferred(ctx, ledger.Defer{Case: ev.About(), Err: err})
		}
		return
	}
	parallel(actions, func(a ledger.Action) {
		if ev := t.do(ctx, a); ev != nil {
			t.feed(ctx, ev)
		}
	})
}

// besideTheWrite begins to tell the history what needs no write before it, and
// answers the other actions.
func (t *task) besideTheWrite(ctx context.Context, notes *sync.WaitGroup, actions []ledger.Action) []ledger.Action {
	return slices.DeleteFunc(actions, func(a ledger.Action) bool {
		n, ok := a.(ledger.Note)
		if ok && n.Beside {
			notes.Go(func() { t.note(ctx, n.Run) })
		}
		return ok && n.Beside
	})
}

// do does one action and returns its result. nil: the entry needs no result.
func (t *task) do(ctx context.Context, action ledger.Action) ledger.Event {
	switch a := action.(type) {
	case ledger.Prepare:
		return t.prepare(ctx, a)
	case ledger.Take:
		return t.take(ctx, a)
	case ledger.Release:
		t.release(ctx, a)
	case ledger.Send:
		return t.send(ctx, a)
	case ledger.Look:
		return t.look(ctx, a)
	case ledger.Note:
		t.note(ctx, a.Run)
	case ledger.Finished:
		t.finished(ctx, a)
	case ledger.GiveUp:
		t.giveUp(ctx, a.Case)
	case ledger.Remind:
		if err := t.remind(ctx, a.Run, a.Alerts, a.At); err != nil {
			t.unsettled(t.command.Name, err)
		}
	case ledger.Ask:
		return t.ask(ctx, a)
	case ledger.Cancel:
		return t.cancel(ctx, a)
	case ledger.Signal:
		return t.signal(ctx, a)
	case ledger.Wait:
		return t.wait(ctx, a)
	case ledger.Await, ledger.Confirm:
		return t.outcome(ctx, a)
	case ledger.Defer:
		t.deferred(ctx, a)
	case ledger.Settle:
		t.settled(ctx, a)
	default:
		panic(fmt.Sprintf("runner: no way to do %T", a))
	}
	return nil
}

// pollLedger is the pause between two reads of an entry that another delivery
// is about to write.
const pollLedger = 100 * time.Millisecond

func (t *task) wait(ctx context.Context, a ledger.Wait) ledger.Event {
	err := sleep(ctx, pollLedger)
	if err == nil {
		err = t.reread(ctx, t.record)
	}
	if err != nil {
		t.deferred(ctx, ledger.Defer{Case: a.Case, Err: fmt.Errorf("run %s is being sent by another delivery: %w", a.Run, err)})
		return nil
	}
	return ledger.Waited{Wait: a}
}
