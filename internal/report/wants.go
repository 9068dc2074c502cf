package report

import (
	"slices"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/history"
)

// Destinations returns those of the configuration that have something to do for
// an event, in its order.
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

// wantsAlert: a resolve also goes to where an incident may be open for a run that
// failed.
func wantsAlert(c *amx.Config, d *amx.Report, e *Event) bool {
	if d.PagerDuty != nil && d.PagerDuty.FromMessage {
		return e.RoutingKey != "" && slices.Contains(d.On, amx.OnAlert)
	}
	return slices.Contains(d.On, amx.OnAlert) || len(Resolving(c, d, e)) > 0
}

// wantsRun: on, and what follows from it. A message that was sent at the start is
// updated at the end, also where a retry follows. An incident is resolved by a
// later run that succeeds.
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

// final says that no retry follows the run.
func final(c *amx.Config, rec *history.Record) bool {
	cmd := command(c, rec.Command)
	return cmd == nil || max(1, rec.Attempt) > cmd.Retries
}

// Final says that no retry of the event's run follows.
func (e *Event) Final(c *amx.Config) bool {
	return e.Kind != amx.OnFailed || final(c, e.Record)
}

// told: a command's `report` names its destinations; all, if it has none.
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

// hears: one alert satisfies all matchers. A record without alerts satisfies
// none but those of a destination that has no matchers.
func hears(d *amx.Report, e *Event) bool {
	if len(d.Matchers) == 0 {
		return true
	}
	return slices.ContainsFunc(e.Alerts(), func(a history.Alert) bool {
		return d.Matches(&amx.Alert{Labels: a.Labels, Annotations: a.Annotations})
	})
}

// Resolving returns the commands whose incidents a notification may resolve at a
// destination: it has `on: failed`, and an alert on which the command acts has
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
