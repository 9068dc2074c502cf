package amx

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// key is one key of a mapping of the configuration.
type key[T any] struct {
	name string
	read read[T]
}

var configKeys = []key[Config]{
	{"listen_address", checked(func(c *Config) *string { return &c.ListenAddress }, checkAddress)},
	{"verbose", boolean(func(c *Config) *bool { return &c.Verbose })},
	{"tls_key", text(func(c *Config) *string { return &c.TLSKey })},
	{"tls_crt", text(func(c *Config) *string { return &c.TLSCrt })},
	{"targets", func(r *reader, path string, n *yaml.Node, c *Config) { c.Targets = readTargets(r, path, n) }},
	{"limits", readLimits},
	{"reports", readReports},
	{"prometheus", readPrometheus},
	{"templates", readTemplates},
	{"commands", readCommands},
}

var commandKeys = []key[Command]{
	{"name", checked(func(c *Command) *string { return &c.Name }, checkName)},
	{"cmd", text(func(c *Command) *string { return &c.Cmd })},
	{"script", text(func(c *Command) *string { return &c.Script })},
	{"document", checked(func(c *Command) *string { return &c.Document }, checkDocument)},
	{"document_version", checked(func(c *Command) *string { return &c.DocumentVersion }, checkVersion)},
	{"parameters", readParameters},
	{"args", templates(func(c *Command) *[]string { return &c.Args })},
	{"match_labels", conditions(readMatchLabels)},
	{"matchers", conditions(texts(func(c *Command) *[]string { return &c.Matchers }, checkMatchers))},
	{"scope", choice(func(c *Command) *string { return (*string)(&c.Scope) }, string(ScopeNotification), string(ScopeAlert))},
	{"targets", func(r *reader, path string, n *yaml.Node, c *Command) { c.Targets = readTargets(r, path, n) }},
	{"max_targets", whole(1, func(c *Command) *int { return &c.MaxTargets })},
	{"max_concurrency", checked(func(c *Command) *string { return &c.MaxConcurrency }, checkShare(maxConcurrency, "1"))},
	{"max_errors", checked(func(c *Command) *string { return &c.MaxErrors }, checkShare(maxErrors, "0"))},
	{"platform", choice(func(c *Command) *string { return &c.Platform }, "linux", "windows")},
	{"shell", choice(func(c *Command) *string { return &c.Shell }, "sh", "bash")},
	{"user", checked(func(c *Command) *string { return &c.User }, checkUser)},
	{"working_directory", checked(func(c *Command) *string { return &c.WorkingDirectory }, checkDirectory)},
	{"timeout", duration(5*time.Second, 48*time.Hour, time.Second, func(c *Command) *time.Duration { return &c.Timeout })},
	{"delivery_timeout", duration(30*time.Second, 720*time.Hour, time.Second, func(c *Command) *time.Duration { return &c.DeliveryTimeout })},
	{"wait", duration(0, 0, 1, func(c *Command) *time.Duration { c.Wait = new(time.Duration); return c.Wait })},
	{"notify_on_failure", boolean(func(c *Command) *bool { return &c.NotifyOnFailure })},
	{"retries", whole(0, func(c *Command) *int { return &c.Retries })},
	{"repeat_after", never(1, func(c *Command) *time.Duration { return &c.RepeatAfter })},
	{"retry_delay", duration(time.Second, 6*time.Hour, 1, func(c *Command) *time.Duration { return &c.RetryDelay })},
	{"cooldown", cooldown},
	{"max", within(minInt, MaxRuns, func(c *Command) *int { return &c.Max })},
	{"rate_limit", rates(func(c *Command) *[]Window { return &c.RateLimit })},
	{"when_limited", choice(func(c *Command) *string { return (*string)(&c.WhenLimited) }, string(LimitedWait), string(LimitedSkip))},
	{"spread_by", checked(func(c *Command) *string { return &c.SpreadBy }, func(s string) error { return checkTemplate[dueData](s, nil) })},
	{"breaker", readBreaker},
	{"stop_alarm", readStopAlarm},
	{"report", readReport},
	{"ignore_resolved", boolean(func(c *Command) *bool { return &c.IgnoreResolved })},
	{"resolved_signal", readSignal},
	{"kill_after", never(1, func(c *Command) *time.Duration { return &c.KillAfter })},
	{"on_stop", choice(func(c *Command) *string { return (*string)(&c.OnStop) }, string(StopRerun), string(StopCancelled))},
	{"mode", choice(func(c *Command) *string { return (*string)(&c.Mode) }, string(ModeRun), string(ModeObserve))},
	{"output", readOutput},
}

const minInt = -1 << 31

// readKeys reads a mapping by its table of keys and returns the line of each
// key that is there.
func readKeys[T any](r *reader, path string, n *yaml.Node, table []key[T], into *T) map[string]int {
	lines := map[string]int{}
	for _, e := range r.entries(path, n) {
		lines[e.name] = e.line
		i := slices.IndexFunc(table, func(k key[T]) bool { return k.name == e.name })
		if i < 0 {
			r.fail(e.line, path, "unknown key %q: %s", e.name, r.keyRemedy(path, e.name, names(table)))
			continue
		}
		table[i].read(r, under(path, e.name), r.resolve(e.value), into)
	}
	return lines
}

// keyRemedy says where a key belongs that is known in another place, or what was
// meant by it.
func (r *reader) keyRemedy(path, name string, here []string) string {
	file := path == ""
	switch {
	case file && slices.Contains([]string{"global", "route", "receivers", "inhibit_rules"}, name):
		return "it is one of Alertmanager's own configuration"
	case file && slices.Contains(r.keys, "commands."+name):
		return `it is a key of a command: is it indented as the lines above it?`
	case strings.HasPrefix(path, "commands[") && !strings.Contains(path, ": ") && slices.Contains(r.keys, name):
		return `it is a key of the file: want it beside "commands"`
	}
	return remedy(name, here)
}

// names is the keys of a table.
func names[T any](table []key[T]) []string {
	list := make([]string, len(table))
	for i, k := range table {
		list[i] = k.name
	}
	return list
}

// Keys returns the keys of the file and of a command, in the order in which the
// documentation has them. Those of a command have "commands." before them.
func Keys() []string {
	all := names(configKeys)
	for _, name := range names(commandKeys) {
		all = append(all, "commands."+name)
	}
	return all
}

// under is the path of a key's value.
func under(path, name string) string {
	if path == "" {
		return name
	}
	return path + ": " + name
}

var explicitName = lazily(`^[A-Za-z0-9_.-]{1,64}$`)

func checkName(s string) error {
	if !explicitName().MatchString(s) {
		return errors.New("want 1 to 64 of the characters A-Z a-z 0-9 _ . -")
	}
	return nil
}

func checkMatchers(s string) error {
	found, err := parseMatchers(s)
	if err == nil && len(found) == 0 {
		// Alertmanager takes it, and it holds for every alert.
		err = errors.New(`no matcher in it: want one such as severity="page", or remove it`)
	}
	return err
}

// SSM's own patterns for the two; both take at most 7 characters:
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_SendCommand.html
var (
	maxConcurrency = lazily(`^([1-9][0-9]{0,6}|[1-9][0-9]?%|100%)$`)
	maxErrors      = lazily(`^([1-9][0-9]{0,6}|0|[1-9][0-9]%|[0-9]%|100%)$`)
)

func checkShare(pattern func() *regexp.Regexp, least string) func(string) error {
	return func(s string) error {
		if !pattern().MatchString(s) {
			return fmt.Errorf(`want a number from %s to 9999999, or a percentage from "%s%%" to "100%%"`, least, least)
		}
		return nil
	}
}

// userName leaves out what a program could take for an option.
var userName = lazily(`^[A-Za-z0-9_.][A-Za-z0-9_.@+\\-]*[$]?$`)

func checkUser(s string) error {
	if !userName().MatchString(s) {
		return errors.New("want the name of a user on the nodes")
	}
	return nil
}

// checkDirectory leaves to read whether the path is absolute: that depends on the
// platform.
func checkDirectory(s string) error {
	if strings.Contains(s, "{{") {
		return errors.New("it is no template, and SSM would resolve what {{ begins")
	}
	return nil
}

func readSignal(r *reader, path string, n *yaml.Node, c *Command) {
	s, ok := r.scalar(path, n)
	if !ok {
		return
	}
	name, err := signalName(s)
	if err != nil {
		r.fail(n.Line, path, "%q: %v", s, err)
		return
	}
	c.ResolvedSignal = name
}

// conditions reads what says which alerts a command acts on. There, no value is
// most likely one that is commented out, and would be all alerts; {} and [] say so.
func conditions(read read[Command]) read[Command] {
	return func(r *reader, path string, n *yaml.Node, c *Command) {
		if isNull(n) {
			r.fail(n.Line, path, "no value: it would match every alert; give it one or remove it")
			return
		}
		read(r, path, n, c)
	}
}

func readMatchLabels(r *reader, path string, n *yaml.Node, c *Command) {
	c.MatchLabels = map[string]string{}
	for _, e := range r.entries(path, n) {
		if value, ok := r.scalar(under(path, e.name), r.resolve(e.value)); ok {
			c.MatchLabels[e.name] = value
		}
	}
}

// readStopAlarm takes the name of an alarm, alone or in a list. SSM takes one:
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_AlarmConfiguration.html
func readStopAlarm(r *reader, path string, n *yaml.Node, c *Command) {
	texts(func(c *Command) *[]string { return &c.StopAlarm }, func(s string) error {
		if err := checkLength(1, 255)(s); err != nil {
			return err
		}
		if strings.TrimSpace(s) == "" {
			return errors.New("want the name of a CloudWatch alarm")
		}
		return nil
	})(r, path, listed(n), c)
	if len(c.StopAlarm) > 1 {
		r.fail(n.Line, path, "%d alarms: SSM takes one: want a composite alarm over them", len(c.StopAlarm))
	}
}

// readReport takes the name of a destination, alone or in a list; an empty list
// is nobody.
func readReport(r *reader, path string, n *yaml.Node, c *Command) {
	texts(func(c *Command) *[]string { return &c.Report }, checkName)(r, path, listed(n), c)
}

// listed is a list of one where a single value stands without brackets.
func listed(n *yaml.Node) *yaml.Node {
	if n.Kind != yaml.ScalarNode || isNull(n) {
		return n
	}
	return &yaml.Node{Kind: yaml.SequenceNode, Line: n.Line, Content: []*yaml.Node{n}}
}
