package amx

import (
	"reflect"
	"slices"
	"testing"
)

func TestSortedPairsPutsAlertnameFirst(t *testing.T) {
	kv := KV{"severity": "page", "alertname": "DiskFull", "aaa": "1"}
	if got, want := kv.String(), "alertname=DiskFull, aaa=1, severity=page"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := kv.Names(), []string{"alertname", "aaa", "severity"}; !slices.Equal(got, want) {
		t.Errorf("names: got %q, want %q", got, want)
	}
	if got, want := kv.Values().Join("|"), "DiskFull|1|page"; got != want {
		t.Errorf("values: got %s, want %s", got, want)
	}
	if got := KV(nil).SortedPairs(); len(got) != 0 {
		t.Errorf("pairs of nothing: %v", got)
	}
}

func TestRemoveCopies(t *testing.T) {
	kv := KV{"a": "1", "b": "2"}
	if got, want := kv.Remove([]string{"a", "absent"}), (KV{"b": "2"}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if len(kv) != 2 {
		t.Errorf("the set itself became %v", kv)
	}
}

func TestAlertsByStatus(t *testing.T) {
	as := Alerts{{Status: Firing, Fingerprint: "1"}, {Status: Resolved, Fingerprint: "2"}, {Status: Firing, Fingerprint: "3"}}
	if got := as.Firing(); len(got) != 2 || got[0].Fingerprint != "1" || got[1].Fingerprint != "3" {
		t.Errorf("firing: %v", got)
	}
	if got := as.Resolved(); len(got) != 1 || got[0].Fingerprint != "2" {
		t.Errorf("resolved: %v", got)
	}
	if got := (Alerts{}).Firing(); got == nil || len(got) != 0 {
		t.Errorf("of no alerts: %#v", got)
	}
}

func TestFingerprintIsThatOfPrometheus(t *testing.T) {
	for _, c := range []struct {
		labels KV
		want   string
	}{
		// Computed with prometheus/common's model.LabelSet.
		{nil, "cbf29ce484222325"},
		{KV{"alertname": "InstanceDown", "instance": "localhost:1234", "job": "broken", "monitor": "codelab-monitor"}, "5714ca6177701704"},
		{KV{"a": "bc"}, "a0a3542c19b900ab"},
		{KV{"ab": "c"}, "20ba9b3025a8b421"},
	} {
		if got := Fingerprint(c.labels); got != c.want {
			t.Errorf("Fingerprint(%v) = %s, want %s", c.labels, got, c.want)
		}
	}
}

func TestNarrow(t *testing.T) {
	one := Alert{Status: Firing, Fingerprint: "1", Labels: KV{"job": "a", "env": "prod"}, Annotations: KV{"summary": "x"}}
	two := Alert{Status: Firing, Fingerprint: "2", Labels: KV{"job": "b", "env": "prod"}, Annotations: KV{"summary": "x", "more": "y"}}
	gone := Alert{Status: Resolved, Fingerprint: "3", Labels: KV{"env": "dev"}, Annotations: KV{}}
	m := &Message{Data: Data{
		Receiver: "r", Status: Firing, ExternalURL: "http://am", Alerts: Alerts{one, two, gone},
		GroupLabels: KV{"g": "1"}, CommonLabels: KV{"common": "as sent"}, CommonAnnotations: KV{"note": "as sent"},
	}}
	for _, c := range []struct {
		name                string
		alerts              Alerts
		status              string
		labels, annotations KV
	}{
		{"all alerts keep what the message says is common", Alerts{one, two, gone}, Firing, KV{"common": "as sent"}, KV{"note": "as sent"}},
		{"some alerts have in common what these have", Alerts{one, two}, Firing, KV{"env": "prod"}, KV{"summary": "x"}},
		{"one alert has all in common with itself", Alerts{two}, Firing, KV{"job": "b", "env": "prod"}, KV{"summary": "x", "more": "y"}},
		{"the resolved one alone is resolved", Alerts{gone}, Resolved, KV{"env": "dev"}, KV{}},
		{"no alert has nothing in common", nil, Resolved, KV{}, KV{}},
	} {
		d := m.Narrow(c.alerts)
		if d.Status != c.status || !reflect.DeepEqual(d.CommonLabels, c.labels) || !reflect.DeepEqual(d.CommonAnnotations, c.annotations) {
			t.Errorf("%s: got %s %v %v, want %s %v %v", c.name, d.Status, d.CommonLabels, d.CommonAnnotations, c.status, c.labels, c.annotations)
		}
		if d.Receiver != "r" || d.ExternalURL != "http://am" || d.GroupLabels["g"] != "1" || len(d.Alerts) != len(c.alerts) {
			t.Errorf("%s: the rest became %+v", c.name, d)
		}
	}
	if m.Status != Firing || len(m.Alerts) != 3 || m.CommonLabels["common"] != "as sent" || len(one.Labels) != 2 {
		t.Errorf("narrowing changed the message: %+v", m)
	}
}
