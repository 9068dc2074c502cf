package ssmlocal

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

const journalName = "journal.jsonl"

// event is a line of the journal, about a command or one of its invocations.
type event struct {
	Op string    `json:"op"` // sent, started, reboot, cancelling, ended
	ID string    `json:"id"`
	T  time.Time `json:"t"`

	Seq     uint64              `json:"seq,omitempty"`     // sent
	Nodes   []string            `json:"nodes,omitempty"`   // sent: the resolved ones
	Request *sendCommandRequest `json:"request,omitempty"` // sent

	Node  string `json:"node,omitempty"`  // all but sent
	PID   int    `json:"pid,omitempty"`   // started
	Start string `json:"start,omitempty"` // started: distinguishes this process from a later one with its PID
	Boot  string `json:"boot,omitempty"`  // started, reboot
	Pass  int    `json:"pass,omitempty"`  // started: from 1

	Status  string `json:"status,omitempty"` // ended
	Details string `json:"details,omitempty"`
	Code    int    `json:"code,omitempty"`
	Note    string `json:"note,omitempty"`
}

func sentEvent(c *command) event {
	nodes := make([]string, len(c.invocations))
	for i, inv := range c.invocations {
		nodes[i] = inv.node
	}
	return event{Op: "sent", ID: c.id, T: c.requested, Seq: c.seq, Nodes: nodes, Request: c.request}
}

func endedEvent(inv *invocation) event {
	return event{
		Op: "ended", ID: inv.command.id, T: inv.finished, Node: inv.node,
		Status: inv.status, Details: inv.details, Code: inv.code, Note: inv.note,
	}
}

// journal is an append-only file of events, one write(2) each. It has to survive a
// SIGKILL of this process, so it is never synced. A crash of the machine could lose a
// line, but it ends all commands as well, and the guard in the scripts keeps them from
// running twice.
type journal struct {
	f    *os.File
	size int64
	base int64 // size after the last compaction
	buf  bytes.Buffer
}

func (j *journal) append(e event) error {
	j.buf.Reset()
	if err := encodeEvent(&j.buf, e); err != nil {
		return err
	}
	if _, err := j.f.Write(j.buf.Bytes()); err != nil {
		// A full disk may have half a line, which would spoil the next one.
		return errors.Join(err, j.f.Truncate(j.size))
	}
	j.size += int64(j.buf.Len())
	return nil
}

func (j *journal) close() error { return j.f.Close() }

func encodeEvent(w io.Writer, e event) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(e)
}

// readJournal calls f for each event. It reports and skips a line that it cannot read,
// such as the last one after a crash.
func readJournal(dir string, f func(event), bad func(line int, err error)) error {
	file, err := os.Open(filepath.Join(dir, journalName))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("opening journal: %w", err)
	}
	defer file.Close()
	r := bufio.NewReaderSize(file, 1<<16)
	for n := 1; ; n++ {
		line, err := r.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			var e event
			if jsonErr := json.Unmarshal(line, &e); jsonErr != nil {
				bad(n, jsonErr)
			} else {
				f(e)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading %q: %w", file.Name(), err)
		}
	}
}

// writeJournal replaces the journal with one for these commands in as few lines as
// possible, and opens it for appending.
func writeJournal(dir string, commands []*command) (*journal, error) {
	name := filepath.Join(dir, journalName)
	f, err := os.OpenFile(name+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("compacting journal: %w", err)
	}
	w := bufio.NewWriterSize(f, 1<<16)
	err = writeEvents(w, commands)
	err = errors.Join(err, w.Flush())
	var size int64
	if err == nil {
		size, err = f.Seek(0, io.SeekEnd)
	}
	if err == nil {
		err = os.Rename(name+".new", name)
	}
	if err != nil {
		return nil, fmt.Errorf("compacting journal: %w", errors.Join(err, f.Close()))
	}
	return &journal{f: f, size: size, base: size}, nil
}

func writeEvents(w io.Writer, commands []*command) error {
	for _, c := range commands {
		if err := encodeEvent(w, sentEvent(c)); err != nil {
			return err
		}
		for _, inv := range c.invocations {
			for _, e := range inv.events() {
				if err := encodeEvent(w, e); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// events are the lines that restore inv.
func (inv *invocation) events() (es []event) {
	if inv.passes > 0 {
		e := event{Op: "started", ID: inv.command.id, T: inv.started, Node: inv.node, Pass: inv.passes}
		if inv.run != nil {
			e.PID, e.Start, e.Boot = inv.run.pid, inv.run.start, inv.run.boot
		}
		es = append(es, e)
	}
	switch {
	case inv.over():
		es = append(es, endedEvent(inv))
	case inv.status == statusCancelling:
		es = append(es, event{Op: "cancelling", ID: inv.command.id, T: inv.started, Node: inv.node})
	case inv.rebootAfter != "":
		es = append(es, event{Op: "reboot", ID: inv.command.id, T: inv.started, Node: inv.node, Boot: inv.rebootAfter})
	}
	return es
}
