package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/amx-lambda/amx/internal/amx"
)

// scriptCommand is the command that the command line itself names: it runs for
// every alert, as if it stood in the file. A relative script is taken from the
// working directory.
func scriptCommand(words []string, others []*amx.Command) (*amx.Command, error) {
	cmd, err := program(words[0])
	if err != nil {
		return nil, err
	}
	args := make([]string, len(words)-1)
	for i, word := range words[1:] {
		args[i] = strings.ReplaceAll(word, "{{", `{{"{{"}}`) // as typed, no template
	}
	entry := map[string]any{"cmd": cmd, "args": args}
	if name := filepath.Base(cmd); slices.ContainsFunc(others, func(c *amx.Command) bool { return c.Name == name }) {
		entry["name"] = name + "-command-line"
	}
	text, err := yaml.Marshal(map[string]any{"commands": []any{entry}})
	if err != nil {
		return nil, fmt.Errorf("command line: %w", err)
	}
	cfg, err := amx.ParseConfig("command line", text)
	if err != nil {
		return nil, err
	}
	return cfg.Commands[0], nil
}

// program is a path, or a name to be found in PATH when it is run. A path is
// looked at now: otherwise a mistake would only show when an alert fires.
func program(name string) (string, error) {
	if strings.ContainsRune(name, filepath.Separator) {
		_, err := exec.LookPath(name)
		if errors.Is(err, os.ErrPermission) {
			return "", usageError{fmt.Errorf("script %q is not executable: chmod +x %s", name, name)}
		}
		if err != nil {
			return "", usageError{fmt.Errorf("script %q: %w", name, innermost(err))}
		}
		return filepath.Abs(name)
	}
	if _, err := exec.LookPath(name); err == nil {
		return name, nil
	}
	if _, err := os.Stat(name); err == nil {
		return filepath.Abs(name)
	}
	return "", usageError{fmt.Errorf("script %q is neither in PATH nor in the working directory", name)}
}

// innermost is an error without what is wrapped around it: the operation, the
// path.
func innermost(err error) error {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return err
}
