package ssmlocal

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

const errorsFollow = "\n----------ERROR-------\n"

func TestHowACommandEnds(t *testing.T) {
	w := start(t)
	for _, tt := range []struct {
		name            string
		lines           []string
		status, details string
		code            int32
		output          string
	}{
		{"with 0", []string{"echo one", "echo two >&2", "echo three"}, "Success", "Success", 0, "one\nthree\n" + errorsFollow + "two\n"},
		{"with the last line's code, no set -e", []string{"false", "true"}, "Success", "Success", 0, ""},
		{"with another code", []string{"echo no >&2", "exit 7"}, "Failed", "Failed", 7, errorsFollow + "no\nfailed to run commands: exit status 7"},
		{"with 137, which the agent takes for a timeout", []string{"exit 137"}, "TimedOut", "ExecutionTimedOut", 137, ""},
		{"by a signal of somebody else", []string{"kill -TERM $$"}, "Failed", "Failed", 143, errorsFollow + "failed to run commands: exit status 143"},
		{"with a carriage return in its words", []string{"echo a\r"}, "Success", "Success", 0, "a\r\n"},
		{"under the shell that its first line names", []string{"#!/bin/cat", "text"}, "Success", "Success", 0, "#!/bin/cat\ntext\n"},
		{"under sh where its first line says so", []string{"#!/bin/sh", "echo $0 | sed 's|.*/||'"}, "Success", "Success", 0, "_script.sh\n"},
		{"with no standard input and umask 022", []string{"cat; umask"}, "Success", "Success", 0, "0022\n"},
		{"as a process group of its own", []string{`[ "$(ps -o pgid= -p $$ | tr -d ' ')" = $$ ] && echo yes`}, "Success", "Success", 0, "yes\n"},
		{"with an unset go variable", []string{"echo \"${ssmlocal_go-unset}\""}, "Success", "Success", 0, "unset\n"},
		{
			"on a parameter that is not there",
			[]string{"echo {{ ssm:secret }}"},
			"Failed", "Failed", 1,
			errorsFollow + `failed to run commands: resolving "{{ ssm:secret }}": the parameter does not exist`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			outer := w.t
			w.t = t
			defer func() { w.t = outer }()
			w.wantEnd(w.send(script(tt.lines...)), types.CommandPluginStatus(tt.status), tt.details, tt.code, tt.output)
		})
	}
}

// nohup, and a shell's &, make whatever they start ignore a signal.
func TestASignalThatThisProcessIgnoresEndsACommand(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGHUP, syscall.SIGQUIT} {
		signal.Ignore(s)
		t.Cleanup(func() { signal.Reset(s) })
		w := start(t)
		w.wantEnd(w.send(script(fmt.Sprintf("kill -%d $$; echo survived", s))), types.CommandPluginStatusFailed, "Failed", 128+int32(s), fmt.Sprintf("%sfailed to run commands: exit status %d", errorsFollow, 128+int32(s)))
	}
}

func TestOutputIsHandedOutLineByLine(t *testing.T) {
	w := start(t)
	w.ended(w.send(script("echo one; echo two >&2; printf 'thr'; printf 'ee\\nfour'")))
	w.wantText("stdout", "one", "three", "four")
	w.wantText("stderr", "two")
	for _, l := range w.lines {
		if l.InstanceID != LocalNode || len(l.CommandID) != 36 {
			t.Errorf("line %+v has no command or instance", l)
		}
	}
}

func TestOutputComesWhileTheCommandRuns(t *testing.T) {
	w := start(t)
	id := w.send(script("echo ready; exec sleep 1000"))
	w.wantText("stdout", "ready")
	w.cancel(id)
	w.wantEnd(id, "Cancelled", "Cancelled", 137, "ready\n")
}

func TestTheFirst2500BytesAreShown(t *testing.T) {
	w := start(t)
	p := w.ended(w.send(script("i=0; while [ $i -lt 300 ]; do echo ééééééééé; i=$((i+1)); done")))
	// 2,500 bytes, of which the mark takes 23: the last character is cut in two.
	if want := strings.Repeat("ééééééééé\n", 130) + "ééé\ufffd\n---Output truncated---"; *p.Output != want {
		t.Errorf("Output has %d bytes, want %d", len(*p.Output), len(want))
	}
}

func TestTheEnvironment(t *testing.T) {
	w := start(t, func(o *Options) {
		o.Env = append(o.Env, "HELLO=there", "SSM_COMMAND_ID=outer", "AMX_STATE_DIR=/outer")
		o.StateDir = "/state"
	})
	id := w.send(script("echo $HELLO $SSM_COMMAND_ID $AWS_SSM_INSTANCE_ID $AWS_SSM_REGION_NAME $AMX_STATE_DIR ${HOME-none}"))
	w.wantEnd(id, "Success", "Success", 0, "there "+id+" "+LocalNode+" eu-test-1 /state none\n")
}

func TestTheWorkingDirectory(t *testing.T) {
	w := start(t)
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	in := script("pwd")
	in.Parameters["workingDirectory"] = []string{dir}
	w.wantEnd(w.send(in), "Success", "Success", 0, dir+"\n")
	in.Parameters["workingDirectory"] = []string{dir + "/missing"}
	w.wantEnd(w.send(in), "Failed", "Failed", 1,
		errorsFollow+"failed to run commands: fork/exec /usr/bin/sh: no such file or directory")
}

// pids reads the numbers that a command wrote to standard output.
func (w *world) pids(n int) []int {
	w.t.Helper()
	w.until(fmt.Sprintf("%d PIDs are written", n), func() bool { return len(w.text("stdout")) == n })
	var pids []int
	for _, text := range w.text("stdout") {
		pid, err := strconv.Atoi(text)
		if err != nil {
			w.t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

func runs(pid int) bool {
	_, ok := localSystem().startTime(pid)
	return ok
}

func TestCancelKillsTheGroupAtOnce(t *testing.T) {
	w := start(t)
	id := w.send(script("trap 'echo trapped' TERM EXIT", "sh -c 'sleep 1000 & echo $!; wait' &", "setsid sh -c 'echo $$; exec sleep 1000' &", "echo $$; wait"))
	pids := w.pids(3)
	session := 0
	for _, pid := range pids {
		if sid, _, _ := syscall.Syscall(syscall.SYS_GETSID, uintptr(pid), 0, 0); int(sid) == pid {
			session = pid
		}
	}
	if session == 0 {
		t.Fatal("no process has a session of its own")
	}
	defer func() { _ = syscall.Kill(session, syscall.SIGKILL) }()
	w.cancel(id)
	if inv := w.look(id); inv.Status != "Cancelled" {
		t.Errorf("status right after the cancel is %s, want Cancelled", inv.Status)
	}
	for _, pid := range pids {
		if pid != session {
			waitGone(t, pid)
		}
	}
	if !runs(session) {
		t.Error("a child that called setsid was killed")
	}
	w.cancel(id) // accepted, and changes nothing
	if p := w.ended(id); p.ResponseCode != 137 || strings.Contains(*p.Output, "trapped") {
		t.Errorf("plugin is %+v, want code 137 and no trap", p)
	}
}

func TestCancelOfAFinishedCommandChangesNothing(t *testing.T) {
	w := start(t)
	id := w.send(script("true"))
	w.ended(id)
	w.cancel(id)
	w.wantEnd(id, "Success", "Success", 0, "")
}

func TestCancelAndEndNeverBothHappen(t *testing.T) {
	w := start(t, func(o *Options) { o.Output = nil })
	marks := t.TempDir()
	var wg sync.WaitGroup
	var mu sync.Mutex
	ids := map[string]int{}
	for i := range 150 {
		wg.Go(func() {
			id := w.send(script(fmt.Sprintf("echo > %s/%d", marks, i)))
			for range i % 5 {
				w.look(id)
			}
			w.cancel(id)
			p := w.ended(id)
			mu.Lock()
			defer mu.Unlock()
			ids[id] = i
			switch p.Status {
			case "Success":
				if _, err := os.Stat(fmt.Sprintf("%s/%d", marks, i)); err != nil {
					t.Errorf("command %d is a success and did nothing: %v", i, err)
				}
			case "Cancelled":
			default:
				t.Errorf("command %d ended %s", i, p.Status)
			}
		})
	}
	wg.Wait()
	ends := map[string]int{}
	err := readJournal(w.server.o.Dir, func(e event) {
		if e.Op == "ended" {
			ends[e.ID]++
		}
	}, func(line int, err error) { t.Errorf("line %d: %v", line, err) })
	if err != nil {
		t.Fatal(err)
	}
	for id := range ids {
		if ends[id] != 1 {
			t.Errorf("command %s ended %d times", id, ends[id])
		}
	}
}

func TestTheTimeoutKillsTheGroup(t *testing.T) {
	w := start(t)
	id := w.send(script("sleep 1000 & echo $!; echo $$; wait"))
	pids := w.pids(2)
	w.server.mu.Lock()
	p := w.server.commands[id].invocations[0].run
	w.server.mu.Unlock()
	w.server.timeout(p)
	w.wantEnd(id, "TimedOut", "ExecutionTimedOut", 137, fmt.Sprintf("%d\n%d\n", pids[0], pids[1]))
	for _, pid := range pids {
		waitGone(t, pid)
	}
}

func TestTheExecutionTimeoutIsTheAgents(t *testing.T) {
	for value, want := range map[string]float64{"5": 5, "4": 3600, "172800": 172800, "": 3600} {
		if got := executionTimeout(map[string][]string{"executionTimeout": {value}}).Seconds(); got != want {
			t.Errorf("executionTimeout %q is %v s, want %v", value, got, want)
		}
	}
}

func TestABackgroundChildDoesNotHoldUpTheEnd(t *testing.T) {
	w := start(t)
	release := filepath.Join(t.TempDir(), "release")
	if err := syscall.Mkfifo(release, 0o600); err != nil {
		t.Fatal(err)
	}
	first := w.send(script("(read x < " + release + "; echo late) &"))
	w.wantEnd(first, "Success", "Success", 0, "")
	// The folder of first is empty, but its background child may still write.
	second := w.send(script("true"))
	w.ended(second)
	if err := os.WriteFile(release, []byte("\n"), 0); err != nil {
		t.Fatal(err)
	}
	third := w.send(script("echo third"))
	w.wantEnd(third, "Success", "Success", 0, "third\n")
	w.wantEnd(second, "Success", "Success", 0, "")
}

func TestFoldersWithoutOutputAreUsedAgain(t *testing.T) {
	w := start(t)
	for range 5 {
		w.ended(w.send(script("true")))
		w.atRest()
		w.server.mu.Lock()
		spares := len(w.server.spares)
		w.server.mu.Unlock()
		if spares != 1 {
			t.Errorf("%d folders were given back, want 1", spares)
		}
	}
	w.wantEnd(w.send(script("echo kept")), "Success", "Success", 0, "kept\n")
	if n := countFolders(t, w.server.o.Dir); n != 1 {
		t.Errorf("there are %d folders, want 1", n)
	}
}

func countFolders(t *testing.T, dir string) (n int) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() {
			n++
		}
	}
	return n
}

func TestEndedIsToldOnce(t *testing.T) {
	told := make(chan string, 2)
	w := start(t, func(o *Options) { o.Ended = func(id string) { told <- id } })
	id := w.send(script("true"))
	if got := <-told; got != id {
		t.Errorf("Ended(%q), want %q", got, id)
	}
	w.cancel(id)
	select {
	case got := <-told:
		t.Errorf("Ended(%q) again", got)
	default:
	}
}
