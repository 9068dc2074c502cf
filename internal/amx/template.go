package amx

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/template"
	"time"
)

// maxRendered bounds what one template may write. It is far above SSM's 64 KB,
// and keeps a template that repeats itself from taking the memory.
const maxRendered = 1 << 20

// parseTemplate prepares one value of the configuration. A missing key of a map
// is its zero value, the empty string, as in Alertmanager.
//
// named are the configuration's `templates`, by name, which the value may call. A
// template that the value defines itself goes before one of them.
func parseTemplate(text string, named map[string]string) (*template.Template, error) {
	t, err := template.New("template").Option("missingkey=zero").Funcs(functions).Parse(text)
	if err != nil {
		return nil, explained(cleaned(err))
	}
	if !strings.Contains(text, "template") {
		return t, nil // it calls none
	}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		if t.Lookup(name) != nil {
			continue
		}
		if _, err := t.New(name).Parse(named[name]); err != nil {
			return nil, cleaned(err)
		}
	}
	return t, nil
}

// render runs a template at a time.
func render(t *template.Template, now time.Time, dot any) (string, error) {
	var out bounded
	t.Funcs(clock(now))
	if err := t.Execute(&out, dot); err != nil {
		return "", named(err)
	}
	return out.String(), nil
}

// value renders one value of the configuration for a run. It returns an error if a
// label or annotation that the value prints is missing. With plain, it also returns
// an error if the value prints text that a shell could take for code.
func value(text string, named map[string]string, plain bool, now time.Time, dot any) (string, error) {
	if !strings.Contains(text, "{{") {
		return text, nil // most values are no templates
	}
	t, err := parseTemplate(text, named)
	if err != nil {
		return "", err
	}
	demand(t)
	if plain {
		plainly(t)
	}
	out, err := render(t, now, dot)
	if err == nil || errors.As(err, new(*MissingError)) || errors.As(err, new(notPlainError)) {
		return out, err
	}
	// The error quotes the template as it was rewritten: let it quote what was
	// typed.
	if t, parseErr := parseTemplate(text, named); parseErr == nil {
		if _, typed := render(t, now, dot); typed != nil {
			err = typed
		}
	}
	return "", err
}

// cleaned drops from an error of text/template what it says about the
// template's name; the caller names it better.
func cleaned(err error) error {
	text := strings.TrimPrefix(err.Error(), "template: template:")
	return errors.New(strings.Replace(text, `executing "template" at `, "at ", 1))
}

var (
	undefined    = lazily(`function "(.*)" not defined$`)
	badCharacter = lazily(`bad character U\+00(2D|5B)`)
)

// explained says what to do about the commonest errors of a template's syntax.
func explained(err error) error {
	text := err.Error()
	if found := undefined().FindStringSubmatch(text); found != nil {
		if meant := remedy(found[1], slices.Sorted(maps.Keys(functions))); strings.HasPrefix(meant, "did you") {
			return fmt.Errorf("%w: %s%s", err, meant, braces)
		}
	}
	switch {
	case strings.HasSuffix(text, `undefined variable "$labels"`), strings.HasSuffix(text, `undefined variable "$value"`):
		return fmt.Errorf("%w: it is one of Prometheus's rules: a label is .CommonLabels.instance, an annotation .CommonAnnotations.summary", err)
	}
	if found := badCharacter().FindStringSubmatch(text); found != nil {
		return fmt.Errorf("%w: want %s", err, map[string]string{"2D": `(index .CommonLabels "name-with-dashes")`, "5B": "(index .Alerts 0)"}[found[1]])
	}
	return err
}

// braces is for a program that has templates of its own.
const braces = `; if the program itself is to see the braces, write {{"{{"}}`

// bounded is a strings.Builder that refuses to grow past maxRendered.
type bounded struct{ strings.Builder }

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxRendered {
		return 0, fmt.Errorf("more than %d bytes of output", maxRendered)
	}
	return b.Builder.Write(p)
}

// dueData is what a template in targets sees: the data of the run, and beside
// it one of its due alerts. Where both have a field, Status, it is the alert's.
type dueData struct {
	Data
	Status                    string
	Labels, Annotations       KV
	StartsAt, EndsAt          time.Time
	GeneratorURL, Fingerprint string
}

func newDueData(d Data, a *Alert) dueData {
	return dueData{
		Data: d, Status: a.Status, Labels: a.Labels, Annotations: a.Annotations,
		StartsAt: a.StartsAt, EndsAt: a.EndsAt,
		GeneratorURL: a.GeneratorURL, Fingerprint: a.Fingerprint,
	}
}

// ExpandArgs renders the command's arguments for a run over d. A label that is
// printed and missing is a [MissingError]; an argument that no program takes, because
// it is too long, is an error too.
func (c *Command) ExpandArgs(d Data) ([]string, error) {
	args, err := c.expand("args", c.Args, d, false)
	for i, arg := range args {
		if len(arg) > maxArgument {
			return nil, fmt.Errorf("args[%d] %.60q of command %q: an argument of %d bytes: a program takes %d at most: use script, and read the AMX_* variables there",
				i, c.Args[i], c.Name, len(arg), maxArgument)
		}
	}
	return args, err
}

// ExpandParameters renders the parameters of the command's document for a run
// over d. In those that are a shell's code a value that is not plain is an error.
func (c *Command) ExpandParameters(d Data) (map[string][]string, error) {
	parameters := make(map[string][]string, len(c.Parameters))
	for _, name := range slices.Sorted(maps.Keys(c.Parameters)) {
		values, err := c.expand("parameters: "+name, c.Parameters[name], d, isShellDocument(c.Document))
		if err != nil {
			return nil, err
		}
		parameters[name] = values
	}
	return parameters, nil
}

func (c *Command) expand(key string, texts []string, d Data, plain bool) ([]string, error) {
	values := make([]string, len(texts))
	for i, text := range texts {
		var err error
		values[i], err = value(text, c.named, plain, d.now, d)
		if err != nil {
			return nil, fmt.Errorf("rendering %s[%d] %q of command %q: %w", key, i, text, c.Name, err)
		}
	}
	return values, nil
}

// ExpandTargets renders the command's targets once for each due alert. It
// returns them in the order of the configuration, each with the sorted union of
// its values. A value that is missing or empty for any of the alerts is an
// error, because an empty set of targets must never come to mean all.
func (c *Command) ExpandTargets(d Data, due Alerts) ([]Target, error) {
	targets := make([]Target, 0, len(c.Targets))
	for i, target := range c.Targets {
		union := map[string]bool{}
		for j, text := range target.Values {
			err := eachDue(text, d, due, func(value string) { union[value] = true })
			if err != nil {
				return nil, fmt.Errorf("rendering targets[%d].values[%d] %q of command %q: %w", i, j, text, c.Name, err)
			}
		}
		if len(union) == 0 {
			return nil, fmt.Errorf("rendering targets[%d] %q of command %q: no value", i, target.Key, c.Name)
		}
		if !byName(target.Key) && len(union) > maxTagValues {
			return nil, fmt.Errorf("rendering targets[%d] %q of command %q: %d values: SSM takes at most %d",
				i, target.Key, c.Name, len(union), maxTagValues)
		}
		targets = append(targets, Target{Key: target.Key, Values: slices.Sorted(maps.Keys(union))})
	}
	return targets, nil
}

func eachDue(text string, d Data, due Alerts, add func(string)) error {
	for i := range due {
		value, err := value(text, nil, false, d.now, newDueData(d, &due[i]))
		if errors.As(err, new(*MissingError)) && isOneAction(text) {
			value, err = "", nil // nothing is left of it
		}
		if err != nil {
			return fmt.Errorf("alert %s: %w", due[i].Fingerprint, err)
		}
		if value = strings.TrimSpace(value); value == "" {
			return fmt.Errorf("alert %s: the value is empty: does the alert have the label?", due[i].Fingerprint)
		}
		if value == everyNode {
			return fmt.Errorf("alert %s: the value is %q, which could mean every node", due[i].Fingerprint, value)
		}
		add(value)
	}
	return nil
}

// isOneAction says whether a template is a single {{ }} and nothing beside it.
func isOneAction(text string) bool {
	text = strings.TrimSpace(text)
	return strings.HasPrefix(text, "{{") && strings.HasSuffix(text, "}}") && strings.Count(text, "{{") == 1
}

// maxArgument is what one argument may have, in bytes: Linux takes 128 KB with the
// NUL at its end (MAX_ARG_STRLEN), and says no more than "argument list too long".
const maxArgument = 128<<10 - 1

// checkTemplate parses a template and tries it on an alert without labels. The
// trial may fail because a label is missing. But a field that no alert can have is
// an error now, and not only when the first alert fires. checkTemplate also looks at
// the branches that the trial does not reach, as far as the type of the dot is known
// there.
func checkTemplate[T Data | dueData](text string, named map[string]string) error {
	t, err := parseTemplate(text, named)
	if err == nil {
		err = checkCalls(t)
	}
	if err == nil {
		err = checkFields(t, *new(T))
	}
	if err != nil {
		return err
	}
	alert := Alert{Status: Firing}
	d := Data{Status: Firing, Alerts: Alerts{alert}}
	var dot any = d
	if _, due := any(*new(T)).(dueData); due {
		dot = newDueData(d, &alert)
	}
	if _, err := render(t, d.now, dot); err != nil && strings.Contains(err.Error(), "can't evaluate field") {
		return err
	}
	return nil
}

// ExpandSpread renders spread_by for a due alert. An empty value is an error: runs
// that go on for no value at all could not be told apart.
func (c *Command) ExpandSpread(d Data, a Alert) (value string, err error) {
	if err = eachDue(c.SpreadBy, d, Alerts{a}, func(v string) { value = v }); err != nil {
		return "", fmt.Errorf("rendering spread_by %q of command %q: %w", c.SpreadBy, c.Name, err)
	}
	return value, nil
}
