// Package simulation tests the real runner and the real state machine against
// a model of what surrounds them, internal/cloudtest: SSM, the nodes, and the
// ledger's table. Time is fake, so that hours pass in no time and every schedule
// can be played again.
package simulation

import (
	"crypto/sha256"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// turnsAtRandom: under the race detector.
var turnsAtRandom bool

// One goroutine runs at a time: where fake time does not order two of them, the
// scheduler's turns do, and a seed plays the same schedule again. A schedule leaves
// little behind, so that collecting it seldom saves a quarter of the time.
func TestMain(m *testing.M) {
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}

// result is what a seed came to.
type result struct {
	seed       uint64
	violations []string
	trace      []string
	faults     map[string]int
	attempts   int
	commands   int
	passes     int
}

// simulate plays one seed.
func simulate(t *testing.T, seed uint64, b bug) (r result) {
	synctest.Test(t, func(*testing.T) {
		s := newSchedule(seed, b)
		s.play()
		s.rests(2 * timeout) // what is under way ends, and what the nodes were about to write is written
		r = result{
			seed: seed, violations: s.check(), trace: s.cloud.Trace, faults: s.faults,
			attempts: len(s.attempts), commands: len(s.cloud.Commands), passes: len(s.cloud.Passes),
		}
	})
	return r
}

// sideBySide plays the seeds from first on, on all processors, until enough says
// so.
func sideBySide(t *testing.T, first, n uint64, b bug, each func(result) (enough bool)) {
	var mu sync.Mutex
	next, enough := first, false
	t.Run("seeds", func(t *testing.T) {
		for worker := range runtime.GOMAXPROCS(0) {
			t.Run(strconv.Itoa(worker), func(t *testing.T) {
				t.Parallel()
				for {
					mu.Lock()
					seed := next
					next++
					stop := enough || seed >= first+n
					mu.Unlock()
					if stop {
						return
					}
					r := simulate(t, seed, b)
					mu.Lock()
					enough = each(r) || enough
					mu.Unlock()
				}
			})
		}
	})
}

func number(t *testing.T, name string, otherwise uint64) uint64 {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// TestSimulation plays as many schedules as SEEDS says, or the one of SEED.
func TestSimulation(t *testing.T) {
	if os.Getenv("SEED") != "" {
		seed := number(t, "SEED", 0)
		r := simulate(t, seed, bug{})
		t.Logf("seed %d:\n%s", seed, strings.Join(r.trace, "\n"))
		for _, v := range r.violations {
			t.Error(v)
		}
		return
	}
	seeds := number(t, "SEEDS", 300)
	if testing.Short() {
		seeds = 100
	}
	began := time.Now()
	total, faults := result{}, map[string]int{}
	sideBySide(t, number(t, "FROM", 1), seeds, bug{}, func(r result) bool {
		for _, v := range r.violations {
			t.Errorf("seed %d: %s (SEED=%d plays it again)", r.seed, v, r.seed)
		}
		total.attempts += r.attempts
		total.commands += r.commands
		total.passes += r.passes
		for f, n := range r.faults {
			faults[f] += n
		}
		return false
	})
	t.Logf("%d schedules in %v: %d deliveries, %d commands, %d passes; faults: %v",
		seeds, time.Since(began).Round(time.Second), total.attempts, total.commands, total.passes, faults)
}

// TestReplay: a seed plays the same schedule each time.
func TestReplay(t *testing.T) {
	if turnsAtRandom {
		t.Skip("the race detector lets goroutines take turns at random")
	}
	for seed := range uint64(20) {
		one, two := simulate(t, seed, bug{}), simulate(t, seed, bug{})
		hash := func(r result) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Join(r.trace, "\n")))) }
		if hash(one) != hash(two) {
			for i := range one.trace {
				if i >= len(two.trace) || one.trace[i] != two.trace[i] {
					t.Fatalf("seed %d parts from itself at line %d:\n%s\n%s", seed, i, one.trace[i], strings.Join(two.trace[min(i, len(two.trace)):min(i+1, len(two.trace))], ""))
				}
			}
		}
	}
}

// TestSeededBugs: the simulation can fail.
func TestSeededBugs(t *testing.T) {
	for _, b := range bugs {
		t.Run(b.name, func(t *testing.T) {
			var found []result
			sideBySide(t, max(b.from, 1), 2000, b, func(r result) bool {
				if len(r.violations) > 0 {
					found = append(found, r)
				}
				return len(found) > 0
			})
			if len(found) == 0 {
				t.Fatal("2000 schedules did not find it")
			}
			slices.SortFunc(found, func(a, b result) int { return int(a.seed) - int(b.seed) })
			t.Logf("found by seed %d: %s", found[0].seed, found[0].violations[0])
		})
	}
}
