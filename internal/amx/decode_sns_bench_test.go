package amx

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// BenchmarkDecodeSNS1000Alerts is the same thousand alerts in each form. JSON
// should take no more than twice the time that encoding/json alone needs.
func BenchmarkDecodeSNS1000Alerts(b *testing.B) {
	asJSON := string(manyAlerts(1000))
	m, err := DecodeSNS(SNS{Body: asJSON})
	if err != nil {
		b.Fatal(err)
	}
	var asYAML, text strings.Builder
	writeYAML(&asYAML, m)
	writeDefaultText(&text, m)
	for _, form := range []struct{ name, body string }{
		{"JSON", asJSON},
		{"JSON with escapes missing", strings.Replace(asJSON, "is full", `isn\'t full`, 1)},
		{"YAML", asYAML.String()},
		{"default text", text.String()},
	} {
		b.Run(form.name, func(b *testing.B) {
			b.SetBytes(int64(len(form.body)))
			b.ReportAllocs()
			for b.Loop() {
				if m, err := DecodeSNS(SNS{Body: form.body}); err != nil || len(m.Alerts) != 1000 {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("encoding/json alone", func(b *testing.B) {
		b.SetBytes(int64(len(asJSON)))
		b.ReportAllocs()
		for b.Loop() {
			if err := json.Unmarshal([]byte(asJSON), new(plainMessage)); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// writeYAML writes Data as the project's definition for AMP does.
func writeYAML(to *strings.Builder, m *Message) {
	set := func(kv KV) string {
		var pairs []string
		for _, p := range kv.SortedPairs() {
			pairs = append(pairs, fmt.Sprintf("%q: %q", p.Name, p.Value))
		}
		return "{" + strings.Join(pairs, ", ") + "}"
	}
	fmt.Fprintf(to, "receiver: %q\nstatus: %q\ngroupLabels: %s\nalerts:", m.Receiver, m.Status, set(m.GroupLabels))
	for _, a := range m.Alerts {
		fmt.Fprintf(to, "\n- status: %q\n  fingerprint: %q\n  startsAt: %q\n  endsAt: %q\n  generatorURL: %q\n  labels: %s\n  annotations: %s",
			a.Status, a.Fingerprint, a.StartsAt.Format("2006-01-02T15:04:05.999999999Z07:00"), a.EndsAt.Format("2006-01-02T15:04:05.999999999Z07:00"),
			a.GeneratorURL, set(a.Labels), set(a.Annotations))
	}
}

func writeDefaultText(to *strings.Builder, m *Message) {
	to.WriteString("\nAlerts Firing:\n")
	for _, a := range m.Alerts {
		to.WriteString("Labels:\n")
		for _, p := range a.Labels.SortedPairs() {
			fmt.Fprintf(to, " - %s = %s\n", p.Name, p.Value)
		}
		to.WriteString("Annotations:\n")
		for _, p := range a.Annotations.SortedPairs() {
			fmt.Fprintf(to, " - %s = %s\n", p.Name, p.Value)
		}
		fmt.Fprintf(to, "Source: %s\n", a.GeneratorURL)
	}
}
