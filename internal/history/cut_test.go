package history

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
)

func TestCutAlerts(t *testing.T) {
	alert := func(i, size int) Alert {
		return Alert{Fingerprint: fmt.Sprintf("%016x", i), Labels: amx.KV{"alertname": "Down"}, Annotations: amx.KV{"text": strings.Repeat("é", size/2)}}
	}
	var many []Alert
	for i := range 1000 {
		many = append(many, alert(i, 200))
	}
	for _, tt := range []struct {
		name   string
		alerts []Alert
		kept   int
	}{
		{"small ones are kept", many[:10], 10},
		{"those that fit are kept", many, 225},
		{"one that is too large is kept without its annotations", []Alert{alert(1, MaxAlerts)}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := Cut(Record{Run: runID, Alerts: tt.alerts})
			total := 0
			if tt.kept < len(tt.alerts) {
				total = len(tt.alerts)
			}
			if len(r.Alerts) != tt.kept || r.AlertsTotal != total || len(text(r.Alerts)) > MaxAlerts+len(r.Alerts)+2 {
				t.Errorf("%d alerts of %d, %d bytes", len(r.Alerts), r.AlertsTotal, len(text(r.Alerts)))
			}
			if r.Alerts[0].Labels["alertname"] != "Down" {
				t.Errorf("the first is %+v", r.Alerts[0])
			}
			if again := Cut(r); !reflect.DeepEqual(again, r) {
				t.Error("cut twice, it is another")
			}
		})
	}
}

func TestCutNodesAndOutputs(t *testing.T) {
	r := Record{Run: runID}
	for i := range 3000 {
		n := Node{Node: fmt.Sprintf("i-%04d", i), Status: "Success", Output: "ok\n"}
		if i >= 2995 {
			n.Status, n.Output = "Failed", strings.Repeat("é", 2000)
		}
		r.Nodes = append(r.Nodes, n)
	}
	r = Cut(r)
	if len(r.Nodes) != maxNodes || r.NodesTotal != 3000 {
		t.Errorf("%d nodes of %d", len(r.Nodes), r.NodesTotal)
	}
	record, outputs := Split(r)
	if len(outputs) != MaxOutputs || len(outputs[MaxOutputs-1].Output) != MaxOutput || outputs[MaxOutputs-1].Node != "i-2999" {
		t.Errorf("%d outputs, the last is of %+.40v", len(outputs), outputs[len(outputs)-1])
	}
	if !reflect.DeepEqual(WithOutputs(record, outputs), r) {
		t.Error("split and put together, it is another")
	}
	if n := len(Encode(outputs)) + len(Encode(record)); n > 100<<10 {
		t.Errorf("the record takes %d bytes", n)
	}
}

func TestEncodeAndDecode(t *testing.T) {
	for _, size := range []int{1, 5000} {
		want := Record{Run: runID, State: Running, Reason: strings.Repeat("x", size), Updated: noon}
		var got Record
		if err := Decode(Encode(want), &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v", got, err)
		}
	}
	if err := Decode([]byte("{"), new(Record)); err == nil {
		t.Error("half a record decodes")
	}
}

func TestPositions(t *testing.T) {
	if !IsRun(runID) || IsRun(WaitingID("e", "f")) || IsRun("") || IsRun(strings.ToLower(runID)) {
		t.Error("what a run's ID is")
	}
	r := Record{Run: RefusedID("e", "no", "b", "a"), Updated: noon}
	if r.Run != RefusedID("e", "no", "a", "b", "a") || r.Run == RefusedID("e", "no", "a") || r.Run == RefusedID("e", "not", "a", "b") {
		t.Error("a refusal's ID is not made of its entry, its reason and its alerts")
	}
	day, err := Day(r.Position())
	if err != nil || day.Format(DayForm) != "2026-11-28" {
		t.Errorf("the day is %v, %v", day, err)
	}
	for _, d := range []time.Duration{time.Millisecond, time.Hour, 365 * 24 * time.Hour} {
		if After(noon) >= After(noon.Add(d)) {
			t.Errorf("%v later does not sort later", d)
		}
	}
}
