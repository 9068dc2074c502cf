package amx

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// wireTime is a time in the forms that senders have for it: RFC 3339, and what
// {{ .StartsAt }} alone prints, which is Go's own form
// (https://pkg.go.dev/time#Time.String). An empty one is the zero time, and so is
// one with a year or a zone that neither form can have.
type wireTime struct{ time.Time }

// goTime is Go's form without the zone's name, which says less than the offset
// before it and is not always a name.
const goTime = "2006-01-02 15:04:05.999999999 -0700"

// spacedTime is RFC 3339 with a space for the T, as many languages print it.
const spacedTime = "2006-01-02 15:04:05.999999999Z07:00"

func parseWireTime(s string) (wireTime, error) {
	s = strings.TrimSpace(s)
	switch strings.ToLower(s) {
	case "", "null", "none", "nil", "<nil>", "<no value>": // as languages print what is not there
		return wireTime{}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err == nil {
		return wireTime{t}, nil
	}
	words := strings.Fields(s)
	// The time of an alert that was sent without one is Alertmanager's own, with
	// a reading of its monotonic clock.
	if n := len(words); n == 5 && strings.HasPrefix(words[4], "m=") {
		words = words[:4]
	}
	switch len(words) {
	case 2:
		t, err = time.Parse(spacedTime, s)
	case 3, 4:
		words = words[:3]
		t, err = time.Parse(goTime, strings.Join(words, " "))
	}
	switch {
	case err == nil:
		return wireTime{t}, nil
	case isImpossible(words):
		return wireTime{}, nil
	}
	return wireTime{}, fmt.Errorf("%.40q: want a time such as %q or %q", s, "2016-04-07T10:08:52Z", "2016-04-07 10:08:52 +0000 UTC")
}

// isImpossible says whether the words of a time are those of one but for the year
// or the zone.
func isImpossible(words []string) bool {
	text := strings.Join(words, "")
	if len(words) > 1 {
		text = words[0] + "T" + strings.Join(words[1:], "")
	}
	year := len(text) - len(strings.TrimLeft(strings.TrimLeft(text, "+-"), "0123456789"))
	if year < 4 || year == len(text) {
		return false
	}
	text = strings.TrimSuffix(text[year:], "Z")
	if i := strings.LastIndexAny(text, "+-"); i > len("-01-02T") && strings.Trim(text[i+1:], "0123456789:") == "" {
		text = text[:i]
	}
	_, err := time.Parse(time.RFC3339Nano, "2000"+text+"Z")
	return err == nil
}

func (t *wireTime) UnmarshalJSON(text []byte) error {
	// Nearly all are RFC 3339 without an escape; encoding/json has checked that
	// it is one value.
	if n := len(text); n > 2 && text[0] == '"' {
		if parsed, err := time.Parse(time.RFC3339Nano, string(text[1:n-1])); err == nil {
			t.Time = parsed
			return nil
		}
	}
	var s string // stays empty for null
	err := json.Unmarshal(text, &s)
	if err == nil {
		*t, err = parseWireTime(s)
	}
	return err
}

// skew is how far the clock of a message's sender may be ahead of the one that
// stamped it.
const skew = 60 * time.Second

// boundTime returns the time that amx compares with others. If t is later than the
// sending by more than two clocks differ, that is the time of sending. If no alert
// can have t, it is the zero time. If the result is not t, asSent is t.
func boundTime(t, sent time.Time) (judged, asSent time.Time) {
	switch {
	case impossible(t):
		return time.Time{}, time.Time{}
	case !sent.IsZero() && t.After(sent.Add(skew)):
		return sent, t
	}
	return t, time.Time{}
}

// impossible says that no alert began or ended then: the zero time, Unix time 0
// and what is near it, and what RFC 3339 cannot write, in its zone or in UTC.
func impossible(t time.Time) bool {
	_, offset := t.Zone()
	day := int((24 * time.Hour).Seconds())
	return t.UTC().Year() <= 1970 || t.UTC().Year() > 9999 || t.Year() > 9999 || offset <= -day || offset >= day
}
