package amx

import (
	"encoding/json"
	"time"
)

// keptAlert is an Alert with all that a message on the queue keeps of it. As
// templates write an alert, with toJson, it has Alertmanager's fields only.
type keptAlert struct {
	Alert
	Identity   string    `json:"identity,omitempty"`
	StartsSent time.Time `json:"startsSent,omitzero"`
	EndsSent   time.Time `json:"endsSent,omitzero"`
}

// keptMessage is the same of a Message.
type keptMessage struct {
	plainMessage
	Alerts    []keptAlert `json:"alerts"`
	SentAt    time.Time   `json:"sentAt,omitzero"`
	DedupKey  string      `json:"dedupKey,omitempty"`
	Ungrouped bool        `json:"ungrouped,omitempty"`
}

// plainMessage has no methods, and so none that calls itself.
type plainMessage Message

// MarshalJSON writes the message with what no sender of one writes: SentAt,
// DedupKey, Ungrouped, and of each alert its identity and its times as sent.
func (m Message) MarshalJSON() ([]byte, error) {
	kept := keptMessage{plainMessage: plainMessage(m), SentAt: m.SentAt, DedupKey: m.DedupKey, Ungrouped: m.Ungrouped}
	if m.Alerts != nil {
		kept.Alerts = make([]keptAlert, len(m.Alerts))
	}
	for i, a := range m.Alerts {
		kept.Alerts[i] = keptAlert{a, a.Identity, a.StartsSent, a.EndsSent}
	}
	return json.Marshal(kept)
}

// UnmarshalJSON reads what MarshalJSON wrote, and nothing else: what a sender
// writes is for Decode and DecodeSNS, which check it.
func (m *Message) UnmarshalJSON(text []byte) error {
	var kept keptMessage
	if err := json.Unmarshal(text, &kept); err != nil {
		return err
	}
	*m = Message(kept.plainMessage)
	m.SentAt, m.DedupKey, m.Ungrouped = kept.SentAt, kept.DedupKey, kept.Ungrouped
	if kept.Alerts != nil {
		m.Alerts = make(Alerts, len(kept.Alerts))
	}
	for i, k := range kept.Alerts {
		a := k.Alert
		a.Identity, a.StartsSent, a.EndsSent = k.Identity, k.StartsSent, k.EndsSent
		m.Alerts[i] = a
	}
	return nil
}
