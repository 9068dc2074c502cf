package ssmlocal

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

// stage is a Server whose commands wait for their cue, and that tells what they
// write and how they end.
type stage struct {
	*world
	dir     string
	output  chan OutputLine
	said    map[OutputLine]int // of what has come, without stream and node
	changes chan StatusChange
	ends    map[string]string // :: command ID → StatusDetails
}

func newStage(t *testing.T, change ...func(*Options)) *stage {
	t.Helper()
	st := &stage{
		dir: t.TempDir(), output: make(chan OutputLine, 1000), said: map[OutputLine]int{},
		changes: make(chan StatusChange, 1000), ends: map[string]string{},
	}
	st.world = start(t, append([]func(*Options){fleet, func(o *Options) {
		o.Output = func(l OutputLine) { st.output <- l }
		o.Notify = func(c StatusChange) { st.changes <- c }
	}}, change...)...)
	return st
}

// on is a script for nodes.
func on(nodes []string, lines ...string) *ssm.SendCommandInput {
	in := script(lines...)
	in.InstanceIds = nodes
	return in
}

// waiter is a script that says that it is up, and ends with its cue.
func (st *stage) waiter(name string) string {
	st.t.Helper()
	if err := syscall.Mkfifo(filepath.Join(st.dir, name), 0o600); err != nil {
		st.t.Fatal(err)
	}
	return "echo up; read -r x <" + filepath.Join(st.dir, name)
}

// cue lets a waiter end; it waits until that waits for it.
func (st *stage) cue(name string) {
	st.t.Helper()
	if err := os.WriteFile(filepath.Join(st.dir, name), []byte("\n"), 0); err != nil {
		st.t.Fatal(err)
	}
}

// says waits until a command has written a line, once for each call.
func (st *stage) says(id, text string) {
	want := OutputLine{CommandID: id, Text: text}
	for st.said[want] == 0 {
		l := <-st.output
		st.said[OutputLine{CommandID: l.CommandID, Text: l.Text}]++
	}
	st.said[want]--
}

// over waits for the end of a command as a whole, and answers its StatusDetails.
func (st *stage) over(id string) string {
	for st.ends[id] == "" {
		if c := <-st.changes; c.InstanceID == "" {
			st.ends[c.CommandID] = c.StatusDetails
		}
	}
	return st.ends[id]
}

// wantStatus compares the status of a command's only invocation.
func (st *stage) wantStatus(id, want string) {
	st.t.Helper()
	if got := st.look(id); *got.StatusDetails != want {
		st.t.Errorf("command %s is %s, want %s", id, *got.StatusDetails, want)
	}
}

func (st *stage) agent(node string) (running, waiting, inbox int) {
	st.server.mu.Lock()
	defer st.server.mu.Unlock()
	a := st.server.agents[node]
	return len(a.running), len(a.waiting), len(a.inbox)
}

func TestFiveRunAndFiveWait(t *testing.T) {
	st := newStage(t)
	var ids []string
	for i := range 12 {
		ids = append(ids, st.send(on([]string{web1}, st.waiter(fmt.Sprint(i)))))
	}
	for i := range 5 {
		st.says(ids[i], "up")
	}
	if r, w, in := st.agent(web1); r != 5 || w != 5 || in != 2 {
		t.Errorf("%d run, %d wait, %d are not taken; want 5, 5 and 2", r, w, in)
	}
	st.wantStatus(ids[4], "InProgress")
	st.wantStatus(ids[5], "Pending")
	elsewhere := st.send(on([]string{web2}, "true")) // another node is free
	if got := st.over(elsewhere); got != "Success" {
		t.Errorf("a command on another node ended %s", got)
	}

	// The agent takes no message, so it does not hear of the cancellation.
	st.cancel(ids[0])
	st.wantStatus(ids[0], "Cancelling")
	for i := 1; i <= 2; i++ { // each end lets it take one of the two that come before
		st.cue(fmt.Sprint(i))
		st.over(ids[i])
		st.wantStatus(ids[0], "Cancelling")
	}
	st.cue("3")
	st.over(ids[3])
	if got := st.over(ids[0]); got != "Cancelled" {
		t.Errorf("the cancelled command ended %s", got)
	}
	st.wantEnd(ids[0], "Cancelled", "Cancelled", 137, "up\n")
	for _, i := range []int{4, 5, 6, 7, 8, 9, 10, 11} {
		st.cue(fmt.Sprint(i))
		st.over(ids[i])
	}
	st.wantEnd(ids[11], "Success", "Success", 0, "up\n")
}

func TestTheHostRunsMoreThanFive(t *testing.T) {
	st := newStage(t)
	var ids []string
	for i := range 8 {
		ids = append(ids, st.send(script(st.waiter(fmt.Sprint(i)))))
		st.says(ids[i], "up")
	}
	for i, id := range ids {
		st.cue(fmt.Sprint(i))
		if got := st.over(id); got != "Success" {
			t.Errorf("command %d ended %s", i, got)
		}
	}
}

func TestACancelledCommandThatWaitedHasNoLastAnswer(t *testing.T) {
	st := newStage(t)
	var ids []string
	for i := range 6 {
		ids = append(ids, st.send(on([]string{web1}, st.waiter(fmt.Sprint(i)))))
	}
	mark := filepath.Join(st.dir, "mark")
	waits := st.send(on([]string{web1}, "touch "+mark))
	st.cancel(waits)
	for i, id := range ids {
		st.cue(fmt.Sprint(i))
		st.over(id)
	}
	last := st.send(on([]string{web1}, "true")) // behind it in the line
	st.over(last)
	st.wantStatus(waits, "Cancelling")
	if _, err := os.Stat(mark); err == nil {
		t.Error("it ran")
	}
	st.server.mu.Lock()
	c := st.server.commands[waits]
	st.server.mu.Unlock()
	st.server.expire(c) // as its timer does
	if got := st.over(waits); got != "Cancelled" {
		t.Errorf("in the end it is %s, want Cancelled", got)
	}
}

func TestACancelledCommandIsCancellingUntilItsProcessIsGone(t *testing.T) {
	st := newStage(t)
	id := st.send(on([]string{web1}, "setsid sh -c 'echo $$; exec sleep 1000' &", "wait"))
	var session int
	for l := range st.output {
		_, _ = fmt.Sscan(l.Text, &session)
		break
	}
	defer func() { _ = syscall.Kill(session, syscall.SIGKILL) }()
	st.cancel(id)
	st.cancel(id) // twice is once
	if got := st.over(id); got != "Cancelled" {
		t.Errorf("it ended %s", got)
	}
	if !runs(session) { // although it holds the output
		t.Error("a child in a session of its own was killed")
	}
	st.cancel(id)
	st.wantEnd(id, "Cancelled", "Cancelled", 137, fmt.Sprintln(session))
}

func TestADocumentThatWasCutOffByACrashMayGoOn(t *testing.T) {
	st := newStage(t)
	done := filepath.Join(st.dir, "done")
	if err := syscall.Mkfifo(done, 0o600); err != nil {
		t.Fatal(err)
	}
	id := st.send(on([]string{web1}, st.waiter("a"), "echo finished >"+done))
	next := st.send(on([]string{web1}, st.waiter("b"), "exit 3"))
	st.says(id, "up")
	st.says(next, "up")
	st.server.CrashAgents(web1, web2)
	for _, id := range []string{id, next} {
		st.wantEnd(id, "Failed", "Failed", 1, "up\n"+errorsFollow+"document process failed unexpectedly")
	}
	st.cue("a")
	if b, err := os.ReadFile(done); string(b) != "finished\n" || err != nil {
		t.Errorf("the script wrote %q, %v", b, err)
	}
	st.cue("b")
	st.wantEnd(next, "Failed", "Failed", 1, "up\n"+errorsFollow+"document process failed unexpectedly")
	if got := st.over(st.send(on([]string{web1}, "true"))); got != "Success" {
		t.Errorf("the next command ended %s", got)
	}
}

func TestAnOlderAgentRepeatsTheDocument(t *testing.T) {
	st := newStage(t, func(o *Options) { o.AgentsRepeat = true })
	first, second := st.waiter("first"), st.waiter("second")
	id := st.send(on([]string{web1}, "if mkdir "+st.dir+"/mark; then "+first+"; else "+second+"; fi"))
	st.says(id, "up")
	st.server.CrashAgents(web1)
	st.says(id, "up")
	st.cue("first") // that pass goes on, and nobody hears of its end
	st.wantStatus(id, "InProgress")
	st.cue("second")
	if got := st.over(id); got != "Success" {
		t.Errorf("it ended %s", got)
	}
}

func TestAfterARestartADocumentHasFailed(t *testing.T) {
	for repeat, want := range map[bool]string{false: "document process failed unexpectedly", true: "failed to run commands: exit status 5"} {
		dir, id := left(t, event{Op: "started", PID: 1 << 22, Start: "1", Boot: localSystem().boot, Pass: 1})
		moveTo(t, dir, web1)
		w := start(t, fleet, func(o *Options) { o.Dir, o.AgentsRepeat = dir, repeat })
		if p := w.ended(id); p.Status != "Failed" || !strings.HasSuffix(*p.Output, want) {
			t.Errorf("with AgentsRepeat %v it ended %s with %q, want %q", repeat, p.Status, *p.Output, want)
		}
	}
}

func TestAfterARestartWhatWaitedIsDelivered(t *testing.T) {
	dir, id := left(t)
	moveTo(t, dir, web1)
	w := start(t, fleet, func(o *Options) { o.Dir = dir })
	w.wantEnd(id, "Failed", "Failed", 5, passOutput)

	dir, id = left(t, event{Op: "cancelling"})
	moveTo(t, dir, web1)
	w = start(t, fleet, func(o *Options) { o.Dir = dir })
	if got := w.look(id); got.Status != "Cancelling" {
		t.Errorf("one that was cancelled is %s, want Cancelling", got.Status)
	}
	w.close()

	dir, id = left(t, event{Op: "cancelling"})
	moveTo(t, dir, web1)
	w = start(t, fleet, func(o *Options) {
		o.Dir, o.Now = dir, func() time.Time { return time.Now().Add(3 * time.Hour) }
	})
	w.until("its time is up", func() bool { return w.look(id).Status == "Cancelled" })

	dir, id = left(t)
	moveTo(t, dir, web1)
	w = start(t, fleet, func(o *Options) {
		o.Dir, o.Now = dir, func() time.Time { return time.Now().Add(3 * time.Hour) }
	})
	w.wantEnd(id, "TimedOut", "DeliveryTimedOut", -1, "")
}

// moveTo makes a journal's command one of another node's.
func moveTo(t *testing.T, dir, node string) {
	t.Helper()
	name := filepath.Join(dir, journalName)
	b, err := os.ReadFile(name)
	if err == nil {
		err = os.WriteFile(name, []byte(strings.ReplaceAll(string(b), LocalNode, node)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestBeforeARebootNothingElseBegins(t *testing.T) {
	st := newStage(t)
	first := st.send(on([]string{web1}, "exit 194"))
	st.atRest() // until its reboot
	second := st.send(on([]string{web1}, "true"))
	if r, w, _ := st.agent(web1); r != 0 || w != 1 {
		t.Errorf("%d run and %d wait, want 0 and 1", r, w)
	}
	st.cancel(first)
	if got := st.over(second); got != "Success" {
		t.Errorf("the second ended %s", got)
	}
	st.wantEnd(first, "Cancelled", "Cancelled", 137, "")
}

func TestWhatExpiresIsNotHeardAnyMore(t *testing.T) {
	st := newStage(t)
	id := st.send(on([]string{web1}, st.waiter("a"), "echo late"))
	st.says(id, "up")
	st.server.mu.Lock()
	c := st.server.commands[id]
	st.server.mu.Unlock()
	st.server.expire(c)
	if got := st.over(id); got != "DeliveryTimedOut" {
		t.Errorf("it is %s", got)
	}
	st.cue("a")
	st.says(id, "late")
	st.wantStatus(id, "DeliveryTimedOut")
}

func TestPathsWithSpaces(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "it's a folder")
	st := newStage(t, func(o *Options) { o.Dir = dir })
	st.wantEnd(st.send(on([]string{web1}, `basename "$0"`, "umask")), "Success", "Success", 0, "_script.sh\n0022\n")
}
