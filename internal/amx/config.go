package amx

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Config is what amx.yaml says, with every default filled in.
type Config struct {
	ListenAddress  string // amx serve; "" unless given
	Verbose        bool   // amx serve
	TLSKey, TLSCrt string // amx serve: file names
	Targets        []Target
	Limits         Limits            // over all commands together
	Reports        []*Report         // to whom reports go, in the order of the file
	Prometheus     *Prometheus       // for the graphs of reports; nil: none
	Templates      map[string]string // by name, for reports, args and parameters
	Commands       []*Command        // in the order of the file

	file  string
	empty bool // the file has no key
}

// Scope says what one run of a command is for.
type Scope string

// The scopes of a command.
const (
	ScopeNotification Scope = "notification" // one run for the matching alerts of a notification
	ScopeAlert        Scope = "alert"        // one run for each alert
)

// SIGKILL is the default ResolvedSignal, the one that SSM's CancelCommand sends.
const SIGKILL = "SIGKILL"

// Command is one configured command. Exactly one of Cmd, Script and Document is
// set.
type Command struct {
	Name            string
	Cmd             string // a program, run with Args
	Script          string // a text that Shell runs
	Document        string // the name of an SSM document
	DocumentVersion string // "" for the document's default
	Args            []string
	Parameters      map[string][]string // of Document, each value a template

	MatchLabels map[string]string // equality, all must hold
	Matchers    []string          // Alertmanager's syntax, all must hold
	Scope       Scope

	Targets          []Target // its own, else the configuration's default
	MaxTargets       int      // more nodes refuse the run
	MaxConcurrency   string   // as SSM takes it: "50" or "10%"
	MaxErrors        string   // as SSM takes it: "0" or "10%"
	Platform         string   // "linux" or "windows"
	Shell            string   // "sh" or "bash"
	User             string   // "" for the agent's
	WorkingDirectory string   // "" for the agent's

	Timeout         time.Duration // of the execution, whole seconds
	DeliveryTimeout time.Duration // until a node takes the command, whole seconds
	// Wait is how long a webhook's caller waits for the outcome. ParseConfig sets
	// it, to 5s by default; nil is left to tests that make commands by hand.
	Wait            *time.Duration
	NotifyOnFailure bool
	Retries         int           // after a failure
	RetryDelay      time.Duration // from the end of a run to its first retry; doubles with each retry
	RepeatAfter     time.Duration // 0: never
	IgnoreResolved  bool
	ResolvedSignal  string        // a name such as "SIGTERM"
	KillAfter       time.Duration // after ResolvedSignal, until a run that goes on is cancelled; 0: never
	OnStop          OnStop        // amx serve
	Output          Output

	Cooldown    time.Duration // least time between the starts of two runs for one alert; 0: none
	Max         int           // runs at once, up to MaxRuns; 0 or less: no limit
	RateLimit   []Window      // every one holds; nil or empty: none
	WhenLimited WhenLimited
	SpreadBy    string // a template over a due alert: runs go on for one value at a time; "": for all
	Breaker     Breaker
	StopAlarm   []string // CloudWatch alarms; SSM takes one
	Mode        Mode
	Report      []string // names of Config.Reports; nil: all of them, empty: none

	line     int               // where the command begins in the file
	named    map[string]string // the file's templates
	lines    map[string]int    // :: key → its line, of those that were given
	compiled []matcher         // of Matchers
}

// Target selects nodes, in SSM's own form. The values are templates.
type Target struct {
	Key    string // InstanceIds, Address, tag:NAME or resource-groups:Name
	Values []string
}

// Output is where SSM keeps what a command writes, beside its own 24,000
// characters.
type Output struct {
	S3Bucket           string
	S3Prefix           string
	CloudWatchLogGroup string
}

// newCommand has the defaults of the contract.
func newCommand() *Command {
	wait := 5 * time.Second
	return &Command{
		Scope:           ScopeNotification,
		MaxTargets:      10,
		MaxConcurrency:  "50",
		MaxErrors:       "0",
		Platform:        "linux",
		Shell:           "sh",
		Timeout:         time.Hour,
		DeliveryTimeout: 10 * time.Minute,
		Wait:            &wait,
		NotifyOnFailure: true,
		RetryDelay:      30 * time.Second,
		ResolvedSignal:  SIGKILL,
		OnStop:          StopCancelled,
		WhenLimited:     LimitedWait,
		Breaker:         Breaker{Failures: 3, For: time.Hour},
		Mode:            ModeRun,
	}
}

// ParseConfig reads a configuration. Name is the file's, for errors only. The
// error joins everything that is wrong, in the order of the lines.
func ParseConfig(name string, data []byte) (*Config, error) {
	r := &reader{file: name, keys: Keys()}
	c := &Config{file: name, empty: true}
	if root := r.document(data); root != nil {
		r.named = namedTemplates(root, r.nodes)
		lines := readKeys(r, "", root, configKeys, c)
		c.empty = len(lines) == 0
		switch {
		case c.TLSKey != "" && c.TLSCrt == "":
			r.fail(lines["tls_key"], "", "tls_key without tls_crt: TLS needs both: name the certificate's file")
		case c.TLSCrt != "" && c.TLSKey == "":
			r.fail(lines["tls_crt"], "", "tls_crt without tls_key: TLS needs both: name the key's file")
		}
		c.complete(r)
	}
	if err := r.err(); err != nil {
		return nil, err
	}
	return c, nil
}

// NotEmpty returns an error for a file that says nothing at all.
func (c *Config) NotEmpty() error {
	if c.empty {
		return c.noCommands()
	}
	return nil
}

func (c *Config) noCommands() error {
	return fmt.Errorf(`%s: no commands: want a list under "commands"`, c.file)
}

// ForLambda returns an error if the functions cannot use the configuration. Each
// command needs targets, its own or the default: only amx serve has a host of its
// own to run on. A file without a command is most likely one that somebody has only
// begun to write; with it every notification would be settled, and run nothing.
func (c *Config) ForLambda() error {
	if c.Commands == nil {
		return c.noCommands()
	}
	var errs []error
	for i, cmd := range c.Commands {
		if len(cmd.Targets) == 0 {
			errs = append(errs, fmt.Errorf(`%s:%d: commands[%d] %q: no targets: add "targets" to it, or to the file as the default`,
				c.file, cmd.line, i, cmd.Name))
		}
	}
	return errors.Join(errs...)
}

// Matches reports whether the command acts on the alert: all of its
// match_labels are among the alert's labels, and all of its matchers hold.
// A label that the alert lacks is an empty one to a matcher, and never equal to
// one of match_labels. A command with matchers has to come from ParseConfig, which
// compiles them; else it acts on nothing.
func (c *Command) Matches(a *Alert) bool {
	for name, want := range c.MatchLabels {
		if value, ok := a.Labels[name]; !ok || value != want {
			return false
		}
	}
	if len(c.compiled) < len(c.Matchers) {
		return false
	}
	return !slices.ContainsFunc(c.compiled, func(m matcher) bool { return !m.matches(a.Labels) })
}

// Mismatch says which condition keeps the command from the alert, and what the
// alert has instead; "" if it matches.
func (c *Command) Mismatch(a *Alert) string {
	has := func(name string) string {
		if value, ok := a.Labels[name]; ok {
			return fmt.Sprintf("the alert has %q", value)
		}
		return "the alert has no such label"
	}
	for _, name := range slices.Sorted(maps.Keys(c.MatchLabels)) {
		if value, ok := a.Labels[name]; !ok || value != c.MatchLabels[name] {
			return fmt.Sprintf("match_labels: %s: %q: %s", name, c.MatchLabels[name], has(name))
		}
	}
	for _, m := range c.compiled {
		if !m.matches(a.Labels) {
			return fmt.Sprintf("matchers: %s%s%q: %s", m.name, m.op, m.value, has(m.name))
		}
	}
	return ""
}

// compileMatchers takes what checkMatchers has let pass.
func compileMatchers(texts []string) []matcher {
	var all []matcher
	for _, text := range texts {
		found, _ := parseMatchers(text)
		all = append(all, found...)
	}
	return all
}
