package ssmlocal

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// world is a Server with the real SDK client on it.
type world struct {
	t      testing.TB
	server *Server
	client *ssm.Client

	mu      sync.Mutex
	lines   []OutputLine
	changes int        // lines and ends that were told
	changed *sync.Cond // one more
}

func start(t testing.TB, change ...func(*Options)) *world {
	t.Helper()
	w := &world{t: t}
	o := Options{
		Dir: t.TempDir(), Env: []string{"PATH=" + os.Getenv("PATH")}, Region: "eu-test-1",
		Log: slog.New(slog.NewTextHandler(testWriter{t}, nil)),
		Output: func(l OutputLine) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.lines = append(w.lines, l)
		},
	}
	for _, c := range change {
		c(&o)
	}
	w.open(o, localSystem())
	return w
}

func (w *world) open(o Options, sys system) {
	w.t.Helper()
	w.changed = sync.NewCond(&w.mu)
	if output := o.Output; output != nil {
		o.Output = func(l OutputLine) {
			output(l)
			w.poke()
		}
	}
	notify := o.Notify
	o.Notify = func(c StatusChange) {
		if notify != nil {
			notify(c)
		}
		w.poke()
	}
	s, err := newServer(o, sys)
	if err != nil {
		w.t.Fatal(err)
	}
	w.server = s
	w.client = sdkClient(s)
	w.t.Cleanup(func() { w.close() })
}

func (w *world) close() {
	if err := w.server.Close(context.Background()); err != nil {
		w.t.Error(err)
	}
}

func sdkClient(s *Server) *ssm.Client {
	return ssm.New(ssm.Options{
		Region: "eu-test-1", HTTPClient: s.Client(), Retryer: aws.NopRetryer{},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: "secret"}, nil
		}),
	})
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

func script(lines ...string) *ssm.SendCommandInput {
	return &ssm.SendCommandInput{
		DocumentName: aws.String(shellDocument), InstanceIds: []string{LocalNode},
		Parameters: map[string][]string{"commands": lines},
	}
}

func (w *world) send(in *ssm.SendCommandInput) string {
	w.t.Helper()
	out, err := w.client.SendCommand(context.Background(), in)
	if err != nil {
		w.t.Fatal(err)
	}
	return *out.Command.CommandId
}

func (w *world) cancel(id string) {
	w.t.Helper()
	if _, err := w.client.CancelCommand(context.Background(), &ssm.CancelCommandInput{CommandId: &id}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) look(id string) types.CommandInvocation {
	w.t.Helper()
	out, err := w.client.ListCommandInvocations(context.Background(),
		&ssm.ListCommandInvocationsInput{CommandId: &id, Details: true})
	if err != nil {
		w.t.Fatal(err)
	}
	if len(out.CommandInvocations) != 1 {
		w.t.Fatalf("command %s has %d invocations, want 1", id, len(out.CommandInvocations))
	}
	return out.CommandInvocations[0]
}

// ended waits for the end of id and answers its plugin.
func (w *world) ended(id string) types.CommandPlugin {
	w.t.Helper()
	var inv types.CommandInvocation
	w.until("command "+id+" ends", func() bool {
		inv = w.look(id)
		return inv.Status != types.CommandInvocationStatusPending && inv.Status != types.CommandInvocationStatusInProgress &&
			inv.Status != types.CommandInvocationStatusCancelling
	})
	return inv.CommandPlugins[0]
}

// until waits for what a command's output or end brings about.
func (w *world) until(what string, f func() bool) {
	w.t.Helper()
	w.t.Logf("waiting until %s", what)
	for {
		w.mu.Lock()
		before := w.changes
		w.mu.Unlock()
		if f() {
			return
		}
		w.mu.Lock()
		for w.changes == before {
			w.changed.Wait()
		}
		w.mu.Unlock()
	}
}

func (w *world) poke() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.changes++
	w.changed.Broadcast()
}

// atRest waits until no document runs and what it left is cleared up.
func (w *world) atRest() {
	w.t.Helper()
	if err := w.server.Wait(context.Background()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) text(stream string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	texts := []string{}
	for _, l := range w.lines {
		if l.Stream == stream {
			texts = append(texts, l.Text)
		}
	}
	return texts
}

func (w *world) wantText(stream string, want ...string) {
	w.t.Helper()
	w.until("the output of "+stream+" is "+strings.Join(want, "|"), func() bool {
		return slices.Equal(w.text(stream), want)
	})
}

func (w *world) wantEnd(id string, status types.CommandPluginStatus, details string, code int32, output string) {
	w.t.Helper()
	p := w.ended(id)
	if p.Status != status || *p.StatusDetails != details || p.ResponseCode != code || *p.Output != output {
		w.t.Errorf("command %s ended %s/%s, code %d, output %q\nwant %s/%s, code %d, output %q",
			id, p.Status, *p.StatusDetails, p.ResponseCode, *p.Output, status, details, code, output)
	}
}
