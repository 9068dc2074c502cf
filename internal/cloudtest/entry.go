package cloudtest

import (
	"encoding/json"
	"maps"
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
	Rest     map[string]any   `json:"-"`
}

// An Episode is one of an [Entry].
type Episode struct {
	StartsAt time.Time
	Run      string
	all      map[string]any
}

// A Run is one of an [Entry].
type Run struct {
	ID, Prev, Holder string
	Claimed, Lease   time.Time
	InDoubt          bool
	Commands         []string
	Refused          bool // SSM will not have a part of it
	Failed           *bool
	all              map[string]any
}

// Fingerprint is the alert of the episode.
func (p *Episode) Fingerprint() string { s, _ := p.all["fp"].(string); return s }

// UnmarshalJSON reads an episode, and keeps what it does not know.
func (p *Episode) UnmarshalJSON(b []byte) error {
	var known struct {
		Start time.Time `json:"start"`
		Run   string    `json:"run"`
	}
	if err := json.Unmarshal(b, &known); err != nil {
		return err
	}
	p.StartsAt, p.Run = known.Start, known.Run
	return json.Unmarshal(b, &p.all)
}

// MarshalJSON writes it as it was.
func (p *Episode) MarshalJSON() ([]byte, error) { return json.Marshal(p.all) }

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
	*r = Run{ID: known.ID, Prev: known.Prev, Holder: known.Holder, Claimed: known.Claimed, Lease: known.Lease, InDoubt: known.Doubt}
	for _, p := range known.Parts {
		r.Refused = r.Refused || p.State == "refused" && len(p.Without) == 0
		for _, c := range p.Commands {
			r.Commands = append(r.Commands, c.ID)
		}
	}
	if known.Outcome != nil {
		r.Failed = &known.Outcome.Failed
	}
	return json.Unmarshal(b, &r.all)
}

// MarshalJSON writes it as it was, but for InDoubt.
func (r *Run) MarshalJSON() ([]byte, error) {
	if !r.InDoubt {
		delete(r.all, "doubt")
	}
	return json.Marshal(r.all)
}

// ReadEntry reads the value of a record whose key begins with entry/.
func ReadEntry(r ledger.Record) (*Entry, error) {
	e := &Entry{}
	if len(r.Value) == 0 {
		return e, nil
	}
	if err := json.Unmarshal(r.Value, &e.Rest); err != nil {
		return nil, err
	}
	return e, json.Unmarshal(r.Value, e)
}

// Value is the entry as the store keeps it.
func (e *Entry) Value() ([]byte, error) {
	all := map[string]any{}
	maps.Copy(all, e.Rest)
	all["episodes"], all["resolves"], all["runs"] = e.Episodes, e.Resolves, e.Runs
	return json.Marshal(all)
}
