package send

import (
	"fmt"
	"strings"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/history"
)

// link is a link in a message.
type link struct{ text, url string }

// links returns the links of an event: to the source of its alert, and to its run. It
// leaves out URLs that a browser must not open.
func (o *outgoing) links() []link {
	var all []link
	add := func(text, url string) {
		if url = webURL(url); url != "" {
			all = append(all, link{text, url})
		}
	}
	if len(o.view.Alerts) > 0 {
		add("Source", o.view.Alerts[0].GeneratorURL)
	}
	add("Runbook", o.view.CommonAnnotations["runbook_url"])
	add("Dashboard", o.view.CommonAnnotations["dashboard_url"])
	add("Alertmanager", o.view.Source.ExternalURL)
	add("Run "+o.view.Run, o.runURL())
	return all
}

// runURL is the page of the event's run, or "".
func (o *outgoing) runURL() string {
	if o.s.RunURL == nil || !history.IsRun(o.view.Run) {
		return ""
	}
	return webURL(o.s.RunURL(o.e.Record))
}

// ConsoleURL is a command's page in the console of Systems Manager.
func ConsoleURL(region, commandID string) string {
	return fmt.Sprintf("https://%s.console.aws.amazon.com/systems-manager/run-command/%s?region=%s", region, commandID, region)
}

// labelsText lists labels without the alert's name, which the title has.
func labelsText(kv amx.KV) string {
	parts := []string{}
	for _, pair := range kv.SortedPairs() {
		if pair.Name != "alertname" {
			parts = append(parts, pair.Name+"="+pair.Value)
		}
	}
	return strings.Join(parts, "\n")
}
