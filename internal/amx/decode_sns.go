package amx

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// SNS is a message of a topic, as Lambda and HTTP subscriptions receive it.
type SNS struct {
	Subject    string // empty: it has none
	Body       string
	SentAt     time.Time         // SNS's timestamp
	Attributes map[string]string // the message attributes' values
}

// DecodeSNS reads an SNS message in any form that is accepted of an
// Alertmanager, which lets its users choose the text:
//
//   - [Data] as JSON or as YAML, as [Decode] takes it. Unlike a webhook's body it
//     often has no version, times as Go prints them, or none.
//   - the block in the shape of PagerDuty's events ([Message].DedupKey is set)
//   - Alertmanager's own default text ([Message].Ungrouped is set)
//
// A form without times leaves them zero. Times are bounded by SentAt: see [Alert].
// A message that its sender has cut or replaced is [ErrTruncated] or
// [ErrReplaced]. An error quotes no more of the body than a name, a status or a
// time: a text of another form may carry a secret, such as PagerDuty's
// routing_key.
func DecodeSNS(s SNS) (*Message, error) {
	if err := s.spoilt(); err != nil {
		return nil, err
	}
	m, err := s.decode()
	if err != nil {
		if replaced := s.replacedWithoutSayingSo(err); replaced != nil {
			return nil, replaced
		}
		return nil, fmt.Errorf("decoding SNS message: %w", err)
	}
	m.SentAt = s.SentAt
	return m, nil
}

// errNoForm is for a text that Alertmanager's user wrote in a form of his own.
var errNoForm = errors.New(`of no accepted form: want Alertmanager's Data as YAML or JSON, with a list "alerts"`)

// decode tells the forms apart. The default text goes before YAML, which a text
// of many lines can resemble; Data in YAML has its headings in no line of their
// own, because they would have to be indented there. It may also begin like JSON,
// with an annotation that does.
func (s *SNS) decode() (*Message, error) {
	body := trimmed([]byte(s.Body))
	if len(body) == 0 {
		return nil, errors.New("empty body")
	}
	var notJSON error
	if body[0] == '{' || body[0] == '[' {
		m, root, err := decodeJSON(body, s.SentAt)
		switch {
		case m != nil:
			return m, nil
		case err == nil:
			return decodeSNSRoot(root, s)
		}
		notJSON = err
	}
	if text := findDefaultText(strings.TrimPrefix(s.Body, string(byteOrderMark))); text != nil {
		return text.decode(s.Subject)
	}
	if body[0] == '{' {
		return nil, notJSON
	}
	text := aligned([]byte(s.Body))
	root, err := parseYAML(text)
	switch {
	case err == nil && root.has("alerts"):
		return decodeData(root, s.SentAt)
	case looksLikeBlock(text):
		return decodeBlockText(text, root, err, s.Subject)
	case err != nil:
		return nil, err
	}
	return decodeSNSRoot(root, s)
}

func decodeSNSRoot(root document, s *SNS) (*Message, error) {
	switch {
	case root.has("alerts"):
		return decodeData(root, s.SentAt)
	case root.has("dedup_key"), root.has("routing_key"):
		return decodeBlock(root, s.Subject)
	}
	if foreign := foreignBody(root); foreign != nil {
		return nil, foreign
	}
	return nil, errNoForm
}
