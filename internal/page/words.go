package page

import (
	"fmt"
	"strings"
	"time"

	"github.com/amx-lambda/amx/internal/history"
	"github.com/amx-lambda/amx/internal/operate"
)

// summary says the state of everything in one sentence.
func summary(m Now) string {
	parts := []string{plural(len(m.Running), "run") + verb(len(m.Running), " goes on", " go on")}
	if len(m.Running) == 0 {
		parts[0] = "nothing runs"
	}
	if m.Waiting > 0 {
		parts = append(parts, plural(m.Waiting, "alert")+verb(m.Waiting, " waits", " wait"))
	}
	switch n := len(m.Status.Paused); {
	case m.PausedAll:
		parts = append(parts, "everything is paused")
	case n > 0:
		parts = append(parts, plural(n, "command")+verb(n, " is paused", " are paused"))
	default:
		parts = append(parts, "nothing is paused")
	}
	if n := len(m.Breakers); n > 0 {
		parts = append(parts, plural(n, "breaker")+verb(n, " is open", " are open"))
	}
	return sentence(strings.Join(parts, ", ")) + "."
}

func verb(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// rowReason says why a run has its state, if that says more than the state.
func rowReason(r history.Record) string {
	var parts []string
	if by := r.CancelledBy; by != nil {
		text := "stopped by " + by.Who
		switch {
		case by.Who == history.ByResolve:
			text = "its alerts resolved"
		case by.Who == history.ByStop:
			text = by.Who
		case by.Why != "":
			text += ": " + by.Why
		}
		if r.State == history.Running {
			text = "asked to stop: " + strings.TrimPrefix(text, "stopped ")
		}
		parts = append(parts, text)
	}
	if r.Reason != "" && r.Reason != "firing" && (len(parts) == 0 || r.State == history.Failed) {
		parts = append(parts, r.Reason)
	}
	if isProblem(r.State) && len(parts) == 0 {
		parts = append(parts, outcome(r))
	}
	return strings.Join(parts, "; ")
}

// outcome sums up the nodes of a failed run.
func outcome(r history.Record) string {
	for _, n := range r.Nodes {
		if n.Order() == 0 && n.ExitCode != nil && *n.ExitCode != 0 {
			return fmt.Sprintf("exit code %d", *n.ExitCode)
		}
	}
	if says(r) {
		return r.Status
	}
	return ""
}

// says reports whether SSM's word for the outcome differs from the state.
func says(r history.Record) bool {
	same := strings.EqualFold(r.Status, string(r.State)) || r.Status == "Success" && r.State == history.Succeeded
	return r.Status != "" && !same
}

// gateText says what holds or may hold a command back.
func gateText(c operate.Command) string {
	var parts []string
	if c.Max > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d at once", c.Running, c.Max))
	} else if c.Running > 0 {
		parts = append(parts, plural(c.Running, "run")+verb(c.Running, " goes on", " go on"))
	}
	if c.Failed > 0 {
		parts = append(parts, plural(c.Failed, "failure")+" in a row")
	}
	return strings.Join(parts, ", ")
}

// nodesText names the nodes of a run, for a list.
func nodesText(r history.Record) string {
	n := max(len(r.Nodes), r.NodesTotal)
	switch {
	case n == 1:
		return r.Nodes[0].Node
	case n == 0 && len(r.Targets) > 0:
		values := strings.Join(r.Targets[0].Values, ", ")
		if r.Targets[0].Key == "InstanceIds" {
			return values
		}
		return r.Targets[0].Key + "=" + values
	case n == 0:
		return ""
	}
	failed := 0
	for _, one := range r.Nodes {
		if one.Order() == 0 {
			failed++
		}
	}
	if failed > 0 {
		return fmt.Sprintf("%d nodes, %d failed", n, failed)
	}
	return fmt.Sprintf("%d nodes", n)
}

func moreAlerts(r history.Record) string {
	if n := max(len(r.Alerts), r.AlertsTotal) - 1; n > 0 {
		return "and " + plural(n, "more alert")
	}
	return ""
}

func sourceText(s history.Source) string {
	var parts []string
	for _, p := range []pair{{"receiver ", s.Receiver}, {"topic ", s.Topic}, {"token ", s.Token}} {
		if p.Value != "" {
			parts = append(parts, p.Name+Clip(200, p.Value))
		}
	}
	if len(parts) == 0 {
		return s.ExternalURL
	}
	return strings.Join(parts, ", ")
}

// length is how long a run took; empty while it goes on, and without a run.
func length(r history.Record) string {
	if d, ok := r.Took(); ok {
		return Took(d)
	}
	return ""
}

func nodeTook(n history.Node) string {
	if n.Started.IsZero() || n.Ended.IsZero() {
		return "–"
	}
	return Took(n.Ended.Sub(n.Started))
}

// An action is a form that a part of a page shows.
type action struct {
	Run, Command, Back  string
	Label, Button, Hint string
}

func newAction(kind, run, command, back string) action {
	a := action{Run: run, Command: command, Back: back}
	switch kind {
	case "cancel run":
		a.Label, a.Button, a.Hint = "Cancel…", "Cancel the run", "SSM stops what still runs on the nodes."
	case "drop":
		a.Label, a.Button, a.Hint = "Drop…", "Drop the alert", "The alert waits no longer; no run starts for it."
	case "cancel command":
		a.Label, a.Button, a.Hint = "Cancel its runs…", "Cancel all its runs", "All of its runs that go on are stopped, and what waits is dropped."
	case "pause all":
		a.Label, a.Button, a.Hint = "Pause everything…", "Pause everything", "No run starts. What runs goes on, and alerts that resolve still stop their runs."
	case "pause command":
		a.Label, a.Button, a.Hint = "Pause…", "Pause the command", "No run of it starts. What runs goes on, and alerts that resolve still stop their runs."
	case "resume":
		a.Label = "Resume"
	case "close":
		a.Label = "Close the breaker"
	}
	return a
}

func cancelKind(r history.Record) string {
	if r.IsWaiting() {
		return "drop"
	}
	return "cancel run"
}

// A listing is a table of runs.
type listing struct {
	Now     time.Time
	Caption string
	Records []history.Record
}

func listed(now time.Time, caption string, records []history.Record) listing {
	return listing{now, caption, records}
}

// stripText says what the strip shows.
func stripText(s *commandStats) string {
	counts := map[history.State]int{}
	for _, t := range s.Last {
		counts[t.State]++
	}
	parts := []string{"The last " + plural(len(s.Last), "run")}
	for _, state := range history.States {
		if counts[state] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[state], state))
		}
	}
	return strings.Join(parts, ", ")
}

// tickHeight tells a failure from a success without colours.
func tickHeight(s history.State) int {
	switch {
	case isProblem(s):
		return 24
	case s == history.Running:
		return 18
	case s == history.Succeeded:
		return 12
	}
	return 6
}

func tickTop(s history.State) int { return 24 - tickHeight(s) }
