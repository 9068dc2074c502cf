package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// amx is the running `amx serve`.
type amx struct {
	url    string
	cmd    *exec.Cmd
	exited chan error

	mu   sync.Mutex
	log  []string      // its standard error, by line
	more chan struct{} // closed, and made anew, with each line
}

// start runs `amx serve` in dir and waits until it listens.
func start(ctx context.Context, binary, dir string) (*amx, error) {
	binary, err := filepath.Abs(binary)
	if err != nil {
		return nil, err
	}
	a := &amx{
		cmd: exec.Command(binary, "serve", "-f", "amx.yaml", "-l", "127.0.0.1:0",
			"--ledger", filepath.Join(dir, "ledger.db"), "--drain", "1s"),
		exited: make(chan error, 1),
		more:   make(chan struct{}),
	}
	a.cmd.Dir = dir
	// A process group of its own: Ctrl-C reaches this program, which stops amx.
	a.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stderr, err := a.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := a.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting amx: %w; build it with `make build`", err)
	}
	go func() {
		a.read(stderr)
		a.exited <- a.cmd.Wait()
	}()
	line, err := a.find(ctx, func(line string) bool { return strings.HasPrefix(line, "listening on ") })
	if err != nil {
		_ = a.stop() // what it says is said below
		return nil, a.withLog(fmt.Errorf("waiting until amx listens: %w", err))
	}
	a.url = strings.TrimPrefix(line, "listening on ")
	return a, nil
}

func (a *amx) read(stderr io.Reader) {
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		a.mu.Lock()
		a.log = append(a.log, lines.Text())
		close(a.more)
		a.more = make(chan struct{})
		a.mu.Unlock()
	}
}

// stop ends amx, which ends its commands.
func (a *amx) stop() error {
	_ = a.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-a.exited:
		if err != nil {
			return fmt.Errorf("amx serve ended: %w", err)
		}
		return nil
	case <-time.After(5 * time.Second):
		_ = a.cmd.Process.Kill()
		return fmt.Errorf("amx serve did not end within 5 s of SIGTERM: %w", <-a.exited)
	}
}

func (a *amx) logged() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return strings.Join(a.log, "\n")
}

// withLog adds to an error what amx logged, if it did.
func (a *amx) withLog(err error) error {
	if log := a.logged(); log != "" {
		return fmt.Errorf("%w\n\nwhat amx logged:\n%s", err, log)
	}
	return err
}

// find waits for a line of the log.
func (a *amx) find(ctx context.Context, match func(string) bool) (string, error) {
	for seen := 0; ; {
		a.mu.Lock()
		lines, more := a.log[seen:], a.more
		a.mu.Unlock()
		for _, line := range lines {
			if match(line) {
				return line, nil
			}
		}
		seen += len(lines)
		select {
		case <-more:
		case err := <-a.exited:
			a.exited <- err // for stop
			return "", fmt.Errorf("amx serve ended early: %w", err)
		case <-ctx.Done():
			return "", fmt.Errorf("no such line in amx's log: %w", context.Cause(ctx))
		}
	}
}

// output is the lines that a run's command wrote. amx logs them before it logs
// that the run is settled, and that it was sent before them.
func (a *amx) output(ctx context.Context, r result) ([]string, error) {
	decision := "run_id=" + r.RunID + " "
	if _, err := a.find(ctx, func(line string) bool {
		return strings.Contains(line, "msg=settled ") && strings.Contains(line, decision)
	}); err != nil {
		return nil, fmt.Errorf("waiting for the end of run %s: %w", r.RunID, err)
	}
	var lines []string
	for line := range strings.Lines(a.logged()) {
		if text, ok := outputLine(line, r.CommandIDs); ok {
			lines = append(lines, text)
		}
	}
	return lines, nil
}

// line waits for a line that a run's command writes, by how it begins.
func (a *amx) line(ctx context.Context, r result, prefix string) (found string, err error) {
	_, err = a.find(ctx, func(line string) bool {
		text, ok := outputLine(line, r.CommandIDs)
		if ok = ok && strings.HasPrefix(text, prefix); ok {
			found = text
		}
		return ok
	})
	if err != nil {
		err = fmt.Errorf("waiting for the output of run %s: %w", r.RunID, err)
	}
	return found, err
}

// logLine is how amx logs a line of output; the last value is quoted where it
// has to be.
var logLine = regexp.MustCompile(` msg=output .*command_id=(\S+) .*\bline=(.*)`)

func outputLine(line string, commandIDs []string) (string, bool) {
	parts := logLine.FindStringSubmatch(line)
	if parts == nil || len(commandIDs) != 1 || parts[1] != commandIDs[0] {
		return "", false
	}
	if text, err := strconv.Unquote(parts[2]); err == nil {
		return text, true
	}
	return parts[2], true
}
