package amx

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Variables returns the AMX_* variables of a run, sorted by name. The alerts
// of d are those that the variables carry (AMX_ALERT_LEN); total is how many
// the run has (AMX_ALERT_TOTAL), which is more where they would not fit.
//
// A character that no variable name can have becomes "_". Where two names meet
// in this way, the one that needed no change wins, or else the first in order;
// collisions says, for the log, which was left out.
func Variables(d Data, total int, command, runID string) (pairs Pairs, collisions []string) {
	v := variables{}
	return v.of(d, total, command, runID)
}

// WindowsVariables are the same for a node with Windows, where names that differ
// in their case only are one: there they meet as well.
func WindowsVariables(d Data, total int, command, runID string) (pairs Pairs, collisions []string) {
	v := variables{folded: map[string]string{}}
	return v.of(d, total, command, runID)
}

func (v *variables) of(d Data, total int, command, runID string) (pairs Pairs, collisions []string) {
	v.known = make(map[string]variable, 16+16*len(d.Alerts))
	v.set("AMX_RECEIVER", d.Receiver)
	v.set("AMX_STATUS", d.Status)
	v.set("AMX_EXTERNAL_URL", d.ExternalURL)
	v.set("AMX_ALERT_LEN", strconv.Itoa(len(d.Alerts)))
	v.set("AMX_ALERT_TOTAL", strconv.Itoa(total))
	v.set("AMX_COMMAND", command)
	v.set("AMX_RUN_ID", runID)
	v.setAll("AMX_LABEL_", d.CommonLabels)
	v.setAll("AMX_GLABEL_", d.GroupLabels)
	v.setAll("AMX_ANNOTATION_", d.CommonAnnotations)
	for i := range d.Alerts {
		a, prefix := &d.Alerts[i], "AMX_ALERT_"+strconv.Itoa(i+1)+"_"
		v.set(prefix+"STATUS", a.Status)
		v.set(prefix+"START", unix(a.StartsAt))
		v.set(prefix+"END", unix(a.EndsAt))
		v.set(prefix+"URL", a.GeneratorURL)
		v.set(prefix+"FINGERPRINT", a.Fingerprint)
		v.setAll(prefix+"LABEL_", a.Labels)
		v.setAll(prefix+"ANNOTATION_", a.Annotations)
	}
	return v.sorted(), v.collisions
}

// variable is a value and the label or annotation that it came from.
type variable struct{ value, from string }

type variables struct {
	known      map[string]variable // :: variable name → value
	folded     map[string]string   // :: name in capitals → variable name; nil where case counts
	collisions []string
}

func (v *variables) set(name, value string) { v.known[name] = variable{value, name} }

// met is the name of the variable that name is one with on the node, if it is
// known already.
func (v *variables) met(name string) string {
	if v.folded == nil {
		return name
	}
	folded := strings.ToUpper(name)
	if first, ok := v.folded[folded]; ok {
		return first
	}
	v.folded[folded] = name
	return name
}

// setAll sets one variable for each member of a set. No name of one prefix can
// meet a name of another, so collisions are within the set.
func (v *variables) setAll(prefix string, kv KV) {
	for _, p := range kv.sortedExactFirst() {
		name := prefix + variableName(p.Name)
		at := v.met(name)
		first, taken := v.known[at]
		if !taken {
			v.known[at] = variable{p.Value, p.Name}
			continue
		}
		same := "has the same variable name"
		if at != name {
			same += " on Windows"
		}
		v.collisions = append(v.collisions, fmt.Sprintf("%s carries %q: %q %s and is left out", at, first.from, p.Name, same))
	}
}

func (v *variables) sorted() Pairs {
	pairs := make(Pairs, 0, len(v.known))
	for name, known := range v.known {
		pairs = append(pairs, Pair{name, known.value})
	}
	slices.SortFunc(pairs, func(a, b Pair) int { return strings.Compare(a.Name, b.Name) })
	return pairs
}

// sortedExactFirst lists names that are variable names as they stand before
// those that have to be changed; within both by name.
func (kv KV) sortedExactFirst() Pairs {
	pairs := kv.SortedPairs()
	slices.SortStableFunc(pairs, func(a, b Pair) int {
		exactA, exactB := variableName(a.Name) == a.Name, variableName(b.Name) == b.Name
		switch {
		case exactA && !exactB:
			return -1
		case exactB && !exactA:
			return 1
		}
		return 0
	})
	return pairs
}

// variableName puts "_" for each character that the rest of a variable name
// cannot have. (Every name gets a prefix, so that a digit may come first.)
func variableName(s string) string {
	allowed := func(r rune) bool {
		return r == '_' || '0' <= r && r <= '9' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z'
	}
	return strings.Map(func(r rune) rune {
		if allowed(r) {
			return r
		}
		return '_'
	}, s)
}

// unix is a time in whole seconds since 1970, and "0" for the zero time.
func unix(t time.Time) string {
	if t.IsZero() {
		return "0"
	}
	return strconv.FormatInt(t.Unix(), 10)
}
