// Command release packs what make release builds, so that two builds of one
// version have the same bytes: zip and sha256sum differ between machines.
//
//	release zip FILE.zip NAME FILE   # FILE alone, as the program NAME
//	release sums DIR                 # DIR/SHA256SUMS of all other files in DIR
package main

import (
	"archive/zip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 4 && args[0] == "zip":
		return zipFile(args[1], args[2], args[3])
	case len(args) == 2 && args[0] == "sums":
		return sums(args[1])
	}
	return fmt.Errorf("arguments %q: want zip FILE.zip NAME FILE, or sums DIR", args)
}

// zipFile writes an archive with one executable file. Its time is the first that
// the format has: the real one would make each archive another.
func zipFile(archive, name, file string) (err error) {
	program, err := os.Open(file)
	if err != nil {
		return err
	}
	defer program.Close()
	out, err := os.Create(archive)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	w := zip.NewWriter(out)
	header := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)}
	header.SetMode(0o755)
	entry, err := w.CreateHeader(header)
	if err != nil {
		return fmt.Errorf("adding %q to %s: %w", name, archive, err)
	}
	if _, err := io.Copy(entry, program); err != nil {
		return fmt.Errorf("adding %q to %s: %w", name, archive, err)
	}
	return w.Close()
}

const sumsFile = "SHA256SUMS"

// sums writes the checksums in the form that sha256sum --check reads, by name.
func sums(dir string) error {
	entries, err := os.ReadDir(dir) // sorted
	if err != nil {
		return err
	}
	var text []byte
	for _, entry := range entries {
		if entry.Name() == sumsFile {
			continue
		}
		sum, err := sumOf(filepath.Join(dir, entry.Name()))
		if err != nil {
			return err
		}
		text = fmt.Appendf(text, "%x  %s\n", sum, entry.Name())
	}
	if len(text) == 0 {
		return fmt.Errorf("%s has no file: build the release first", dir)
	}
	return os.WriteFile(filepath.Join(dir, sumsFile), text, 0o644)
}

func sumOf(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	return h.Sum(nil), nil
}
