package cloudtest

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/amx-lambda/amx/internal/ledger"
)

// An Entry is a ledger's entry as the store keeps it, for tests to read and to
// spoil: the ledger itself shows none of its fields.
type Entry struct {
	Form     int              `json:"v"`
	Episodes []*Episode       `json:"episodes,omitempty"`
	Resolves []map[string]any `json:"resolves,omitempty"`
	Runs     []*Run           `json:"runs,omitempty"`
	text     []byte           // as the store has it
}

// An Episode is one of an [Entry].
type Episode struct {
	StartsAt    time.Time
	Run         string
	fingerprint string
	text        []byte // as the store has it
}

// A Run is one of an [Entry].
type Run struct {
	ID, Prev, Holder string
	Claimed, Lease   time.Time
	InDoubt          bool
	Commands         []string
	Refused          bool // SSM will not have a part of it
	Failed           *bool
	text             []byte // as the store has it
}

// Fingerprint is the alert of the episode.
func (p *Episode) Fingerprint() string { return p.fingerprint }

// UnmarshalJSON reads an episode, and keeps what it does not know.
func (p *Episode) UnmarshalJSON(b []byte) error {
	var known struct {
		Fingerprint string    `json:"fp"`
		Start       time.Time `json:"start"`
		Run         string    `json:"run"`
	}
	if err := json.Unmarshal(b, &known); err != nil {
		return err
	}
	*p = Episode{known.Start, known.Run, known.Fingerprint, bytes.Clone(b)}
	return nil
}

// MarshalJSON writes it as it was.
func (p *Episode) MarshalJSON() ([]byte, error) { return p.text, nil }

// UnmarshalJSON reads a run, and keeps what it does not know.
func (r *Run) UnmarshalJSON(b []byte) error {
	var known struct {
		ID, Prev, Holder string
		Claimed, Lease   time.Time
		Doubt            bool
		Parts            []struct {
			State    string
			Without  []string
			Commands []struct{ ID string }
		}
		Outcome *struct{ Failed bool }
	}
	if err := json.Unmarshal(b, &known); err != nil {
		return err
	}
	*r = Run{ID: known.ID, Prev: known.Prev, Holder: known.Holder, Claimed: known.Claimed, Lease: known.Lease, InDoubt: known.Doubt, text: bytes.Clone(b)}
	for _, p := range known.Parts {
		r.Refused = r.Refused || p.State == "refused" && len(p.Without) == 0
		for _, c := range p.Commands {
			r.Commands = append(r.Commands, c.ID)
		}
	}
	if known.Outcome != nil {
		r.Failed = &known.Outcome.Failed
	}
	return nil
}

// MarshalJSON writes it as it was, but for InDoubt.
func (r *Run) MarshalJSON() ([]byte, error) {
	all := map[string]json.RawMessage{}
	if err := json.Unmarshal(r.text, &all); err != nil {
		return nil, err
	}
	if !r.InDoubt {
		delete(all, "doubt")
	}
	return json.Marshal(all)
}

// ReadEntry reads the value of a record whose key begins with entry/.
func ReadEntry(r ledger.Record) (*Entry, error) {
	e := &Entry{text: r.Value}
	if len(r.Value) == 0 {
		return e, nil
	}
	return e, json.Unmarshal(r.Value, e)
}

// Value is the entry as the store keeps it.
func (e *Entry) Value() ([]byte, error) {
	all := map[string]any{}
	if len(e.text) > 0 {
		if err := json.Unmarshal(e.text, &all); err != nil {
			return nil, err
		}
	}
	all["episodes"], all["resolves"], all["runs"] = e.Episodes, e.Resolves, e.Runs
	return json.Marshal(all)
}
