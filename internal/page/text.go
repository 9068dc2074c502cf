package page

import (
	"cmp"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/history"
)

// Plain makes characters visible that could mislead a reader: control characters, among
// them a terminal's codes, and characters that change the direction of the text. It gets
// whole pages, so that no text gets past it; markup has no such characters.
func Plain(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r < 0x20:
			return 0x2400 + r // its symbol in Unicode's Control Pictures
		case r == 0x7f:
			return 0x2421
		case r >= 0x80 && r < 0xa0, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0x200e || r == 0x200f || r == 0x61c:
			return utf8.RuneError
		}
		return r
	}, s)
}

// Clip shortens text to at most n characters, for a list.
func Clip(n int, s string) string {
	cut, count := 0, 0
	for i := range s {
		if count == n-1 {
			cut = i
		}
		if count == n {
			return s[:cut] + "…"
		}
		count++
	}
	return s
}

// Took is a duration as people say it: 40 ms, 1.4 s, 12 s, 1 m 5 s, 3 h 4 m, 2 d 3 h.
func Took(d time.Duration) string {
	d = max(0, d)
	two := func(n int64, unit string, m int64, smaller string) string {
		if m == 0 {
			return fmt.Sprintf("%d %s", n, unit)
		}
		return fmt.Sprintf("%d %s %d %s", n, unit, m, smaller)
	}
	s := int64(d.Round(time.Second) / time.Second)
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 3600:
		return two(s/60, "m", s%60, "s")
	case s < 86400:
		return two(s/3600, "h", s%3600/60, "m")
	}
	return two(s/86400, "d", s%86400/3600, "h")
}

// Ago is a time as people say it, seen from now.
func Ago(now, t time.Time) string {
	d := now.Sub(t)
	unit := func(n int64, name string) string {
		if n != 1 {
			name += "s"
		}
		if d < 0 {
			return fmt.Sprintf("in %d %s", n, name)
		}
		return fmt.Sprintf("%d %s ago", n, name)
	}
	s := int64(d.Abs() / time.Second)
	switch {
	case s < 5:
		return "just now"
	case s < 60:
		return unit(s, "second")
	case s < 3600:
		return unit(s/60, "minute")
	case s < 2*86400:
		return unit(s/3600, "hour")
	}
	return unit(s/86400, "day")
}

// pair is a label or an annotation.
type pair struct{ Name, Value string }

func pairs(kv amx.KV) []pair {
	var out []pair
	for _, name := range slices.Sorted(maps.Keys(kv)) {
		out = append(out, pair{name, kv[name]})
	}
	return out
}

// alertName returns the name of an alert for people.
func alertName(a history.Alert) string {
	return cmp.Or(a.Labels["alertname"], a.Fingerprint, "an alert")
}

// otherLabels returns an alert's labels without its name, for one line.
func otherLabels(a history.Alert) string {
	var out []string
	for _, p := range pairs(a.Labels) {
		if p.Name != "alertname" {
			out = append(out, p.Name+"="+p.Value)
		}
		if len(out) == 6 {
			break
		}
	}
	return strings.Join(out, "  ")
}

// web returns a URL if a browser may open it, else "".
func web(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return ""
	}
	return u.String()
}

// runPath is the path of a run's view.
func runPath(run string) string { return "/runs/" + url.PathEscape(run) }

// sentence makes a sentence of an error.
func sentence(s string) string {
	if s == "" {
		return s
	}
	r, n := utf8.DecodeRuneInString(s)
	return strings.ToUpper(string(r)) + s[n:]
}

func plural(n int, one string) string {
	if n == 1 {
		return fmt.Sprintf("%d %s", n, one)
	}
	if y, ok := strings.CutSuffix(one, "y"); ok {
		return fmt.Sprintf("%d %sies", n, y)
	}
	return fmt.Sprintf("%d %ss", n, one)
}

// indented is a value as JSON that people read.
func indented(v any) (string, error) {
	text, err := json.MarshalIndent(v, "", "  ")
	return string(text), err
}

// Functions is how a template says what records and times mean.
var Functions = template.FuncMap{
	"clip": Clip, "took": Took, "span": amx.ShortDuration, "ago": Ago, "pairs": pairs, "alertName": alertName, "otherLabels": otherLabels,
	"web": web, "runPath": runPath, "plural": plural, "json": indented, "sentence": sentence, "join": strings.Join,
	"utc":     func(t time.Time) string { return t.UTC().Format("2 Jan 2006 15:04:05 UTC") },
	"clock":   func(t time.Time) string { return t.UTC().Format("15:04:05") },
	"rfc3339": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"since":   func(now, at time.Time) string { return Took(now.Sub(at)) },
	"isRun":   history.IsRun,
	"over":    func(r history.Record) bool { return r.Over() },
	"row":     func(now time.Time, r history.Record) rowModel { return rowModel{now, r} },
	"bars":    bars,
	"length":  length, "rowReason": rowReason, "nodesText": nodesText, "moreAlerts": moreAlerts, "sourceText": sourceText, "nodeTook": nodeTook,
	"action": newAction, "cancelKind": cancelKind, "summary": summary, "listed": listed,
	"says": says, "gateText": gateText, "stripText": stripText, "tickHeight": tickHeight, "tickTop": tickTop,
	"moment": func(now, at time.Time) momentModel { return momentModel{now, at} },
}

type rowModel struct {
	Now time.Time
	history.Record
}

type momentModel struct{ Now, At time.Time }
