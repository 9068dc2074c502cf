package amx

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// maxWait is how long a caller may wait without a warning: a webhook's answer has to
// come well before Alertmanager's group_interval, which is 10s at the least.
const maxWait = 8 * time.Second

// Warnings says, with the line, what is allowed and most likely not meant.
func (c *Config) Warnings() []string {
	var all []string
	for i, d := range c.Reports {
		at := fmt.Sprintf("%s:%d: reports[%d] %q: ", c.file, d.line, i, d.Name)
		if d.PagerDuty != nil && d.PagerDuty.FromMessage && !slices.Contains(d.On, OnAlert) {
			all = append(all, at+"from_message: only an alert has a routing_key, so nobody is told: want on: alert")
		}
		for j, text := range d.Matchers {
			if what := unmeant(text); what != "" {
				all = append(all, fmt.Sprintf("%smatchers[%d]: %q: %s", at, j, text, what))
			}
		}
	}
	for i, cmd := range c.Commands {
		warn := func(key, format string, args ...any) {
			all = append(all, fmt.Sprintf("%s:%d: commands[%d] %q: %s", c.file, cmd.lines[key], i, cmd.Name, fmt.Sprintf(format, args...)))
		}
		if cmd.Wait != nil && *cmd.Wait > maxWait {
			warn("wait", "wait: %s: over %s the answer may come after Alertmanager's group_interval, which then sends no resolve",
				ShortDuration(*cmd.Wait), ShortDuration(maxWait))
		}
		for _, name := range slices.Sorted(maps.Keys(cmd.MatchLabels)) {
			if value := cmd.MatchLabels[name]; hasOperator(value) {
				warn("match_labels", "match_labels: %s: it compares with the text %q itself: want %q under matchers", name, value, name+value)
			}
		}
		for j, text := range cmd.Matchers {
			if what := unmeant(text); what != "" {
				warn("matchers", "matchers[%d]: %q: %s", j, text, what)
			}
		}
		if cmd.SpreadBy != "" && !strings.Contains(cmd.SpreadBy, "{{") {
			warn("spread_by", "spread_by: %q: it is the same for every alert, so it holds nothing back: want a template such as {{ .Labels.availability_zone }}", cmd.SpreadBy)
		}
		for j, arg := range cmd.Args {
			if isVariable(arg) && !slices.Contains(cmd.Args[:j], "-c") {
				warn("args", `args[%d]: %q: no shell reads it, so the program gets this text: want a template such as {{ .CommonLabels.instance }}, or a "script"`, j, arg)
			}
		}
	}
	return all
}

func hasOperator(value string) bool {
	return slices.ContainsFunc([]string{"=~", "!~", "!=", "=="}, func(op string) bool { return strings.HasPrefix(value, op) })
}

// severalIn is how people join conditions in other languages.
var severalIn = lazily(`(?i)(\s(and|or)\s|&&|\|\|).*[=~]`)

// unmeant says what a matcher without double quotes compares with, where Alertmanager
// takes it too and hardly anybody means it.
func unmeant(text string) string {
	found, err := parseMatchers(text)
	if err != nil || strings.Contains(text, `"`) {
		return ""
	}
	for _, m := range found {
		compares := fmt.Sprintf("it compares with the text %q", m.value)
		switch rest := strings.TrimLeft(m.value, "=~ "); {
		case strings.HasPrefix(m.value, "="):
			return fmt.Sprintf("%s: there is no %s=: want %s%s%q", compares, m.op, m.name, m.op, rest)
		case strings.HasPrefix(m.value, "~") && m.op == "=":
			return fmt.Sprintf("%s: there is no =~ with a blank in it: want %s=~%q", compares, m.name, rest)
		case len(m.value) > 1 && m.value[0] == '\'' && strings.HasSuffix(m.value, "'"):
			return fmt.Sprintf("%s: want double quotes: %s%s%q", compares, m.name, m.op, strings.Trim(m.value, "'"))
		case severalIn().MatchString(m.value):
			return compares + ": want a matcher for each condition, all of which hold"
		}
	}
	return ""
}

var variableAsArgument = lazily(`^\$(AMX_[A-Za-z0-9_]+|\{AMX_[A-Za-z0-9_]+\})$`)

// isVariable says that an argument is one of amx's variables as a shell would read it.
func isVariable(arg string) bool { return variableAsArgument().MatchString(arg) }
