package ssmexec

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/amx-lambda/amx/internal/amx"
)

var (
	//go:embed scripts/common.sh
	commonScript string
	//go:embed scripts/guard.sh
	guardScript string
	//go:embed scripts/run.sh
	runScript string
	//go:embed scripts/after.sh
	afterScript string
	//go:embed scripts/user.sh
	userScript string
	//go:embed scripts/signal.sh
	signalScript string
)

// maxReadable is the size, in bytes, up to which the variables and the command
// line stand in the script as a person would write them. More travels gzipped.
const maxReadable = 16 << 10

// maxVariable is what Linux takes as one string of a new process's environment
// (MAX_ARG_STRLEN, 32 pages), with the terminating NUL; maxVariables is
// well below what it takes as all of them (a quarter of the stack's limit, 2 MiB
// by default), to leave room for the agent's own.
const (
	maxVariable  = 128<<10 - 1
	maxVariables = 1 << 20
)

// about says to a person what a script is.
func about(token Token) string {
	return fmt.Sprintf("amx runs its command %q for the alert below; the command itself is at the end.", token.Command)
}

// sh is the shell of Linux nodes.
type sh struct{}

func (sh) variables(d amx.Data, total int, command, run string) (vars amx.Pairs, notes []string) {
	return amx.Variables(d, total, command, run)
}

func (sh) longest() int { return maxVariable }

// script is line 1 the shebang, line 2 the token, then the variables, the guard,
// and the command in the foreground.
func (sh) script(token Token, variables, execute string) string {
	return "#!/bin/sh\n# " + token.String() + "\n# " + about(token) + "\n" + variables +
		"amx_run=" + token.Run + "\n" + commonScript + guardScript +
		strings.Replace(runScript, "  @EXEC@\n", execute, 1)
}

// signaller is the script that signals a run's process, name without SIG.
func signaller(token Token, name string) string {
	comment := token.signal("SIG" + name)
	if name == "STKFLT" {
		name = "16" // dash does not know the name
	}
	return fmt.Sprintf("#!/bin/sh\n# %s\namx_run=%s\namx_signal=%s\n", comment, token.Run, name) +
		commonScript + signalScript
}

// execution becomes cmd with its arguments, or the shell with the configured
// script as text. It is packed where a person could not read it anyway.
func (sh) execution(c *amx.Command, args []string) (string, error) {
	words := append([]string{c.Cmd}, args...)
	if c.Script != "" {
		words = append([]string{c.Shell, "-c", c.Script, c.Name}, args...)
	}
	readable := true
	for i, w := range words {
		if strings.ContainsRune(w, 0) {
			return "", errNUL
		}
		readable = readable && printable(w)
		words[i] = quote(w)
	}
	as, line := "", "exec "+strings.Join(words, " ")
	if c.User != "" {
		as = strings.Replace(userScript, "@USER@", quote(c.User), 1)
		line = `exec "$@" ` + strings.Join(words, " ")
	}
	if !readable || len(line) > maxReadable {
		return as + sh{}.pack("the command line", line), nil
	}
	return as + "  " + line + "\n", nil
}

func (sh) after(prev string) string { return strings.Replace(afterScript, "@PREV@", prev, 1) }

func (sh) assign(vars amx.Pairs) (text string, readable bool, err error) {
	var b strings.Builder
	readable = true
	for _, v := range vars {
		if strings.ContainsRune(v.Value, 0) {
			return "", false, fmt.Errorf("%s has a NUL byte, which no environment variable can carry", v.Name)
		}
		readable = readable && printable(v.Value)
		b.WriteString("export ")
		b.WriteString(v.Name)
		b.WriteByte('=')
		b.WriteString(quote(v.Value))
		b.WriteByte('\n')
	}
	return b.String(), readable, nil
}

// pack unpacks before it evaluates: a text that cannot be unpacked whole must not run
// in part, or pass for an empty one. A pipe's status is its last program's, and gzip
// fails by itself if base64 gave it too little. Variables
// are unpacked before the guard is taken, so that a later pass may still run; a
// command line in the subshell, whose exit code is the run's.
func (sh) pack(what, text string) string {
	return "# (gzipped, in base64)\namx_text=$(printf %s " + gzipped(text) + " | base64 -d | gzip -dc) || {\n" +
		"  echo 'amx: cannot unpack " + what + ": base64 and gzip are needed' >&2\n  exit 126\n}\n" +
		"eval \"$amx_text\"\nunset amx_text\n"
}

// writers keeps gzip's tables, most of what packing costs.
var writers = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}

// gzipped is text, gzipped, in base64, which also carries what SSM might not
// take as it is: control characters.
func gzipped(text string) string {
	if text == "" {
		return ""
	}
	var z bytes.Buffer
	w := writers.Get().(*gzip.Writer)
	defer writers.Put(w)
	w.Reset(&z) // it errs only with its writer, and a buffer has no errors
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return base64.StdEncoding.EncodeToString(z.Bytes())
}

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 || r == 0xfffe || r == 0xffff
	})
}

// quote is s as one word of the shell. `{{` never stands in a script, because
// the agent resolves {{ssm:name}} with the node's rights wherever it finds it.
func quote(s string) string {
	s = strings.ReplaceAll(s, "'", `'\''`)
	for strings.Contains(s, "{{") {
		s = strings.ReplaceAll(s, "{{", "{''{")
	}
	return "'" + s + "'"
}
