package main

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

// The command of a group runs until it is stopped, and says that it began.
const longRun = `
commands:
  - name: long
    cmd: sh
    args: ["-c", "echo run >>@DIR@/runs; exec sleep 300"]
    wait: 0s
`

const longRunAlert = longRun + "    scope: alert\n"

type delivered struct {
	body string
	want []string // results; the status is 200
}

// Each row is a history of deliveries to one ledger, with the exact answer to
// each, and how often the command has begun at its end.
func TestEpisodes(t *testing.T) {
	hit := func(body string, want ...string) delivered { return delivered{body, want} }
	const receiver = "amx"
	tests := []struct {
		name   string
		config string
		runs   int
		hits   []delivered
	}{
		{"a firing runs the command", longRun, 1, []delivered{
			hit(notification(receiver, firing("a", 0)), "run a: firing"),
		}},
		{"a duplicate is skipped, also from another receiver", longRun, 1, []delivered{
			hit(notification(receiver, firing("a", 0)), "run a: firing"),
			hit(notification(receiver, firing("a", 0)), "skip a: already started for this alert"),
			hit(notification("other", firing("a", 0)), "skip a: already started for this alert"),
		}},
		{"a resolve cancels", longRun, 1, []delivered{
			hit(notification(receiver, firing("a", 0)), "run a: firing"),
			hit(notification(receiver, resolved("a", 0, 60)), "cancel a: resolved: cancelled"),
			hit(notification(receiver, resolved("a", 0, 60)), "skip a: resolved: its run was stopped before"),
		}},
		{"a refire with a new startsAt runs again", longRun, 2, []delivered{
			hit(notification(receiver, firing("a", 0)), "run a: firing"),
			hit(notification(receiver, resolved("a", 0, 60)), "cancel a: resolved: cancelled"),
			hit(notification(receiver, firing("a", 120)), "run a: firing"),
			hit(notification(receiver, resolved("a", 120, 180)), "cancel a: resolved: cancelled"),
		}},
		{"a refire without its resolve, begun before the run was claimed, is the same", longRun, 1, []delivered{
			hit(notification(receiver, firing("a", 0)), "run a: firing"),
			hit(notification(receiver, firing("a", 120)), "skip a: already started for this alert"),
		}},
		{"a start that is to come counts as the arrival, and does not run again", longRun, 1, []delivered{
			hit(notification(receiver, firing("a", 0)), "run a: firing"),
			hit(notification(receiver, firing("a", 3600+120)), "skip a: already started for this alert"),
		}},
		{"a refire after a lost resolve runs once the resolve has come", longRun, 2, []delivered{
			hit(notification(receiver, firing("a", 0)), "run a: firing"),
			hit(notification(receiver, firing("a", 120)), "skip a: already started for this alert"),
			hit(notification(receiver, resolved("a", 120, 180)), "cancel a: resolved: cancelled"),
			hit(notification(receiver, firing("a", 240)), "run a: firing"),
		}},
		{"a resolve with a later startsAt than the firing ends it", longRun, 1, []delivered{
			hit(notification(receiver, firing("a", 0)), "run a: firing"),
			hit(notification(receiver, resolved("a", 30, 60)), "cancel a: resolved: cancelled"),
		}},
		{"a resolve that came before its firing", longRun, 0, []delivered{
			hit(notification(receiver, resolved("a", 0, 60)), "skip a: resolved: no run of this alert is known"),
			hit(notification(receiver, firing("a", 0)), "skip a: late: this alert's resolve came before"),
		}},
		{"an old resolve does not end the next firing", longRun, 1, []delivered{
			hit(notification(receiver, firing("a", 120)), "run a: firing"),
			hit(notification(receiver, resolved("a", 0, 60)), "skip a: resolved: the alert has fired again since"),
			hit(notification(receiver, firing("a", 120)), "skip a: already started for this alert"),
		}},
		{"an alert that joins its group has a run of its own", longRun, 2, []delivered{
			hit(notification(receiver, firing("a", 0)), "run a: firing"),
			hit(notification(receiver, firing("a", 0), firing("b", 60)), "run b: firing", "skip a: already started for this alert"),
		}},
		{"an alert that leaves its group does not stop the run of the others", longRun, 1, []delivered{
			hit(notification(receiver, firing("a", 0), firing("b", 0)), "run a,b: firing"),
			hit(notification(receiver, firing("a", 0), resolved("b", 0, 60)),
				"skip a: already started for this alert", "skip b: resolved: another alert of the same run still fires"),
			hit(notification(receiver, firing("a", 0)), "skip a: already started for this alert"),
			hit(notification(receiver, resolved("a", 0, 90)), "cancel a: resolved: cancelled"),
		}},
		{"an absent alert proves nothing", longRun, 1, []delivered{
			hit(notification(receiver, firing("a", 0), firing("b", 0)), "run a,b: firing"),
			hit(notification(receiver, resolved("a", 0, 60)), "skip a: resolved: another alert of the same run still fires"),
		}},
		{"scope alert: one resolve in a firing group ends that alert's run only", longRunAlert, 2, []delivered{
			hit(notification(receiver, firing("a", 0), firing("b", 0)), "run a: firing", "run b: firing"),
			hit(notification(receiver, firing("a", 0), resolved("b", 0, 60)),
				"cancel b: resolved: cancelled", "skip a: already started for this alert"),
		}},
		{"scope alert: a repeat is one skip of the command", longRunAlert, 2, []delivered{
			hit(notification(receiver, firing("a", 0), firing("b", 0)), "run a: firing", "run b: firing"),
			hit(notification(receiver, firing("a", 0), firing("b", 0)), "skip a,b: already started for this alert"),
		}},
		{"ignore_resolved leaves the run alone", longRun + "    ignore_resolved: true\n", 1, []delivered{
			hit(notification(receiver, firing("a", 0)), "run a: firing"),
			hit(notification(receiver, resolved("a", 0, 60)), "skip a: resolved: ignore_resolved is set"),
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t, test.config)
			for i, d := range test.hits {
				begun := len(m.lines("runs"))
				a := m.post(d.body)
				if got := told(a); a.Status != http.StatusOK || !slices.Equal(got, d.want) {
					t.Fatalf("delivery %d: %d %q %s; want 200 %q", i+1, a.Status, got, a.Error, d.want)
				}
				runs := 0
				for _, w := range d.want {
					if strings.HasPrefix(w, "run ") {
						runs++
					}
				}
				m.eventually("the command has begun", func() bool { return len(m.lines("runs")) == begun+runs })
			}
			if got := len(m.lines("runs")); got != test.runs {
				t.Errorf("%d runs, want %d", got, test.runs)
			}
		})
	}
}

func TestDuplicatesSideBySideRunOnce(t *testing.T) {
	m := newMachine(t, longRun)
	body := notification("amx", firing("a", 0))
	answers := make([]answer, 16)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() { answers[i] = m.post(body) })
	}
	wg.Wait()
	count := map[string]int{}
	for _, a := range answers {
		for _, r := range told(a) {
			count[r]++
		}
		if a.Status != http.StatusOK {
			t.Errorf("%d %s", a.Status, a.Error)
		}
	}
	if count["run a: firing"] != 1 || count["skip a: already started for this alert"] != len(answers)-1 {
		t.Errorf("answers: %v", count)
	}
	m.eventually("the command has begun", func() bool { return len(m.lines("runs")) == 1 })
}
