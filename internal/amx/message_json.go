package amx

import (
	"encoding/json"
	"time"
)

// wireMessage is a Message in JSON: the webhook's keys, and what a body does
// not tell. It is the form in which a message waits on the queue.
type wireMessage struct {
	*plainMessage
	SentAt    time.Time `json:"sentAt,omitzero"`
	DedupKey  string    `json:"dedupKey,omitempty"`
	Ungrouped bool      `json:"ungrouped,omitempty"`
}

// plainMessage has the fields of a Message and not its methods.
type plainMessage Message

// MarshalJSON writes the whole message, so that UnmarshalJSON makes the same
// one. A webhook's body is read by [Decode], which checks it.
func (m *Message) MarshalJSON() ([]byte, error) {
	return json.Marshal(wireMessage{(*plainMessage)(m), m.SentAt, m.DedupKey, m.Ungrouped})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (m *Message) UnmarshalJSON(text []byte) error {
	w := wireMessage{plainMessage: (*plainMessage)(m)}
	if err := json.Unmarshal(text, &w); err != nil {
		return err
	}
	m.SentAt, m.DedupKey, m.Ungrouped = w.SentAt, w.DedupKey, w.Ungrouped
	return nil
}
