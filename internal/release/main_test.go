package main

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

const root = "../.."

// makeIn builds one file of a release from the tree in dir.
func makeIn(t *testing.T, dir, release string, env ...string) []byte {
	t.Helper()
	file := filepath.Join(release, "amx-sns-arm64.zip")
	command := exec.Command("make", file, "RELEASE="+release)
	command.Dir = dir
	command.Env = append(append(os.Environ(), "MAKEFLAGS=", "MAKELEVEL="), env...)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	made, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// The second build is of a copy of the tree at another path, by somebody with
// other settings of Go.
func TestTwoBuildsOfAReleaseHaveTheSameHash(t *testing.T) {
	first := makeIn(t, root, t.TempDir())
	tree := t.TempDir()
	for _, dir := range []string{"functions", "internal"} {
		if err := os.CopyFS(filepath.Join(tree, dir), os.DirFS(filepath.Join(root, dir))); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"go.mod", "go.sum", "Makefile"} {
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(tree, file), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	second := makeIn(t, tree, t.TempDir(), "GOFLAGS=-tags=other", "GOARCH=386", "GOARM64=v9.0", "TZ=Asia/Tokyo")
	if a, b := sha256.Sum256(first), sha256.Sum256(second); a != b {
		t.Errorf("two builds have the hashes %x and %x", a, b)
	}
	archive, err := zip.NewReader(bytes.NewReader(first), int64(len(first)))
	if err != nil {
		t.Fatal(err)
	}
	if len(archive.File) != 1 || archive.File[0].Name != "bootstrap" || archive.File[0].Mode() != 0o755 {
		t.Errorf("the archive has %v: want the executable file bootstrap alone", archive.File)
	}
}

func TestSumsAreOfEveryOtherFileByName(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"b": "second", "a": "first", sumsFile: "of an earlier build"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := run([]string{"sums", dir}); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, sumsFile))
	if err != nil {
		t.Fatal(err)
	}
	hash := func(text string) string { h := sha256.Sum256([]byte(text)); return hex.EncodeToString(h[:]) }
	if want := hash("first") + "  a\n" + hash("second") + "  b\n"; string(got) != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestSumsOfNothingAreRefused(t *testing.T) {
	dir := t.TempDir()
	if err := run([]string{"sums", dir}); err == nil || err.Error() != dir+" has no file: build the release first" {
		t.Error(err)
	}
}
