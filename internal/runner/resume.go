package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/ssmexec"
)

// adopt takes over a run whose sender is gone. It answers the alerts that are to
// be decided again.
func (t *task) adopt(ctx context.Context, entry *ledger.Entry, step ledger.Step) amx.Alerts {
	s := &sending{task: t, run: step.Run, reason: step.Reason, alerts: t.carried(entry, step.Run)}
	if t.resume(ctx, s) {
		return step.Alerts
	}
	return nil
}

// carried is the alerts of a run that this message has, firing: a run that is
// sent again is rendered from them.
func (t *task) carried(entry *ledger.Entry, run string) amx.Alerts {
	covers := entry.Covers(run)
	var alerts amx.Alerts
	for _, a := range t.alerts.Firing() {
		if slices.Contains(covers, a.Fingerprint) {
			alerts = append(alerts, a)
		}
	}
	return alerts
}

// resume is for a run of which a chunk may or may not have been sent: it looks,
// merges what it finds, and sends what is missing under the same run ID, to the
// recorded targets. The guard on the node makes one effect of both, if the
// first arrived after all; the run is unsure until a look is proof. again says
// that the entry is to be decided on anew.
func (t *task) resume(ctx context.Context, s *sending) (again bool) {
	unknown := errors.Join(s.errs...)
	for conflicts := 1; ; conflicts++ {
		again, err := t.tryResume(ctx, s)
		if err == nil {
			return again
		}
		if errors.Is(err, ledger.ErrConflict) && conflicts <= tries {
			t.updates.Lock()
			err = t.reread(ctx, conflicts)
			t.updates.Unlock()
			if err == nil {
				continue
			}
		}
		t.unsettled(t.command.Name, fmt.Errorf("run %s may not have been sent: %w", s.run, errors.Join(unknown, err)))
		return false
	}
}

func (t *task) tryResume(ctx context.Context, s *sending) (again bool, err error) {
	// Another run of this task may write meanwhile; what is decided here is
	// written over what was read here, and over nothing else.
	t.updates.Lock()
	read := t.record
	t.updates.Unlock()
	entry, err := ledger.Decode(read.Value)
	if err != nil {
		return false, err
	}
	run := entry.Run(s.run)
	if run == nil {
		return true, nil
	}
	if run.CancelAsked {
		t.cancel(ctx, ledger.Step{Run: s.run, Reason: ledger.CancelEnded}, entry.Covers(s.run))
		return false, nil
	}
	begun := t.now()
	found, err := t.Exec.Look(ctx, t.entry, run)
	if err != nil {
		return false, err
	}
	// All that follows goes into one write, on the version read before the
	// look: a cancel asked meanwhile makes it fail.
	if run = entry.Looked(s.run, found, begun, t.Window, t.Process); run == nil {
		return true, t.putOver(ctx, read, entry)
	}
	missing := missing(run)
	if t.command.Document != "" && run.NeedsLook() {
		// Nothing on the node would make one effect of two.
		return false, errors.Join(errMaybeSent, t.putOver(ctx, read, entry))
	}
	if len(missing) > 0 {
		if s.inputs == nil {
			if s.inputs, err = t.inputs(s.run, t.message.Narrow(s.alerts).At(t.arrived), run.Targets); err != nil {
				return false, err
			}
		}
		switch taken, err := t.take(ctx, s.run); {
		case err != nil:
			return false, err
		case !taken:
			t.skip(ledger.SkipMax, s.run, fingerprints(s.alerts))
			return false, nil
		case t.now().After(t.claims):
			return false, errNoTime
		case !entry.Renew(s.run, t.holder, t.lease, t.until(), t.now(), t.Process):
			return true, nil
		}
	}
	if err := t.putOver(ctx, read, entry); err != nil {
		return false, err
	}
	if len(missing) == 0 {
		s.next()
		t.recorded(ctx, s, entry, run, nil)
		return false, nil
	}
	if run = t.sendParts(ctx, s, missing); run != nil && run.NeedsLook() {
		return false, errors.Join(s.errs...)
	}
	return false, nil
}

func (t *task) putOver(ctx context.Context, read ledger.Record, e *ledger.Entry) error {
	t.updates.Lock()
	defer t.updates.Unlock()
	r, err := t.write(ctx, read, e)
	if err == nil && r.Version > t.record.Version {
		t.record = r
	}
	return err
}

// waitFor waits for the record of runs that other deliveries are sending, until
// patience is at its end. It answers the alerts to decide on again.
func (t *task) waitFor(ctx context.Context, steps []ledger.Step, patience time.Time) amx.Alerts {
	if len(steps) == 0 {
		return nil
	}
	if t.now().After(patience) || sleep(ctx, pollLedger, nil) != nil {
		t.unsettled(t.command.Name, fmt.Errorf("run %s is being sent by another delivery", steps[0].Run))
		return nil
	}
	var alerts amx.Alerts
	for _, s := range steps {
		alerts = append(alerts, s.Alerts...)
	}
	return alerts
}

// ask asks SSM whether a run is over, and enters what it says.
func (t *task) ask(ctx context.Context, run string) bool {
	r, err := t.run(run)
	if err == nil && r != nil {
		err = t.refresh(ctx, r)
	}
	if err != nil {
		t.unsettled(t.command.Name, fmt.Errorf("asking for run %s: %w", run, err))
	}
	return err == nil
}

// refresh enters what SSM says of a run that nobody is sending: its commands,
// where some may be unknown, and its outcome, if it is over.
func (t *task) refresh(ctx context.Context, r *ledger.Run) (err error) {
	if r.Unsure || r.NeedsLook() {
		if r, err = t.look(ctx, r); err != nil || r == nil {
			return err
		}
		if len(r.Commands()) == 0 {
			return errMaybeSent
		}
	}
	state, err := t.state(ctx, r, ask(r))
	if err != nil || !state.Over {
		return err
	}
	if len(r.Missing()) > 0 && len(unknownOwners(r, state)) == 0 {
		// What was sent is over; the rest is still to be sent.
		_, err = t.update(ctx, func(e *ledger.Entry) { e.Done(r.ID, r.Commands()) })
		return err
	}
	_, err = t.finish(ctx, r, state, true)
	return err
}

// state asks SSM where these commands of a run stand. Of commands whose time is up
// and that SSM does not know any more nothing can be going on.
func (t *task) state(ctx context.Context, r *ledger.Run, commands []ssmexec.Asked) (*ssmexec.State, error) {
	state, err := t.Exec.State(ctx, commands)
	if err != nil || state.Over || len(state.Invocations) > 0 || !t.now().After(r.Until.Add(t.Window)) {
		return state, err
	}
	ids := make([]string, len(commands))
	for i, c := range commands {
		ids[i] = c.CommandID
	}
	forgotten, err := t.Exec.Forgotten(ctx, ids...)
	if forgotten {
		state.Over, state.Status = true, ""
	}
	return state, err
}

// look reads SSM's list for the run and enters what it shows, on the entry as it
// is after the look. The answer is nil where the run was never sent.
func (t *task) look(ctx context.Context, r *ledger.Run) (*ledger.Run, error) {
	begun := t.now()
	found, err := t.Exec.Look(ctx, t.entry, r)
	if err != nil {
		return nil, err
	}
	t.updates.Lock()
	err = t.reread(ctx, 0)
	t.updates.Unlock()
	if err != nil {
		return nil, err
	}
	run, listed := r.ID, r.Lease
	_, err = t.update(ctx, func(e *ledger.Entry) {
		if now := e.Run(run); now != nil && now.Lease.After(listed) {
			begun = time.Time{} // it was renewed meanwhile: the list may end before its sends, and proves nothing
		}
		r = e.Looked(run, found, begun, t.Window, t.Process)
	})
	return r, err
}
