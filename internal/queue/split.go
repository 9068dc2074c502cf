package queue

import (
	"fmt"
	"strings"

	"github.com/amx-lambda/amx/internal/amx"
)

// A TooLargeError names what no item can hold. It is an [ErrTooLarge].
type TooLargeError struct {
	Subject string
	Alerts  amx.Alerts // those that are too large alone; none if the item is no notification
	Limit   int        // bytes of an encoded item
}

func (e *TooLargeError) Error() string {
	text := fmt.Sprintf("the %s is over %d bytes packed: %v", e.Subject, e.Limit, ErrTooLarge)
	if len(e.Alerts) == 0 {
		return text
	}
	fingerprints := make([]string, len(e.Alerts))
	for i := range e.Alerts {
		fingerprints[i] = fmt.Sprintf("%q", e.Alerts[i].Fingerprint)
	}
	return text + ", because of alert " + strings.Join(fingerprints, ", ") + "; shorten its annotations"
}

// Unwrap is [ErrTooLarge].
func (e *TooLargeError) Unwrap() error { return ErrTooLarge }

// Split encodes an item, as several items if one would be over limit bytes: each
// then has a part of the alerts, in order. Alerts that are too large alone are
// left out and named by a [TooLargeError], beside the texts of the others.
func Split(it Item, limit int) (texts [][]byte, err error) {
	text, err := it.Encode()
	if err != nil {
		return nil, err
	}
	if len(text) <= limit {
		return [][]byte{text}, nil
	}
	large := &TooLargeError{Subject: it.Subject(), Limit: limit}
	if it.Message == nil || len(it.Message.Alerts) == 0 {
		return nil, large
	}
	if texts, err = split(it, limit, large); err != nil {
		return nil, err
	}
	if len(large.Alerts) > 0 {
		return texts, large
	}
	return texts, nil
}

// split halves an item that is over the limit until each part is within it.
func split(it Item, limit int, large *TooLargeError) (texts [][]byte, err error) {
	alerts := it.Message.Alerts
	if len(alerts) == 1 {
		large.Alerts = append(large.Alerts, alerts[0])
		return nil, nil
	}
	half := len(alerts) / 2
	for _, some := range []amx.Alerts{alerts[:half], alerts[half:]} {
		part := it
		message := *it.Message
		message.Data = message.Narrow(some)
		part.Message = &message
		text, err := part.Encode()
		if err != nil {
			return nil, err
		}
		if len(text) <= limit {
			texts = append(texts, text)
			continue
		}
		more, err := split(part, limit, large)
		if err != nil {
			return nil, err
		}
		texts = append(texts, more...)
	}
	return texts, nil
}
