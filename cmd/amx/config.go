package main

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"

	"gopkg.in/yaml.v3"

	"github.com/amx-lambda/amx/internal/amx"
)

type configCmd struct {
	Pack bool   `help:"Print it in the form that Parameter Store takes: gzip in base64."`
	File string `arg:"" default:"amx.yaml" help:"Configuration file; amx unpacks a packed one."`
}

// A parameter's largest value, in characters.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html
const (
	standardTier = 4 << 10
	advancedTier = 8 << 10
)

// Run prints the configuration with its defaults, or packs it as it is. A wrong
// one is told as `amx check` tells it.
func (c *configCmd) Run(std stdio) error {
	text, err := readConfig(c.File)
	if err != nil {
		return err
	}
	cfg, err := amx.ParseConfig(c.File, text)
	if err != nil {
		return err
	}
	if !c.Pack {
		filled, err := fillIn(text, cfg)
		if err != nil {
			return fmt.Errorf("%s: %w", c.File, err)
		}
		_, err = std.out.Write(filled)
		return err
	}
	if err := cfg.ForLambda(); err != nil {
		return err
	}
	packed := amx.Pack(text)
	switch {
	case len(packed) > advancedTier:
		return fmt.Errorf("%s: packed it is %d characters, and a parameter takes %d at most: shorten it, or build it into the functions (ConfigSource=file)", c.File, len(packed), advancedTier)
	case len(packed) > standardTier:
		fmt.Fprintf(std.err, "amx: packed it is %d characters, over %d: give put-parameter --tier Advanced\n", len(packed), standardTier)
	}
	fmt.Fprintln(std.out, packed)
	return nil
}

// fillIn writes a configuration anew, with the defaults of each command behind
// what the file says. Comments stay; aliases and merges are written out.
func fillIn(text []byte, cfg *amx.Config) ([]byte, error) {
	var file yaml.Node
	if err := yaml.Unmarshal(text, &file); err != nil {
		return nil, err
	}
	if len(file.Content) == 0 {
		return nil, nil // an empty file, to which no default belongs
	}
	root := written(file.Content[0])
	if commands := valueOf(root, "commands"); commands != nil {
		for i, n := range commands.Content {
			fillInCommand(n, cfg.Commands[i])
		}
	}
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	err := e.Encode(root)
	return out.Bytes(), err
}

// fillInCommand adds the keys that a command does not have and that have a
// default for one of its kind.
func fillInCommand(n *yaml.Node, cmd *amx.Command) {
	add := func(key string, value *yaml.Node) {
		if valueOf(n, key) == nil {
			n.Content = append(n.Content, plain(key), value)
		}
	}
	if valueOf(n, "name") == nil {
		n.Content = slices.Concat([]*yaml.Node{plain("name"), plain(cmd.Name)}, n.Content)
	}
	if len(cmd.Targets) > 0 {
		add("targets", targetsOf(cmd))
	}
	add("scope", plain(string(cmd.Scope)))
	add("max_targets", plain(strconv.Itoa(cmd.MaxTargets)))
	add("max_concurrency", quoted(cmd.MaxConcurrency))
	add("max_errors", quoted(cmd.MaxErrors))
	add("platform", plain(cmd.Platform))
	if cmd.Script != "" && cmd.Platform == "linux" {
		add("shell", plain(cmd.Shell))
	}
	add("timeout", plain(amx.ShortDuration(cmd.Timeout)))
	add("delivery_timeout", plain(amx.ShortDuration(cmd.DeliveryTimeout)))
	if cmd.Wait != nil {
		add("wait", plain(amx.ShortDuration(*cmd.Wait)))
	}
	add("notify_on_failure", plain(strconv.FormatBool(cmd.NotifyOnFailure)))
	add("retries", plain(strconv.Itoa(cmd.Retries)))
	add("retry_delay", plain(amx.ShortDuration(cmd.RetryDelay)))
	if cmd.RepeatAfter == 0 {
		add("repeat_after", plain("never"))
	}
	add("cooldown", plain(amx.ShortDuration(cmd.Cooldown)))
	add("max", plain(strconv.Itoa(cmd.Max)))
	add("when_limited", plain(string(cmd.WhenLimited)))
	add("breaker", &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle, Content: []*yaml.Node{
		plain("failures"), plain(strconv.Itoa(cmd.Breaker.Failures)), plain("for"), plain(amx.ShortDuration(cmd.Breaker.For)),
	}})
	add("ignore_resolved", plain(strconv.FormatBool(cmd.IgnoreResolved)))
	add("resolved_signal", plain(cmd.ResolvedSignal))
	if cmd.KillAfter == 0 {
		add("kill_after", plain("never"))
	}
	add("on_stop", plain(string(cmd.OnStop)))
	add("mode", plain(string(cmd.Mode)))
}

func targetsOf(cmd *amx.Command) *yaml.Node {
	all := &yaml.Node{Kind: yaml.SequenceNode}
	for _, t := range cmd.Targets {
		values := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, v := range t.Values {
			values.Content = append(values.Content, quoted(v))
		}
		all.Content = append(all.Content, &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{
			plain("key"), plain(t.Key), plain("values"), values,
		}})
	}
	return all
}
