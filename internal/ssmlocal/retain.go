package ssmlocal

import (
	"slices"
	"time"
)

const (
	keepFor      = 24 * time.Hour // after its end
	keepAtMost   = 10_000         // commands that are over
	pruneEvery   = 1_000          // commands sent
	journalSlack = 16 << 20       // bytes of journal not worth a compaction
)

// dropOld forgets commands that ended long ago, or that too many newer ones followed. It
// returns their folders. Server.mu is held.
func (s *Server) dropOld() (folders []string) {
	deadline := s.o.Now().Add(-keepFor)
	kept := 0
	for _, c := range slices.Backward(s.order) {
		if !c.over() {
			continue
		}
		if kept++; kept > keepAtMost || c.finished().Before(deadline) {
			for _, inv := range c.invocations {
				if !inv.gaveFolder {
					folders = append(folders, s.folder(inv))
				}
			}
			delete(s.commands, c.id)
		}
	}
	if len(s.order) > len(s.commands) {
		s.order = slices.DeleteFunc(s.order, func(c *command) bool { return s.commands[c.id] == nil })
	}
	return folders
}

// pruneNowAndThen drops old commands after every pruneEvery sends. It compacts the journal
// if most of it is about dropped commands. Server.mu is held.
func (s *Server) pruneNowAndThen() {
	if s.seq%pruneEvery != 0 {
		return
	}
	if folders := s.dropOld(); len(folders) > 0 {
		s.running.Go(func() {
			for _, f := range folders {
				s.remove(f)
			}
		})
	}
	if s.journal.size < 2*s.journal.base+journalSlack {
		return
	}
	j, err := writeJournal(s.o.Dir, s.order)
	if err != nil {
		s.o.Log.Error("ssmlocal: compacting the journal", "err", err) // the old journal stays in use
		return
	}
	s.journal.close()
	s.journal = j
}
