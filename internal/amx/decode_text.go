package amx

import (
	"fmt"
	"strconv"
	"strings"
)

// defaultText reads the text that Alertmanager sends where its user chose none:
// the values of the common annotations, and then
//
//	Alerts Firing:
//	Labels:
//	 - alertname = DiskFull
//	 - instance = web-1
//	Annotations:
//	 - summary = "/var" is full
//	Source: http://prometheus:9090/graph
//	Labels:
//	…
//	Alerts Resolved:
//	…
//
// https://github.com/prometheus/alertmanager/blob/v0.34.0/template/default.tmpl
//
// The text is made for people: it names no group, no times and no fingerprints. It
// quotes nothing, so a value with line breaks can look like more of the text. Three
// signs reveal such a value: a name out of order, a heading where the value before
// it could go on, and more firing alerts than the subject counts. (The subject of a
// message with firing alerts does not count the resolved ones.) amx reads a value
// without any of these signs as part of the text.
type defaultText struct {
	lines []string
	next  int // index of the line to be read
}

var headings = map[string]string{"Alerts Firing:": Firing, "Alerts Resolved:": Resolved}

// heading is the status of the alerts under a line. Variants of the text that
// are in circulation indent it.
func heading(line string) string { return headings[strings.TrimLeft(line, " ")] }

func startsAlert(line string) bool { return strings.TrimLeft(line, " ") == "Labels:" }

// headingIn is the heading that a line is, of alerts or of a part of one; "" for
// a line that is none. The text has them without white space around, or nearly.
func headingIn(line string) string {
	switch text := strings.TrimSpace(line); {
	case headings[text] != "", text == "Labels:", text == "Annotations:":
		return text
	}
	if strings.HasPrefix(line, "Source:") {
		return "Source:"
	}
	return ""
}

// findDefaultText begins at the first heading; nil: it has none.
func findDefaultText(body string) *defaultText {
	if !strings.Contains(body, "Alerts Firing:") && !strings.Contains(body, "Alerts Resolved:") {
		return nil
	}
	lines := strings.Split(body, "\n")
	for i := range len(lines) - 1 {
		if heading(lines[i]) != "" && startsAlert(lines[i+1]) {
			return &defaultText{lines: lines, next: i}
		}
	}
	return nil
}

func (d *defaultText) decode(subject string) (*Message, error) {
	alerts, err := d.alerts()
	if err == nil {
		err = countAlerts(alerts, subject)
	}
	if err != nil {
		return nil, fmt.Errorf("default text, %w; rather send Data, in the definition that `amx template amp` prints: docs/amp.md", err)
	}
	return &Message{
		Data: Data{
			Status: alerts.status(), Alerts: alerts, GroupLabels: KV{},
			CommonLabels:      common(alerts, func(a *Alert) KV { return a.Labels }),
			CommonAnnotations: common(alerts, func(a *Alert) KV { return a.Annotations }),
		},
		Version: webhookVersion, Ungrouped: true,
	}, nil
}

func (d *defaultText) alerts() (Alerts, error) {
	var all Alerts
	status := ""
	for d.next < len(d.lines) {
		switch line := d.lines[d.next]; {
		case startsAlert(line):
			d.next++
			a, err := d.alert()
			if err != nil {
				return nil, err
			}
			a.Status = status
			all = append(all, a)
		case heading(line) != "" && status != heading(line) && status != Resolved:
			status = heading(line)
			d.next++
		case strings.TrimSpace(line) == "":
			d.next++
		default:
			return nil, d.errorf("something else than an alert")
		}
	}
	return all, nil
}

// alert reads what comes after "Labels:".
func (d *defaultText) alert() (a Alert, err error) {
	if a.Labels, err = d.set("Annotations:"); err != nil {
		return a, err
	}
	d.next++
	if a.Annotations, err = d.set("Source:"); err != nil {
		return a, err
	}
	a.GeneratorURL = strings.TrimPrefix(strings.TrimPrefix(d.lines[d.next], "Source:"), " ")
	a.Fingerprint = Fingerprint(a.Labels)
	d.next++
	return a, nil
}

// set reads labels or annotations, up to the line that begins with end. A line
// that is no pair, or a pair out of order, goes on with the value before it. A
// heading does not: nobody can say whether the value has it, or the text.
func (d *defaultText) set(end string) (KV, error) {
	kv := KV{}
	name, value := "", []string(nil)
	for ; d.next < len(d.lines); d.next++ {
		line := d.lines[d.next]
		n, v, isPair := textPair(line)
		switch ends := strings.HasPrefix(line, end); {
		case ends && value != nil:
			kv[name] = strings.Join(value, "\n")
			return kv, nil
		case ends:
			return kv, nil
		case isPair && (value == nil || pairBefore(name, n)):
			if value != nil {
				kv[name] = strings.Join(value, "\n")
			}
			name, value = n, []string{v}
		case headingIn(line) != "" && value != nil:
			return nil, d.errorf("%q may be a line of the value before it, or one of the message: nobody can tell", headingIn(line))
		case value != nil:
			value = append(value, line)
		default:
			return nil, d.errorf("something else than %q or a pair", end)
		}
	}
	return nil, d.errorf("the end of the text: want %q", end)
}

func textPair(line string) (name, value string, ok bool) {
	rest, ok := strings.CutPrefix(line, " - ")
	if !ok {
		return "", "", false
	}
	return strings.Cut(rest, " = ")
}

// pairBefore is the order of KV.SortedPairs.
func pairBefore(a, b string) bool {
	return b != alertName && (a == alertName || a < b)
}

func (d *defaultText) errorf(format string, args ...any) error {
	return fmt.Errorf("line %d: %s", min(d.next+1, len(d.lines)), fmt.Sprintf(format, args...))
}

// countAlerts compares the alerts that were read with what Alertmanager's own
// subject says of them: an annotation that looks like another alert shows.
func countAlerts(alerts Alerts, subject string) error {
	status, ok := subjectStatus(subject)
	if !ok {
		return nil
	}
	firing := len(alerts.Firing())
	want := 0
	if status == Firing {
		_, count, _ := strings.Cut(subject, ":")
		count, _, _ = strings.Cut(count, "]")
		var err error
		if want, err = strconv.Atoi(count); err != nil {
			return nil // the user's own subject
		}
	}
	if firing != want {
		return fmt.Errorf("read as %d firing alerts, where the subject has %d: a value with line breaks may look like an alert", firing, want)
	}
	return nil
}
