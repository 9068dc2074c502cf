package history

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"github.com/amx-lambda/amx/internal/amx"
)

// The sizes to which a record is cut, so that it fits into a store's item.
const (
	MaxAlerts  = 64 << 10 // bytes of all alerts as JSON
	MaxOutput  = 2500     // bytes of a node's output, as SSM lists it
	MaxOutputs = 20       // nodes whose output is kept
	maxNodes   = 2000     // nodes whose state is kept
	maxReason  = 2 << 10
	maxValue   = 1 << 10 // bytes of a label's or annotation's value where the alert alone is too large
)

// Cut is the record as stores keep it: its lists sorted, its alerts, nodes and
// outputs cut to what fits. Nodes that failed are kept before the others.
func Cut(r Record) Record {
	r = normal(r)
	r.Reason = cutText(r.Reason, maxReason)
	alerts := cutAlerts(r.Alerts)
	if len(alerts) < len(r.Alerts) {
		r.AlertsTotal = max(r.AlertsTotal, len(r.Alerts))
	}
	r.Alerts = alerts
	r.Nodes = slices.Clone(r.Nodes)
	slices.SortStableFunc(r.Nodes, func(a, b Node) int {
		return cmp.Or(cmp.Compare(a.Order(), b.Order()), cmp.Compare(a.Node, b.Node))
	})
	if len(r.Nodes) > maxNodes {
		r.NodesTotal = max(r.NodesTotal, len(r.Nodes))
		r.Nodes = r.Nodes[:maxNodes]
	}
	for i, outputs := 0, 0; i < len(r.Nodes); i++ {
		n := &r.Nodes[i]
		if n.Output == "" {
			continue
		}
		if outputs++; outputs > MaxOutputs {
			n.Output = ""
		}
		n.Output = cutText(n.Output, MaxOutput)
	}
	return normal(r)
}

// Order sorts nodes for people: those that failed, those that go on, the others.
func (n *Node) Order() int {
	switch n.Status {
	case "Success":
		return 2
	case "", "Pending", "InProgress", "Delayed", "Cancelling":
		return 1
	}
	return 0
}

// cutAlerts is as many alerts as fit. One that does not fit alone loses its
// annotations and the rest of long values, and where that is not enough its labels.
func cutAlerts(alerts []Alert) []Alert {
	var out []Alert
	size := 0
	for _, a := range alerts {
		if len(text(a)) > MaxAlerts {
			a.Annotations, a.GeneratorURL = nil, cutText(a.GeneratorURL, maxValue)
			a.Labels = cutValues(a.Labels)
		}
		if len(text(a)) > MaxAlerts {
			a = Alert{Fingerprint: a.Fingerprint, StartsAt: a.StartsAt}
		}
		if size += len(text(a)); size > MaxAlerts {
			break
		}
		out = append(out, a)
	}
	return out
}

func cutValues(labels amx.KV) amx.KV {
	out := amx.KV{}
	for name, value := range labels {
		out[name] = cutText(value, maxValue)
	}
	return out
}

// cutText never cuts a character in two.
func cutText(s string, size int) string {
	if len(s) <= size {
		return s
	}
	for size > 0 && !utf8.RuneStart(s[size]) {
		size--
	}
	return s[:size]
}

// Split takes the outputs out of a record: they are kept in an item of their own,
// which lists need not read. Outputs has the nodes that have one, and is nil
// where there is none.
func Split(r Record) (record Record, outputs []Node) {
	r.Nodes = slices.Clone(r.Nodes)
	for i := range r.Nodes {
		if n := &r.Nodes[i]; n.Output != "" {
			outputs = append(outputs, *n)
			n.Output = ""
		}
	}
	return r, outputs
}

// MergeOutputs joins two writes of a record's outputs, as [Merge] joins records.
func MergeOutputs(a, b []Node) []Node {
	_, out := Split(Cut(Record{Nodes: join(a, b, func(n Node) string { return n.Node }, betterNode)}))
	return out
}

// WithOutputs puts the outputs back into the record.
func WithOutputs(r Record, outputs []Node) Record {
	r.Nodes = slices.Clone(r.Nodes)
	for i := range r.Nodes {
		n := &r.Nodes[i]
		if j := slices.IndexFunc(outputs, func(o Node) bool { return o.Node == n.Node }); j >= 0 {
			n.Output = outputs[j].Output
		}
	}
	return r
}

// packFrom is the size, in bytes, from which a value is gzipped.
const packFrom = 1 << 10

var gzipMagic = []byte{0x1f, 0x8b} // JSON never begins so

// Encode is what a store keeps of a record or of outputs: JSON, gzipped where it
// is long.
func Encode(v any) []byte {
	data := []byte(text(v))
	if len(data) < packFrom {
		return data
	}
	var z bytes.Buffer
	w := gzip.NewWriter(&z) // errors only with its writer, and a buffer has none
	_, _ = w.Write(data)
	_ = w.Close()
	return z.Bytes()
}

// Decode reads what [Encode] made.
func Decode(data []byte, into any) error {
	var r io.Reader = bytes.NewReader(data)
	if bytes.HasPrefix(data, gzipMagic) {
		z, err := gzip.NewReader(r)
		if err != nil {
			return fmt.Errorf("unpacking: %w", err)
		}
		r = z
	}
	return json.NewDecoder(r).Decode(into)
}
