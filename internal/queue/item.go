// Package queue is what amx puts off: work that a delivery accepted and could
// not settle at once, and work that is due later. An [Item] waits in a store
// (queue/sqs, queue/bolt) until it is due and is delivered at least once, in
// any order. Whoever handles it either settles it or puts a new item.
package queue

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
)

// Version is the version of the form in which this program writes items.
const Version = 1

// ErrNewer is the error of [Decode] for an item that a newer release of amx has
// written. It stays in the queue for that release.
var ErrNewer = errors.New("written by a newer release of amx")

// ErrTooLarge is the error for an item that no store can take, and that cannot
// be split any further. Trying again does not help.
var ErrTooLarge = errors.New("too large for the queue")

// ErrGivenUp is what a handler's error wraps when it gives an item up. The item
// is done with: it goes to the dead letters and is not delivered again.
var ErrGivenUp = errors.New("given up")

// Kind says what an item asks for.
type Kind string

// The kinds of items.
const (
	Notification Kind = "notification" // a command's part of a notification that was put off
	Reminder     Kind = "reminder"     // a run that may have to be retried
	Stop         Kind = "stop"         // a run that is to be cancelled if it is not over (kill_after)
	Check        Kind = "check"        // a run of which SSM has said that a command ended
	Report       Kind = "report"       // a report to people
	Record       Kind = "record"       // a record that the history did not take
)

// An Item is one thing that waits. Which fields are set depends on its kind.
type Item struct {
	Version int    `json:"v"` // set by Encode
	Kind    Kind   `json:"kind"`
	Command string `json:"command,omitempty"` // the configured command's name

	// Message is the notification, narrowed to the alerts that are left.
	Message *amx.Message `json:"message,omitempty"`
	SentAt  time.Time    `json:"sent"`    // when the message was sent: SNS's timestamp, else its arrival
	Arrived time.Time    `json:"arrived"` // of its first delivery

	Reason string    `json:"reason,omitempty"` // why it was put off last
	Held   bool      `json:"held,omitempty"`   // by a limit or a pause
	Tries  int       `json:"tries,omitempty"`  // how often it was put off
	Due    time.Time `json:"due,omitzero"`     // not before; zero: at once

	Entry string `json:"entry,omitempty"` // reminder, stop: the ID of the ledger's entry
	Run   string `json:"run,omitempty"`   // reminder, stop, record: the run's ID

	Report json.RawMessage `json:"report,omitempty"` // report: internal/report's own form
	Key    string          `json:"key,omitempty"`    // report: what is sent once under it

	Record json.RawMessage `json:"record,omitempty"` // record: internal/history's own form

	Source Source `json:"source,omitzero"`
}

// A Source says where a notification came from.
type Source struct {
	Receiver    string `json:"receiver,omitempty"`     // Alertmanager's receiver
	Topic       string `json:"topic,omitempty"`        // the SNS topic's ARN
	Token       string `json:"token,omitempty"`        // the name of the token that let it in
	ExternalURL string `json:"external_url,omitempty"` // Alertmanager's own URL
}

// Wait is how long the item has to wait from now on; 0 if it is due.
func (it *Item) Wait(now time.Time) time.Duration { return max(0, it.Due.Sub(now)) }

// Subject names the item in logs and errors.
func (it *Item) Subject() string {
	subject := fmt.Sprintf("%s of command %q", it.Kind, it.Command)
	switch {
	case it.Run != "":
		return subject + fmt.Sprintf(", run %q", it.Run)
	case it.Kind == Report:
		return fmt.Sprintf("%s %q", it.Kind, it.Key)
	case it.Message != nil && len(it.Message.Alerts) == 1:
		return subject + fmt.Sprintf(", alert %q", it.Message.Alerts[0].Fingerprint)
	case it.Message != nil:
		return subject + fmt.Sprintf(", %d alerts", len(it.Message.Alerts))
	}
	return subject
}
