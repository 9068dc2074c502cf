package main

import (
	"context"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestStoppingEndsWhatRuns(t *testing.T) {
	for _, signal := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			m := &machine{t: t, dir: dir}
			p := startAMX(t, dir, longRun, "--drain", "50ms")
			p.post(notification("amx", firing("a", 0)))
			m.eventually("the command has begun", func() bool { return len(m.lines("runs")) == 1 })
			begun := time.Now()
			if err := p.cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			if err := p.cmd.Wait(); err != nil {
				t.Errorf("amx serve: %v", err)
			}
			m.eventually("the command is gone", func() bool { return len(sleepers(t, dir)) == 0 })
			if took := time.Since(begun); took > 9*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// Who stops amx reads what that will end.
func TestStoppingNamesWhatRuns(t *testing.T) {
	dir := t.TempDir()
	m := &machine{t: t, dir: dir}
	p := startAMX(t, dir, longRun, "--drain", "50ms", "--log-format", "json")
	run := p.post(notification("amx", firing("a", 0))).Results[0].RunID
	m.eventually("the command has begun", func() bool { return len(m.lines("runs")) == 1 })
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	log := p.log()
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("amx serve: %v", err)
	}
	for _, want := range []string{
		`"msg":"started","version":"dev","ledger":"`,
		`"msg":"stopping","drain":50000000,"runs":["` + run + ` long"],"note":"a second signal ends what runs at once"}`,
		`"level":"WARN","msg":"cancelling what still runs","runs":["` + run + ` long"]}`,
	} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %s:\n%s", want, log)
		}
	}
	startAMX(t, dir, longRun)
	var out string
	m.eventually("the record says who ended it", func() bool {
		_, out, _ = amxAt(t, dir, "show", run)
		return strings.Contains(out, "\nState      cancelled") && strings.Contains(out, "\nCancelled  by amx stopped\n")
	})
}

func TestACommandCutOffByAStopIsAnError(t *testing.T) {
	dir := t.TempDir()
	m := &machine{t: t, dir: dir}
	p := startAMX(t, dir, strings.Replace(longRun, "wait: 0s", "wait: 1m", 1), "--drain", "50ms")
	var a answer
	var wg sync.WaitGroup
	wg.Go(func() { a = p.post(notification("amx", firing("a", 0))) })
	m.eventually("the command has begun", func() bool { return len(m.lines("runs")) == 1 })
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if a.Status != 500 || !strings.Contains(a.Error, "ended Cancelled") {
		t.Errorf("%+v", a)
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("amx serve: %v", err)
	}
}

func TestASecondSignalEndsTheDrain(t *testing.T) {
	for _, signal := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			m := &machine{t: t, dir: dir}
			p := startAMX(t, dir, longRun, "--drain", "1h")
			p.post(notification("amx", firing("a", 0)))
			m.eventually("the command has begun", func() bool { return len(m.lines("runs")) == 1 })
			if err := p.cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			m.eventually("it takes no more requests", func() bool {
				conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
				if err == nil {
					conn.Close()
				}
				return err != nil
			})
			if len(sleepers(t, dir)) != 1 {
				t.Error("the first signal has ended the command")
			}
			if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if err := p.cmd.Wait(); err != nil {
				t.Errorf("amx serve: %v", err)
			}
			m.eventually("the command is gone", func() bool { return len(sleepers(t, dir)) == 0 })
		})
	}
}

// A client that has not sent its request keeps nobody waiting, and is no failure.
func TestStoppingWithUnfinishedConnections(t *testing.T) {
	for name, sent := range map[string]string{"nothing": "", "half a header": "POST / HTTP/1.1\r\nHost: a", "half a body": "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			m := &machine{t: t, dir: dir}
			ctx, stop := context.WithCancel(context.Background())
			defer stop()
			ended := make(chan int, 1)
			file := write(t, "amx.yaml", strings.ReplaceAll(strings.Replace(longRun, "wait: 0s", "wait: 1m", 1), "@DIR@", dir))
			go func() {
				ended <- run(ctx, []string{"serve", "-f", file, "-l", "127.0.0.1:0", "--ledger", dir + "/ledger.db", "--drain", "50ms"},
					stdio{in: strings.NewReader(""), out: &m.log, err: &m.log, env: os.Environ()})
			}()
			m.eventually("it listens", func() bool { return strings.Contains(m.log.String(), "listening on http://") })
			_, rest, _ := strings.Cut(m.log.String(), "listening on http://")
			address, _, _ := strings.Cut(rest, "\n")
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, sent); err != nil {
				t.Fatal(err)
			}
			p := &process{t: t, url: "http://" + address}
			var a answer
			var wg sync.WaitGroup
			wg.Go(func() { a = p.post(notification("amx", firing("a", 0))) })
			m.eventually("the command has begun", func() bool { return len(m.lines("runs")) == 1 })
			stop()
			code := <-ended
			wg.Wait()
			if code != 0 || !strings.Contains(m.log.String(), `level=WARN msg="closing connections that have no answer yet"`) {
				t.Errorf("exit %d\n%s", code, m.log.String())
			}
			if a.Status != 500 || !strings.Contains(a.Error, "ended Cancelled") {
				t.Errorf("the request in hand: %+v", a)
			}
		})
	}
}

func TestStoppingLetsWhatRunsFinish(t *testing.T) {
	dir := t.TempDir()
	m := &machine{t: t, dir: dir}
	p := startAMX(t, dir, "commands:\n- {name: short, cmd: sh, args: [-c, 'echo run >>@DIR@/runs; sleep 0.3; echo end >>@DIR@/ends'], wait: 0s}\n")
	p.post(notification("amx", firing("a", 0)))
	m.eventually("the command has begun", func() bool { return len(m.lines("runs")) == 1 })
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Wait(); err != nil || len(m.lines("ends")) != 1 {
		t.Errorf("amx serve: %v; %d of 1 commands ended", err, len(m.lines("ends")))
	}
}

// Stopping amx kills its runs. They stay cancelled, or run again at the next start,
// unless their alerts have resolved.
func TestOnStop(t *testing.T) {
	rerun := longRun + "    on_stop: rerun\n"
	for _, test := range []struct {
		name, config, delivery string
		runs                   int
	}{
		{"cancelled", longRun, "", 1},
		{"rerun", rerun, "", 2},
		{"rerun, and the alert is sent again", rerun, notification("amx", firing("a", 0)), 2},
		{"rerun, and the alert has resolved", rerun, notification("amx", resolved("a", 0, 60)), 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			first := newMachineIn(t, dir, test.config)
			first.want(notification("amx", firing("a", 0)), "run a: firing")
			first.eventually("the command has begun", func() bool { return len(first.lines("runs")) == 1 })
			first.close()
			first.eventually("the command is gone", func() bool { return len(sleepers(t, dir)) == 0 })

			second := newMachineIn(t, dir, test.config)
			if test.delivery != "" {
				if a := second.post(test.delivery); a.Status != 200 || a.Results[0].Action == "run" {
					t.Errorf("%+v", a)
				}
			}
			goOn := test.runs - 1
			second.later(3*time.Minute, "it runs again, or nothing is left to do", func() bool {
				return len(sleepers(t, dir)) == goOn && len(second.lines("runs")) == test.runs && (second.waiting() == 0 || goOn > 0)
			})
			if goOn > 0 {
				second.want(notification("amx", resolved("a", 0, 60)), "cancel a: resolved: cancelled")
			}
			second.later(3*time.Minute, "nothing is left to do", func() bool { return second.waiting() == 0 })
			if n := len(second.lines("runs")); n != test.runs {
				t.Errorf("%d runs, want %d", n, test.runs)
			}
		})
	}
}
