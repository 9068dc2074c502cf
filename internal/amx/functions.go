package amx

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"
	_ "time/tzdata" // for tz: a function's machine need not have the time zones
)

// functions are Alertmanager's, but routeLabels:
// https://prometheus.io/docs/alerting/latest/notifications/#functions
var functions = template.FuncMap{
	"title":     title,
	"toUpper":   strings.ToUpper,
	"toLower":   strings.ToLower,
	"trimSpace": strings.TrimSpace,
	"match":     regexp.MatchString,
	"reReplaceAll": func(pattern, replacement, text string) (string, error) {
		re, err := regexp.Compile(pattern)
		if err != nil {
			return "", err
		}
		return re.ReplaceAllString(text, replacement), nil
	},
	// The separator comes first, so that a list can be piped in.
	"join": func(sep string, s []string) string { return strings.Join(s, sep) },
	// Nothing is escaped here, so there is nothing to be kept from it.
	"safeHtml":     func(text string) string { return text },
	"safeUrl":      func(text string) string { return text },
	"urlUnescape":  url.QueryUnescape,
	"base64encode": func(text string) string { return base64.URLEncoding.EncodeToString([]byte(text)) },
	"base64decode": func(text string) (string, error) {
		b, err := base64.URLEncoding.DecodeString(text)
		return string(b), err
	},

	"stringSlice": func(s ...string) []string { return s },
	"list": func(values ...any) []any {
		if values == nil {
			return []any{}
		}
		return values
	},
	"append": func(list []any, values ...any) []any { return append(slices.Clip(list), values...) },
	"dict":   dict,
	"toJson": toJSON,

	"date":             func(layout string, t time.Time) string { return t.Format(layout) },
	"tz":               inZone,
	"humanizeDuration": humanizeDuration,
	"toDate": func(layout, text string) time.Time {
		t, _ := time.ParseInLocation(layout, text, time.UTC) // the zero time, as in Alertmanager
		return t
	},
	"mustToDate": func(layout, text string) (time.Time, error) {
		return time.ParseInLocation(layout, text, time.UTC)
	},

	// In the place of those of a template that is rendered; see clock.
	"now":   func() time.Time { return time.Time{} },
	"since": func(time.Time) time.Duration { return 0 },
}

// clock is the functions that depend on the time, at a time.
func clock(now time.Time) template.FuncMap {
	return template.FuncMap{
		"now":   func() time.Time { return now },
		"since": now.Sub,
	}
}

func dict(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, errors.New("dict wants a value for each key")
	}
	m := make(map[string]any, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		key, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("dict wants text as a key, not %v", pairs[i])
		}
		m[key] = pairs[i+1]
	}
	return m, nil
}

// toJSON never writes "{{", which SSM would take for a parameter of its own. In
// JSON it can only stand in text, where a brace may be escaped.
func toJSON(v any) (string, error) {
	b, err := json.Marshal(v)
	return strings.ReplaceAll(string(b), "{{", `{\u007b`), err
}

func inZone(name string, t time.Time) (time.Time, error) {
	zone, err := time.LoadLocation(name)
	if err != nil {
		return time.Time{}, err
	}
	return t.In(zone), nil
}

// humanizeDuration is Prometheus': 3d 2h 1m 0s, and fractions of a second with
// their prefix.
func humanizeDuration(v any) (string, error) {
	seconds, err := toFloat(v)
	switch {
	case err != nil:
		return "", err
	case math.IsNaN(seconds) || math.IsInf(seconds, 0):
		return fmt.Sprintf("%.4g", seconds), nil
	case seconds == 0:
		return fmt.Sprintf("%.4gs", seconds), nil
	case math.Abs(seconds) < 1:
		prefix := ""
		for _, p := range "munpfazy" {
			if math.Abs(seconds) >= 1 {
				break
			}
			prefix, seconds = string(p), seconds*1000
		}
		return fmt.Sprintf("%.4g%ss", seconds, prefix), nil
	}
	sign := ""
	if seconds < 0 {
		sign, seconds = "-", -seconds
	}
	whole := int64(seconds)
	s, m, h, d := whole%60, whole/60%60, whole/60/60%24, whole/60/60/24
	switch {
	case d != 0:
		return fmt.Sprintf("%s%dd %dh %dm %ds", sign, d, h, m, s), nil
	case h != 0:
		return fmt.Sprintf("%s%dh %dm %ds", sign, h, m, s), nil
	case m != 0:
		return fmt.Sprintf("%s%dm %ds", sign, m, s), nil
	}
	return fmt.Sprintf("%s%.4gs", sign, seconds), nil
}

func toFloat(v any) (float64, error) {
	switch v := v.(type) {
	case float64:
		return v, nil
	case string:
		return strconv.ParseFloat(v, 64)
	case int:
		return float64(v), nil
	case uint:
		return float64(v), nil
	case int64:
		return float64(v), nil
	case uint64:
		return float64(v), nil
	case time.Duration:
		return v.Seconds(), nil
	default:
		return 0, fmt.Errorf("%T is not a number", v)
	}
}
