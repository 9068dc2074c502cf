package ssmlocal

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain is also the other process of the restart tests: a Server over the
// directory SSMLOCAL_DIR that runs SSMLOCAL_SCRIPT, prints its command ID and
// output, and waits to be killed.
func TestMain(m *testing.M) {
	dir := os.Getenv("SSMLOCAL_DIR")
	if dir == "" {
		os.Exit(m.Run())
	}
	s, err := New(Options{Dir: dir, Env: []string{"PATH=" + os.Getenv("PATH")}, Output: func(l OutputLine) { fmt.Println(l.Text) }})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	out, err := sdkClient(s).SendCommand(context.Background(), script(os.Getenv("SSMLOCAL_SCRIPT")))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(*out.Command.CommandId)
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// other runs lines in another process until they have written one line of
// output, kills that process with SIGKILL, and answers the command's ID.
func other(t *testing.T, dir string, lines ...string) (commandID, output string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "SSMLOCAL_DIR="+dir, "SSMLOCAL_SCRIPT="+strings.Join(lines, "\n"))
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(stdout)
	var said [2]string
	for i := range said {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("reading from the other process: %v", err)
		}
		said[i] = strings.TrimSpace(line)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()                              // it was killed
	if !commandIDPattern.MatchString(said[0]) { // the command's line may come first
		said[0], said[1] = said[1], said[0]
	}
	return said[0], said[1]
}

func TestARunningCommandIsAdoptedAndCancelled(t *testing.T) {
	dir := t.TempDir()
	id, pid := other(t, dir, "sleep 1000 & echo $!; wait")
	w := start(t, func(o *Options) { o.Dir = dir })
	if inv := w.look(id); inv.Status != "InProgress" {
		t.Errorf("status after the restart is %s, want InProgress", inv.Status)
	}
	w.wantText("stdout", pid)
	w.cancel(id)
	w.wantEnd(id, "Cancelled", "Cancelled", 137, pid+"\n")
	var p int
	_, _ = fmt.Sscan(pid, &p)
	waitGone(t, p)
}

func TestCloseKillsWhatWasAdopted(t *testing.T) {
	dir := t.TempDir()
	_, pid := other(t, dir, "echo $$; exec sleep 1000")
	w := start(t, func(o *Options) { o.Dir = dir })
	w.close()
	var p int
	_, _ = fmt.Sscan(pid, &p)
	if runs(p) {
		t.Errorf("process %d runs after Close", p)
	}
}

func TestAnAdoptedCommandRunsAgainWhenItIsGone(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	mark := filepath.Join(t.TempDir(), "mark")
	id, _ := other(t, dir,
		"if [ -e "+mark+" ]; then echo again $SSM_COMMAND_ID; exit 3; fi",
		"touch "+mark, "echo first", "read x < "+fifo, "echo first ends")
	w := start(t, func(o *Options) { o.Dir = dir })
	if err := os.WriteFile(fifo, []byte("\n"), 0); err != nil {
		t.Fatal(err)
	}
	w.wantEnd(id, "Failed", "Failed", 3,
		"first\nfirst ends\nagain "+id+"\n"+errorsFollow+"failed to run commands: exit status 3")
	w.wantText("stdout", "first", "first ends", "again "+id)
}

func TestAnAdoptedCommandTimesOut(t *testing.T) {
	dir := t.TempDir()
	id, _ := other(t, dir, "echo up; exec sleep 1000")
	w := start(t, func(o *Options) {
		o.Dir = dir
		o.Now = func() time.Time { return time.Now().Add(2 * time.Hour) }
	})
	w.wantEnd(id, "TimedOut", "ExecutionTimedOut", 137, "up\n")
}

// left makes a journal as a killed process leaves it, for one command.
func left(t *testing.T, events ...event) (dir, commandID string) {
	t.Helper()
	dir, commandID = t.TempDir(), "0e7d5b1c-7d3b-4c55-9d2a-0123456789ab"
	in := script(`echo pass; exit 5`)
	request := &sendCommandRequest{DocumentName: in.DocumentName, InstanceIds: in.InstanceIds, Parameters: in.Parameters}
	var b strings.Builder
	sent := event{Op: "sent", T: time.Now(), Seq: 1, Nodes: []string{LocalNode}, Request: request}
	for _, e := range append([]event{sent}, events...) {
		e.ID = commandID
		if e.Op != "sent" {
			e.Node = LocalNode
		}
		if e.T.IsZero() {
			e.T = time.Now()
		}
		if err := encodeEvent(&b, e); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, journalName), []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, commandID
}

const passOutput = "pass\n" + errorsFollow + "failed to run commands: exit status 5"

func TestWhatWasInProgressRunsAgain(t *testing.T) {
	boot := localSystem().boot
	sleeper := exec.Command("sleep", "1000")
	sleeper.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = sleeper.Process.Kill(), sleeper.Wait() }()
	pid := sleeper.Process.Pid
	began, _ := localSystem().startTime(pid)

	for _, tt := range []struct {
		name   string
		events []event
	}{
		{"it was sent and not started", nil},
		{"its process is gone", []event{{Op: "started", PID: 1 << 22, Start: "1", Boot: boot, Pass: 1}}},
		{"its PID is another process's", []event{{Op: "started", PID: pid, Start: "1", Boot: boot, Pass: 1}}},
		{"its PID and start are of another boot", []event{{Op: "started", PID: pid, Start: began, Boot: "other", Pass: 1}}},
		{"its reboot came", []event{{Op: "started", PID: pid, Start: "1", Boot: "other", Pass: 1}, {Op: "reboot", Boot: "other"}}},
		{"it was interrupted 15 times", []event{{Op: "started", Boot: "other", Pass: 15}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir, id := left(t, tt.events...)
			w := start(t, func(o *Options) { o.Dir = dir })
			w.wantEnd(id, "Failed", "Failed", 5, passOutput)
			w.close()
			if !runs(pid) {
				t.Error("a process that belongs to nobody here was killed")
			}
		})
	}
}

func TestWhatIsNotRunAgain(t *testing.T) {
	t.Run("interrupted 16 times", func(t *testing.T) {
		dir, id := left(t, event{Op: "started", Boot: "other", Pass: 16})
		w := start(t, func(o *Options) { o.Dir = dir })
		w.wantEnd(id, "Failed", "Failed", 1, errorsFollow+"failed to run commands: interrupted 16 times")
	})
	t.Run("not started within its delivery timeout", func(t *testing.T) {
		dir, id := left(t)
		w := start(t, func(o *Options) {
			o.Dir = dir
			o.Now = func() time.Time { return time.Now().Add(2 * time.Hour) }
		})
		w.wantEnd(id, "TimedOut", "DeliveryTimedOut", -1, "")
	})
	t.Run("over", func(t *testing.T) {
		dir, id := left(t, event{Op: "started", Pass: 1}, event{Op: "ended", Status: "Failed", Details: "Failed", Code: 9, Note: "note"})
		w := start(t, func(o *Options) { o.Dir = dir })
		w.wantEnd(id, "Failed", "Failed", 9, errorsFollow+"note")
	})
}

func TestAPIDThatWasUsedAgainIsNotKilled(t *testing.T) {
	sys := localSystem()
	sleeper := exec.Command("sleep", "1000")
	sleeper.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = sleeper.Process.Kill(), sleeper.Wait() }()
	began, _ := sys.startTime(sleeper.Process.Pid)
	s := &Server{sys: sys}
	p := &pass{pid: sleeper.Process.Pid, start: began + "0", boot: sys.boot, adopted: true}
	s.kill(p)
	if !runs(sleeper.Process.Pid) {
		t.Error("a process that began at another time was killed")
	}
}

func TestExit194WaitsForTheReboot(t *testing.T) {
	dir := t.TempDir()
	mark := filepath.Join(t.TempDir(), "mark")
	lines := script("if [ -e "+mark+" ]; then echo after; exit 0; fi", "touch "+mark, "echo before; exit 194")
	o := func(o *Options) { o.Dir = dir }
	w := start(t, o)
	id, cancelled := w.send(lines), w.send(script("exit 194"))
	waits := func(id string) bool {
		w.server.mu.Lock()
		defer w.server.mu.Unlock()
		inv := w.server.commands[id].invocations[0]
		return inv.rebootAfter != "" && inv.status == "InProgress"
	}
	w.atRest()
	if !waits(id) || !waits(cancelled) {
		t.Error("a command does not wait for a reboot")
	}
	w.cancel(cancelled)
	w.wantEnd(cancelled, "Cancelled", "Cancelled", 137, "")
	w.close()

	again := start(t, o)
	if inv := again.look(id); inv.Status != "InProgress" {
		t.Errorf("status in the same boot is %s, want InProgress", inv.Status)
	}
	again.close()

	rebooted := &world{t: t}
	opts := again.server.o
	opts.Output = nil
	sys := localSystem()
	sys.boot = "the next"
	rebooted.open(opts, sys)
	rebooted.wantEnd(id, "Success", "Success", 0, "before\nafter\n")
	rebooted.wantEnd(cancelled, "Cancelled", "Cancelled", 137, "")
}

func TestATornJournalIsRead(t *testing.T) {
	for _, torn := range []string{`{"op":"ended","id":"0e7d5b1c-7d3b-4c55-9d2a-0123456789ab","st`, "\x00\x00\x00", "{}\n", "\n"} {
		dir, id := left(t)
		f, err := os.OpenFile(filepath.Join(dir, journalName), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = f.WriteString(torn)
		f.Close()
		w := start(t, func(o *Options) { o.Dir = dir })
		w.wantEnd(id, "Failed", "Failed", 5, passOutput)
		w.close()
		again := start(t, func(o *Options) { o.Dir = dir })
		again.wantEnd(id, "Failed", "Failed", 5, passOutput)
	}
}

func TestOldCommandsAreDropped(t *testing.T) {
	dir := t.TempDir()
	w := start(t, func(o *Options) { o.Dir = dir })
	id := w.send(script("echo kept"))
	w.wantEnd(id, "Success", "Success", 0, "kept\n")
	w.close()

	later := func(d time.Duration) func(*Options) {
		return func(o *Options) { o.Dir, o.Now = dir, func() time.Time { return time.Now().Add(d) } }
	}
	day := start(t, later(23*time.Hour))
	day.wantEnd(id, "Success", "Success", 0, "kept\n")
	day.close()

	start(t, later(25*time.Hour))
	if n := countFolders(t, dir); n != 0 {
		t.Errorf("after 25 hours there are %d folders, want none", n)
	}
	if b, err := os.ReadFile(filepath.Join(dir, journalName)); err != nil || len(b) != 0 {
		t.Errorf("after 25 hours the journal is %q, %v; want it empty", b, err)
	}
}

func TestTheNewestCommandsAreKept(t *testing.T) {
	s := &Server{o: Options{Now: time.Now, Dir: "/d"}, commands: map[string]*command{}}
	for i := range keepAtMost + 3 {
		c := newCommand(fmt.Sprint(i), uint64(i), time.Now(), &sendCommandRequest{}, []string{LocalNode})
		if i > 0 { // the oldest goes on
			c.invocations[0].status = statusSuccess
		}
		s.add(c)
	}
	folders := s.dropOld()
	if len(folders) != 2 || folders[0] != "/d/2."+LocalNode || folders[1] != "/d/1."+LocalNode || len(s.order) != keepAtMost+1 || s.commands["0"] == nil {
		t.Errorf("dropped %v and kept %d commands", folders, len(s.order))
	}
}

func TestTheJournalIsCompactedWhileCommandsRun(t *testing.T) {
	dir := t.TempDir()
	o := func(o *Options) { o.Dir = dir }
	w := start(t, o)
	done, running := w.send(script("echo done")), w.send(script("echo $$; exec sleep 1000"))
	w.wantEnd(done, "Success", "Success", 0, "done\n")
	w.until("both have written", func() bool { return len(w.text("stdout")) == 2 })
	w.server.mu.Lock()
	w.server.seq, w.server.journal.base = pruneEvery, -journalSlack
	old := w.server.journal
	w.server.pruneNowAndThen()
	compacted := w.server.journal != old
	w.server.mu.Unlock()
	if !compacted {
		t.Fatal("the journal was not compacted")
	}
	later := w.send(script("exit 4"))
	w.ended(later)

	again, err := New(Options{Dir: dir}) // as if the first had been killed
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]string{done: "Success", running: "InProgress", later: "Failed"} {
		again.mu.Lock()
		c := again.commands[id]
		again.mu.Unlock()
		if c == nil || c.invocations[0].status != want {
			t.Errorf("after a restart command %s is %+v, want %s", id, c, want)
		}
	}
	if err := again.Close(context.Background()); err != nil {
		t.Error(err)
	}
}
