package stacktest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// tokenCommand runs the stack's output TokenCommand in dir, as a person does,
// with an AWS command line that records its arguments and exits with code.
func tokenCommand(t *testing.T, s *stack, dir, code string) (args string, err error) {
	t.Helper()
	bin := t.TempDir()
	fake := "#!/bin/sh\necho \"$*\" >" + bin + "/args\nexit " + code + "\n"
	if err := os.WriteFile(filepath.Join(bin, "aws"), []byte(fake), 0o700); err != nil {
		t.Fatal(err)
	}
	sh := exec.Command("sh", "-c", s.outputs["TokenCommand"])
	sh.Dir, sh.Env = dir, append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
	out, err := sh.CombinedOutput()
	t.Logf("%s", out)
	text, readErr := os.ReadFile(filepath.Join(bin, "args"))
	if readErr != nil {
		return "", err // it was not called
	}
	return strings.TrimSpace(string(text)), err
}

func needsOpenSSL(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("the command needs openssl, which is not here")
	}
}

func TestTheTokenCommand(t *testing.T) {
	needsOpenSSL(t)
	for choice, key := range map[string]string{"the defaults": "alias/aws/ssm", "all that narrows": ownKey} {
		dir := t.TempDir()
		args, err := tokenCommand(t, deploy(t, choices[choice]), dir, "0")
		want := "ssm put-parameter --no-overwrite --region eu-central-1 --name /amx/amx/tokens --type SecureString --key-id " + key + " --value file://amx-token"
		if err != nil || args != want {
			t.Errorf("%s: %v, called aws %s\nwant %s", choice, err, args, want)
		}
		text, err := os.ReadFile(filepath.Join(dir, "amx-token"))
		if err != nil || len(strings.TrimSpace(string(text))) != 64 {
			t.Errorf("%s: the file has %q (%v), want 64 digits", choice, text, err)
		}
		if info, err := os.Stat(filepath.Join(dir, "amx-token")); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", choice, info.Mode(), err)
		}
	}
}

func TestTheTokenCommandOverwritesNoToken(t *testing.T) {
	needsOpenSSL(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "amx-token")
	if err := os.WriteFile(file, []byte("in use\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	args, err := tokenCommand(t, deploy(t, nil), dir, "0")
	if text, _ := os.ReadFile(file); err == nil || args != "" || string(text) != "in use\n" {
		t.Errorf("a file that is there: %v, called aws %q, and it has %q", err, args, text)
	}
}

// Parameter Store has a token already, or the caller may not write there: no
// file is left that looks like the token and is none.
func TestATokenThatParameterStoreRefusesLeavesNoFile(t *testing.T) {
	needsOpenSSL(t)
	dir := t.TempDir()
	args, err := tokenCommand(t, deploy(t, nil), dir, "254")
	if _, statErr := os.Stat(filepath.Join(dir, "amx-token")); err == nil || args == "" || !os.IsNotExist(statErr) {
		t.Errorf("%v, called aws %q, the file: %v", err, args, statErr)
	}
}
