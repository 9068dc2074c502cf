package ssmexec

import (
	_ "embed"
	"errors"
	"fmt"
	"strings"

	"github.com/amx-lambda/amx/internal/amx"
)

var (
	//go:embed scripts/guard.ps1
	guardPowerShell string
	//go:embed scripts/after.ps1
	afterPowerShell string
	//go:embed scripts/end.ps1
	endPowerShell string
)

// powershell is the shell of Windows nodes: Windows PowerShell 5.1, as
// AWS-RunPowerShellScript runs it. No test here runs it; golden files hold it.
//
// Two things it cannot do: a variable whose value is empty is absent, because
// Windows has no empty ones; and a cancellation ends PowerShell itself, not the
// programs that it has started, because the agent ends no more than that.
type powershell struct{}

func (powershell) variables(d amx.Data, total int, command, run string) (vars amx.Pairs, notes []string) {
	return amx.WindowsVariables(d, total, command, run)
}

// longest is what Windows takes as one variable, with the terminating NUL.
func (powershell) longest() int { return 32767 }

func (powershell) assign(vars amx.Pairs) (text string, readable bool, err error) {
	var b strings.Builder
	readable = true
	for _, v := range vars {
		if strings.ContainsRune(v.Value, 0) {
			return "", false, fmt.Errorf("%s has a NUL byte, which no environment variable can carry", v.Name)
		}
		// Nobody promises how a line's end arrives on Windows.
		readable = readable && printable(v.Value) && !strings.ContainsAny(v.Value, "\n\r")
		fmt.Fprintf(&b, "$env:%s = %s\n", v.Name, quotePowerShell(v.Value))
	}
	return b.String(), readable, nil
}

// pack throws where it cannot unpack.
func (powershell) pack(_, text string) string {
	return "# (gzipped, in base64)\nInvoke-Expression (New-Object IO.StreamReader((New-Object IO.Compression.GZipStream(" +
		"(New-Object IO.MemoryStream(,[Convert]::FromBase64String('" + gzipped(text) + "'))), " +
		"[IO.Compression.CompressionMode]::Decompress)), [Text.Encoding]::UTF8)).ReadToEnd()\n"
}

func (powershell) script(token Token, variables, execute string) string {
	return "# " + about(token) + "\n# " + token.String() + "\n$ErrorActionPreference = 'Stop'\n" + variables +
		"$amxRun = '" + token.Run + "'\n" + guardPowerShell + execute + endPowerShell
}

// execution is a program, started with the very arguments, because PowerShell
// 5.1 would lose their double quotes; or the configured script as a file of its
// own, whose `exit` is then its own too.
func (l powershell) execution(c *amx.Command, args []string) (string, error) {
	var b strings.Builder
	if c.Script != "" {
		fmt.Fprintf(&b, "[IO.File]::WriteAllText(\"$amxFile.ps1\", %s, [Text.Encoding]::UTF8)\n$global:LASTEXITCODE = 0\n& \"$amxFile.ps1\"", quotePowerShell(c.Script))
		for _, a := range args {
			b.WriteString(" " + quotePowerShell(a))
		}
		b.WriteString("\n$amxOk = $?\n$amxCode = if ($LASTEXITCODE -or $amxOk) { $LASTEXITCODE } else { 1 }\n")
	} else {
		words := make([]string, len(args))
		for i, a := range args {
			words[i] = quoteArgument(a)
		}
		fmt.Fprintf(&b, "$amxStart = New-Object Diagnostics.ProcessStartInfo(%s, %s)\n", quotePowerShell(c.Cmd), quotePowerShell(strings.Join(words, " ")))
		b.WriteString("$amxStart.UseShellExecute = $false\n")
		b.WriteString("$amxProcess = [Diagnostics.Process]::Start($amxStart)\n$amxProcess.WaitForExit()\n$amxCode = $amxProcess.ExitCode\n")
	}
	text := b.String()
	switch {
	case strings.ContainsRune(text, 0):
		return "", errNUL
	case !printable(text) || len(text) > maxReadable:
		return l.pack("the command line", text), nil
	}
	return text, nil
}

func (powershell) after(prev string) string {
	return strings.Replace(afterPowerShell, "@PREV@", prev, 1)
}

var errNUL = errors.New("args: the command line has a NUL byte, which no argument can carry")

// quotePowerShell is s as one expression. PowerShell takes four typographic
// quotes for single ones:
// https://learn.microsoft.com/powershell/module/microsoft.powershell.core/about/about_quoting_rules
func quotePowerShell(s string) string {
	for _, q := range []string{"'", "\u2018", "\u2019", "\u201a", "\u201b"} {
		s = strings.ReplaceAll(s, q, q+q)
	}
	if !strings.Contains(s, "{{") {
		return "'" + s + "'"
	}
	for strings.Contains(s, "{{") {
		s = strings.ReplaceAll(s, "{{", "{' + '{")
	}
	return "('" + s + "')"
}

// quoteArgument is s as a program's runtime takes it from its command line:
// https://learn.microsoft.com/cpp/c-language/parsing-c-command-line-arguments
func quoteArgument(s string) string {
	if s != "" && !strings.ContainsAny(s, " \t\n\v\"") {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	slashes := 0
	for i := range len(s) {
		switch s[i] {
		case '\\':
			slashes++
		case '"':
			b.WriteString(strings.Repeat(`\`, slashes+1)) // those before a quote count double
			slashes = 0
		default:
			slashes = 0
		}
		b.WriteByte(s[i])
	}
	b.WriteString(strings.Repeat(`\`, slashes))
	b.WriteByte('"')
	return b.String()
}
