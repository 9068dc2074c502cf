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

// key is one key of a mapping of the configuration. What the contract names and
// this version cannot do has no read: it is refused, because to ignore it would
// be to run a command in a way that nobody asked for.
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
	{"commands", readCommands},
}

var commandKeys = []key[Command]{
	{"name", checked(func(c *Command) *string { return &c.Name }, checkName)},
	{"cmd", text(func(c *Command) *string { return &c.Cmd })},
	{"script", text(func(c *Command) *string { return &c.Script })},
	{"document", checked(func(c *Command) *string { return &c.Document }, checkDocument)},
	{"document_version", checked(func(c *Command) *string { return &c.DocumentVersion }, checkVersion)},
	{"parameters", readParameters},
	{"args", texts(func(c *Command) *[]string { return &c.Args }, checkTemplate[Data])},
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
	{"repeat_after", readRepeatAfter},
	{name: "cooldown"},
	{"max", whole(minInt, func(c *Command) *int { return &c.Max })},
	{name: "rate_limit"},
	{"ignore_resolved", boolean(func(c *Command) *bool { return &c.IgnoreResolved })},
	{"resolved_signal", readSignal},
	{name: "mode"},
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
		switch {
		case i < 0:
			r.fail(e.line, path, "unknown key %q: %s", e.name, remedy(e.name, supported(table)))
		case table[i].read == nil:
			r.fail(e.line, path, "key %q: not supported yet: remove it", e.name)
		default:
			table[i].read(r, under(path, e.name), r.resolve(e.value), into)
		}
	}
	return lines
}

// supported is the names of the keys that this version reads.
func supported[T any](table []key[T]) []string {
	var names []string
	for _, k := range table {
		if k.read != nil {
			names = append(names, k.name)
		}
	}
	return names
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

func readRepeatAfter(r *reader, path string, n *yaml.Node, c *Command) {
	if n.Kind == yaml.ScalarNode && n.Value == "never" {
		c.RepeatAfter = 0
		return
	}
	s, ok := r.scalar(path, n)
	if !ok {
		return
	}
	d, err := parseDuration(s)
	if err != nil || d <= 0 {
		r.fail(n.Line, path, `%q: want "never", or a duration such as "4h"`, s)
		return
	}
	c.RepeatAfter = d
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
