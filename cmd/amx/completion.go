package main

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Run prints the script. It comes from the model of the command line: a new flag
// is completed without more.
func (c *completionCmd) Run(call *kong.Context, std stdio) error {
	script := map[string]func(*kong.Application) string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}[c.Shell]
	_, err := fmt.Fprint(std.out, script(call.Model))
	return err
}

// nodes are amx and its commands, each before those below it.
func nodes(n *kong.Node) []*kong.Node {
	all := []*kong.Node{n}
	for _, child := range n.Children {
		if !child.Hidden {
			all = append(all, nodes(child)...)
		}
	}
	return all
}

// flagsOf are the names of a flag, as they are typed.
func flagsOf(f *kong.Flag) []string {
	names := []string{"--" + f.Name}
	if f.Short != 0 {
		names = append(names, "-"+string(f.Short))
	}
	return names
}

// findCommand is the branches by which bash and zsh follow the words to a command.
func findCommand(app *kong.Application) string {
	var b strings.Builder
	for _, n := range nodes(app.Node)[1:] {
		fmt.Fprintf(&b, "\t\t%q) command=%q ;;\n", pathOf(n.Parent)+" "+n.Name, pathOf(n))
	}
	return b.String()
}

// valuesOf is the branches for the word behind a flag that takes a value: one of
// several, or a file.
func valuesOf(app *kong.Application, choose func([]string) string, file string) string {
	var b strings.Builder
	for _, n := range nodes(app.Node) {
		for _, f := range n.Flags {
			if f.IsBool() {
				continue
			}
			does := file
			if f.Enum != "" {
				does = choose(f.EnumSlice())
			}
			for _, name := range flagsOf(f) {
				fmt.Fprintf(&b, "\t%q) %s ;;\n", pathOf(n)+" "+name, does)
			}
		}
	}
	return b.String()
}

// arguments are what may stand for the first argument of a command: the commands
// below it, or the values of its argument, with their help.
func arguments(n *kong.Node) (names, help []string) {
	for _, child := range n.Children {
		if !child.Hidden {
			names, help = append(names, child.Name), append(help, child.Help)
		}
	}
	for _, arg := range n.Positional {
		if arg.Enum != "" {
			for _, value := range arg.EnumSlice() {
				names, help = append(names, value), append(help, arg.Help)
			}
		}
	}
	return names, help
}

func bashCompletion(app *kong.Application) string {
	var words strings.Builder
	for _, n := range nodes(app.Node) {
		var flags []string
		for _, f := range n.Flags {
			flags = append(flags, flagsOf(f)...)
		}
		if len(flags) > 0 {
			fmt.Fprintf(&words, "\t\t%q*) words=%q ;;\n", pathOf(n)+":-", strings.Join(flags, " "))
		}
		if names, _ := arguments(n); len(names) > 0 {
			fmt.Fprintf(&words, "\t\t%q*) words=%q ;;\n", pathOf(n)+":", strings.Join(names, " "))
		}
	}
	choose := func(values []string) string { return fmt.Sprintf("words=%q", strings.Join(values, " ")) }
	return `# bash completion of amx
_amx() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command= word= words=
	for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
		case "$command $word" in
` + findCommand(app) + `		esac
	done
	case "$command $prev" in
` + valuesOf(app, choose, ":") + `	*)
		case "$command:$cur" in
` + words.String() + `		esac ;;
	esac
	COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F _amx amx
`
}

func zshCompletion(app *kong.Application) string {
	var words strings.Builder
	branch := func(of, tag string, described []string) {
		if len(described) > 0 {
			fmt.Fprintf(&words, "\t%q*) names=(%s); _describe %s names ;;\n", of, strings.Join(described, " "), tag)
		}
	}
	describe := func(name, help string) string {
		return "'" + name + ":" + strings.ReplaceAll(help, "'", `'\''`) + "'"
	}
	for _, n := range nodes(app.Node) {
		var flags, others []string
		for _, f := range n.Flags {
			for _, name := range flagsOf(f) {
				flags = append(flags, describe(name, f.Help))
			}
		}
		names, help := arguments(n)
		for i, name := range names {
			others = append(others, describe(name, help[i]))
		}
		branch(pathOf(n)+":-", "-o option", flags)
		branch(pathOf(n)+":", "argument", others)
	}
	choose := func(values []string) string { return "compadd -- " + strings.Join(values, " ") + "; return" }
	return `#compdef amx
_amx() {
	local command= word
	local -a names
	for word in "${(@)words[2,CURRENT-1]}"; do
		case "$command $word" in
` + findCommand(app) + `		esac
	done
	case "$command ${words[CURRENT-1]}" in
` + valuesOf(app, choose, "_files; return") + `	esac
	case "$command:${words[CURRENT]}" in
` + words.String() + `	*) _files ;;
	esac
}
# A file of fpath is the function itself; eval has the script define it.
if [[ "${funcstack[1]}" == _amx ]]; then _amx "$@"; else compdef _amx amx; fi
`
}

func fishCompletion(app *kong.Application) string {
	quote := func(text string) string { return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(text) + "'" }
	var b strings.Builder
	b.WriteString("# fish completion of amx\n")
	for _, n := range nodes(app.Node) {
		names, help := arguments(n)
		on := "__fish_seen_subcommand_from " + n.Name
		first := on + "; and not __fish_seen_subcommand_from " + strings.Join(names, " ")
		if n.Parent == nil {
			on, first = "__fish_use_subcommand", "__fish_use_subcommand"
		}
		for i, name := range names {
			fmt.Fprintf(&b, "complete -c amx -n '%s' -f -a %s -d %s\n", first, name, quote(help[i]))
		}
		for _, f := range n.Flags {
			fmt.Fprintf(&b, "complete -c amx -n '%s' -l %s", on, f.Name)
			if f.Short != 0 {
				fmt.Fprintf(&b, " -s %c", f.Short)
			}
			if f.Enum != "" {
				fmt.Fprintf(&b, " -x -a %s", quote(strings.Join(f.EnumSlice(), " ")))
			} else if !f.IsBool() {
				b.WriteString(" -r")
			}
			fmt.Fprintf(&b, " -d %s\n", quote(f.Help))
		}
	}
	return b.String()
}
