package amx

import (
	"slices"
	"strings"
)

// alertName is the label that Alertmanager lists before all others.
const alertName = "alertname"

// KV is a set of labels or annotations. Its methods are those that
// Alertmanager gives to the same type, so that templates carry over:
// https://prometheus.io/docs/alerting/latest/notifications/#kv
type KV map[string]string

// SortedPairs lists the set by name, with alertname first.
func (kv KV) SortedPairs() Pairs {
	pairs := make(Pairs, 0, len(kv))
	for name, value := range kv {
		pairs = append(pairs, Pair{name, value})
	}
	slices.SortFunc(pairs, func(a, b Pair) int {
		switch {
		case a.Name == alertName:
			return -1
		case b.Name == alertName:
			return 1
		}
		return strings.Compare(a.Name, b.Name)
	})
	return pairs
}

// Remove returns a copy of the set without the given names.
func (kv KV) Remove(names []string) KV {
	rest := make(KV, len(kv))
	for name, value := range kv {
		if !slices.Contains(names, name) {
			rest[name] = value
		}
	}
	return rest
}

// Names lists the names in the order of SortedPairs.
func (kv KV) Names() Strings { return kv.SortedPairs().Names() }

// Values lists the values in the order of SortedPairs.
func (kv KV) Values() Strings { return kv.SortedPairs().Values() }

// String is the set as "name=value, name=value".
func (kv KV) String() string { return kv.SortedPairs().String() }

// Pair is one label, annotation or variable.
type Pair struct{ Name, Value string }

// Pairs is an ordered list of pairs.
type Pairs []Pair

// Names lists the names, in order.
func (ps Pairs) Names() Strings {
	names := make(Strings, len(ps))
	for i, p := range ps {
		names[i] = p.Name
	}
	return names
}

// Values lists the values, in order.
func (ps Pairs) Values() Strings {
	values := make(Strings, len(ps))
	for i, p := range ps {
		values[i] = p.Value
	}
	return values
}

// String is the list as "name=value, name=value".
func (ps Pairs) String() string {
	var b strings.Builder
	for i, p := range ps {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(p.Name)
		b.WriteByte('=')
		b.WriteString(p.Value)
	}
	return b.String()
}

// Strings is a list of strings that a template can join by itself, as in
// {{ .GroupLabels.Values.Join ":" }}.
type Strings []string

// Join is strings.Join.
func (s Strings) Join(sep string) string { return strings.Join(s, sep) }
