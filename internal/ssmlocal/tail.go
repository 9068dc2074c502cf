package ssmlocal

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	pollInterval    = 50 * time.Millisecond
	maxLine         = 64 << 10 // a longer line is handed out in pieces
	maxPluginOutput = 2500     // characters that ListCommandInvocations shows
	outputDivider   = "\n----------ERROR-------\n"
)

// poller is the one goroutine that follows output files and looks after
// adopted processes; it runs only while there are any.
type poller struct {
	mu      sync.Mutex
	passes  map[*pass]struct{}
	running bool
}

// watch has p's output followed and, if p is adopted, its end noticed.
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

// tail hands out the lines of one output file as they come.
type tail struct {
	mu      sync.Mutex
	f       *os.File
	emit    func(text string)
	offset  *int64 // the invocation's, for the pass after this one
	partial []byte
	closed  bool
}

// follow has p's output handed out if somebody listens.
func (s *Server) follow(p *pass) {
	if s.o.Output == nil {
		return
	}
	line := OutputLine{CommandID: p.inv.command.id, InstanceID: p.inv.node}
	for i, stream := range []string{"stdout", "stderr"} {
		line.Stream = stream
		t := &tail{f: []*os.File{p.files.stdout, p.files.stderr}[i], offset: &p.inv.told[i]}
		t.emit = func(text string) {
			l := line
			l.Stream, l.Text = stream, text
			s.o.Output(l)
		}
		p.tails = append(p.tails, t)
	}
}

// drain hands out what is left of p's output.
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
	for {
		n, err := t.f.ReadAt(buf[:], *t.offset)
		*t.offset += int64(n)
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

// close hands out a last line without a newline; the file stays open.
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

// pluginOutput is an invocation's output as CommandPlugins has it; note is
// what the agent adds to standard error.
func (s *Server) pluginOutput(inv *invocation, note string) string {
	dir := s.folder(inv)
	stdout := head(filepath.Join(dir, "stdout"), maxPluginOutput)
	stderr := head(filepath.Join(dir, "stderr"), maxPluginOutput) + note
	if stderr != "" {
		stdout += outputDivider + stderr
	}
	return firstRunes(stdout, maxPluginOutput)
}

// head reads up to n characters of a file; one that is missing is empty.
func head(name string, n int) string {
	f, err := os.Open(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, int64(n)*4)) // a character has at most 4 bytes
	if err != nil {
		return ""
	}
	return firstRunes(string(b), n)
}

func firstRunes(s string, n int) string {
	for i := range s {
		if n--; n < 0 {
			return s[:i]
		}
	}
	return s
}
