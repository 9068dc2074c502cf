package ssmlocal

import (
	"bytes"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	pollInterval = 50 * time.Millisecond
	maxLine      = 64 << 10 // a longer line is passed on in pieces
)

// poller is the only goroutine that follows output files and adopted processes. It runs
// only while there are any.
type poller struct {
	mu      sync.Mutex
	passes  map[*pass]struct{}
	running bool
}

// watch makes the poller follow p's output and, if p is adopted, notice its end.
func (s *Server) watch(p *pass) {
	if len(p.tails) == 0 && !p.adopted {
		return
	}
	s.poll.mu.Lock()
	defer s.poll.mu.Unlock()
	if s.poll.passes == nil {
		s.poll.passes = map[*pass]struct{}{}
	}
	s.poll.passes[p] = struct{}{}
	if !s.poll.running {
		s.poll.running = true
		go s.pollLoop()
	}
}

func (s *Server) unwatch(p *pass) {
	s.poll.mu.Lock()
	defer s.poll.mu.Unlock()
	delete(s.poll.passes, p)
}

func (s *Server) pollLoop() {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for range tick.C {
		s.poll.mu.Lock()
		if len(s.poll.passes) == 0 {
			s.poll.running = false
			s.poll.mu.Unlock()
			return
		}
		passes := make([]*pass, 0, len(s.poll.passes))
		for p := range s.poll.passes {
			passes = append(passes, p)
		}
		s.poll.mu.Unlock()
		for _, p := range passes {
			for _, t := range p.tails {
				t.read()
			}
			if p.adopted && !s.alive(p) {
				s.drain(p)
				s.adoptedEnded(p)
			}
		}
	}
}

// tail passes on the lines of one output file as they come.
type tail struct {
	mu      sync.Mutex
	f       *os.File
	emit    func(text string)
	offset  int64
	told    *atomic.Int64 // the invocation's offset, for the pass after this one
	left    atomic.Bool   // another pass follows the file now
	partial []byte
	closed  bool
}

// follow makes the poller pass on p's output, if there is an Options.Output.
func (s *Server) follow(p *pass) {
	if s.o.Output == nil {
		return
	}
	line := OutputLine{CommandID: p.inv.command.id, InstanceID: p.inv.node}
	for i, stream := range []string{"stdout", "stderr"} {
		line.Stream = stream
		t := &tail{f: []*os.File{p.files.stdout, p.files.stderr}[i], told: &p.inv.told[i], offset: p.inv.told[i].Load()}
		t.emit = func(text string) {
			l := line
			l.Stream, l.Text = stream, text
			s.o.Output(l)
		}
		p.tails = append(p.tails, t)
	}
}

// drain passes on the rest of p's output.
func (s *Server) drain(p *pass) {
	s.unwatch(p)
	for _, t := range p.tails {
		t.read()
		t.close()
	}
}

func (t *tail) read() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	var buf [8 << 10]byte
	for !t.left.Load() {
		n, err := t.f.ReadAt(buf[:], t.offset)
		t.offset += int64(n)
		t.told.Store(t.offset)
		t.lines(buf[:n])
		if err != nil || n == 0 {
			return
		}
	}
}

func (t *tail) lines(b []byte) {
	for {
		line, rest, found := bytes.Cut(b, []byte("\n"))
		t.partial = append(t.partial, line...)
		if !found && len(t.partial) < maxLine {
			return
		}
		t.emit(string(t.partial))
		t.partial = t.partial[:0]
		if !found {
			return
		}
		b = rest
	}
}

// close passes on a last line without a newline. The file stays open.
func (t *tail) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	t.closed = true
	if len(t.partial) > 0 {
		t.emit(string(t.partial))
	}
}
