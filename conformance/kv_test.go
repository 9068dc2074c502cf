package conformance

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/prometheus/alertmanager/template"
	"github.com/prometheus/common/model"

	"github.com/amx-lambda/amx/internal/amx"
)

func TestFingerprintIsThatOfPrometheus(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 20000 {
		kv := labels(r, 6)
		set := model.LabelSet{}
		for name, value := range kv {
			set[model.LabelName(name)] = model.LabelValue(value)
		}
		if got, want := amx.Fingerprint(kv), set.Fingerprint().String(); got != want {
			t.Fatalf("Fingerprint(%q) = %s, prometheus/common has %s", kv, got, want)
		}
	}
}

func TestSetsHaveTheMethodsOfAlertmanager(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for range 20000 {
		ours := labels(r, 8)
		if r.IntN(2) == 0 {
			ours["alertname"] = text(r, 2)
		}
		theirs := template.KV(ours)
		drop := []string{"alertname", "foo", text(r, 2)}
		for name := range ours {
			drop = append(drop, name)
			break
		}
		same := func(method string, got, want []string) {
			t.Helper()
			if !slices.Equal(got, want) {
				t.Fatalf("%s of %q = %q, Alertmanager has %q", method, ours, got, want)
			}
		}
		same("Names", ours.Names(), theirs.Names())
		same("Values", ours.Values(), theirs.Values())
		same("String", []string{ours.String()}, []string{theirs.String()})
		same("SortedPairs", []string{ours.SortedPairs().String()}, []string{theirs.SortedPairs().String()})
		same("SortedPairs.Names", ours.SortedPairs().Names(), theirs.SortedPairs().Names())
		same("SortedPairs.Values", ours.SortedPairs().Values(), theirs.SortedPairs().Values())
		same("Remove", ours.Remove(drop).Names(), theirs.Remove(drop).Names())
		same("Join", []string{ours.Names().Join(", ")}, []string{theirs.Names().Join(", ")})
	}
}
