package send

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/report"
)

const (
	// kept is how long a record is kept after its last change: the queue keeps an item
	// for 14 days.
	kept = 15 * 24 * time.Hour
	// claimFor is how long a delivery may take for one destination. It is longer than
	// perDestination, so that no two deliveries send at a time.
	claimFor = perDestination + 15*time.Second
	maxTold  = 20
)

// state is the record of what a destination got about one subject.
type state struct {
	Version int       `json:"v"`
	Claim   time.Time `json:"claim,omitzero"`   // until then another delivery sends
	Told    []string  `json:"told,omitempty"`   // keys of events, the latest last
	Order   int64     `json:"order,omitempty"`  // of the latest event; an earlier one changes nothing
	Alerts  string    `json:"alerts,omitempty"` // digest of the alerts and their statuses in the last message
	Status  string    `json:"status,omitempty"` // of the alerts in the last message

	Slack *message `json:"slack,omitempty"`

	// These are for the incident of a failed run.
	Open    bool                 `json:"open,omitempty"`
	Waiting map[string]time.Time `json:"waiting,omitempty"` // :: fingerprint of an alert that has not resolved → since when it fires
	Ended   map[string]time.Time `json:"ended,omitempty"`   // :: fingerprint → when its latest resolve was sent
}

// message is a message in Slack.
type message struct {
	Channel string `json:"channel"` // its ID
	TS      string `json:"ts"`      // with the channel, the message's identity
	File    string `json:"file,omitempty"`
	AltText string `json:"alt_text,omitempty"`
	Shown   bool   `json:"shown,omitempty"`  // the file is in the message
	Drawn   bool   `json:"drawn,omitempty"`  // a graph was tried
	Thread  bool   `json:"thread,omitempty"` // the outputs are below it
}

const stateVersion = 1

// subject is a record, open for one delivery.
type subject struct {
	s   *Sender
	key string
	state
	version  int64
	incident bool
}

// soonAgain is when a report is tried again whose subject another delivery sends. That
// one is mostly done within a second or two.
const soonAgain = 5 * time.Second

func (s *Sender) key(d *amx.Report, about string) string { return "report/" + d.Name + "/" + about }

// claim reads the destination's record of the subject about, and claims it for this
// delivery. It returns nil if the event changes nothing. If another delivery has claimed
// the record, it returns a temporary error.
func (o *outgoing) claim(ctx context.Context, about string) (*subject, error) {
	t := &subject{s: o.s, key: o.s.key(o.d, about), incident: strings.HasPrefix(about, incidentPrefix)}
	if err := t.read(ctx); err != nil {
		return nil, err
	}
	if t.has(o.e) {
		return nil, nil
	}
	now := o.s.Now()
	if left := t.Claim.Sub(now); left > 0 {
		return nil, &temporary{after: min(left, soonAgain), err: errors.New("another delivery is sending it")}
	}
	t.Claim = now.Add(claimFor)
	if err := t.put(ctx); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *subject) read(ctx context.Context) error {
	records, err := t.s.Store.Get(ctx, t.key)
	if err != nil {
		return &temporary{err: fmt.Errorf("reading the record %q: %w", t.key, err)}
	}
	t.version = records[0].Version
	if t.version == 0 {
		return nil
	}
	if err := json.Unmarshal(records[0].Value, &t.state); err != nil {
		return fmt.Errorf("decoding the record %q: %w", t.key, err)
	}
	if t.Version > stateVersion {
		return &temporary{err: fmt.Errorf("record %q of version %d, this release reads %d: %w", t.key, t.Version, stateVersion, report.ErrNewer)}
	}
	return nil
}

func (t *subject) put(ctx context.Context) error {
	t.Version = stateVersion
	value, err := json.Marshal(t.state)
	if err != nil {
		return fmt.Errorf("encoding the record %q: %w", t.key, err)
	}
	err = t.s.Store.Put(ctx, ledger.Record{Key: t.key, Version: t.version, Value: value, Expires: t.s.Now().Add(kept)})
	switch {
	case errors.Is(err, ledger.ErrConflict):
		return &temporary{err: errors.New("another delivery is sending it")}
	case err != nil:
		return &temporary{err: fmt.Errorf("writing the record %q: %w", t.key, err)}
	}
	t.version++
	return nil
}

// has reports whether the destination got the event, or a later one.
func (t *subject) has(e *report.Event) bool {
	if slices.Contains(t.Told, e.Key()) {
		return true
	}
	if t.incident {
		return false // an incident has rules of its own for old events
	}
	return order(e) < t.Order || e.Message != nil && t.Alerts == alertsDigest(e.Message)
}

// settle ends a delivery: it enters what was done and gives up the claim. sent is
// the outcome of sending, which settle returns. A report that can never be sent
// counts as sent, so that no other delivery tries it.
func (t *subject) settle(ctx context.Context, e *report.Event, sent error) error {
	_, again := errors.AsType[*temporary](sent)
	if !again {
		t.Told = append(t.Told, e.Key())
		t.Told = t.Told[max(0, len(t.Told)-maxTold):]
		t.Order = max(t.Order, order(e))
		if e.Message != nil {
			t.Alerts, t.Status = alertsDigest(e.Message), e.Message.Status
		}
	}
	t.Claim = time.Time{}
	// The context of the sending may be over, but the outcome has to be entered.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := t.put(ctx); err != nil {
		t.s.Log.WarnContext(ctx, "entering a report", "report", e.Key(), "error", err.Error())
		if sent == nil {
			// It was sent, but not entered. The next delivery sends it again, and the
			// services take it for the same.
			return err
		}
	}
	return sent
}

// order sorts the events of one subject. A run's start comes before its end, even if the
// clocks of the processes differ.
func order(e *report.Event) int64 {
	const endOf = 1 << 50 // beyond any time in milliseconds
	at := e.At.UnixMilli()
	if e.Kind != amx.OnStarted && e.Message == nil {
		at += endOf
	}
	return at
}

func alertsDigest(m *amx.Message) string {
	parts := make([]string, len(m.Alerts))
	for i, a := range m.Alerts {
		parts[i] = a.Fingerprint + " " + a.Status
	}
	slices.Sort(parts)
	return digest(fmt.Sprint(parts))
}
