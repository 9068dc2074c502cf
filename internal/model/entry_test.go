package model

// live tells whether another worker may be sending the run.
func (r run) live(worker int) bool { return r.holder != 0 && int(r.holder) != worker+1 }

// over tells whether SSM knows all commands of the run as ended.
func (s *state) over(x int) bool {
	r := s.entry.runs[x]
	for c := range s.ssm {
		if r.commands>>c&1 == 1 && s.ssm[c].stage != over {
			return false
		}
	}
	return r.commands != 0 && !r.doubt
}

// stopped tells whether a resolve of the run is settled.
func (s *state) stopped(x int) bool {
	r := s.entry.runs[x]
	return !r.in || r.holder == 0 && (s.over(x) || !r.doubt && !r.unknown && r.commands&^r.cancelled == 0)
}

// leave takes a run that was certainly never sent out of the entry, and its
// episodes with it: their alert is due again.
func (s *state) leave(x int) {
	for i, e := range s.entry.episodes {
		if e.used && int(e.run) == x {
			s.entry.episodes[i] = episode{}
		}
	}
	s.entry.runs[x] = run{used: true}
}

// learn enters commands of a run that a list showed.
func (r *run) learn(commands uint8) {
	r.commands |= commands
	if r.commands != 0 {
		r.unknown = false
	}
}

// place finds the open episode of a firing. Without one it is late, or it opens
// an episode, perhaps again.
func (s *state) place(m message, rules rules) (at int, late, reopens bool) {
	at = -1
	start := s.starts[m]
	for i, e := range s.entry.episodes {
		if !e.used || e.ended || start > max(e.start, s.entry.runs[e.run].claimed) {
			continue
		}
		if at < 0 || e.start > s.entry.episodes[at].start {
			at = i
		}
	}
	old := !rules.noTombstone && at < 0 && s.entry.tomb.end >= start
	return at, old && m <= s.entry.tomb.sent, old && m > s.entry.tomb.sent
}

// resolve ends episodes, asks for the cancellation of runs that are for no other,
// and leaves a tombstone.
func (s *state) resolve(m message, rules rules) {
	for i := range s.entry.episodes {
		e := &s.entry.episodes[i]
		if e.start <= m && (e.reopened == 0 || e.reopened < m || rules.anyResolveEnds) {
			e.ended = e.used
		}
	}
	for x := range s.entry.runs {
		r := &s.entry.runs[x]
		open := false
		for _, e := range s.entry.episodes {
			open = open || e.used && !e.ended && int(e.run) == x
		}
		if r.in && !open && !s.over(x) {
			r.cancel = true
		}
	}
	s.entry.tomb.end, s.entry.tomb.sent = max(s.entry.tomb.end, m), max(s.entry.tomb.sent, m)
}

// newRun takes a run ID for the firing. The claim is in the ledger once enter
// has put it there.
func (s *state) newRun(m message) int {
	for x := range s.entry.runs {
		if !s.entry.runs[x].used {
			s.entry.runs[x].used = true
			s.facts.firing[x], s.facts.claimed[x] = m, m
			return x
		}
	}
	s.facts.broken = bounds
	return 0
}

// enter writes a run and its episode.
func (s *state) enter(x int, m message, reopens bool, holder int) {
	s.entry.runs[x] = run{used: true, in: true, holder: uint8(holder + 1), claimed: s.world, unknown: true}
	e := episode{used: true, start: s.starts[m], run: uint8(x)}
	if reopens {
		e.reopened = m
	}
	for i := range s.entry.episodes {
		if !s.entry.episodes[i].used {
			s.entry.episodes[i] = e
			return
		}
	}
	s.facts.broken = bounds
}
