package amx

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// ShortDuration is a duration as one would type it: 48h, not 48h0m0s.
func ShortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// prometheusDuration is the form of Prometheus' and Alertmanager's files, whose
// days and weeks Go does not know: https://prometheus.io/docs/prometheus/latest/configuration/configuration/
var prometheusDuration = lazily(`^(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?$`)

var prometheusUnits = []time.Duration{
	365 * 24 * time.Hour, 7 * 24 * time.Hour, 24 * time.Hour, time.Hour, time.Minute, time.Second, time.Millisecond,
}

// ParseDuration takes a duration as the configuration does: Go's form and
// Prometheus', which has days.
func ParseDuration(s string) (time.Duration, error) {
	if d, err := time.ParseDuration(s); err == nil {
		return d, nil
	}
	wrong := fmt.Errorf(`want a duration such as "90s", "1h30m" or "2d"`)
	parts := prometheusDuration().FindStringSubmatch(s)
	if parts == nil || s == "" {
		return 0, wrong
	}
	var sum time.Duration
	for i, digits := range parts[1:] {
		if digits == "" {
			continue
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n > int64((math.MaxInt64-sum)/prometheusUnits[i]) {
			return 0, wrong
		}
		sum += time.Duration(n) * prometheusUnits[i]
	}
	return sum, nil
}
