package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/amx-lambda/amx/internal/amx"
	historybolt "github.com/amx-lambda/amx/internal/history/bolt"
	"github.com/amx-lambda/amx/internal/ledger/bolt"
	"github.com/amx-lambda/amx/internal/operate"
	"github.com/amx-lambda/amx/internal/page"
	queuebolt "github.com/amx-lambda/amx/internal/queue/bolt"
	"github.com/amx-lambda/amx/internal/report"
	"github.com/amx-lambda/amx/internal/report/send"
	"github.com/amx-lambda/amx/internal/runner"
	"github.com/amx-lambda/amx/internal/ssmexec"
	"github.com/amx-lambda/amx/internal/ssmlocal"
)

// host is amx on one machine: the ledger in a file, Run Command in this process.
type host struct {
	log     *slog.Logger
	store   *bolt.Store
	ssm     *ssmlocal.Server
	runner  *runner.Runner
	metrics *metrics
	names   *names

	working sync.WaitGroup // what enters the ends of runs
	closing sync.Mutex     // over closed, and over what joins working
	closed  bool           // the store closes: nothing joins working any more
	ready   chan struct{}  // closed when runner is there

	stopping atomic.Bool // it ends what runs

	history  *historybolt.Store
	queue    *queuebolt.Store
	reporter *report.Reporter
	sender   *send.Sender
	operator operate.Operator

	page *page.Page

	current   atomic.Pointer[amx.Config]
	loaded    atomic.Pointer[time.Time] // when current was
	reloading sync.Mutex
	reload    func() (*amx.Config, error) // reads the configuration again
}

// newHost opens the ledger and what lies beside it: the folder of the commands
// and that of the guard. Without nodes there is the local node alone.
func newHost(cfg *amx.Config, ledgerFile string, env []string, log *slog.Logger, nodes ...ssmlocal.Node) (*host, error) {
	store, err := bolt.Open(ledgerFile, time.Now)
	if err != nil {
		return nil, err
	}
	commands, state := beside(ledgerFile)
	h := &host{log: log, store: store, metrics: newMetrics(), ready: make(chan struct{})}
	if err := h.openQueue(context.Background()); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	started := make(chan struct{})
	h.names = &names{log: log, client: func() ssmexec.Client {
		<-started // a command of an earlier process may end before
		return localClient(h.ssm)
	}}
	defer h.metrics.hold()() // what ends before it is adopted
	ended := &ends{waiting: map[string]map[chan struct{}]bool{}}
	h.ssm, err = ssmlocal.New(ssmlocal.Options{
		Dir: commands, StateDir: state, Nodes: nodes, Env: env, Log: log,
		Ended: func(commandID string) {
			h.metrics.end(commandID)
			ended.end(commandID)
			h.names.ended(commandID)
			h.told(commandID)
		},
		Output: func(l ssmlocal.OutputLine) {
			t := h.names.of(l.CommandID)
			log.Info("output", "command", t.Command, "run_id", t.Run, "command_id", l.CommandID, "stream", l.Stream, "line", l.Text)
		},
	})
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	close(started)
	if err := h.metrics.adopt(context.Background(), localClient(h.ssm)); err != nil {
		log.Warn("metrics: commands that already run are not counted", "error", err.Error())
	}
	desk := h.newDesk()
	h.operator = desk.Operator()
	h.metrics.registry.MustRegister(&holds{ledger: store, gates: desk.Gates, queue: desk.Queue, due: h.oldestDue, now: time.Now, log: log})
	h.use(cfg)
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	h.runner = &runner.Runner{
		Config: h.current.Load, Store: store, Log: log,
		Process: hex.EncodeToString(id[:]), Queue: h.queue, History: stopped{h.history, &h.stopping, time.Now()},
		Exec: &ssmexec.Executor{Client: counted{localClient(h.ssm), h.metrics}, Nodes: localClient(h.ssm), Outputs: localClient(h.ssm), Ended: ended.watch, Jitter: mathrand.Float64},
	}
	h.tellPeople(env)
	close(h.ready)
	return h, nil
}

// beside is the folders of a ledger: those of its commands and of the guard. No
// two ledgers share them.
func beside(ledgerFile string) (commands, state string) {
	if name, ok := strings.CutSuffix(ledgerFile, ".db"); ok {
		return name + ".commands", name + ".state"
	}
	return filepath.Join(ledgerFile+".d", "commands"), filepath.Join(ledgerFile+".d", "state")
}

// use makes cfg the configuration of what comes from now on. A command without
// targets runs here.
func (h *host) use(cfg *amx.Config) {
	here := []amx.Target{{Key: ssmexec.KeyInstanceIDs, Values: []string{ssmlocal.LocalNode}}}
	for _, c := range cfg.Commands {
		if len(c.Targets) == 0 {
			c.Targets = here
		}
	}
	for _, c := range cfg.Commands {
		h.metrics.runs.know(c.Name)
	}
	h.current.Store(cfg)
	now := time.Now()
	h.loaded.Store(&now)
}

// reloadNow reads the configuration again. One that is wrong changes nothing.
func (h *host) reloadNow() error {
	h.reloading.Lock()
	defer h.reloading.Unlock()
	cfg, err := h.reload()
	if err != nil {
		h.metrics.reloaded.Set(0)
		h.log.Error("reloading: the configuration stays as it was", "error", err.Error())
		return err
	}
	old := h.current.Load()
	h.use(cfg)
	h.metrics.reloaded.Set(1)
	h.log.Info("reloaded", "commands", len(cfg.Commands))
	if names := gone(old, cfg); len(names) > 0 {
		h.log.Warn("commands are gone: a resolve does not stop their runs, unless you put their names back", "commands", names)
	}
	if cfg.ListenAddress != old.ListenAddress || cfg.TLSKey != old.TLSKey || cfg.TLSCrt != old.TLSCrt || cfg.Verbose != old.Verbose {
		h.log.Warn("listen_address, tls_key, tls_crt and verbose take effect at the next start")
	}
	return nil
}

// gone is the names of commands that a new configuration lacks. The ledger goes
// by names.
func gone(old, cfg *amx.Config) (names []string) {
	for _, c := range old.Commands {
		if !slices.ContainsFunc(cfg.Commands, func(n *amx.Command) bool { return n.Name == c.Name }) {
			names = append(names, c.Name)
		}
	}
	return names
}

// reloadOn reloads at each signal, until stop is called.
func (h *host) reloadOn(signals <-chan os.Signal) (stop func()) {
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-signals:
				_ = h.reloadNow() // it is logged
			case <-done:
				return
			}
		}
	}()
	return func() { close(done) }
}

// localClient is the SDK's own client, whose requests never leave the process.
func localClient(local *ssmlocal.Server) *ssm.Client {
	return ssm.New(ssm.Options{
		Region: "local", BaseEndpoint: aws.String("http://amx.invalid"), HTTPClient: local.Client(),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "amx", SecretAccessKey: "amx"}, nil
		}),
	})
}

// stopCommands ends every command that still runs.
func (h *host) stopCommands(ctx context.Context) {
	h.stopping.Store(true)
	running := h.metrics.commands()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := h.ssm.Close(ctx); err != nil {
		h.log.ErrorContext(ctx, "ending the commands", "error", err.Error())
	}
	for _, id := range running {
		h.told(id) // the process may be gone before it is told otherwise
	}
}

func (h *host) close() error {
	h.stopCommands(context.Background())
	h.closing.Lock()
	h.closed = true
	h.closing.Unlock()
	h.working.Wait()
	return h.store.Close()
}

// ends tells those who wait for a command that it has ended.
type ends struct {
	mu      sync.Mutex
	waiting map[string]map[chan struct{}]bool // :: command ID → those who wait
}

func (e *ends) end(commandID string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for c := range e.waiting[commandID] {
		close(c)
	}
	delete(e.waiting, commandID)
}

func (e *ends) watch(commandID string) (ended <-chan struct{}, release func()) {
	c := make(chan struct{})
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.waiting[commandID] == nil {
		e.waiting[commandID] = map[chan struct{}]bool{}
	}
	e.waiting[commandID][c] = true
	return c, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.waiting[commandID], c)
		if len(e.waiting[commandID]) == 0 {
			delete(e.waiting, commandID)
		}
	}
}
