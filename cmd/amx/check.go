package main

import (
	"fmt"
	"os"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/report/send"
)

type checkCmd struct {
	Lambda bool     `help:"Read the files as the Lambda functions do: a file needs a command, and every command needs targets."`
	Files  []string `arg:"" name:"file" help:"Configuration files."`
}

// Run says of each file whether it is right, and if not, all that is wrong.
func (c *checkCmd) Run(io stdio) error {
	bad := false
	for _, file := range c.Files {
		cfg, err := loadConfig(file)
		switch {
		case err != nil:
		case c.Lambda:
			err = cfg.ForLambda()
		default:
			err = cfg.NotEmpty()
		}
		if err != nil {
			fmt.Fprintln(io.err, err)
			bad = true
			continue
		}
		for _, warning := range cfg.Warnings() {
			fmt.Fprintln(io.err, "amx: warning:", warning)
		}
		fmt.Fprintf(io.out, "%s: ok, %d %s\n", file, len(cfg.Commands), plural(len(cfg.Commands), "command"))
	}
	if bad {
		return errNo
	}
	return nil
}

func loadConfig(file string) (*amx.Config, error) {
	text, err := readConfig(file)
	if err != nil {
		return nil, err
	}
	cfg, err := amx.ParseConfig(file, text)
	if err != nil {
		return nil, err
	}
	if err := send.Check(cfg.Templates, time.Now()); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return cfg, nil
}

// readConfig is the text of a configuration file. One that holds what a
// parameter does is unpacked, so that it can be checked, too.
func readConfig(file string) ([]byte, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	if text, err = amx.Unpack(text); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return text, nil
}

func plural(n int, noun string) string {
	if n == 1 {
		return noun
	}
	return noun + "s"
}
