package amx

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

func readCommands(r *reader, at string, n *yaml.Node, c *Config) {
	if !isNull(n) {
		c.Commands = []*Command{} // it says that there are none
	}
	for i, element := range r.elements(at, n) {
		cmd := newCommand()
		cmd.line = element.Line
		cmd.read(r, commandPath(r, i, element), element)
		c.Commands = append(c.Commands, cmd)
	}
}

// commandPath names a command in errors by its place, and by its name if it has
// one.
func commandPath(r *reader, i int, n *yaml.Node) string {
	at := fmt.Sprintf("commands[%d]", i)
	if n.Kind != yaml.MappingNode {
		return at
	}
	quiet := reader{nodes: r.nodes}
	for _, e := range quiet.entries("", n) {
		if value := quiet.resolve(e.value); e.name == "name" && value.Kind == yaml.ScalarNode && value.Value != "" {
			return fmt.Sprintf("%s %q", at, value.Value)
		}
	}
	return at
}

// read fills the command from its mapping and checks what no key can check
// alone.
func (c *Command) read(r *reader, at string, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		r.fail(n.Line, at, "%s: want keys and values", described(n))
		return
	}
	lines := readKeys(r, at, n, commandKeys, c)
	c.lines = lines
	c.compiled = compileMatchers(c.Matchers)
	kinds := []string{"cmd", "script", "document"}
	var given []string
	for _, kind := range kinds {
		if lines[kind] != 0 {
			given = append(given, kind)
		}
	}
	switch len(given) {
	case 0:
		r.fail(n.Line, at, "nothing to run: want one of %s", either(kinds))
		return
	case 1:
	default:
		r.fail(n.Line, at, "want only one of %s", either(given))
		return
	}
	kind := given[0]
	if kind != "cmd" && lines["name"] == 0 {
		r.fail(n.Line, at, `a %s needs a "name"`, kind)
	}
	if what := notOneProgram(c.Cmd); what != "" && c.Platform == "linux" {
		r.fail(lines["cmd"], at, "cmd: %q: %s", c.Cmd, what)
	}
	if c.Platform == "windows" && isBatch(c.Cmd) {
		r.fail(lines["cmd"], at, "cmd: %q: a batch file's arguments go through cmd.exe, where nothing quotes them safely: want an .exe, or a \"script\"", c.Cmd)
	}
	goesWith := func(key string, kinds ...string) {
		if lines[key] != 0 && !slices.Contains(kinds, kind) {
			r.fail(lines[key], at, "%q goes with %s, not with %q", key, either(kinds), kind)
		}
	}
	goesWith("args", "cmd", "script")
	goesWith("parameters", "document")
	goesWith("document_version", "document")
	goesWith("user", "cmd", "script") // a document has it among its parameters, or not at all
	goesWith("working_directory", "cmd", "script")
	for _, key := range []string{"shell", "user"} {
		if c.Platform == "windows" && lines[key] != 0 {
			r.fail(lines[key], at, `%q goes with platform "linux", not with "windows"`, key)
		}
	}
	if c.WorkingDirectory != "" && !isAbsolute(c.Platform, c.WorkingDirectory) {
		r.fail(lines["working_directory"], at, "working_directory: %q: want an absolute path: a relative one that does not exist is ignored on the node", c.WorkingDirectory)
	}
	if c.KillAfter != 0 && c.ResolvedSignal == SIGKILL {
		r.fail(lines["kill_after"], at, `"kill_after" goes with a resolved_signal other than %s, which ends the run at once`, SIGKILL)
	}
	if c.ResolvedSignal != SIGKILL && (kind == "document" || c.Platform == "windows") {
		r.fail(lines["resolved_signal"], at, "resolved_signal: %q: want %s, which is SSM's cancellation: there is no process to signal otherwise", c.ResolvedSignal, SIGKILL)
	}
}

// notOneProgram says what keeps cmd from being a program of Linux: no shell reads it,
// so that what is meant for one would only fail at the alert. A path may have blanks
// in it, if it does not look like a program with its words.
func notOneProgram(cmd string) string {
	words := strings.Fields(cmd)
	if len(words) == 0 {
		return ""
	}
	switch sign := strings.IndexAny(cmd, "|;&<>`$"); {
	case strings.Contains(strings.ReplaceAll(cmd, " ", ""), "{{."):
		return `it is no template: want a program here, and the template under "args"`
	case strings.HasPrefix(cmd, "~"):
		return "want the whole path: no shell reads it"
	case sign >= 0 && cmd[sign] == '$':
		return `no shell reads it: want the whole path, or a "script" for $`
	case sign >= 0:
		return fmt.Sprintf(`no shell reads it: want a "script" for %c`, cmd[sign])
	}
	folder, file := path.Split(words[0])
	isProgram := folder == "" || slices.Contains([]string{"bin", "sbin"}, path.Base(folder)) ||
		slices.Contains([]string{".sh", ".bash", ".py", ".pl", ".rb", ".js"}, path.Ext(file))
	isOption := func(word string) bool { return strings.HasPrefix(word, "-") }
	if len(words) > 1 && (isProgram || slices.ContainsFunc(words[1:], isOption)) {
		return `want one program, and its words under "args"; or a "script", which a shell reads`
	}
	return ""
}

// isAbsolute says whether a directory does not depend on where the agent runs.
func isAbsolute(platform, directory string) bool {
	if platform != "windows" {
		return strings.HasPrefix(directory, "/")
	}
	drive, rest, ok := strings.Cut(directory, ":")
	return strings.HasPrefix(directory, `\\`) ||
		ok && len(drive) == 1 && isLetter(rune(drive[0])) && strings.IndexAny(rest, `\/`) == 0
}

// isBatch says that Windows would start cmd.exe for a program, which takes the
// arguments apart by rules of its own: https://nvd.nist.gov/vuln/detail/CVE-2024-24576
// Dots and blanks at a name's end do not count there, nor do quotes around it.
func isBatch(cmd string) bool {
	name := strings.ToLower(strings.TrimRight(cmd, ". \t\"'"))
	return strings.HasSuffix(name, ".bat") || strings.HasSuffix(name, ".cmd")
}

// complete fills in what depends on the whole file: names and targets.
func (c *Config) complete(r *reader) {
	c.nameCommands()
	c.checkReports(r)
	first := map[string]int{} // :: name → index of the command
	for i, cmd := range c.Commands {
		cmd.named = c.Templates
		if len(cmd.Targets) == 0 {
			cmd.Targets = c.Targets
		}
		if line := cmd.lines["max_targets"]; line != 0 && slices.ContainsFunc(cmd.Targets, func(t Target) bool { return t.Key == keyResourceGroup }) {
			r.fail(line, fmt.Sprintf("commands[%d] %q", i, cmd.Name), "max_targets: amx cannot count the nodes of %s: remove it: max_concurrency and max_errors are the limit", keyResourceGroup)
		}
		if cmd.Name == "" {
			continue
		}
		if j, taken := first[cmd.Name]; taken {
			r.fail(cmd.line, fmt.Sprintf("commands[%d]", i),
				"its name %q is also that of commands[%d] on line %d: give it a \"name\" of its own", cmd.Name, j, c.Commands[j].line)
			continue
		}
		first[cmd.Name] = i
	}
}

// nameCommands gives each unnamed cmd its base name, or that and a hash where
// another command has the same.
func (c *Config) nameCommands() {
	bases := make([]string, len(c.Commands))
	taken := map[string]int{}
	for i, cmd := range c.Commands {
		bases[i] = cmd.Name
		if cmd.Name == "" && cmd.Cmd != "" {
			bases[i] = baseName(cmd.Cmd)
		}
		taken[bases[i]]++
	}
	for i, cmd := range c.Commands {
		if cmd.Name != "" || cmd.Cmd == "" {
			continue
		}
		cmd.Name = bases[i]
		if taken[bases[i]] > 1 {
			cmd.Name += "-" + cmd.hash()
		}
	}
}

var notInName = lazily(`[^A-Za-z0-9_.-]`)

// baseName is the last element of a program's path, with "-" for what a name
// cannot have, and short enough for a hash to follow.
func baseName(cmd string) string {
	name := notInName().ReplaceAllString(path.Base(strings.TrimSpace(cmd)), "-")
	return name[:min(len(name), 57)]
}

// hash is 6 hex digits of SHA-256 over the JSON list [cmd, args, match_labels],
// as encoding/json writes it: without white space, the labels in order.
func (c *Command) hash() string {
	args, labels := c.Args, c.MatchLabels
	if args == nil {
		args = []string{}
	}
	if labels == nil {
		labels = map[string]string{}
	}
	text, err := json.Marshal([]any{c.Cmd, args, labels})
	if err != nil { // strings always marshal
		panic(err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(text))[:6]
}
