package report

import (
	"slices"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/history"
)

// Destinations returns the destinations that the event goes to, in the order of the
// configuration.
func Destinations(c *amx.Config, e *Event) []*amx.Report {
	var found []*amx.Report
	for _, d := range c.Reports {
		if wants(c, d, e) {
			found = append(found, d)
		}
	}
	return found
}

func wants(c *amx.Config, d *amx.Report, e *Event) bool {
	if e.Kind == amx.OnAlert {
		return hears(d, e) && wantsAlert(c, d, e)
	}
	if d.PagerDuty != nil && d.PagerDuty.FromMessage {
		return false // a run has no routing key of its own
	}
	return told(c, e.Command(), d) && hears(d, e) && wantsRun(c, d, e)
}

// wantsAlert reports whether a destination gets the alert. A resolve also goes to a
// destination that may have an open incident for a failed run.
func wantsAlert(c *amx.Config, d *amx.Report, e *Event) bool {
	if d.PagerDuty != nil && d.PagerDuty.FromMessage {
		return e.RoutingKey != "" && slices.Contains(d.On, amx.OnAlert)
	}
	return slices.Contains(d.On, amx.OnAlert) || len(Resolving(c, d, e)) > 0
}

// wantsRun reports whether a destination gets an event of a run: one that `on` names,
// or one that follows from it. The message of a start is updated at the end, even if a
// retry follows. A later run that succeeds resolves an incident.
func wantsRun(c *amx.Config, d *amx.Report, e *Event) bool {
	updates := d.Slack != nil && d.Slack.Token != "" && slices.Contains(d.On, amx.OnStarted)
	if e.Kind == amx.OnFailed && !final(c, e.Record) {
		return updates
	}
	if slices.Contains(d.On, e.Kind) {
		return true
	}
	switch e.Kind {
	case amx.OnSucceeded:
		return updates || d.PagerDuty != nil && (slices.Contains(d.On, amx.OnFailed) || slices.Contains(d.On, amx.OnBreaker))
	case amx.OnFailed, amx.OnCancelled:
		return updates
	}
	return false
}

// final reports whether no retry follows the run.
func final(c *amx.Config, rec *history.Record) bool {
	cmd := command(c, rec.Command)
	return cmd == nil || max(1, rec.Attempt) > cmd.Retries
}

// Final reports whether no retry of the event's run follows.
func (e *Event) Final(c *amx.Config) bool {
	return e.Kind != amx.OnFailed || final(c, e.Record)
}

// told reports whether a command's `report` names the destination. Without `report` a
// command has all destinations.
func told(c *amx.Config, name string, d *amx.Report) bool {
	cmd := command(c, name)
	return cmd == nil || cmd.Report == nil || slices.Contains(cmd.Report, d.Name)
}

func command(c *amx.Config, name string) *amx.Command {
	i := slices.IndexFunc(c.Commands, func(cmd *amx.Command) bool { return cmd.Name == name })
	if i < 0 {
		return nil
	}
	return c.Commands[i]
}

// hears reports whether one alert satisfies all matchers of the destination. If a record
// has no alerts, only a destination without matchers gets it.
func hears(d *amx.Report, e *Event) bool {
	if len(d.Matchers) == 0 {
		return true
	}
	return slices.ContainsFunc(e.Alerts(), func(a history.Alert) bool {
		return d.Matches(&amx.Alert{Labels: a.Labels, Annotations: a.Annotations})
	})
}

// Resolving returns the commands whose incidents a notification may resolve at a
// destination: the destination has `on: failed`, and an alert of the command has
// resolved.
func Resolving(c *amx.Config, d *amx.Report, e *Event) []*amx.Command {
	if d.PagerDuty == nil || d.PagerDuty.FromMessage || !slices.Contains(d.On, amx.OnFailed) {
		return nil
	}
	var found []*amx.Command
	for _, cmd := range c.Commands {
		if !told(c, cmd.Name, d) {
			continue
		}
		if slices.ContainsFunc(e.Message.Alerts, func(a amx.Alert) bool { return Ends(cmd, e.Message, &a) }) {
			found = append(found, cmd)
		}
	}
	return found
}

// Ends says that an alert of a message may end a run of the command: it has resolved,
// and the command acts on it. Under a dedup_key its labels may have changed since.
func Ends(cmd *amx.Command, m *amx.Message, a *amx.Alert) bool {
	return a.Status == amx.Resolved && (m.DedupKey != "" || cmd.Matches(a))
}
