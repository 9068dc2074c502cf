package runner

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/ledger"
)

// A start is the record of the last start for one alert, and what it said when the
// delivery began.
type start struct {
	*record
	known ledger.LastStart
}

// startsOf is the records of the last starts for the alerts that a run may be begun
// for, where the command has a cooldown.
func (t *task) startsOf() (records []*record) {
	if !ledger.HasStarts(t.command, t.message) {
		return nil
	}
	alerts := t.alerts
	if len(alerts) == 0 {
		alerts = t.message.Alerts // those of a reminder
	}
	for _, a := range alerts.Firing() {
		if id := a.ID(); t.starts[id] == nil {
			t.starts[id] = &start{record: newRecord(ledger.StartKey(t.command.Name, id))}
			records = append(records, t.starts[id].record)
		}
	}
	return records
}

// cooling finds out which alerts the cooldown holds back because of a run in another
// entry. Such an entry is read only where a start is not older than the cooldown.
func (d *delivery) cooling(ctx context.Context, tasks []*task) error {
	type elsewhere struct {
		task   *task
		alert  string
		start  *start
		record *record
	}
	var asked []elsewhere
	var records []*record
	for _, t := range tasks {
		for _, alert := range slices.Sorted(maps.Keys(t.starts)) {
			var err error
			s := t.starts[alert]
			if s.known, err = ledger.DecodeStart(s.value); err != nil {
				return err
			}
			if entry := s.known.Elsewhere(t.entry, t.actor()); entry != "" {
				r := newRecord(ledger.EntryKey(t.command.Name, entry))
				asked, records = append(asked, elsewhere{t, alert, s, r}), append(records, r)
			}
		}
	}
	if len(asked) == 0 {
		return nil
	}
	if err := d.get(ctx, records...); err != nil {
		return err
	}
	for _, x := range asked {
		entry, err := ledger.Decode(x.record.value)
		if err != nil {
			return err
		}
		if until := x.start.known.Until(entry, x.alert, x.task.actor()); !until.IsZero() {
			x.task.cools[x.alert] = until
		}
	}
	return nil
}

// begins enters the start of a run for its alerts, so that other groups know of it.
func (t *task) begins(ctx context.Context, run string, alerts amx.Alerts) error {
	errs := make([]error, len(alerts))
	at := make([]int, len(alerts))
	for i := range at {
		at[i] = i
	}
	parallel(at, func(i int) {
		s := t.starts[alerts[i].ID()]
		if s == nil {
			return
		}
		errs[i] = t.change(ctx, s.record, func(value []byte) ([]byte, time.Time, error) {
			last, err := ledger.DecodeStart(value)
			if err == nil {
				last, err = last.Begins(s.known, t.entry, run, t.actor())
			}
			if err != nil {
				return nil, time.Time{}, err
			}
			after, expires := last.Encode(t.actor())
			return after, expires, nil
		})
	})
	return errors.Join(errs...)
}
