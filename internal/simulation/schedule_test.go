package simulation

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/cloudtest"
	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/queue"
	"github.com/amx-lambda/amx/internal/runner"
)

// A schedule is one play of the simulation, all of it drawn from its seed.
type schedule struct {
	seed    uint64
	bug     bug
	cloud   *cloudtest.Cloud
	books   *books
	config  *amx.Config
	changed *amx.Config // as it is after a change
	paused  []paused
	called  map[string]int // :: operation and second → calls
	untold  map[string]int // :: key of an entry → ends of commands that SSM told nobody of
	origin  time.Time
	shape   shape
	alerts  []*history

	calm   atomic.Bool   // the faults are over
	over   bool          // and so is all that happened under them
	acts   acts          // what the command does then
	soon   time.Duration // how long after its acknowledgement a firing may take to run
	server *server
	lives  int // of it

	mu         sync.Mutex
	attempts   []*attempt
	faults     map[string]int
	violations []string
	closed     bool            // nothing is delivered any more
	queueFails map[string]bool // :: process → it could not put something off
	work       sync.WaitGroup  // of requests
}

// A server is one life of amx serve.
type server struct {
	*cloudtest.Process
	*runner.Runner
}

// A history is one alert's: the episodes that truly happened, as Alertmanager's
// clock has them.
type history struct {
	name     string
	group    string
	skew     time.Duration // of that clock
	blank    bool          // it has no node
	labels   amx.KV
	episodes []episode
}

type episode struct{ start, end time.Duration }

// An attempt is one delivery of a message, answered or not.
type attempt struct {
	name         string
	process      string
	sent         time.Time // by SNS; zero: not said
	alerts       amx.Alerts
	begun, ended time.Time
	answer       runner.Answer
	acknowledged bool
	dead         bool        // the process died
	first        bool        // of a notification's requests
	lost         bool        // its answer, on the way
	late         bool        // its source had given up by then
	request      string      // that the process's lines of its log carry
	item         *queue.Item // the worker's: it is no delivery of the source
}

// draw is chance for one purpose, the same in every replay whoever asks first.
func (s *schedule) draw(purpose string, args ...any) *rand.Rand {
	h := fnv.New64a()
	_, _ = fmt.Fprint(h, purpose)
	_, _ = fmt.Fprint(h, args...)
	return rand.New(rand.NewPCG(s.seed, h.Sum64()))
}

func between(r *rand.Rand, a, b time.Duration) time.Duration {
	return a + time.Duration(r.Int64N(int64(b-a)))
}

func newSchedule(seed uint64, b bug) *schedule {
	s := &schedule{seed: seed, bug: b, cloud: cloudtest.New(), origin: time.Now(), faults: map[string]int{}, queueFails: map[string]bool{}, called: map[string]int{}, untold: map[string]int{}, soon: 2 * time.Minute}
	s.books = keepBooks(s.cloud)
	s.cloud.Arrived, s.cloud.Ended = s.arrived, s.commandEnded
	r := s.draw("shape")
	s.drawShape(r)
	s.configure()
	s.cloud.IDs = "c%03d"
	if s.shape.throttles {
		s.cloud.Page = 50 // as SSM has it, whose rate is for calls: pages of three are throttled for ever
	}
	s.surroundings()
	s.drawAlerts(r)
	return s
}

// drawAlerts draws what truly happens.
func (s *schedule) drawAlerts(r *rand.Rand) {
	n := 1 + r.IntN(3)
	if r.IntN(6) == 0 || s.shape.max > 2 && r.IntN(2) == 0 {
		n += 4
	}
	if s.shape.chunked {
		n = 2 + r.IntN(2)
	}
	if s.shape.hundreds {
		n = 0
		s.drawAtOnce(r)
	}
	for i := range n {
		h := s.newHistory(r, i)
		at := between(r, 0, 3*time.Minute)
		if i > 0 && s.shape.chunked {
			at = s.alerts[0].episodes[0].start // it takes two alerts to have two parts
		}
		for range 1 + r.IntN(2) {
			e := episode{start: at.Round(time.Second)}
			e.end = (e.start + between(r, 5*time.Second, []time.Duration{time.Minute, 15 * time.Minute}[r.IntN(2)])).Round(time.Second)
			h.episodes = append(h.episodes, e)
			at = e.end + between(r, 2*time.Second, []time.Duration{time.Minute, 20 * time.Minute}[r.IntN(2)])
		}
		s.alerts = append(s.alerts, h)
	}
}

// newHistory is the alert of that number, before anything happens to it.
func (s *schedule) newHistory(r *rand.Rand, i int) *history {
	h := &history{name: nameOf(i), group: "g", skew: between(r, -60*time.Second, 60*time.Second).Round(time.Second), blank: s.shape.blank && i == 1}
	h.labels = s.shape.rails.labels(h, i)
	if !s.shape.chunked {
		h.group = string(rune('g' + i%s.shape.groups))
	}
	if s.shape.untimed == "block" {
		h.group = h.name
	}
	return h
}

// nameOf is the name of the alert of that number.
func nameOf(i int) string {
	if i < 26 {
		return string(rune('a' + i))
	}
	return fmt.Sprint("a", i)
}

// surroundings is how SSM and the nodes behave.
func (s *schedule) surroundings() {
	s.cloud.Lags = func(c *cloudtest.Command) time.Duration {
		r := s.draw("lag", c.ID)
		if s.shape.serve {
			return 0
		}
		if r.IntN(2) == 0 {
			return between(r, 0, time.Second)
		}
		return between(r, 0, window-10*time.Second)
	}
	s.cloud.Shows = func(c *cloudtest.Command) time.Duration {
		r := s.draw("shows", c.ID)
		if s.shape.serve || r.IntN(4) > 0 {
			return 0
		}
		return between(r, 0, window-10*time.Second)
	}
	s.cloud.Reach = func(c *cloudtest.Command) time.Duration {
		r := s.draw("reach", c.ID)
		if r.IntN(6) == 0 && !s.shape.term {
			return between(r, time.Second, time.Minute)
		}
		return between(r, 10*time.Millisecond, 3*time.Second)
	}
	s.cloud.Obeys = func(c *cloudtest.Command) time.Duration {
		return between(s.draw("obeys", c.ID), 10*time.Millisecond, 2*time.Second)
	}
	if s.shape.lost || s.shape.other {
		s.cloud.Refuse = func(r *cloudtest.Request) error {
			if r.Token.Command == "other" {
				return cloudtest.APIError("AccessDeniedException")
			}
			if s.shape.lost && slices.Contains(r.Nodes, nodeOf("a")) {
				return cloudtest.APIError("InvalidInstanceId")
			}
			return nil
		}
	}
	s.cloud.Lasts = func(c *cloudtest.Command, node string) (time.Duration, int) {
		r := s.draw("lasts", c.ID, node)
		if s.over {
			return s.acts.lasts(r)
		}
		code := 0
		if r.IntN(3) == 0 && (!s.shape.chunked || r.IntN(20) == 0) {
			code = 1
		}
		switch r.IntN(3) {
		case 0:
			return between(r, 100*time.Millisecond, 5*time.Second), code
		case 1:
			return between(r, 5*time.Second, 5*time.Minute), code
		}
		return between(r, time.Hour, 2*time.Hour), code
	}
}

// fate is chance's. An outage is of the ledger, for half a minute.
func (s *schedule) fate(c cloudtest.Call) (f cloudtest.Fate) {
	r := s.draw("fate", c.Process, c.Op, c.About, c.Nth)
	f = cloudtest.Fate{Takes: between(r, time.Millisecond, 20*time.Millisecond), Answers: between(r, time.Millisecond, 20*time.Millisecond)}
	if s.shape.calm || s.calm.Load() {
		return f
	}
	spared := s.shape.hundreds && s.draw("spared", c.Process, c.Op, c.About, c.Nth).IntN(10) > 0 // else nobody would outlive a message
	if s.shape.serve {
		// Nothing lies between amx serve and its ledger, its SSM and its nodes.
		switch n := r.IntN(100); {
		case spared:
		case n < 2:
			f.Dies = "before"
		case n < 4:
			f.Dies = "after"
		case n < 5 && c.Op == "SendCommand":
			f.Err = cloudtest.APIError(refusal)
		}
		if f.Dies != "" {
			s.count("dies " + f.Dies)
		}
		return f
	}
	now := time.Since(s.origin)
	if s.shape.throttles && (c.Op == "SendCommand" || c.Op == "CancelCommand" || c.Op == "ListCommands") {
		s.mu.Lock()
		key := fmt.Sprint(c.Op, int(now/time.Second))
		s.called[key]++
		n := s.called[key]
		s.mu.Unlock()
		if n > 2 {
			f.Err = cloudtest.APIError("ThrottlingException")
			s.count("over the rate")
			return f
		}
	}
	if o := s.draw("outage", int(now/(30*time.Second))); (c.Op == "Get" || c.Op == "Put") && o.IntN(40) == 0 {
		f.Err = context.DeadlineExceeded
		s.count("outage")
		return f
	}
	fault := ""
	if c.Op == "Enqueue" {
		defer func() {
			if f.Err != nil || f.Lost != nil || f.Hangs || f.Takes > time.Second || f.Answers > time.Second {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.queueFails[c.Process] = true
			}
		}()
	}
	switch n := r.IntN(100); {
	case spared:
		return f
	case n < 2:
		fault, f.Dies = "dies before", "before"
	case n < 4:
		fault, f.Dies = "dies after", "after"
	case n < 7:
		fault, f.Lost = "answer lost", context.DeadlineExceeded
	case n < 9:
		fault, f.Err = "error", cloudtest.APIError("InternalServerError")
	case n < 10:
		fault, f.Hangs = "hangs", true
	case n < 11:
		fault, f.Hangs, f.Lands = "lands late", true, between(r, time.Millisecond, 2*time.Second)
	case n < 14:
		fault, f.Takes = "slow", between(r, time.Second, 10*time.Second)
	case n < 17:
		fault, f.Answers = "answers late", between(r, time.Second, 10*time.Second)
	case n < 20 && c.Op == "SendCommand":
		fault, f.Err = "throttled", cloudtest.APIError("ThrottlingException")
	case n < 21 && c.Op == "SendCommand":
		fault, f.Err = "refused", cloudtest.APIError(refusal)
	case n < 20 && c.Op == "Put":
		fault, f.Lost = "meets itself", ledger.ErrConflict
	case n < 22 && c.Op == "SendCommand":
		fault, f.Err = "denied", cloudtest.APIError("AccessDeniedException")
	case n < 22 && c.Op != "SendCommand" && c.Op != "Put":
		fault, f.Err = "error", context.DeadlineExceeded
	default:
		return f
	}
	s.count(fault)
	return f
}

func (s *schedule) count(fault string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[fault]++
}
