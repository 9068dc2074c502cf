package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
)

// ErrConflict is answered by [Store.Put] when the record was written by
// somebody else since it was read. The caller reads again and decides again;
// it must not act on what it had decided.
var ErrConflict = errors.New("ledger: written by another since it was read")

// ErrTooLarge is answered by [Store.Put] for a value that the store can never
// hold. Trying again does not help.
var ErrTooLarge = errors.New("ledger: entry too large for the store")

// A Record is what a [Store] keeps: bytes under a key and a version.
type Record struct {
	Key     string
	Version int64 // 0: not stored yet
	Value   []byte
	Expires time.Time // when the store may forget it; zero: never
}

// A Store keeps records.
type Store interface {
	// Get answers one record for each key, in the order of the keys, as they
	// are now (a consistent read), in one trip. A key that is not stored
	// answers a record of version 0.
	Get(ctx context.Context, keys ...string) ([]Record, error)

	// Put writes the record if the stored version is still r.Version, under
	// r.Version+1; else it answers [ErrConflict]. An error other than
	// ErrConflict and ErrTooLarge leaves open whether it was written.
	Put(ctx context.Context, r Record) error
}

// An ID names an entry: 16 hexadecimal digits, the head of a SHA-256 over the
// command's name and what the entry is about. It is part of the token by which
// a run's commands are found again, and never changes its form.
type ID string

// AlertID names the entry of one command and one alert.
func AlertID(command, fingerprint string) ID { return entryID(command, "alert", fingerprint) }

// GroupID names the entry of one command and one group of alerts. The receiver
// is no part of it, so that routes with `continue`, pairs of Alertmanagers and
// a webhook beside a topic meet in one entry.
func GroupID(command string, groupLabels map[string]string) ID {
	return entryID(command, "notification", groupLabels)
}

// DedupID names the entry of one command and one PagerDuty deduplication key.
func DedupID(command, dedupKey string) ID { return entryID(command, "dedup", dedupKey) }

// EntryOf names the entry of a command for an alert of a message: a deduplication
// key names it, or the alert with `scope: alert`, or its group. In a form that names
// no groups each alert is a group of its own.
func EntryOf(c *amx.Command, m *amx.Message, a *amx.Alert) ID {
	switch {
	case m.DedupKey != "":
		return DedupID(c.Name, m.DedupKey)
	case c.Scope == amx.ScopeAlert:
		return AlertID(c.Name, a.ID())
	case m.Ungrouped:
		return GroupID(c.Name, a.Labels)
	default:
		return GroupID(c.Name, m.GroupLabels)
	}
}

func entryID(command, kind string, about any) ID {
	// encoding/json sorts a map's keys, and quotes, so that no two subjects
	// have one text. Strings, and maps of strings, cannot fail.
	text, _ := json.Marshal([]any{command, kind, about})
	sum := sha256.Sum256(text)
	return ID(hex.EncodeToString(sum[:8]))
}

// ConfigKey is the store's key of the configuration in use, packed. The functions
// read their own; the one here is for people.
const ConfigKey = "config"

// EntryKey is the store's key of an entry. The command's name is only there for
// a person who looks into the table.
func EntryKey(command string, id ID) string { return "entry/" + command + "/" + string(id) }
