package amx

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// snsTime is a time in the forms that a template has for it: RFC 3339, and what
// {{ .StartsAt }} alone prints, which is Go's own form
// (https://pkg.go.dev/time#Time.String). An empty one is the zero time.
type snsTime struct{ time.Time }

// goTime is Go's form without the zone's name, which says less than the offset
// before it and is not always a name.
const goTime = "2006-01-02 15:04:05.999999999 -0700"

func parseSNSTime(s string) (snsTime, error) {
	if s == "" {
		return snsTime{}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err == nil {
		return snsTime{t}, nil
	}
	words := strings.Fields(s)
	// The time of an alert that was sent without one is Alertmanager's own, with
	// a reading of its monotonic clock.
	if n := len(words); n == 5 && strings.HasPrefix(words[4], "m=") {
		words = words[:4]
	}
	if len(words) == 3 || len(words) == 4 {
		if t, err := time.Parse(goTime, strings.Join(words[:3], " ")); err == nil {
			return snsTime{t}, nil
		}
	}
	return snsTime{}, fmt.Errorf("%.40q: want a time such as %q or %q", s, "2016-04-07T10:08:52Z", "2016-04-07 10:08:52 +0000 UTC")
}

func (t *snsTime) UnmarshalJSON(text []byte) error {
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
		*t, err = parseSNSTime(s)
	}
	return err
}
