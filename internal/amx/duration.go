package amx

import "time"

// ParseDuration takes a duration as the configuration does: Go's form and
// Prometheus', which has days.
func ParseDuration(s string) (time.Duration, error) { return parseDuration(s) }
