package ssmexec

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/amx-lambda/amx/internal/amx"
)

var update = flag.Bool("update", false, "write the golden files of testdata anew")

// disk is an ordinary notification.
var disk = amx.Data{
	Receiver: "amx", Status: "firing", ExternalURL: "https://alerts.example.com",
	GroupLabels:       amx.KV{"alertname": "DiskFull"},
	CommonLabels:      amx.KV{"alertname": "DiskFull", "instance_id": "i-0123456789abcdef0", "severity": "page"},
	CommonAnnotations: amx.KV{"summary": "It's at 97 % {{full}}"},
	Alerts: amx.Alerts{{
		Status:      "firing",
		Labels:      amx.KV{"alertname": "DiskFull", "instance_id": "i-0123456789abcdef0", "severity": "page"},
		Annotations: amx.KV{"summary": "It's at 97 % {{full}}"},
		StartsAt:    time.Date(2026, 11, 5, 10, 0, 0, 0, time.UTC), Fingerprint: "a1b2c3d4e5f60718",
		GeneratorURL: "https://prometheus.example.com/graph?g0.expr=up",
	}},
}

func command(t testing.TB, text string) *amx.Command {
	t.Helper()
	c, err := amx.ParseConfig("amx.yaml", []byte("commands:\n  - "+strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n    ")))
	if err != nil {
		t.Fatal(err)
	}
	return c.Commands[0]
}

func job(c *amx.Command) Job {
	return Job{
		Command: c, Entry: "3f2a9c0d1e2b4a5c", Run: runA, Data: disk,
		Targets: []amx.Target{{Key: KeyInstanceIDs, Values: []string{"i-0123456789abcdef0"}}},
	}
}

func mustRender(t testing.TB, j Job) *ssm.SendCommandInput {
	t.Helper()
	inputs, _, err := Render(j)
	if err != nil {
		t.Fatal(err)
	}
	return inputs[0]
}

// goldens are whole scripts, as SSM's console shows them.
var goldens = []struct{ name, command string }{
	{"cmd.sh", "cmd: systemctl\nargs: [restart, 'nginx@{{ .GroupLabels.alertname }}']"},
	{"user.sh", "cmd: /opt/fix\nuser: deploy"},
	{"cmd.ps1", "cmd: C:\\Tools\\fix.exe\nargs: [\"it's\", 'a \"b\" c\\', '{{ .CommonAnnotations.summary }}']\nplatform: windows"},
	{"script.ps1", "name: clean\nscript: |\n  Clear-RecycleBin -Force\n  \"{{ is no template }} $env:AMX_LABEL_severity\"\n  exit 3\nargs: [x]\nplatform: windows"},
	{"script.sh", "name: clean\nscript: |\n  set -e\n  journalctl --vacuum-size=1G\n  echo \"$AMX_LABEL_severity: {{ is no template }}\"\nshell: bash"},
}

func TestTheScriptsAreReadable(t *testing.T) {
	for _, g := range goldens {
		t.Run(g.name, func(t *testing.T) {
			inputs, notes, err := Render(job(command(t, g.command)))
			if err != nil || len(notes) != 0 {
				t.Fatal(notes, err)
			}
			golden(t, g.name, strings.Join(inputs[0].Parameters["commands"], "\n")+"\n")
		})
	}
	t.Run("signal.sh", func(t *testing.T) { golden(t, "signal.sh", signaller(tokenA, "TERM")) })
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is now (go test -update writes it):\n%s", file, got)
	}
}

func TestOnlyOnWindowsDoVariablesMeetThatDifferInTheirCase(t *testing.T) {
	for platform, want := range map[string]string{
		"windows": `["AMX_LABEL_Env carries \"Env\": \"env\" has the same variable name on Windows and is left out"]`,
		"linux":   `[]`,
	} {
		j := job(command(t, "cmd: fix.exe\nplatform: "+platform))
		j.Data.CommonLabels = amx.KV{"Env": "a", "env": "b"}
		_, notes, err := Render(j)
		if got := fmt.Sprintf("%q", notes); err != nil || got != want {
			t.Errorf("%s: noted %s, %v; want %s", platform, got, err, want)
		}
	}
}

func TestTheFirstTwoLinesAreTheShebangAndTheToken(t *testing.T) {
	for _, g := range goldens {
		inputs, _, err := Render(job(command(t, g.command)))
		if err != nil {
			t.Fatal(err)
		}
		first := "#!/bin/sh"
		if strings.HasSuffix(g.name, ".ps1") {
			first = "# " + about(Token{Command: command(t, g.command).Name})
		}
		lines := inputs[0].Parameters["commands"]
		if lines[0] != first || lines[1] != "# "+*inputs[0].Comment {
			t.Errorf("%s begins with %q", g.name, lines[:2])
		}
	}
}

// Only where shellcheck is installed, as CI does.
func TestShellcheckHasNothingToSay(t *testing.T) {
	shellcheck, err := exec.LookPath("shellcheck")
	if err != nil {
		t.Skip("no shellcheck on this machine")
	}
	for _, g := range append(goldens, []struct{ name, command string }{{name: "signal.sh"}, {name: "after.sh"}}...) {
		if strings.HasSuffix(g.name, ".ps1") {
			continue
		}
		args := []string{"--shell=sh", "--norc", filepath.Join("testdata", g.name)}
		if g.name == "script.sh" { // what it says of the configured script in quotes
			args = append(args, "--exclude=SC1078,SC1079,SC2016")
		}
		out, err := exec.Command(shellcheck, args...).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", g.name, err, out)
		}
	}
}
