package simulation

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
)

// report prints what there was.
func (q *quick) report(episodes int) {
	begun, acknowledged, cancelled := 0, 0, 0
	for _, f := range append(q.functions, q.worker) {
		begun += f.begun
	}
	for _, a := range q.attempts {
		if a.acknowledged {
			acknowledged++
		}
	}
	for _, c := range q.cloud.Commands {
		if c.Cancelled {
			cancelled++
		}
	}
	faults := ""
	for _, f := range slices.Sorted(maps.Keys(q.faults)) {
		faults += fmt.Sprintf(" %s %d", f, q.faults[f])
	}
	fates := map[string]int{}
	for _, h := range q.alerts {
		for _, e := range h.episodes {
			fates[q.became(h, e)]++
		}
	}
	became := ""
	for _, f := range slices.Sorted(maps.Keys(fates)) {
		became += fmt.Sprintf(", %d %s", fates[f], f)
	}
	q.Logf("%d episodes of %d alerts%s: %d invocations, %d acknowledged, %d killed; %d processes; %d calls; faults:%s; %d runs, %d commands, %d cancelled, %d passes on nodes; %d items of the queue; %d violations",
		episodes, len(q.alerts), became, len(q.attempts), acknowledged, q.killed.Load(), begun, q.calls.Load(), faults,
		len(q.runs()), len(q.cloud.Commands), cancelled, len(q.cloud.Passes), len(q.cloud.Queued), len(q.violations))
}

// became is what became of an episode.
func (q *quick) became(h *history, e episode) string {
	start := q.origin.Add(e.start + h.skew)
	acknowledged := false
	for _, a := range q.attempts {
		acknowledged = acknowledged || a.acknowledged && slices.ContainsFunc(a.alerts, func(f amx.Alert) bool {
			return f.Status == amx.Firing && f.Fingerprint == h.name && f.StartsAt.Equal(start)
		})
	}
	became := "answered with errors until resolved"
	if acknowledged {
		became = "resolved, or max reached, before it was sent"
	}
	for _, r := range q.runs() {
		for _, a := range r.alerts {
			switch own := a.At().Equal(start.Truncate(time.Second)); {
			case a.Fingerprint != h.name || start.Before(a.At()) || start.After(q.serves(r, a)):
			case own && len(r.passes) > 0:
				return "ran"
			case own:
				became = "cancelled before a node began"
			case acknowledged && len(r.passes) > 0:
				became = "served by the run of an episode before"
			}
		}
	}
	return became
}
