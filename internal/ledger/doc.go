// Package ledger decides what happens to a command's alerts. It is one state
// machine, and it does no I/O: [Entry.Step] takes what has happened, changes the
// entry, and answers what is to be done next. internal/runner does it.
//
// The contract between the two, after the model of etcd's raft:
//
//	for each event:
//	    read the entry from the store
//	    actions := entry.Step(actor, event)
//	    write the entry, on the condition that nobody wrote since it was read;
//	        if somebody did, read again and step again: the actions are void
//	    do the actions; each answers with the next event, or with none
//
// An action must not begin before its entry is written. Actions of one step do
// not depend on each other and may be done side by side. A step that changes
// nothing writes nothing. The caller never reads a field of an entry.
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
// A run all of whose parts are unsent or refused leaves the entry: its alerts
// are due again, and no attempt is used.
package ledger
