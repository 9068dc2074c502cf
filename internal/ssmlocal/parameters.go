package ssmlocal

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	parametersName = "parameters.json"
	maxVersions    = 100 // of one parameter; the service drops the oldest, too
)

// parameter is one version of a parameter.
type parameter struct {
	Version  int64
	Type     string // String, StringList or SecureString
	Value    string // in the clear, for a SecureString as well: the file's mode protects it
	Tier     string // Standard or Advanced
	DataType string
	Modified time.Time

	Description, AllowedPattern string `json:",omitempty"`
}

// parameters is Parameter Store in one file.
type parameters struct {
	file string
	mu   sync.Mutex
	all  map[string][]parameter // :: name → versions, oldest first
}

func loadParameters(dir string) (*parameters, error) {
	p := &parameters{file: filepath.Join(dir, parametersName), all: map[string][]parameter{}}
	text, err := os.ReadFile(p.file)
	if errors.Is(err, os.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading parameters: %w", err)
	}
	if err := json.Unmarshal(text, &p.all); err != nil {
		return nil, fmt.Errorf("reading parameters from %q: %w; repair the file or remove it", p.file, err)
	}
	return p, nil
}

// find returns the version of a parameter that a name, NAME:VERSION or an ARN names, with
// the parameter's own name. Without a version it returns the latest.
func (p *parameters) find(reference string) (name, selector string, found *parameter, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	name, selector = p.split(reference)
	versions := p.all[name]
	if len(versions) == 0 {
		return name, selector, nil, &apiError{"ParameterNotFound", ""}
	}
	latest := versions[len(versions)-1]
	if selector == "" {
		return name, selector, &latest, nil
	}
	number, err := strconv.ParseInt(selector, 10, 64)
	i := slices.IndexFunc(versions, func(v parameter) bool { return v.Version == number })
	if err != nil || i < 0 { // another selector is a label, and there are none
		return name, selector, nil, &apiError{
			"ParameterVersionNotFound",
			fmt.Sprintf("Systems Manager could not find version %s of %s. Verify the version and try again.", selector, name),
		}
	}
	return name, selector, &versions[i], nil
}

// split splits a reference. An ARN has the same form for /name and name.
func (p *parameters) split(reference string) (name, selector string) {
	arn := strings.HasPrefix(reference, "arn:")
	if arn {
		_, reference, _ = strings.Cut(reference, ":parameter/")
	}
	name, selector, _ = strings.Cut(reference, ":")
	if arn && len(p.all[name]) == 0 {
		name = "/" + name
	}
	return name, selector
}

// put adds a version, which change makes from the parameter's latest version, or from nil
// if there is none. After an error of change, or of writing the file, nothing has changed.
func (p *parameters) put(name string, change func(latest *parameter) (parameter, error)) (parameter, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := p.all[name]
	var latest *parameter
	if len(old) > 0 {
		latest = &old[len(old)-1]
	}
	next, err := change(latest)
	if err != nil {
		return parameter{}, err
	}
	next.Version = 1
	if latest != nil {
		next.Version = latest.Version + 1
	}
	p.all[name] = append(old[max(0, len(old)-maxVersions+1):len(old):len(old)], next)
	if err := p.save(); err != nil {
		p.all[name] = old
		if len(old) == 0 {
			delete(p.all, name)
		}
		return parameter{}, err
	}
	return next, nil
}

// save replaces the file. A reader sees either the old or the new one.
func (p *parameters) save() error {
	text, err := json.MarshalIndent(p.all, "", " ")
	if err != nil {
		return fmt.Errorf("writing parameters: %w", err)
	}
	// Do not call os.WriteFile with the old name: it would keep an older file's mode.
	if err := os.Remove(p.file + ".new"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("writing parameters: %w", err)
	}
	if err := os.WriteFile(p.file+".new", append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("writing parameters: %w", err)
	}
	if err := os.Rename(p.file+".new", p.file); err != nil {
		return fmt.Errorf("writing parameters: %w", err)
	}
	return nil
}
