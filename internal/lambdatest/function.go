package lambdatest

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A Function is a bootstrap that runs.
type Function struct {
	runtime *runtime
	cmd     *exec.Cmd
	begun   time.Time
	log     *output
	exited  chan struct{} // closed when the process is gone

	mu     sync.Mutex
	number int
}

// output keeps what a process writes.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// Build builds a package of this module, given from its root, as `make lambda`
// does but for this machine, and answers the path of its bootstrap in dir.
func Build(t testing.TB, root, pkg, dir string) string {
	t.Helper()
	to := filepath.Join(dir, "bootstrap")
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-tags", "lambda.norpc", "-ldflags", "-s -w", "-o", to, pkg)
	cmd.Dir = root
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", pkg, err, out)
	}
	return to
}

// Start runs a bootstrap with these variables, and those of Lambda's own that it
// may rely on, and nothing else. It is ended when the test is.
func Start(t testing.TB, bootstrap string, env ...string) *Function {
	t.Helper()
	f := &Function{runtime: newRuntime(), log: &output{}, exited: make(chan struct{})}
	f.cmd = exec.Command(bootstrap)
	f.cmd.Dir = filepath.Dir(bootstrap)
	f.cmd.Stdout, f.cmd.Stderr = f.log, f.log
	f.cmd.Env = append([]string{
		"AWS_LAMBDA_RUNTIME_API=" + f.runtime.address(),
		"LAMBDA_TASK_ROOT=" + filepath.Dir(bootstrap),
		"AWS_REGION=eu-central-1",
		"AWS_ACCESS_KEY_ID=ASIAEXAMPLE", "AWS_SECRET_ACCESS_KEY=not-a-secret", "AWS_SESSION_TOKEN=not-a-token",
		"AWS_LAMBDA_LOG_FORMAT=JSON", "_HANDLER=bootstrap", "TZ=:UTC",
	}, env...)
	f.begun = time.Now()
	if err := f.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(f.exited)
		_ = f.cmd.Wait() // how it ended is in ProcessState
	}()
	t.Cleanup(func() {
		f.Kill()
		if t.Failed() {
			t.Logf("%s wrote:\n%s", bootstrap, f.log)
		}
	})
	return f
}

// Kill is SIGKILL, as Lambda ends a sandbox. It waits until the process is gone.
func (f *Function) Kill() {
	_ = f.cmd.Process.Kill() // unless it has gone before
	<-f.exited
	f.runtime.CloseClientConnections()
	f.runtime.Close()
}

// Init waits until the function polls for its first invocation, and answers how
// long that took. The error is what the function reported, or how it ended.
func (f *Function) Init() (time.Duration, error) {
	select {
	case <-f.runtime.polled:
		return f.runtime.first.Sub(f.begun), nil
	case <-f.exited:
		select {
		case e := <-f.runtime.initError:
			return 0, e
		default:
			return 0, &Error{"Runtime.ExitError", f.cmd.ProcessState.String()}
		}
	}
}

// Invoke hands the function an event, and answers when it has. One that takes
// longer than timeout is killed, as Lambda does it, and so is its process.
func (f *Function) Invoke(event []byte, timeout time.Duration) Answer {
	f.mu.Lock() // one after another
	defer f.mu.Unlock()
	f.number++
	gone := Answer{Err: &Error{Type: "Runtime.ExitError"}}
	select { // the deadline does not count the start of the process
	case <-f.runtime.polled:
	case <-f.exited:
		return gone
	}
	i := &invocation{
		id: fmt.Sprintf("00000000-0000-4000-8000-%012d", f.number), event: event,
		deadline: time.Now().Add(timeout), answer: make(chan Answer, 1),
	}
	select {
	case f.runtime.invocations <- i:
	case <-f.exited:
		return gone
	}
	select {
	case a := <-i.answer:
		a.RequestID = i.id
		return a
	case <-f.exited:
		return gone
	case <-time.After(time.Until(i.deadline)):
		f.Kill()
		return Answer{Err: &Error{"Sandbox.Timedout", fmt.Sprintf("Task timed out after %v", timeout)}}
	}
}

// Terminate is SIGTERM, which Lambda sends where an extension is registered,
// and answers how long the process then took to be gone. After two seconds it
// is killed, as Lambda does it.
func (f *Function) Terminate() (time.Duration, error) {
	begun := time.Now()
	if err := f.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return 0, err
	}
	select {
	case <-f.exited:
		return time.Since(begun), nil
	case <-time.After(2 * time.Second):
		f.Kill()
		return 0, errors.New("the function is still there 2 s after SIGTERM")
	}
}

// ExitCode is the exit code of the process; -1 if a signal ended it.
func (f *Function) ExitCode() int {
	<-f.exited
	return f.cmd.ProcessState.ExitCode()
}

// Log is what the function has written so far.
func (f *Function) Log() string { return f.log.String() }
