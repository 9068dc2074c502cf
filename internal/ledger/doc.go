// Package ledger decides what happens to a command's alerts. It is one state
// machine, and it does no I/O: [Entry.Step] takes events, changes the entry, and
// returns the actions to do next. internal/runner does them.
//
// The contract between the two, after the model of etcd's raft:
//
//	for each event:
//	    read the entry from the store
//	    actions := entry.Step(actor, event)
//	    write the entry, if nobody has written it since it was read;
//	        if somebody has, drop the actions, read again and step again
//	    do the actions; each answers with the next event, or with none
//
// An action must not begin before its entry is written. Actions of one step do
// not depend on each other and may be done side by side. If a step changes nothing,
// the caller writes nothing. The caller never reads a field of an entry.
//
// The states of one part of a run, which is what one SendCommand carries:
//
//	                      ┌───────────── renewed by who takes the run over ─────────────┐
//	                      v                                                             │
//	(no run) ─ claim ─> claimed ─ SSM answers an ID ──────────────> sent                │
//	                      │                                          ^                  │
//	                      ├─ no answer, or the sender dies ─> in doubt ─ reconciled: ───┤
//	                      │                                          found in SSM's list│
//	                      ├─ throttled, no time ─────────────> unsent <─ not found, and │
//	                      │                                      │    the list is proof │
//	                      └─ SSM will not have it ───────────> refused                  │
//	                                                             └──────────────────────┘
//
// If all parts of a run are unsent or refused, the run leaves the entry. Its alerts
// are due again, and it does not count as an attempt.
package ledger
