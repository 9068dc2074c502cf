package send

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/history"
	"github.com/amx-lambda/amx/internal/report"
)

// A View is the data for the template of a report: the record, with some values that
// sum it up. A report on alerts has no run. Then only Kind, Title, Alerts, the labels and
// annotations, and Source are set, and State is firing or resolved.
type View struct {
	history.Record
	Kind              string // as in `on`
	CommonLabels      amx.KV // of the alerts
	CommonAnnotations amx.KV
	GroupLabels       amx.KV // in a report on alerts
	Firing, Resolved  int    // how many, in a report on alerts
	Retrying          bool   // the run failed, and has a retry left
}

func newView(e *report.Event) *View {
	v := &View{Kind: string(e.Kind), GroupLabels: amx.KV{}}
	if e.Record != nil {
		v.Record = *e.Record
	}
	if m := e.Message; m != nil {
		v.Record = history.Record{
			State: history.State(m.Status), Alerts: history.Alerts(m.Alerts), Updated: e.At,
			Source: history.Source{Receiver: m.Receiver, ExternalURL: m.ExternalURL},
		}
		v.GroupLabels = m.GroupLabels
		v.Firing, v.Resolved = len(m.Alerts.Firing()), len(m.Alerts.Resolved())
	}
	v.CommonLabels = shared(v.Alerts, func(a history.Alert) amx.KV { return a.Labels })
	v.CommonAnnotations = shared(v.Alerts, func(a history.Alert) amx.KV { return a.Annotations })
	return v
}

func shared(alerts []history.Alert, of func(history.Alert) amx.KV) amx.KV {
	common := amx.KV{}
	if len(alerts) == 0 {
		return common
	}
	for name, value := range of(alerts[0]) {
		if !slices.ContainsFunc(alerts, func(a history.Alert) bool { return of(a)[name] != value }) {
			common[name] = value
		}
	}
	return common
}

// Title says in one line what happened.
func (v *View) Title() string {
	if v.Command == "" {
		return v.alertTitle()
	}
	title := v.Command + " " + v.verb()
	if len(v.Alerts) > 0 {
		title += " for " + v.about()
	}
	if v.Retrying {
		title += ", and will be tried again"
	}
	return title
}

// alertTitle is the title of a report on alerts, without a run.
func (v *View) alertTitle() string {
	name := cmp.Or(v.CommonLabels["alertname"], "Alert")
	switch total := v.Firing + v.Resolved; {
	case v.Firing == 0 && total > 1:
		return fmt.Sprintf("%s has resolved (%d alerts)", name, total)
	case v.Firing == 0:
		return name + " has resolved"
	case v.Resolved > 0:
		return fmt.Sprintf("%s is firing (%d of %d alerts)", name, v.Firing, total)
	case total > 1:
		return fmt.Sprintf("%s is firing (%d alerts)", name, total)
	}
	return name + " is firing"
}

func (v *View) verb() string {
	switch {
	case v.Kind == string(amx.OnBreaker):
		return "is stopped by its breaker"
	case v.State == history.Running && v.Attempt > 1:
		return fmt.Sprintf("started again (attempt %d)", v.Attempt)
	case v.State == history.Running:
		return "started"
	case v.State == history.Unknown:
		return "ended without a known outcome"
	case v.State == history.Failed && v.nodes() > 1:
		return fmt.Sprintf("failed on %d of %s", len(v.FailedNodes()), count(v.nodes(), "node"))
	case v.State == history.Succeeded && v.nodes() > 1:
		return "succeeded on " + count(v.nodes(), "node")
	case v.State == history.Cancelled, v.State == history.Refused:
		return "was " + string(v.State)
	}
	return string(v.State)
}

// about names the alerts: by their name, or by their number.
func (v *View) about() string {
	total := max(v.AlertsTotal, len(v.Alerts))
	name := v.CommonLabels["alertname"]
	switch {
	case name == "":
		return count(total, "alert")
	case total > 1:
		return fmt.Sprintf("%s (%s)", name, count(total, "alert"))
	}
	return name
}

func (v *View) nodes() int { return max(v.NodesTotal, len(v.Nodes)) }

// FailedNodes returns the nodes that did not succeed, in their order.
func (v *View) FailedNodes() []history.Node {
	return slices.DeleteFunc(slices.Clone(v.Nodes), func(n history.Node) bool {
		return n.Status == "Success" || n.Ended.IsZero() && n.ExitCode == nil && unfinished(n.Status)
	})
}

// unfinished reports whether a node with this status of SSM's may still succeed.
func unfinished(status string) bool {
	return slices.Contains([]string{"", "Pending", "InProgress", "Delayed", "Cancelling"}, status)
}

func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// titleOf is the first line of a text. If a template wrote none, it is the view's title.
func titleOf(text string, v *View) string {
	title, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	if title == "" {
		return v.Title()
	}
	return strings.TrimSpace(title)
}

func restOf(text string) string {
	_, rest, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(rest)
}
