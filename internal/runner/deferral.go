package runner

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/queue"
)

// A deferral is a case that one entry puts off. All deferrals of a delivery go on the
// queue together: one item takes all alerts of a command that are put off for the same
// reason. So a thousand alerts cost one call, and not all of the time that is left.
type deferral struct {
	task *task
	ledger.Defer
	item   queue.Item
	alerts amx.Alerts // its alerts that go into the item
}

// putOff puts the deferrals so far on the queue. An alert goes into one item of its
// entry, even if it is put off for several runs. With one item for each run, each
// delivery would double the items.
func (d *delivery) putOff(ctx context.Context) {
	d.mu.Lock()
	left := d.deferrals
	d.deferrals = nil
	var together [][]deferral
	slices.SortStableFunc(left, func(a, b deferral) int { return order(a.Held) - order(b.Held) })
	for _, x := range left {
		if x.alerts = d.notYet(x); len(x.alerts) == 0 {
			x.item.Kind = "" // an item of this delivery has its alerts
		}
		i := slices.IndexFunc(together, func(g []deferral) bool { return g[0].joins(x) })
		if i < 0 {
			together = append(together, []deferral{x})
			continue
		}
		together[i] = append(together[i], x)
	}
	d.mu.Unlock()
	parallel(together, func(all []deferral) {
		it := all[0].item
		if it.Kind == "" {
			d.settleLater(ctx, all...)
			return
		}
		var alerts amx.Alerts
		for _, x := range all {
			alerts = append(alerts, x.alerts...)
		}
		slices.SortStableFunc(alerts, func(a, b amx.Alert) int { return a.StartsAt.Compare(b.StartsAt) })
		it.Message = d.narrowed(alerts)
		d.settleBy(ctx, it, all...)
	})
}

// order puts deferrals that a limit holds back last: the other item comes sooner.
func order(held bool) int {
	if held {
		return 1
	}
	return 0
}

// notYet returns the alerts of the deferral that no item of this delivery has yet, for
// their entry, and notes that one has them now. The caller holds the lock.
func (d *delivery) notYet(x deferral) (alerts amx.Alerts) {
	for _, a := range x.Alerts {
		key := string(x.task.entry) + " " + x.item.Command + " " + a.Status + " " + a.ID()
		if !d.away[key] {
			d.away[key] = true
			alerts = append(alerts, a)
		}
	}
	return alerts
}

// putOffEarly puts off the alerts for which there was no time for a claim, as soon as
// the time for claims is over. Sends that are under way may take all of the time after
// that. stop waits for putOffEarly.
func (d *delivery) putOffEarly(ctx context.Context) (stop func()) {
	acted, done := make(chan struct{}), make(chan struct{})
	over := time.NewTimer(d.claims.Sub(d.now()) + claimTime/4)
	go func() {
		defer close(done)
		defer over.Stop()
		select {
		case <-over.C:
			d.putOff(ctx)
		case <-acted:
		}
	}()
	return func() {
		close(acted)
		<-done
	}
}

func (x deferral) joins(o deferral) bool {
	return x.item.Kind == o.item.Kind && x.item.Command == o.item.Command && x.item.Reason == o.item.Reason && x.item.Held == o.item.Held
}

// settleBy puts an item on the queue, and settles its deferrals.
func (d *delivery) settleBy(ctx context.Context, it queue.Item, of ...deferral) {
	err := d.enqueue(ctx, it)
	large := new(queue.TooLargeError)
	if errors.As(err, &large) && len(large.Alerts) > 0 { // the others are on the queue
		d.settle(Result{Command: it.Command, Action: ActionRefuse, Reason: err.Error(), Alerts: fingerprints(large.Alerts)})
		err = nil
	}
	parallel(of, func(x deferral) {
		switch {
		case err != nil && !errors.Is(err, errNoQueue):
			x.task.unsettled(it.Command, errors.Join(x.Err, err))
		case err != nil:
			x.task.unsettled(it.Command, x.Err)
		case len(large.Alerts) == 0 || !allIn(x.Alerts, large.Alerts):
			d.settleLater(ctx, x)
		}
	})
}

func (d *delivery) settleLater(ctx context.Context, all ...deferral) {
	for _, x := range all {
		d.settle(Result{Command: x.item.Command, Action: ActionLater, Reason: x.item.Reason, RunID: x.Run, Alerts: x.Shown()})
		x.task.enterWaiting(ctx, x.Defer)
	}
}

func allIn(some, all amx.Alerts) bool {
	return !slices.ContainsFunc(some, func(a amx.Alert) bool {
		return !slices.ContainsFunc(all, func(o amx.Alert) bool { return o.ID() == a.ID() })
	})
}
