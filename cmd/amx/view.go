package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/amx-lambda/amx/internal/history"
)

// A view is where tables are shown, and how.
type view struct {
	out      io.Writer
	terminal bool
	color    bool
	width    int // in columns
	now      time.Time
}

const defaultWidth = 80

// newView looks at what standard output is. Colour is for terminals, and not
// where NO_COLOR is set (https://no-color.org).
func newView(std stdio, now time.Time) view {
	v := view{out: std.out, width: defaultWidth, now: now}
	file, ok := std.out.(interface{ Fd() uintptr })
	if !ok {
		return v
	}
	size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return v // a file or a pipe
	}
	v.terminal = true
	if size.Col > 0 {
		v.width = int(size.Col)
	}
	v.color = getenv(std.env, "NO_COLOR") == "" && getenv(std.env, "TERM") != "dumb"
	return v
}

// paint colours a state as people read it: green is well, red is not, yellow is
// neither.
func (v view) paint(state history.State, text string) string {
	if !v.color {
		return text
	}
	code := "33"
	switch state {
	case history.Succeeded, history.Observed:
		code = "32"
	case history.Failed, history.Expired, history.Unknown:
		code = "31"
	case history.Running:
		code = "36"
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// clean is text of an alert or of a command as one line of a terminal: what would
// move its cursor, or colour it, is left out.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case r < 0x20 || r >= 0x7f && r < 0xa0 || r == utf8.RuneError:
			return '?'
		}
		return r
	}, s)
}

// cleanLines is clean for a text of several lines.
func cleanLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = clean(strings.TrimSuffix(lines[i], "\r"))
	}
	return strings.Join(lines, "\n")
}

// fit is text of exactly n columns: cut with an ellipsis, or padded.
func fit(s string, n int) string {
	s = clean(s)
	if length := utf8.RuneCountInString(s); length <= n {
		return s + strings.Repeat(" ", n-length)
	}
	if n < 1 {
		return ""
	}
	return string([]rune(s)[:n-1]) + "…"
}

// took is a duration as people say it: 0.4s, 12s, 1m 5s, 3h 4m, 2d 3h.
func took(d time.Duration) string {
	two := func(n int64, unit string, m int64, smaller string) string {
		if m == 0 {
			return fmt.Sprintf("%d%s", n, unit)
		}
		return fmt.Sprintf("%d%s %d%s", n, unit, m, smaller)
	}
	s := int64(d.Round(time.Second) / time.Second)
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return two(s/60, "m", s%60, "s")
	case s < 86400:
		return two(s/3600, "h", s%3600/60, "m")
	}
	return two(s/86400, "d", s%86400/3600, "h")
}

// age is how long ago a time was, in one unit.
func (v view) age(t time.Time) string {
	d := max(0, v.now.Sub(t))
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// at is a moment and how long ago it was.
func (v view) at(t time.Time) string {
	text := t.Format("2006-01-02 15:04:05 MST")
	if t.After(v.now) {
		return text + " (in " + took(t.Sub(v.now)) + ")"
	}
	return text + " (" + v.age(t) + " ago)"
}

// alertText is what an alert is called: its name, and where it is.
func alertText(a history.Alert) string {
	name := cmp.Or(a.Labels["alertname"], a.Fingerprint)
	if instance := cmp.Or(a.Labels["instance"], a.Labels["instance_id"], a.Labels["InstanceId"]); instance != "" {
		name += " " + instance
	}
	return name
}

// labelText is all labels but the name.
func labelText(a history.Alert) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(a.Labels)) {
		if name != "alertname" {
			out = append(out, name+"="+a.Labels[name])
		}
	}
	return strings.Join(out, " ")
}

// The widths of the columns whose content has a bound, with the space after them.
const (
	runWidth   = 26 + 2
	stateWidth = 9 + 2
	ageWidth   = 4 + 2
	tookWidth  = 7 + 2
	leastAlert = 10
)

// A runTable prints records as lines of one table. Its columns are as wide as the
// first records need.
type runTable struct {
	view
	command, alert int // their widths; 0: not shown
	begun          bool
}

func (t *runTable) print(records []history.Record) {
	if !t.begun {
		t.begun = true
		t.measure(records)
		t.line("RUN", "STATE", "", "AGE", "TOOK", "COMMAND", "ALERT")
	}
	for i := range records {
		r := &records[i]
		length := ""
		if d, ok := r.Took(); ok {
			length = took(d)
		} else if r.State == history.Running && !r.Claimed.IsZero() {
			length = took(max(0, t.now.Sub(r.Claimed)))
		}
		alert := r.Reason
		if len(r.Alerts) > 0 {
			alert = alertText(r.Alerts[0])
			if n := max(len(r.Alerts), r.AlertsTotal) - 1; n > 0 {
				alert += fmt.Sprintf(" +%d", n)
			}
		}
		t.line(r.Run, string(r.State), r.State, t.age(begun(r)), length, r.Command, alert)
	}
}

// begun is when a run was claimed, or when alerts without one were last decided.
func begun(r *history.Record) time.Time {
	if r.Claimed.IsZero() || !history.IsRun(r.Run) && !r.IsWaiting() {
		return r.Updated
	}
	return r.Claimed
}

func (t *runTable) measure(records []history.Record) {
	rest := t.width - runWidth - stateWidth - ageWidth - tookWidth
	t.command = len("COMMAND")
	for _, r := range records {
		t.command = max(t.command, utf8.RuneCountInString(r.Command))
	}
	t.command = max(min(t.command, rest), len("COMMAND"))
	if rest-t.command-2 < leastAlert {
		t.command = max(min(t.command, rest-2-leastAlert), len("COMMAND"))
	}
	t.alert = max(0, rest-t.command-2)
}

func (t *runTable) line(run, stateText string, state history.State, age, took, command, alert string) {
	shown := fit(stateText, stateWidth-2)
	if state != "" {
		shown = t.paint(state, shown)
	}
	line := fit(run, runWidth) + shown + "  " + fit(age, ageWidth) + fit(took, tookWidth) + fit(command, t.command)
	if t.alert > 0 {
		line += "  " + fit(alert, t.alert)
	}
	fmt.Fprintln(t.out, strings.TrimRight(line, " "))
}
