package ledger

import (
	"fmt"
	"strings"
)

// A Reason says in words why an alert got its run, or did not, or why a run
// was left alone. It is what the answer and the log show.
type Reason string

// The reasons for which nothing is done.
const (
	SkipRan          Reason = "already started for this alert"
	SkipRunning      Reason = "already running for this alert"
	SkipFailed       Reason = "failed, retries used up"
	SkipLate         Reason = "late: this alert's resolve came before"
	SkipStale        Reason = "stale: sent more than 6 hours ago"
	SkipNothing      Reason = "resolved: no run of this alert is known"
	SkipLaterFiring  Reason = "resolved: the alert has fired again since"
	SkipStillFiring  Reason = "resolved: another alert of the same run still fires"
	SkipEnded        Reason = "resolved: its run is over"
	SkipStopped      Reason = "resolved: its run was stopped before"
	SkipIgnored      Reason = "resolved: ignore_resolved is set"
	SkipWasCancelled Reason = "resolved before it was sent"
)

// The reasons for which a run is begun or ended.
const (
	RunFiring    Reason = "firing"
	RunRetry     Reason = "failed before, tried again"
	RunRepeat    Reason = "still firing after repeat_after"
	RunTakenOver Reason = "taken over: its sender is gone"
	CancelEnded  Reason = "resolved"
)

// Limited says that a limit kept a run from beginning.
func (r Reason) Limited() bool { return strings.HasPrefix(string(r), limited) }

const limited = "concurrency limit reached"

// SkipMax is the reason for which a run of a command with `max` is not begun.
func SkipMax(limit int) Reason {
	return Reason(fmt.Sprintf(limited+" (max: %d)", limit))
}
