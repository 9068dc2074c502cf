package runner_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/awstest"
	"github.com/amx-lambda/amx/internal/ledger/bolt"
	"github.com/amx-lambda/amx/internal/ssmlocal"
)

// A host runs what it is sent: it is this machine, with Run Command on it. Its
// time is real, and no test of it waits for time to pass.
type host struct {
	delivering
	dir string
}

// endless is a time that no delivery to a host takes: none of its deadlines comes.
const endless = time.Hour

// newHost takes a configuration; @DIR@ in it is the host's own directory.
func newHost(t *testing.T, config string, nodes ...ssmlocal.Node) *host {
	t.Helper()
	t.Parallel()
	h := &host{dir: t.TempDir(), delivering: delivering{T: t, began: time.Now().Add(-time.Minute)}}
	local, err := ssmlocal.New(ssmlocal.Options{
		Dir: filepath.Join(h.dir, "commands"), StateDir: filepath.Join(h.dir, "state"), Env: []string{"PATH=" + os.Getenv("PATH")},
		Nodes: nodes,
	})
	if err != nil {
		t.Fatal(err)
	}
	store, err := bolt.Open(filepath.Join(h.dir, "ledger.db"), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := local.Close(context.Background()); err != nil {
			t.Error(err)
		}
		store.Close()
	})
	h.wire = &awstest.Wire{Next: acme(local), Check: awstest.CheckSSM}
	h.runner = newRunner(t, strings.ReplaceAll(config, "@DIR@", h.dir), awstest.SSMClient(h.wire.Listen(t)), store)
	for _, c := range h.runner.Config().Commands { // real scripts take the time they take
		if wait := endless; *c.Wait > 0 {
			c.Wait = &wait
		}
	}
	return h
}

// acme is an SSM that has the document Acme-Shell, which is AWS-RunShellScript by
// another name: one that amx does not know to be a shell's code.
func acme(next http.Handler) http.Handler {
	return http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		body, err := io.ReadAll(in.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		body = bytes.Replace(body, []byte(`"DocumentName":"Acme-Shell"`), []byte(`"DocumentName":"AWS-RunShellScript"`), 1)
		in.Body, in.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		next.ServeHTTP(out, in)
	})
}

// pipe makes a named pipe in the host's directory. Whoever opens it waits for the
// other side.
func (h *host) pipe(name string) string {
	h.Helper()
	path := filepath.Join(h.dir, name)
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		h.Fatal(err)
	}
	return path
}

func TestTheAnswerSaysWhichNodeFailedAndHow(t *testing.T) {
	h := newHost(t, `
targets: [{key: 'tag:Role', values: [web, db]}]
commands:
  - name: fix
    script: |
      echo "working on $AWS_SSM_INSTANCE_ID"
      [ "$AWS_SSM_INSTANCE_ID" != i-00000000000000002 ] && exit 0
      echo "disk: no such device" >&2
      echo "second" >&2; echo "third" >&2; echo "fourth" >&2
      exit 9
`, ssmlocal.Node{ID: machine(1).ID, Tags: machine(1).Tags}, ssmlocal.Node{ID: machine(2).ID, Tags: machine(2).Tags}, ssmlocal.Node{ID: machine(3).ID, Tags: machine(3).Tags})
	a := h.deliver(endless, h.fires("a"))
	h.want(a, `ended Failed; node i-00000000000000002: Failed, exit 9: "disk: no such device\nsecond\nthird"`, "run: firing: Failed")
}

// SSM's lists show 2,500 characters, standard output first.
func TestLongOutputDoesNotHideTheErrors(t *testing.T) {
	h := newHost(t, `
targets: [{key: InstanceIds, values: [mi-00000000000000000]}]
commands:
  - name: fix
    script: |
      i=0; while [ $i -lt 500 ]; do echo "line $i of many"; i=$((i + 1)); done
      echo "disk: no such device" >&2
      exit 9
`)
	a := h.deliver(endless, h.fires("a"))
	h.want(a, `ended Failed; node mi-00000000000000000: Failed, exit 9: "disk: no such device\nfailed to run commands: exit status 9"`, "run: firing: Failed")
}

func TestASignalInThePlaceOfACancellation(t *testing.T) {
	h := newHost(t, `
targets: [{key: InstanceIds, values: [mi-00000000000000000]}]
commands:
  - name: hold
    script: |
      trap 'echo stopped >@DIR@/stopped; exit 0' TERM
      echo started >@DIR@/started
      while :; do sleep 0.05; done
    resolved_signal: TERM
    wait: 0s
`)
	started := h.pipe("started")
	h.want(h.deliver(endless, h.fires("a")), "", "run: firing:")
	if text, err := os.ReadFile(started); err != nil || string(text) != "started\n" {
		h.Fatalf("the script wrote %q, %v", text, err)
	}
	h.want(h.deliver(endless, h.resolves("a")), "", "cancel: resolved: SIGTERM sent: Success")
	if text, err := os.ReadFile(filepath.Join(h.dir, "stopped")); err != nil || string(text) != "stopped\n" {
		t.Errorf("the script did not see the signal: %q, %v", text, err)
	}
	if calls := h.wire.Calls("CancelCommand"); len(calls) != 0 {
		t.Errorf("CancelCommand was called %d times", len(calls))
	}
}
