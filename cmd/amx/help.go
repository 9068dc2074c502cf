package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

type helpCmd struct {
	Command []string `arg:"" optional:"" help:"The command, such as template amp."`
}

// Run prints what --help behind the command prints.
func (c *helpCmd) Run(call *kong.Context) error {
	asked, err := kong.Trace(call.Kong, c.Command)
	if err != nil {
		return err
	}
	if asked.Error != nil {
		return usageError{fmt.Errorf("%w; see `amx help`", asked.Error)}
	}
	return asked.PrintUsage(false)
}

type manCmd struct{}

// Run prints the manual in the form of man(7), from the model of the command line
// that the help comes from, too.
func (*manCmd) Run(call *kong.Context, std stdio) error {
	_, err := fmt.Fprint(std.out, manual(call.Model))
	return err
}

func manual(app *kong.Application) string {
	var b strings.Builder
	name, what, _ := strings.Cut(app.Help, " ")
	what, _, _ = strings.Cut(what, "\n")
	fmt.Fprintf(&b, ".TH AMX 1 \"\" %q\n.SH NAME\n%s \\- %s\n", "amx "+version, roff(name), roff(strings.TrimSuffix(what, ".")))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.B amx\n.I command\n[flags]\n")
	fmt.Fprintf(&b, ".SH DESCRIPTION\n%s\n", roffText(app.Help))
	fmt.Fprint(&b, ".SH COMMANDS\n")
	for _, leaf := range app.Leaves(true) {
		fmt.Fprintf(&b, ".SS \"%s\"\n%s\n", roff(leaf.Summary()), roff(leaf.Help))
		for _, arg := range leaf.Positional {
			fmt.Fprintf(&b, ".TP\n.I %s\n%s\n", roff(arg.Summary()), roff(arg.Help))
		}
		for _, flag := range leaf.Flags {
			if !flag.Hidden {
				fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roff(flag.String()), roff(flag.Help))
			}
		}
		if leaf.Detail != "" {
			fmt.Fprintf(&b, ".PP\n%s\n", roffText(leaf.Detail))
		}
	}
	fmt.Fprintf(&b, ".SH EXIT STATUS\n0: done. %d: the answer is no, or it failed. %d: the call is wrong.\n", exitNo, exitUsage)
	return b.String()
}

// roff is text in which man(7) reads nothing as its own: a dash is the one that is
// typed, and no line begins with a request.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, `"`, `\(dq`).Replace(text)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		text = `\&` + text
	}
	return text
}

// roffText is paragraphs, of which those that are indented keep their lines.
func roffText(text string) string {
	var out []string
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		lines := strings.Split(paragraph, "\n")
		plain := strings.HasPrefix(paragraph, " ")
		for i, line := range lines {
			lines[i] = roff(strings.TrimPrefix(line, "  "))
		}
		if plain {
			lines = slices.Concat([]string{".RS", ".nf"}, lines, []string{".fi", ".RE"})
		}
		out = append(out, strings.Join(lines, "\n"))
	}
	return strings.Join(out, "\n.PP\n")
}
