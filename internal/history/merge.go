package history

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// Merge joins two writes of one record. It does not matter which came first, nor
// how often each came: the result of any set of writes is the same in every order.
//
//   - A run's state only goes forward: running, then unknown, then an end. The later
//     of two ends holds, because a search in SSM may find a command of the
//     run that the earlier writer did not know.
//   - Alerts without a run have the latest write.
//   - The lists of a run (alerts, nodes, command IDs) have the members of both. Each
//     member has the values of the write that knows more about it.
func Merge(a, b Record) Record {
	a, b = normal(a), normal(b)
	if compare(&a, &b) < 0 {
		a, b = b, a
	}
	if !IsRun(a.Run) {
		return a
	}
	out := a
	out.Command, out.Entry, out.RetryOf = cmp.Or(a.Command, b.Command), cmp.Or(a.Entry, b.Entry), cmp.Or(a.RetryOf, b.RetryOf)
	out.Attempt = max(a.Attempt, b.Attempt)
	out.AlertsTotal, out.NodesTotal = max(a.AlertsTotal, b.AlertsTotal), max(a.NodesTotal, b.NodesTotal)
	out.Source = mergeSource(a.Source, b.Source)
	out.Targets = best(a.Targets, b.Targets)
	out.CommandIDs = slices.Compact(slices.Sorted(slices.Values(slices.Concat(a.CommandIDs, b.CommandIDs))))
	out.Alerts = join(a.Alerts, b.Alerts, func(x Alert) string { return x.Fingerprint }, betterAlert)
	out.Nodes = join(a.Nodes, b.Nodes, func(x Node) string { return x.Node }, betterNode)
	out.CancelledBy = firstCancel(a.CancelledBy, b.CancelledBy)
	out.Reason = longest(a.Reason, b.Reason) // who enters the end may not know why it began
	out.Claimed, out.Sent = earliest(a.Claimed, b.Claimed), earliest(a.Sent, b.Sent)
	return normal(out)
}

// rank is how far a run of the state has come.
func (s State) rank() int {
	switch s {
	case Waiting:
		return 0
	case Running:
		return 1
	case Unknown:
		return 2
	default:
		return 3
	}
}

// compare says which of two writes tells the state, with its times: the greater
// one. It looks at nothing but what is taken over together, so that the writes of
// a run can be merged in any order.
func compare(a, b *Record) int {
	order := cmp.Or(a.Updated.Compare(b.Updated), a.Ended.Compare(b.Ended), cmp.Compare(a.State, b.State), cmp.Compare(a.Status, b.Status))
	if IsRun(a.Run) {
		return cmp.Or(cmp.Compare(a.State.rank(), b.State.rank()), order)
	}
	return cmp.Or(order, cmp.Compare(text(a), text(b)))
}

// text breaks a tie between writes of one moment that say different things.
func text(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic("history: encoding a record: " + err.Error()) // strings, numbers and times of this millennium
	}
	return string(data)
}

// normal sorts what a run has several of, and joins what was given twice.
func normal(r Record) Record {
	r.CommandIDs = slices.Compact(slices.Sorted(slices.Values(r.CommandIDs)))
	r.Alerts = join(r.Alerts, nil, func(x Alert) string { return x.Fingerprint }, betterAlert)
	slices.SortStableFunc(r.Alerts, func(a, b Alert) int {
		return cmp.Or(a.StartsAt.Compare(b.StartsAt), cmp.Compare(a.Fingerprint, b.Fingerprint))
	})
	r.Nodes = join(r.Nodes, nil, func(x Node) string { return x.Node }, betterNode)
	return r
}

// join is the elements of both lists, one for each key, sorted by it.
func join[T any](a, b []T, key func(T) string, better func(x, y T) T) []T {
	byKey := make(map[string]T, len(a)+len(b))
	for _, x := range slices.Concat(a, b) {
		if y, ok := byKey[key(x)]; ok {
			x = better(x, y)
		}
		byKey[key(x)] = x
	}
	var out []T
	for _, x := range byKey {
		out = append(out, x)
	}
	slices.SortFunc(out, func(x, y T) int { return strings.Compare(key(x), key(y)) })
	return out
}

// betterAlert is the alert of which more is known: who completes a record may
// know no labels. If both know as much, the one that began later
// is taken: it fires now.
func betterAlert(a, b Alert) Alert {
	return greater(a, b, cmp.Or(cmp.Compare(len(a.Labels), len(b.Labels)), a.StartsAt.Compare(b.StartsAt), cmp.Compare(len(a.Annotations), len(b.Annotations))))
}

// betterNode is the node whose state is known better, with the output of either.
func betterNode(a, b Node) Node {
	output := longest(a.Output, b.Output)
	out := greater(a, b, cmp.Or(cmp.Compare(a.known(), b.known()), a.Ended.Compare(b.Ended)))
	out.Output = output
	out.Started = earliest(a.Started, b.Started)
	return out
}

// known is how much is known of a node: nothing, a state of the way, an end.
func (n *Node) known() int {
	switch {
	case n.ExitCode != nil:
		return 3
	case !n.Ended.IsZero():
		return 2
	case n.Status != "":
		return 1
	}
	return 0
}

func greater[T any](a, b T, order int) T {
	if order == 0 {
		order = strings.Compare(text(a), text(b))
	}
	if order < 0 {
		return b
	}
	return a
}

func best[T any](a, b []T) []T {
	if len(a) != len(b) {
		if len(a) < len(b) {
			return b
		}
		return a
	}
	return greater(a, b, 0)
}

func longest(a, b string) string {
	if len(a) < len(b) || len(a) == len(b) && a < b {
		return b
	}
	return a
}

func mergeSource(a, b Source) Source {
	return Source{
		Receiver: longest(a.Receiver, b.Receiver), Topic: longest(a.Topic, b.Topic),
		Token: longest(a.Token, b.Token), ExternalURL: longest(a.ExternalURL, b.ExternalURL),
	}
}

// firstCancel is who asked first: the run was already stopping when the other did.
func firstCancel(a, b *CancelledBy) *CancelledBy {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Who, b.Who), cmp.Compare(a.Why, b.Why)) <= 0:
		return a
	}
	return b
}

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
