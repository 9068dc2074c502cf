package amx

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// SendCommand's limits: https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_SendCommand.html
const (
	MaxTargetKeys     = 5
	maxTagValues      = 5
	MaxInstanceValues = 50 // of one call; amx sends several
)

// everyNode is what SSM takes for all nodes in places.
const everyNode = "*"

// The keys that name nodes one by one. SSM knows the first; values of the second
// are IP addresses, host names or `instance` labels, of which amx finds the nodes.
const (
	KeyInstanceIDs = "InstanceIds"
	KeyAddress     = "Address"
)

// keyResourceGroup names a group of which only SSM knows the nodes.
const keyResourceGroup = "resource-groups:Name"

// byName says that a key names nodes one by one.
func byName(key string) bool { return key == KeyInstanceIDs || key == KeyAddress }

// maxTagName is the length, in characters, that EC2 allows a tag's name.
const maxTagName = 128

// selectsNodes says whether a key is of a form that selects nodes for Run
// Command. (As a regular expression this would cost each cold start of a
// function 4 ms and 5 MB.)
func selectsNodes(key string) bool {
	switch key {
	case KeyInstanceIDs, KeyAddress, keyResourceGroup:
		return true
	}
	name, ok := strings.CutPrefix(key, "tag:")
	return ok && name != "" && utf8.RuneCountInString(name) <= maxTagName && !strings.ContainsFunc(name, notInTagName)
}

func notInTagName(r rune) bool {
	return !unicode.In(r, unicode.L, unicode.Z, unicode.N) && !strings.ContainsRune("_.:/=+-@", r)
}

var targetKeys = []key[Target]{
	{"key", checked(func(t *Target) *string { return &t.Key }, checkTargetKey)},
	{"values", texts(func(t *Target) *[]string { return &t.Values }, checkTargetValue)},
}

func checkTargetKey(s string) error {
	if !selectsNodes(s) {
		return errors.New("want " + KeyInstanceIDs + ", " + KeyAddress + ", tag:NAME or " + keyResourceGroup)
	}
	return nil
}

func checkTargetValue(s string) error {
	switch strings.TrimSpace(s) {
	case "":
		return errors.New("empty: an empty value would select nothing, or everything")
	case everyNode:
		return errors.New("it could mean every node: want a tag's value or an instance ID")
	}
	return checkTemplate[dueData](s, nil)
}

// readTargets reads a list of targets, of a command or of the file.
func readTargets(r *reader, path string, n *yaml.Node) []Target {
	targets := []Target{}
	if isNull(n) {
		r.fail(n.Line, path, "no value: give it a list, [] for none, or remove it")
	}
	for i, element := range r.elements(path, n) {
		at := fmt.Sprintf("%s[%d]", path, i)
		var t Target
		lines := readKeys(r, at, element, targetKeys, &t)
		switch {
		case lines["key"] == 0 || lines["values"] == 0:
			r.fail(element.Line, at, `want both "key" and "values"`)
			continue
		case t.Key == "": // said already
			continue
		case slices.ContainsFunc(targets, func(other Target) bool { return other.Key == t.Key }):
			r.fail(element.Line, at, "key %q is there already: give the first one all values", t.Key)
			continue
		}
		most := maxTagValues
		if byName(t.Key) {
			most = MaxInstanceValues
		}
		if len(t.Values) > most {
			r.fail(element.Line, at, "%d values: SSM takes at most %d for %q", len(t.Values), most, t.Key)
		}
		if len(t.Values) == 0 {
			r.fail(lines["values"], at, "values: none: want at least one")
		}
		targets = append(targets, t)
	}
	if len(targets) > MaxTargetKeys {
		r.fail(n.Line, path, "%d keys: SSM takes at most %d", len(targets), MaxTargetKeys)
	}
	if i := slices.IndexFunc(targets, func(t Target) bool { return byName(t.Key) }); i >= 0 && len(targets) > 1 {
		r.fail(n.Line, path, "%s together with another key: SSM takes a node only if all keys select it: keep one or the other", targets[i].Key)
	}
	return targets
}
