package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/amx-lambda/amx/internal/history"
	"github.com/amx-lambda/amx/internal/operate"
)

type showCmd struct {
	RunID  string `arg:"" name:"run" help:"The run's ID, as amx runs shows it."`
	Output string `enum:"table,json" default:"table" help:"table, or json: the record in one line."`
	Where  where  `embed:""`
}

// Run shows all that is known of one run.
func (c *showCmd) Run(ctx context.Context, std stdio) error {
	o, err := c.Where.operator(ctx, std)
	if err != nil {
		return err
	}
	d, err := o.Run(ctx, c.RunID)
	if err != nil {
		return asCall(err)
	}
	if c.Output == "json" {
		return printJSON(std.out, d)
	}
	newView(std, time.Now()).detail(&d)
	return nil
}

// detail shows a record: what it is about, then its nodes, then what they wrote.
func (v view) detail(d *operate.Detail) {
	field := func(name, value string) {
		if value != "" {
			fmt.Fprintf(v.out, "%-10s %s\n", name, value)
		}
	}
	moment := func(name string, t time.Time, more string) {
		if !t.IsZero() {
			field(name, v.at(t)+more)
		}
	}
	field("Run", d.Run)
	field("Command", clean(d.Command))
	field("State", v.paint(d.State, string(d.State))+stateText(&d.Record))
	if d.Attempt > 1 || d.RetryOf != "" {
		field("Attempt", fmt.Sprintf("%d, retry of %s", d.Attempt, d.RetryOf))
	}
	if by := d.CancelledBy; by != nil {
		field("Cancelled", "by "+clean(by.Who)+prefixed(": ", clean(by.Why)))
	}
	for _, a := range d.Alerts {
		v.alert(field, a)
	}
	if n := d.AlertsTotal - len(d.Alerts); n > 0 {
		field("", fmt.Sprintf("and %d more alerts", n))
	}
	field("Source", sourceText(d.Source))
	for _, t := range d.Targets {
		field("Target", clean(t.Key+"="+strings.Join(t.Values, ",")))
	}
	moment("Claimed", d.Claimed, "")
	moment("Sent", d.Sent, "")
	length := ""
	if t, ok := d.Took(); ok {
		length = ", took " + took(t)
	}
	moment("Ended", d.Ended, length)
	for _, id := range d.CommandIDs {
		field("Command ID", id)
	}
	v.nodes(&d.Record)
	v.outputs(d)
}

func prefixed(prefix, text string) string {
	if text == "" {
		return ""
	}
	return prefix + text
}

// stateText is SSM's word where it says more than the state, and the reason.
func stateText(r *history.Record) string {
	text := ""
	if r.Status != "" && !strings.EqualFold(r.Status, string(r.State)) && r.Status != "Success" {
		text = " (" + clean(r.Status) + ")"
	}
	return text + prefixed(": ", clean(r.Reason))
}

func (v view) alert(field func(name, value string), a history.Alert) {
	since := ""
	if !a.StartsAt.IsZero() {
		since = ", since " + v.at(a.StartsAt)
	}
	field("Alert", clean(cmp.Or(a.Labels["alertname"], a.Fingerprint))+since)
	field("", clean(labelText(a)))
	field("", clean(cmp.Or(a.Annotations["summary"], a.Annotations["description"])))
	field("", clean(a.GeneratorURL))
}

func sourceText(s history.Source) string {
	var parts []string
	for _, p := range [][2]string{{"receiver ", s.Receiver}, {"topic ", s.Topic}, {"token ", s.Token}, {"", s.ExternalURL}} {
		if p[1] != "" {
			parts = append(parts, p[0]+clean(p[1]))
		}
	}
	return strings.Join(parts, ", ")
}

// nodes are a table, those that failed first.
func (v view) nodes(r *history.Record) {
	if len(r.Nodes) == 0 {
		return
	}
	nodes := failedFirst(r.Nodes)
	width := len("NODE")
	for _, n := range nodes {
		width = max(width, min(len(n.Node), 40))
	}
	fmt.Fprintf(v.out, "\n%s  %-18s  %4s  %s\n", fit("NODE", width), "STATUS", "EXIT", "TOOK")
	for _, n := range nodes {
		fmt.Fprintln(v.out, v.nodeLine(&n, width))
	}
	if n := r.NodesTotal - len(r.Nodes); n > 0 {
		fmt.Fprintf(v.out, "and %d more\n", n)
	}
}

func failedFirst(nodes []history.Node) []history.Node {
	return slices.SortedStableFunc(slices.Values(nodes), func(a, b history.Node) int { return a.Order() - b.Order() })
}

func (v view) nodeLine(n *history.Node, width int) string {
	code, length := "", ""
	if n.ExitCode != nil {
		code = fmt.Sprint(*n.ExitCode)
	}
	if !n.Started.IsZero() && !n.Ended.IsZero() {
		length = took(max(0, n.Ended.Sub(n.Started)))
	}
	status := fit(cmp.Or(n.Status, "not sent"), 18)
	switch n.Order() {
	case 0:
		status = v.paint(history.Failed, status)
	case 2:
		status = v.paint(history.Succeeded, status)
	}
	return strings.TrimRight(fmt.Sprintf("%s  %s  %4s  %s", fit(n.Node, width), status, code, length), " ")
}

// outputs shows what SSM still has of a node, else what the record keeps of it.
func (v view) outputs(d *operate.Detail) {
	seen := map[string]bool{}
	text := func(node, stream, text string) {
		if text == "" {
			return
		}
		seen[node] = true
		fmt.Fprintf(v.out, "\n--- %s: %s\n%s\n", clean(node), stream, strings.TrimSuffix(cleanLines(text), "\n"))
	}
	for _, s := range d.Streams {
		text(s.Node, "standard output", s.Stdout)
		text(s.Node, "standard error", s.Stderr)
		if s.Error == "" {
			seen[s.Node] = true
		}
	}
	for _, n := range failedFirst(d.Nodes) {
		if !seen[n.Node] {
			text(n.Node, "output", n.Output)
		}
	}
}
