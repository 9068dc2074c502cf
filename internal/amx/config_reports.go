package amx

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Report is one destination of `reports`. Exactly one of Slack, PagerDuty and
// Webhook is set.
type Report struct {
	Name      string
	Slack     *SlackReport
	PagerDuty *PagerDutyReport
	Webhook   *WebhookReport
	On        []Occasion // in the order of the constants; never empty
	Matchers  []string   // Alertmanager's syntax; one alert of the run has to satisfy all; none: every run

	line     int
	compiled []matcher // of Matchers
}

// Occasion is what a report is sent for.
type Occasion string

// The values of on.
const (
	OnStarted   Occasion = "started"
	OnSucceeded Occasion = "succeeded"
	OnFailed    Occasion = "failed"
	OnCancelled Occasion = "cancelled"
	OnRefused   Occasion = "refused"
	OnExpired   Occasion = "expired" // held back until it was stale
	OnBreaker   Occasion = "breaker" // a command's breaker has opened
	OnAlert     Occasion = "alert"   // the alert itself, whether a command matches or not
)

// occasions returns all occasions, which "all" stands for.
func occasions() []Occasion {
	return []Occasion{OnStarted, OnSucceeded, OnFailed, OnCancelled, OnRefused, OnExpired, OnBreaker, OnAlert}
}

// SlackReport sends to a channel with a bot's token, or to an incoming webhook.
type SlackReport struct {
	Channel string // "#name" or an ID; required with Token, "" with WebhookURL
	Token   Secret // of a bot, with chat:write and files:write; "" with WebhookURL
	// WebhookURL is an incoming webhook's: without graphs, and never updated in place.
	WebhookURL Secret
}

// PagerDutyReport sends events of PagerDuty's Events API v2.
type PagerDutyReport struct {
	RoutingKey Secret // "" if FromMessage
	// FromMessage forwards a PagerDuty-shaped block under the routing key that it
	// carries, and no other notification.
	FromMessage bool
}

// WebhookReport posts a record as JSON.
type WebhookReport struct {
	URL     string // http or https; "" if URLFrom is set
	URLFrom Secret // of a URL that is a secret itself
	Secret  Secret // of the signature; "": not signed
}

// Secret says where a secret is: ssm:NAME (a parameter), file:PATH or env:NAME.
// The secret itself never stands in the configuration.
type Secret string

// Source takes a reference apart: "ssm", "file" or "env", and the name there.
func (s Secret) Source() (kind, name string) {
	kind, name, _ = strings.Cut(string(s), ":")
	return kind, name
}

// Matches reports whether the destination hears of the alert: all matchers hold.
func (rep *Report) Matches(a *Alert) bool {
	return len(rep.compiled) >= len(rep.Matchers) &&
		!slices.ContainsFunc(rep.compiled, func(m matcher) bool { return !m.matches(a.Labels) })
}

// secret takes a reference. Its errors never show the value, which may be the
// secret itself.
func secret[T any](field func(*T) *Secret) read[T] {
	return func(r *reader, path string, n *yaml.Node, into *T) {
		s, ok := r.scalar(path, n)
		if !ok {
			return
		}
		if !isReference(s) {
			r.fail(n.Line, path, `want where the secret is, "ssm:NAME", "file:PATH" or "env:NAME", and not the secret itself`)
			return
		}
		*field(into) = Secret(s)
	}
}

func isReference(s string) bool {
	kind, name := Secret(s).Source()
	return slices.Contains([]string{"ssm", "file", "env"}, kind) && strings.TrimSpace(name) == name && name != ""
}

var reportKeys = []key[Report]{
	{"name", checked(func(p *Report) *string { return &p.Name }, checkName)},
	{"slack", func(r *reader, path string, n *yaml.Node, p *Report) {
		p.Slack = &SlackReport{}
		lines := readKeys(r, path, n, slackKeys, p.Slack)
		switch {
		case (lines["token"] == 0) == (lines["webhook_url"] == 0):
			r.fail(n.Line, path, `want "token" with "channel", or "webhook_url"`)
		case lines["token"] != 0 && lines["channel"] == 0:
			r.fail(n.Line, path, `"token" without "channel": name the channel, such as "#alerts"`)
		case lines["webhook_url"] != 0 && lines["channel"] != 0:
			r.fail(lines["channel"], path, `"channel" goes with "token": an incoming webhook has its own channel`)
		}
	}},
	{"pagerduty", func(r *reader, path string, n *yaml.Node, p *Report) {
		p.PagerDuty = &PagerDutyReport{}
		if readKeys(r, path, n, pagerDutyKeys, p.PagerDuty)["routing_key"] == 0 {
			r.fail(n.Line, path, `want "routing_key": where the key is, or from_message`)
		}
	}},
	{"webhook", func(r *reader, path string, n *yaml.Node, p *Report) {
		p.Webhook = &WebhookReport{}
		if readKeys(r, path, n, webhookKeys, p.Webhook)["url"] == 0 {
			r.fail(n.Line, path, `want "url"`)
		}
	}},
	{"on", readOccasions},
	{"matchers", texts(func(p *Report) *[]string { return &p.Matchers }, checkMatchers)},
}

var slackKeys = []key[SlackReport]{
	{"channel", text(func(s *SlackReport) *string { return &s.Channel })},
	{"token", secret(func(s *SlackReport) *Secret { return &s.Token })},
	{"webhook_url", secret(func(s *SlackReport) *Secret { return &s.WebhookURL })},
}

var pagerDutyKeys = []key[PagerDutyReport]{
	{"routing_key", func(r *reader, path string, n *yaml.Node, p *PagerDutyReport) {
		if n.Kind == yaml.ScalarNode && n.Value == "from_message" {
			p.FromMessage = true
			return
		}
		secret(func(p *PagerDutyReport) *Secret { return &p.RoutingKey })(r, path, n, p)
	}},
}

var webhookKeys = []key[WebhookReport]{
	{"url", func(r *reader, path string, n *yaml.Node, w *WebhookReport) {
		if n.Kind == yaml.ScalarNode && isReference(n.Value) {
			w.URLFrom = Secret(n.Value)
			return
		}
		if n.Kind == yaml.ScalarNode && hasPassword(n.Value) { // not to be shown
			r.fail(n.Line, path, "it has a password in it: give the whole URL by reference, as ssm:NAME, file:PATH or env:NAME")
			return
		}
		checked(func(w *WebhookReport) *string { return &w.URL }, checkURL)(r, path, n, w)
	}},
	{"secret", secret(func(w *WebhookReport) *Secret { return &w.Secret })},
}

func checkURL(s string) error {
	rest, ok := strings.CutPrefix(s, "https://")
	if !ok {
		rest, ok = strings.CutPrefix(s, "http://")
	}
	if host, _, _ := strings.Cut(rest, "/"); !ok || host == "" || strings.ContainsFunc(s, notInURL) {
		return errors.New("want a URL that begins with https:// or http://")
	}
	return nil
}

// hasPassword says whether a URL names a user before its host.
func hasPassword(s string) bool {
	_, rest, _ := strings.Cut(s, "://")
	host, _, _ := strings.Cut(rest, "/")
	return strings.Contains(host, "@")
}

func notInURL(r rune) bool { return r <= ' ' || r == '"' || r == '<' || r == '>' || r == 0x7f }

// readOccasions takes one occasion, a list of them, or all.
func readOccasions(r *reader, path string, n *yaml.Node, p *Report) {
	every := occasions()
	words := []string{"all"}
	for _, o := range every {
		words = append(words, string(o))
	}
	var given []string
	texts(func(l *[]string) *[]string { return l }, func(s string) error {
		if !slices.Contains(words, s) {
			return fmt.Errorf("want %s", either(words))
		}
		return nil
	})(r, path, listed(n), &given)
	if len(given) == 0 {
		r.fail(n.Line, path, "nothing: want at least one of %s", either(words))
	}
	p.On = slices.DeleteFunc(every, func(o Occasion) bool {
		return !slices.Contains(given, "all") && !slices.Contains(given, string(o))
	})
}

func readReports(r *reader, path string, n *yaml.Node, c *Config) {
	first := map[string]int{} // :: name → index
	for i, element := range r.elements(path, n) {
		at := fmt.Sprintf("%s[%d]", path, i)
		p := &Report{On: []Occasion{OnFailed, OnRefused, OnExpired, OnBreaker}, line: element.Line}
		lines := readKeys(r, at, element, reportKeys, p)
		p.compiled = compileMatchers(p.Matchers)
		kinds := []string{"slack", "pagerduty", "webhook"}
		given := slices.DeleteFunc(slices.Clone(kinds), func(k string) bool { return lines[k] == 0 })
		switch {
		case lines["name"] == 0:
			r.fail(element.Line, at, `want a "name"`)
		case len(given) == 0:
			r.fail(element.Line, at, "nobody to tell: want one of %s", either(kinds))
		case len(given) > 1:
			r.fail(element.Line, at, "want only one of %s: a destination each", either(given))
		}
		if j, taken := first[p.Name]; taken && p.Name != "" {
			r.fail(element.Line, at, "its name %q is also that of reports[%d]: give each its own", p.Name, j)
		} else {
			first[p.Name] = i
		}
		c.Reports = append(c.Reports, p)
	}
}

// checkReports refuses a command's report that names no destination.
func (c *Config) checkReports(r *reader) {
	var names []string
	for _, p := range c.Reports {
		if p.Name != "" && !slices.Contains(names, p.Name) {
			names = append(names, p.Name)
		}
	}
	for i, cmd := range c.Commands {
		for _, name := range cmd.Report {
			if name == "" || slices.Contains(names, name) {
				continue
			}
			what := "there are no `reports`"
			if len(names) > 0 {
				what = remedy(name, names)
			}
			r.fail(cmd.lines["report"], fmt.Sprintf("commands[%d] %q", i, cmd.Name), "report: no destination of `reports` is named %q: %s", name, what)
		}
	}
}

// Prometheus is where reports query the graph of an alert.
type Prometheus struct {
	URL   string // the base of its HTTP API, such as a workspace's URL of AMP
	SigV4 bool   // requests are signed, as AMP wants them
}

var prometheusKeys = []key[Prometheus]{
	{"url", func(r *reader, path string, n *yaml.Node, p *Prometheus) {
		if n.Kind == yaml.ScalarNode && hasPassword(n.Value) { // not to be shown
			r.fail(n.Line, path, "it has a password in it: want a URL without")
			return
		}
		checked(func(p *Prometheus) *string { return &p.URL }, checkURL)(r, path, n, p)
	}},
	{"sigv4", boolean(func(p *Prometheus) *bool { return &p.SigV4 })},
}

func readPrometheus(r *reader, path string, n *yaml.Node, c *Config) {
	c.Prometheus = &Prometheus{}
	if readKeys(r, path, n, prometheusKeys, c.Prometheus)["url"] == 0 {
		r.fail(n.Line, path, `want "url"`)
	}
}

// readTemplates reads named templates, which reports use as {{ template "NAME" . }}.
func readTemplates(r *reader, path string, n *yaml.Node, c *Config) {
	c.Templates = map[string]string{}
	parsed := true
	for _, e := range r.entries(path, n) {
		value, ok := r.scalar(under(path, e.name), r.resolve(e.value))
		if !ok {
			continue
		}
		if _, err := parseTemplate(value, nil); err != nil {
			r.fail(e.line, under(path, e.name), "%q: %v", value, err)
			parsed = false
		}
		c.Templates[e.name] = value
	}
	if !parsed {
		return
	}
	t, err := reportTemplate(c.Templates)
	if err == nil {
		err = checkCalls(t)
	}
	if err != nil {
		r.fail(n.Line, path, "%v", err)
	}
}

// namedTemplates are those of a file that can be parsed: what is wrong with the
// others is said when they are read.
func namedTemplates(root *yaml.Node, nodes int) map[string]string {
	quiet := reader{nodes: nodes}
	named := map[string]string{}
	if root.Kind != yaml.MappingNode {
		return named
	}
	for _, e := range quiet.entries("", root) {
		if e.name != "templates" {
			continue
		}
		for _, t := range quiet.entries("", quiet.resolve(e.value)) {
			text, ok := quiet.scalar("", quiet.resolve(t.value))
			if _, err := parseTemplate(text, nil); ok && err == nil {
				named[t.name] = text
			}
		}
	}
	return named
}
