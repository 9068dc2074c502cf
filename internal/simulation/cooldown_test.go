package simulation

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/cloudtest"
)

const cooled = group + "    cooldown: 1h\n"

// grouped is a message of another group of alerts.
func grouped(name string, alerts ...amx.Alert) *amx.Message {
	m := message(alerts...)
	m.GroupLabels = amx.KV{"g": name}
	return m
}

// A cooldown holds for an alert in whatever group it comes, and for that alert alone.
func TestACooldownHoldsInEveryGroup(t *testing.T) {
	in(t, cooled, func(w *world) {
		w.expect(w.sandbox("A", nil), grouped("1", w.fires("a", 0)), "run a: firing c0")
		w.until(time.Minute)
		w.expect(w.sandbox("B", nil), grouped("2", w.fires("a", 0), w.fires("b", 0)), "later a: cooldown: not before 2000-01-01T01:00:00Z; run b: firing c1")
		w.works(w.sandbox("W", nil), 59*time.Minute)
		w.ran(2)
		w.works(w.sandbox("W2", nil), 62*time.Minute)
		w.ran(3)
		w.until(63 * time.Minute)
		w.sandbox("R", nil).deliver(w.T, grouped("1", w.resolves("a", 0, 62*time.Minute)))
		if got := says(w.sandbox("C", nil).deliver(w.T, grouped("1", w.fires("a", 63*time.Minute)))); !strings.HasPrefix(got, "later a: cooldown: not before 2000-01-01T02:00:") {
			w.Errorf("back in the first group: %s", got)
		}
	})
}

// A run that was never sent begins no cooldown. One that was claimed holds it: it may
// still be sent.
func TestARunThatWasNeverSentBeginsNoCooldown(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fates map[string]cloudtest.Fate
		want  string
	}{
		{"refused", map[string]cloudtest.Fate{"SendCommand": {Err: cloudtest.APIError("InvalidDocument")}}, "run a: firing c0"},
		{"died before its claim", map[string]cloudtest.Fate{"Put 2": {Dies: "before"}}, "run a: firing c0"},
		{"died after its claim", map[string]cloudtest.Fate{"SendCommand": {Dies: "before"}}, "later a: cooldown: not before 2000-01-01T01:00:00Z"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in(t, cooled, func(w *world) {
				w.sandbox("A", tt.fates).deliver(w.T, grouped("1", w.fires("a", 0)))
				w.until(time.Minute)
				w.expect(w.sandbox("B", nil), grouped("2", w.fires("a", 0)), tt.want)
			})
		})
	}
}

// Many groups have the alert at one moment: one run begins.
func TestACooldownIsExact(t *testing.T) {
	in(t, cooled, func(w *world) {
		var all sync.WaitGroup
		for i := range 50 {
			b := w.sandbox(fmt.Sprint("S", i), nil)
			b.Random = &spread{seed: uint64(i)}
			all.Go(func() {
				if a := b.deliver(w.T, grouped(fmt.Sprint(i), w.fires("a", 0))); a.Err != nil {
					w.Error(a.Err)
				}
			})
		}
		all.Wait()
		w.works(w.sandbox("W", nil), 59*time.Minute)
		w.ran(1)
		for i := range 50 {
			w.sandbox(fmt.Sprint("R", i), nil).deliver(w.T, grouped(fmt.Sprint(i), w.resolves("a", 0, 59*time.Minute)))
		}
		w.works(w.sandbox("W2", nil), 3*time.Hour)
		w.ran(1)
		if n := len(w.cloud.Waiting()); n > 0 {
			w.Errorf("%d items wait", n)
		}
	})
}

// A command without a cooldown reads and writes nothing for it, and neither does one
// whose entries are its alerts' own.
func TestACooldownCostsNobodyElse(t *testing.T) {
	for config, want := range map[string]string{
		group: "map[Get:1 Put:2 SendCommand:1]", one + "    cooldown: 1h\n": "map[Get:1 Put:2 SendCommand:1]",
		cooled: "map[Get:1 Put:3 SendCommand:1]",
	} {
		in(t, config, func(w *world) {
			b := w.sandbox("A", nil)
			b.deliver(w.T, grouped("1", w.fires("a", 0)))
			if got := fmt.Sprint(b.counts); got != want {
				w.Errorf("%s\ncalls: %s, want %s", config, got, want)
			}
		})
	}
}
