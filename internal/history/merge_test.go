package history

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

const runID = "01KB5ZQ3G0ABCDEFGHJKMNPQRS"

// after is a write of that many seconds after noon.
func after(seconds int, state State, change ...func(*Record)) Record {
	r := Record{Run: runID, Command: "restart", State: state, Updated: noon.Add(time.Duration(seconds) * time.Second)}
	for _, f := range change {
		f(&r)
	}
	return r
}

func TestMergeTheState(t *testing.T) {
	for _, tt := range []struct {
		name string
		a, b Record
		want State
	}{
		{"an end follows the start", after(1, Running), after(2, Failed), Failed},
		{"a start that is written late does not undo the end", after(2, Failed), after(3, Running), Failed},
		{"unknown gives way to an end", after(3, Unknown), after(2, Succeeded), Succeeded},
		{"an end gives way to a later end", after(2, Failed), after(3, Succeeded), Succeeded},
		{"the same moment is decided the same way", after(2, Failed), after(2, Cancelled), Failed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, got := range []Record{Merge(tt.a, tt.b), Merge(tt.b, tt.a)} {
				if got.State != tt.want {
					t.Errorf("got %q, want %q", got.State, tt.want)
				}
			}
		})
	}
}

// random is one of the writes that could be made of one run, by many writers.
func random(r *rand.Rand) Record {
	pick := func(n int) bool { return r.IntN(n) == 0 }
	w := after(r.IntN(4), []State{Running, Unknown, Succeeded, Failed, Cancelled}[r.IntN(5)])
	if pick(2) {
		w.CommandIDs = []string{string(rune('a' + r.IntN(3))), string(rune('a' + r.IntN(3)))}
	}
	for range r.IntN(3) {
		n := Node{Node: string(rune('m' + r.IntN(3))), Status: []string{"", "InProgress", "Success", "Failed"}[r.IntN(4)]}
		if code := r.IntN(3); pick(2) {
			n.ExitCode, n.Ended = &code, noon.Add(time.Duration(r.IntN(3)))
		}
		w.Nodes = append(w.Nodes, n)
	}
	for range r.IntN(3) {
		a := Alert{Fingerprint: string(rune('f' + r.IntN(2)))}
		if pick(2) {
			a.Labels, a.StartsAt = amx.KV{"alertname": "Down"}, noon.Add(-time.Duration(r.IntN(3)))
		}
		w.Alerts = append(w.Alerts, a)
	}
	if pick(3) {
		w.CancelledBy = &CancelledBy{Who: []string{"ann", ByResolve}[r.IntN(2)], At: noon.Add(time.Duration(r.IntN(2)))}
	}
	if pick(2) {
		w.Source.Receiver, w.Claimed, w.Ended, w.Reason = "amx", noon.Add(-time.Duration(r.IntN(2))), noon, []string{"", "firing"}[r.IntN(2)]
	}
	return w
}

// However writes are doubled and reordered, the record is the same in the end.
func TestMergeInEveryOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		var writes []Record
		for range 2 + r.IntN(3) {
			writes = append(writes, random(r))
		}
		join := func() Record {
			out := Merge(writes[0], writes[0])
			for i, j := range r.Perm(2 * len(writes)) {
				if w := writes[j%len(writes)]; i == 0 {
					out = Merge(w, w)
				} else {
					out = Merge(out, w)
				}
			}
			return out
		}
		if a, b := join(), join(); !reflect.DeepEqual(a, b) {
			x, _ := json.MarshalIndent(a, "", " ")
			y, _ := json.MarshalIndent(b, "", " ")
			z, _ := json.MarshalIndent(writes, "", " ")
			t.Fatalf("one order gives\n%s\nanother\n%s\nof\n%s", x, y, z)
		}
	}
}

func TestMergeWithoutARunIsTheLatest(t *testing.T) {
	first, second := after(1, Expired), after(2, Waiting)
	first.Run, second.Run = WaitingID("e", "f"), WaitingID("e", "f")
	for _, got := range []Record{Merge(first, second), Merge(second, first)} {
		if got.State != Waiting {
			t.Errorf("got %q", got.State)
		}
	}
}

func TestTheFormOfARecord(t *testing.T) {
	code := 1
	r := after(3, Failed, func(r *Record) {
		r.Reason, r.Status, r.Attempt, r.RetryOf, r.Entry = "firing", "Failed", 2, "01KB5ZQ3G0ABCDEFGHJKMNPQRR", "0123456789abcdef"
		r.Alerts = []Alert{{Fingerprint: "00000000000000aa", Labels: amx.KV{"alertname": "Down"}, Annotations: amx.KV{"summary": "down"}, StartsAt: noon, GeneratorURL: "http://p/"}}
		r.Source = Source{Receiver: "amx", Topic: "arn:aws:sns:eu-central-1:1:t", Token: "am", ExternalURL: "http://a/"}
		r.Targets = []Target{{Key: "InstanceIds", Values: []string{"i-1"}}}
		r.Nodes = []Node{{Node: "i-1", Status: "Failed", ExitCode: &code, Started: noon, Ended: noon, Output: "no\n"}}
		r.CommandIDs = []string{"c-1"}
		r.CancelledBy = &CancelledBy{Who: "ann", Why: "wrong host"}
		r.Claimed, r.Sent, r.Ended = noon, noon, noon
	})
	const want = `{"run":"01KB5ZQ3G0ABCDEFGHJKMNPQRS","command":"restart","state":"failed","reason":"firing","status":"Failed",` +
		`"alerts":[{"fingerprint":"00000000000000aa","labels":{"alertname":"Down"},"annotations":{"summary":"down"},"starts_at":"2026-11-28T12:00:00Z","generator_url":"http://p/"}],` +
		`"source":{"receiver":"amx","topic":"arn:aws:sns:eu-central-1:1:t","token":"am","external_url":"http://a/"},` +
		`"targets":[{"key":"InstanceIds","values":["i-1"]}],` +
		`"nodes":[{"node":"i-1","status":"Failed","exit_code":1,"started":"2026-11-28T12:00:00Z","ended":"2026-11-28T12:00:00Z","output":"no\n"}],` +
		`"command_ids":["c-1"],"attempt":2,"retry_of":"01KB5ZQ3G0ABCDEFGHJKMNPQRR","cancelled_by":{"who":"ann","why":"wrong host"},` +
		`"claimed":"2026-11-28T12:00:00Z","sent":"2026-11-28T12:00:00Z","ended":"2026-11-28T12:00:00Z","updated":"2026-11-28T12:00:03Z","entry":"0123456789abcdef"}`
	if got := text(r); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
