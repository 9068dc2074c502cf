package ledger

import (
	"fmt"
	"strings"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
)

// A Reason says in words why an alert got a run or got none, or why a run was left
// alone. Answers and the log show it; docs/contract.md lists every one.
type Reason string

// The reasons for doing nothing.
const (
	SkipRan          Reason = "already started for this alert"
	SkipRunning      Reason = "already running for this alert"
	SkipFailed       Reason = "failed, retries used up"
	SkipRetryPending Reason = "failed, retry pending"
	SkipLate         Reason = "late: this alert's resolve came before"
	SkipStale        Reason = "stale: sent more than 6 hours ago"
	SkipNothing      Reason = "resolved: no run of this alert is known"
	SkipLaterFiring  Reason = "resolved: the alert has fired again since"
	SkipStillFiring  Reason = "resolved: another alert of the same run still fires"
	SkipEnded        Reason = "resolved: its run is over"
	SkipStopped      Reason = "resolved: its run was stopped before"
	SkipIgnored      Reason = "resolved: ignore_resolved is set"
	SkipWasCancelled Reason = "resolved before it was sent"
	SkipSuperseded   Reason = "a later notification of this alert waits"
	RefuseChanged    Reason = "not sent: the command's configuration has changed since the run was claimed"
)

// The reasons for beginning or ending a run.
const (
	RunFiring    Reason = "firing"
	RunRetry     Reason = "failed before, tried again"
	RunAgain     Reason = "stopped with amx, run again"
	RunRepeat    Reason = "still firing after repeat_after"
	RunTakenOver Reason = "taken over: its sender is gone"
	CancelEnded  Reason = "resolved"
	CancelKilled Reason = "resolved: still running after its signal and kill_after"
)

// The limits, as reasons.
const (
	byMax    = "concurrency limit reached"
	byRate   = "rate limit reached"
	bySpread = "spread_by"

	byCooldown = "cooldown:"
	byPause    = "paused by"
	byBreaker  = "breaker:"
)

// Limited reports whether max, a rate limit or spread_by held a run back.
func (r Reason) Limited() bool {
	for _, limit := range []string{byMax, byRate, bySpread} {
		if strings.HasPrefix(string(r), limit) {
			return true
		}
	}
	return false
}

// Holds returns the kind of the hindrance: a limit, a pause, an open breaker, or another
// one such as SSM's throttling.
func (r Reason) Holds() string {
	switch {
	case r.Limited() || strings.HasPrefix(string(r), byCooldown):
		return "limit"
	case strings.HasPrefix(string(r), byPause):
		return "pause"
	case strings.HasPrefix(string(r), byBreaker):
		return "breaker"
	}
	return "other"
}

func limitMax(limit int, all bool) Reason {
	return Reason(fmt.Sprintf(byMax+" (%smax: %d)", of(all), limit))
}

func limitRate(w amx.Window, all bool) Reason {
	return Reason(fmt.Sprintf(byRate+" (%srate_limit: %d per %s)", of(all), w.Runs, amx.ShortDuration(w.Per)))
}

func limitSpread(value string) Reason {
	return Reason(fmt.Sprintf(bySpread+": runs go on for %q", value))
}

func limitCooldown(until time.Time) Reason {
	return Reason(byCooldown + " not before " + until.UTC().Format(time.RFC3339))
}

// of is the key that has the limits of all commands together.
func of(all bool) string {
	if all {
		return "limits: "
	}
	return ""
}

// PausedReason is the reason why a run does not begin while its command is paused.
func PausedReason(p Pause) Reason {
	return Reason(fmt.Sprintf(byPause+" %s until %s: %s", p.Who, p.Until.UTC().Format(time.RFC3339), p.Why))
}
