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

// [Store.Put] returns ErrConflict if somebody else has written the record since it was
// read. The caller has to read and decide again; it must not act on its decision.
var ErrConflict = errors.New("ledger: written by another since it was read")

// [Store.Put] returns ErrTooLarge for a value that the store can never hold. Trying
// again does not help.
var ErrTooLarge = errors.New("ledger: entry too large for the store")

// A Record of a [Store] has bytes under a key, with a version.
type Record struct {
	Key     string
	Version int64 // 0: not stored yet
	Value   []byte
	Expires time.Time // when the store may forget it; zero: never
}

// A Store keeps records.
type Store interface {
	// Get returns one record for each key, in the order of the keys, in one trip
	// and with a consistent read. For a key that is not stored the record has
	// version 0.
	Get(ctx context.Context, keys ...string) ([]Record, error)

	// Put writes the record as version r.Version+1, if the stored version is still
	// r.Version. Otherwise it returns [ErrConflict]. After an error other than
	// ErrConflict and ErrTooLarge the record may have been written.
	Put(ctx context.Context, r Record) error
}

// An ID names an entry: 16 hexadecimal digits, the head of a SHA-256 over the
// command's name and what the entry is about. The token that
// finds a run's commands in SSM's list contains it, so its form never changes.
type ID string

// AlertID names the entry of one command and one alert.
func AlertID(command, fingerprint string) ID { return entryID(command, "alert", fingerprint) }

// GroupID names the entry of one command and one group of alerts. It does not contain
// the receiver, so routes with `continue`, pairs of Alertmanagers and a webhook beside
// a topic share one entry.
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
	// encoding/json sorts the keys of a map and quotes strings, so two subjects never
	// have the same text. It cannot fail for strings and maps of strings.
	text, _ := json.Marshal([]any{command, kind, about})
	sum := sha256.Sum256(text)
	return ID(hex.EncodeToString(sum[:8]))
}

// ConfigKey is the store's key of the current configuration, packed. It is there for
// people: the functions have their own copy.
const ConfigKey = "config"

// EntryKey is the store's key of an entry. The command's name is in it for
// people who look into the table.
func EntryKey(command string, id ID) string { return "entry/" + command + "/" + string(id) }
