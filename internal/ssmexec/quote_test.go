package ssmexec

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/amx-lambda/amx/internal/amx"
)

// nasty is text that means something to a shell, to SSM, to gzip's reader, or
// to somebody who takes text apart by lines or by bytes.
var nasty = []string{
	"", "'", "''", `'\''`, `"`, "`id`", "$(id)", "${IFS}", "$HOME", "\\", "\\\\'", "\n", "\n\n", "\r\n", "\t", " ", "  x  ",
	"{{", "{{{", "{{{{", "}}", "{{ssm:amx}}", "{{ ssm:/a/b }}", "{'{", "{\n{", "a{", "{",
	"; touch owned", "| touch owned", "&& touch owned", "$(touch owned)", "`touch owned`", "'; touch owned; '", "\n touch owned\n", "&",
	"<(touch owned)", ">owned", "!", "!!", "#", "*", "?", "[a-z]", "~", "%s%n", "-n", "-e", "--", "=", "@EXEC@", "@USER@",
	"é", "日本", "\u2028", "\ufeff", "\U0001f600", "\x01", "\x1b[0m", "\x7f", "\xff\xfe", "\xc3", "\u0085", "EOF", "amx_run=x",
}

// values turns arbitrary bytes into values that no process can refuse, cut at
// the bytes that a fuzzer learns to place.
func values(data []byte) []string {
	var out []string
	for v := range bytes.SplitSeq(data, []byte{0}) {
		out = append(out, string(v[:min(len(v), maxVariable/2)]))
	}
	return out
}

// wantBack renders the values as variables, in the readable and in the packed
// form, has each shell read them, and wants every value back byte for byte and
// nothing else done.
func wantBack(t *testing.T, all []string) {
	t.Helper()
	vars, alerts := amx.Pairs{}, amx.Alerts{}
	for i, v := range all {
		// The name is a value, too: whatever it holds, a variable comes of it.
		alerts = append(alerts, amx.Alert{Labels: amx.KV{fmt.Sprintf("%d_%s", i, v): v}})
	}
	named, _ := amx.Variables(amx.Data{Alerts: alerts}, len(alerts), "c", runA)
	for _, v := range named {
		if strings.Contains(v.Name, "_LABEL_") {
			vars = append(vars, v)
		}
	}
	plain, _, err := sh{}.assign(vars)
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	for _, v := range vars {
		fmt.Fprintf(&want, "%s=%s\x00", v.Name, v.Value)
	}
	for _, text := range []string{plain, sh{}.pack("the variables", plain)} {
		if strings.Contains(text, "{{") {
			t.Errorf("the script has {{: %q", text)
		}
		for _, sh := range shells {
			readBack(t, sh.argv, text, want.Bytes())
		}
	}
}

func readBack(t *testing.T, shell []string, text string, want []byte) {
	t.Helper()
	path, err := exec.LookPath(shell[0])
	if err != nil {
		return
	}
	dir := t.TempDir()
	text += "exec env -0\n"
	if len(want) == 0 {
		text = "exec env -0 -i\n"
	}
	script := filepath.Join(dir, "script")
	if err := os.WriteFile(script, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, append(shell[1:len(shell):len(shell)], script)...)
	cmd.Dir, cmd.Env = dir, []string{"PATH=" + os.Getenv("PATH")}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v; script %q", shell, err, text)
	}
	got := map[string]bool{}
	for kv := range bytes.SplitSeq(bytes.TrimSuffix(out, []byte{0}), []byte{0}) {
		got[string(kv)] = true
	}
	for kv := range bytes.SplitSeq(bytes.TrimSuffix(want, []byte{0}), []byte{0}) {
		if len(kv) > 0 && !got[string(kv)] {
			t.Errorf("%v did not give %q back", shell, kv)
		}
	}
	for kv := range got { // what the shells set themselves
		name, _, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, "AMX_ALERT_") && !strings.Contains(" PATH PWD OLDPWD SHLVL _ ", " "+name+" ") {
			t.Errorf("%v has a variable %q that nobody set", shell, name)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("%v left %v behind, %v", shell, entries, err)
	}
}

func FuzzExports(f *testing.F) {
	f.Add([]byte(strings.Join(nasty, "\x00")))
	for _, n := range nasty {
		f.Add([]byte(n))
	}
	f.Fuzz(func(t *testing.T, data []byte) { wantBack(t, values(data)) })
}

// Values made of nasty pieces, many to a script. AMX_QUOTE_VALUES in the
// environment asks for more of them than a test run should take.
func TestEveryValueComesBack(t *testing.T) {
	total := 4000
	_, _ = fmt.Sscan(os.Getenv("AMX_QUOTE_VALUES"), &total)
	random := rand.New(rand.NewPCG(1, 2))
	for done := 0; done < total && !t.Failed(); {
		batch := make([]string, min(500, total-done))
		for i := range batch {
			var b strings.Builder
			for range random.IntN(6) {
				if random.IntN(3) == 0 {
					b.WriteByte(byte(1 + random.IntN(255)))
				} else {
					b.WriteString(nasty[random.IntN(len(nasty))])
				}
			}
			batch[i] = b.String()
		}
		wantBack(t, batch)
		done += len(batch)
	}
}

func TestEveryArgumentComesBack(t *testing.T) {
	args := []string{"-c", `for a; do printf '%s\0' "$a"; done`, "sh"}
	var want strings.Builder
	for _, n := range nasty {
		args = append(args, n, "<"+n+">", n+n)
		for _, a := range args[len(args)-3:] {
			want.WriteString(a + "\x00")
		}
	}
	eachShell(t, func(t *testing.T, n *node) {
		for _, user := range []string{"", currentUser(t)} {
			n := newNode(t, n.shell)
			text := commandScript(t, &amx.Command{Cmd: "sh", Args: args, User: user})
			if strings.Contains(text, "{{") {
				t.Error("the script has {{")
			}
			if out, code := n.run(t, cmd0, text); out != want.String() || code != 0 {
				t.Errorf("the arguments came back as %q, exit %d", out, code)
			}
		}
	})
}

func TestAScriptIsGivenToItsShellAsItStands(t *testing.T) {
	text := "# {{ not a template }}\nprintf '%s\\n' \"$0\" \"$1\" 'it''s'\nexit 3"
	for shell, want := range map[string]string{"sh": "fix\nx y\nits\n", "bash": "fix\nx y\nits\n"} {
		eachShell(t, func(t *testing.T, n *node) {
			n.wantRun(t, cmd0, commandScript(t, &amx.Command{Name: "fix", Shell: shell, Script: text, Args: []string{"x y"}}), want, 3)
		})
	}
}

func currentUser(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("id", "-un").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// parsePowerShell reads back what quotePowerShell wrote, by the rules of
// PowerShell's single quotes.
func parsePowerShell(t *testing.T, text string) string {
	t.Helper()
	var b strings.Builder
	rest := []rune(strings.TrimSuffix(strings.TrimPrefix(text, "("), ")"))
	isQuote := func(r rune) bool { return strings.ContainsRune("'\u2018\u2019\u201a\u201b", r) }
	for len(rest) > 0 {
		if rest[0] != '\'' {
			t.Fatalf("%q: no quote at %q", text, string(rest))
		}
		i := 1
		for ; !isQuote(rest[i]) || i+1 < len(rest) && isQuote(rest[i+1]); i++ {
			if isQuote(rest[i]) {
				i++
			}
			b.WriteRune(rest[i])
		}
		rest = rest[i+1:]
		if plus, ok := strings.CutPrefix(string(rest), " + "); ok {
			rest = []rune(plus)
		}
	}
	return b.String()
}

// parseArguments splits a command line as Microsoft's C runtime does.
func parseArguments(line string) (args []string) {
	for i := 0; i < len(line); {
		for i < len(line) && line[i] == ' ' {
			i++
		}
		var b strings.Builder
		quoted, some := false, false
		for ; i < len(line) && (quoted || line[i] != ' '); i++ {
			some = true
			slashes := 0
			for i < len(line) && line[i] == '\\' {
				slashes++
				i++
			}
			if i < len(line) && line[i] == '"' {
				b.WriteString(strings.Repeat(`\`, slashes/2))
				if slashes%2 == 1 {
					b.WriteByte('"')
				} else {
					quoted = !quoted
				}
				continue
			}
			b.WriteString(strings.Repeat(`\`, slashes))
			if i < len(line) && (quoted || line[i] != ' ') {
				b.WriteByte(line[i])
			} else {
				i--
			}
		}
		if some {
			args = append(args, b.String())
		}
	}
	return args
}

func FuzzQuotePowerShell(f *testing.F) {
	for _, n := range append(nasty, "‘’‚‛", "it’s", `a\\"b c\`, `\`, `a b\\`, `"`) {
		f.Add(n)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.ContainsRune(s, 0) || !utf8.ValidString(s) {
			return
		}
		quoted := quotePowerShell(s)
		if got := parsePowerShell(t, quoted); got != s || strings.Contains(quoted, "{{") {
			t.Errorf("%q became %q, which is %q", s, quoted, got)
		}
		line := strings.Join([]string{quoteArgument("first"), quoteArgument(s), quoteArgument("last one")}, " ")
		if got := parseArguments(line); len(got) != 3 || got[1] != s {
			t.Errorf("%q became %q, which is %q", s, line, got)
		}
	})
}
