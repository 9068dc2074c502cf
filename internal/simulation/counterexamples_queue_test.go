package simulation

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/cloudtest"
	"github.com/amx-lambda/amx/internal/runner"
)

var throttled = cloudtest.Fate{Err: cloudtest.APIError("ThrottlingException")}

// Alertmanager tries one notification for as long as group_interval. amx puts
// off work that takes longer, so that its log has the firing, and the resolve comes.
func TestCounterexample12TheAnswerComesWithinAlertmanagersWindow(t *testing.T) {
	in(t, one, func(w *world) {
		w.cloud.Lasts = forHours
		w.webhook(w.sandbox("F", map[string]cloudtest.Fate{"SendCommand": throttled}), message(w.fires("a", 0)), "later a: SendCommand: ThrottlingException")
		w.works(w.sandbox("W", nil), time.Minute)
		w.ran(1)
		w.webhook(w.sandbox("R", map[string]cloudtest.Fate{"CancelCommand": throttled}), message(w.resolves("a", 0, time.Minute)), `later a: cancelling the run: CancelCommand "c0": ThrottlingException`)
		w.works(w.sandbox("W2", nil), 3*time.Minute)
		w.nothingRuns()
	})
}

// Whoever has more time than Alertmanager gives, as amx serve has, answers as soon:
// neither a call that is throttled nor a command that goes on takes as long as
// group_interval.
func TestTheAnswerDoesNotTakeAllTheTimeThereIs(t *testing.T) {
	for name, fates := range map[string]map[string]cloudtest.Fate{"throttled": {"SendCommand": throttled}, "going on": nil} {
		in(t, strings.Replace(one, "    wait: 0s\n", "", 1), func(w *world) {
			w.cloud.Lasts = forHours
			a := w.sandbox("F", fates).Handle(w.Context(), message(w.fires("a", 0)), runner.Source{Waits: true, Within: runner.Within})
			if took := time.Since(w.origin); a.Err != nil || len(a.Results) != 1 || took > 9*time.Second {
				w.Errorf("%s: after %v: %s", name, took, says(a))
			}
		})
	}
}

// The cancellation of a first run is throttled and put off. The alert fires again
// under its old start, and has a second run, when the item comes back.
func TestCounterexample13APutOffResolveDoesNotEndTheReopenedEpisode(t *testing.T) {
	in(t, one, func(w *world) {
		w.cloud.Lasts = func(c *cloudtest.Command, _ string) (time.Duration, int) {
			if c.ID == "c0" {
				return 5 * time.Minute, 0
			}
			return 3 * time.Hour, 0
		}
		w.expect(w.sandbox("F", nil), message(w.fires("a", 0)), "run a: firing c0")
		w.until(time.Minute)
		w.expect(w.sandbox("R", map[string]cloudtest.Fate{"CancelCommand": throttled}), message(w.resolves("a", 0, 50*time.Second)), `later a: cancelling the run: CancelCommand "c0": ThrottlingException`)
		w.until(20 * time.Minute)
		w.expect(w.sandbox("F2", nil), message(w.fires("a", 0)), "run a: firing c1; skip a: resolved: its run is over c0")
		w.works(w.sandbox("W", nil), 25*time.Minute)
		if ids := w.cloud.Running(); len(ids) != 1 || ids[0] != "c1" {
			t.Errorf("the nodes run %v, not the command of the second run", ids)
		}
		w.expect(w.sandbox("R2", nil), message(w.resolves("a", 0, 50*time.Second)), "cancel a: resolved: cancelled c1")
		w.nothingRuns()
	})
}

// Two sources tell of one alert. The second one's old firing is sent long after the
// first one's resolve, and is overtaken by its own, which says the same end.
func TestCounterexample14ATombstoneRemembersTheLatestSending(t *testing.T) {
	in(t, one, func(w *world) {
		w.until(time.Minute)
		w.sandbox("RA", nil).deliver(w.T, w.topic(time.Minute, w.resolves("a", 0, 30*time.Second)))
		w.until(21 * time.Minute)
		w.sandbox("RB", nil).deliver(w.T, w.topic(21*time.Minute, w.resolves("a", 0, 30*time.Second)))
		w.expect(w.sandbox("FB", nil), w.topic(20*time.Minute, w.fires("a", 0)), "skip a: late: this alert's resolve came before")
		w.ran(0)
	})
}

// Alertmanager's clock is two minutes ahead, so that each repeat's start is bounded
// to its own sending. As it was sent it is the same.
func TestCounterexample15BoundedTimesDoNotDoubleRuns(t *testing.T) {
	in(t, one, func(w *world) {
		w.cloud.Lasts = forHours
		ahead := func(now time.Duration) *amx.Message {
			a := w.fires("a", now)
			a.StartsSent = w.at(5 * time.Minute)
			return message(a)
		}
		w.expect(w.sandbox("F", nil), ahead(0), "run a: firing c0")
		w.until(3 * time.Minute)
		w.expect(w.sandbox("G", nil), ahead(3*time.Minute), "skip a: already started for this alert")
		w.ran(1)
	})
}

// An entry is full of the tombstones of a group whose labels change. The one of a
// made room; its firing, which was sent before, is late all the same.
func TestCounterexample16AFullEntryDoesNotForget(t *testing.T) {
	in(t, group, func(w *world) {
		b := w.sandbox("B", nil)
		b.MaxEntry = 2000
		w.until(time.Minute)
		b.deliver(w.T, w.topic(time.Minute, w.resolves("a", 0, 30*time.Second)))
		for i := range 60 {
			at := time.Minute + time.Duration(i)*time.Second
			w.until(at)
			b.deliver(w.T, w.topic(at, w.resolves(fmt.Sprintf("x%02d", i), 0, at)))
		}
		w.expect(b, w.topic(20*time.Second, w.fires("a", 0)), "skip a: late: this alert's resolve came before")
		w.ran(0)
	})
}

// SSM's event is lost or comes before the run is recorded; a run takes 7 h; a double
// comes from the source: the retry begins when its reminder says so, once.
func TestCounterexample17ARetryIsNeitherLostNorHurried(t *testing.T) {
	slow := strings.Replace(retried, "wait: 0s", "wait: 0s\n    timeout: 8h\n    retry_delay: 10m", 1)
	t.Run("no event, and 7 h", func(t *testing.T) {
		in(t, slow, func(w *world) {
			w.cloud.Lasts = func(*cloudtest.Command, string) (time.Duration, int) { return 7 * time.Hour, 1 }
			w.expect(w.sandbox("F", nil), message(w.fires("a", 0)), "run a: firing c0")
			w.works(w.sandbox("W", nil), 7*time.Hour+9*time.Minute)
			w.expect(w.sandbox("F2", nil), message(w.fires("a", 0)), "skip a: failed, retry pending")
			w.ran(1)
			w.works(w.sandbox("W2", nil), 7*time.Hour+14*time.Minute)
			w.ran(2)
			w.cloud.Mu.Lock()
			defer w.cloud.Mu.Unlock()
			if got := w.cloud.Commands[1].Alerts; len(got) != 1 || got[0].Fingerprint != "a" {
				t.Errorf("the retry was sent for %v", got)
			}
		})
	})
	t.Run("two reminders", func(t *testing.T) {
		in(t, strings.Replace(slow, "retries: 1", "retries: 2", 1), func(w *world) {
			w.cloud.Lasts = func(*cloudtest.Command, string) (time.Duration, int) { return time.Second, 1 }
			w.sandbox("F", nil).deliver(w.T, message(w.fires("a", 0)))
			reminder := w.cloud.Waiting()[0].Item
			w.works(w.sandbox("W", nil), 12*time.Minute+30*time.Second)
			w.ran(2)
			for i := range 3 {
				w.sandbox(fmt.Sprint("D", i), nil).handle(w.T, reminder)
			}
			w.works(w.sandbox("W2", nil), 20*time.Minute) // the second retry waits for twice the delay
			w.ran(2)
			w.works(w.sandbox("W3", nil), 40*time.Minute)
			w.ran(3)
		})
	})
	t.Run("resolved meanwhile", func(t *testing.T) {
		in(t, slow, func(w *world) {
			w.cloud.Lasts = func(*cloudtest.Command, string) (time.Duration, int) { return time.Second, 1 }
			w.sandbox("F", nil).deliver(w.T, message(w.fires("a", 0)))
			w.until(time.Minute)
			w.sandbox("R", nil).deliver(w.T, message(w.resolves("a", 0, 50*time.Second)))
			w.works(w.sandbox("W", nil), time.Hour)
			w.ran(1)
			if n := len(w.cloud.Waiting()); n > 0 {
				t.Errorf("%d items wait", n)
			}
		})
	})
}

// A node is only unavailable: its run takes no slot, and it is given up in the end.
func TestCounterexample19ANodeThatIsUnavailableHoldsNothing(t *testing.T) {
	in(t, one+"    max: 1\n", func(w *world) {
		w.loses("a", always)
		w.expect(w.sandbox("A", nil), message(w.fires("a", 0)), "later a: node i-00000061: SendCommand: InvalidInstanceId")
		w.expect(w.sandbox("B", nil), message(w.fires("b", 0)), "run b: firing c0")
		w.works(w.sandbox("W", nil), 7*time.Hour)
		if n := len(w.cloud.Waiting()); n > 0 {
			t.Errorf("%d items wait", n)
		}
		w.ranOn("b")
	})
	t.Run("beside one that is there", func(t *testing.T) {
		in(t, group+"    max: 1\n", func(w *world) {
			w.loses("a", always)
			w.sandbox("A", nil).deliver(w.T, message(w.fires("a", 0), w.fires("b", 0)))
			w.ranOn("b")
			m := message(w.fires("x", time.Minute))
			m.GroupLabels = amx.KV{"g": "other"}
			w.until(time.Minute) // what was sent is over
			w.expect(w.sandbox("X", nil), m, "run x: firing c1")
		})
	})
}

// One command may not be sent. That keeps no resolve from the other's run.
func TestTwoCommandsOneWithoutRights(t *testing.T) {
	in(t, one+strings.TrimPrefix(strings.Replace(one, "fix", "other", 1), "\ncommands:\n"), func(w *world) {
		w.cloud.Lasts = forHours
		w.cloud.Refuse = func(r *cloudtest.Request) error {
			if r.Token.Command == "other" {
				return cloudtest.APIError("AccessDeniedException")
			}
			return nil
		}
		w.webhook(w.sandbox("F", nil), message(w.fires("a", 0)), "run a: firing c0; later a: SendCommand: AccessDeniedException")
		w.until(time.Minute)
		if a := w.sandbox("R", nil).deliver(w.T, message(w.resolves("a", 0, 50*time.Second))); a.Err != nil {
			w.Error(a.Err)
		}
		w.works(w.sandbox("W", nil), 2*time.Minute)
		w.nothingRuns()
		if n := len(w.cloud.Waiting()); n > 0 {
			t.Errorf("%d items wait", n)
		}
	})
}

// An alert that does not say where to run is refused alone, and so is it beside one
// that comes later.
func TestAnAlertWithoutAPlaceKeepsNobodyFromTheirCommand(t *testing.T) {
	in(t, group, func(w *world) {
		nowhere := w.fires("n", 0)
		delete(nowhere.Labels, "node")
		w.sandbox("A", nil).deliver(w.T, message(w.fires("a", 0), w.fires("b", 0), nowhere))
		w.until(4 * time.Hour)
		w.sandbox("B", nil).deliver(w.T, message(w.fires("a", 0), w.fires("b", 0), nowhere, w.fires("c", 4*time.Hour)))
		w.until(5 * time.Hour)
		w.ranOn("a b c")
	})
}

// A group whose labels change: an alert every 45 s, each of which resolves. Its entry
// is small, and every firing runs, and every resolve ends its run.
func TestAGroupWhoseLabelsChange(t *testing.T) {
	in(t, group, func(w *world) {
		w.cloud.Lasts = forHours
		b := w.sandbox("B", nil)
		b.MaxEntry = 20_000
		for i := range 800 {
			at := time.Duration(i) * 45 * time.Second
			name := string(rune(0x1000 + i))
			w.until(at)
			if got := says(b.deliver(w.T, message(w.fires(name, at)))); !strings.HasPrefix(got, "run ") {
				w.Fatalf("after %v a firing was answered %s", at, got)
			}
			w.until(at + 20*time.Second)
			if got := says(b.deliver(w.T, message(w.resolves(name, at, at+15*time.Second)))); !strings.HasPrefix(got, "cancel ") {
				w.Fatalf("after %v a resolve was answered %s", at, got)
			}
			for _, r := range w.cloud.Records {
				if len(r.Value) > 25_000 {
					w.Fatalf("after %v %s has %d bytes", at, r.Key, len(r.Value))
				}
			}
			w.cloud.Mu.Lock()
			w.cloud.Commands = w.cloud.Commands[max(0, len(w.cloud.Commands)-20):]
			w.cloud.Mu.Unlock()
		}
	})
}

// SSM accepts 200 sends and answers errors: one reading of its list serves them all.
func TestOneReadingOfTheListServesAllThatIsInDoubt(t *testing.T) {
	in(t, one, func(w *world) {
		w.cloud.Page = 50
		var alerts []amx.Alert
		for i := range 200 {
			alerts = append(alerts, w.fires(string(rune(0x1000+i)), 0))
		}
		a := w.sandbox("A", map[string]cloudtest.Fate{"SendCommand": lostAnswer})
		a.deliver(w.T, message(alerts...))
		if n := a.counts["ListCommands"]; n > 20 {
			t.Errorf("%d ListCommands", n)
		}
		w.ran(200)
	})
}

// The sender dies with the answer, so that the run's only command is unknown, and SSM
// says at once that it has ended. The event is put off until the list is proof, and
// then amx looks: the run is known to be over, though no delivery comes.
func TestCounterexample18AnEventAboutARunInDoubtLooks(t *testing.T) {
	in(t, one+"    max: 1\n", func(w *world) {
		w.sandbox("A", map[string]cloudtest.Fate{"SendCommand": {Dies: "after"}}).deliver(w.T, message(w.fires("a", 0)))
		w.until(3 * time.Second)
		w.ended(w.sandbox("E", nil), "c0")
		b := w.sandbox("W", nil)
		w.works(b, 20*time.Minute)
		if n := len(w.cloud.Waiting()); n > 0 {
			w.Errorf("%d items wait", n)
		}
		for key, r := range w.cloud.Records {
			if !strings.HasPrefix(key, "entry/") {
				continue
			}
			e, err := cloudtest.ReadEntry(r)
			if err != nil || len(e.Runs) != 1 || e.Runs[0].Failed == nil || fmt.Sprint(e.Runs[0].Commands) != "[c0]" {
				w.Errorf("%s: %s, %v", key, r.Value, err)
			}
		}
	})
}

// The breaker counts runs, by their IDs: the event of a failure that comes twice is one
// failure, and one whose worker died before it told the gate is not missed.
func TestCounterexample20TheBreakerCountsRuns(t *testing.T) {
	in(t, one+"    breaker: {failures: 2, for: 1h}\n", func(w *world) {
		w.cloud.Fails = func(string) bool { return true }
		w.expect(w.sandbox("A", nil), message(w.fires("a", 0)), "run a: firing c0")
		w.until(time.Minute)
		w.ended(w.sandbox("E", nil), "c0")
		w.ended(w.sandbox("E2", nil), "c0")
		w.expect(w.sandbox("B", nil), message(w.fires("b", 0)), "run b: firing c1")
		w.until(2 * time.Minute)
		dies := w.sandbox("D", map[string]cloudtest.Fate{"Put 2": {Dies: "before"}})
		token := w.cloud.Find("c1").Token
		_ = dies.Ended(w.Context(), string(token.Entry), token.Run, token.Command)
		if !dies.Dead() {
			w.Fatal("the worker has not died before it told the gate")
		}
		w.ended(w.sandbox("E3", nil), "c1") // SSM's event is delivered again
		w.expect(w.sandbox("C", nil), message(w.fires("c", 0)), "refuse c: breaker: 2 runs in a row failed, until 2000-01-01T01:02:00Z")
	})
}
