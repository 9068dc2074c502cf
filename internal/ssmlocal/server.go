// Package ssmlocal is AWS Systems Manager Run Command on this machine, with the
// Parameter Store that its commands may refer to: an [http.Handler] that speaks
// SSM's AWS JSON 1.1 protocol and runs the commands sent to it as local
// processes, the way the SSM agent runs AWS-RunShellScript on a node. The AWS
// SDK's own client talks to it through [Server.Client], so that the code that
// drives SSM is the same with and without AWS. [Server.Signed] is for programs that come
// over the network; it takes only signed requests.
//
// A node other than [LocalNode] behaves as a machine with an agent. The joined
// lines of commands become _script.sh, which sh runs in its own process group
// with umask 022, no standard input and pipes for its output. Five documents run
// at a time, and five wait. While five wait, the agent takes no further message. A
// document is over when its shell has ended and no process holds its output any more. A
// cancel and a timeout send SIGKILL to the group at once, so children that called setsid
// survive them. Exit 194 asks for a reboot, 168 is a success. If this process dies, a
// document in progress has failed, but its script may go on: a script that must not run
// twice needs a guard. testdata/amazon-ssm-agent-3.3.json has the answers of a real agent.
//
// LocalNode is this host. Its commands have to outlive a crash of this process. So their
// output goes to files, and nobody holds a pipe: a command is
// over when its shell ends, even if a background child keeps stdout open. The
// next process takes over the commands that still run. It runs a command again, under
// the same command ID, if nobody saw it end. There is no limit of five, and a cancel
// has its answer at once.
//
// MaxConcurrency, MaxErrors and AlarmConfiguration hold back further nodes as
// SSM does. Nothing reboots the machine after exit 194: the invocation stays
// InProgress until a Server is started after the next boot, or until it is
// cancelled. All nodes are this machine. They differ in ID, tags, address and state
// directory. S3 and CloudWatch settings are
// checked and listed but change nothing about the run. Parameter Store has no
// encryption, labels, policies or history of who changed what.
package ssmlocal

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// LocalNode is the instance ID of this machine if Options.Nodes is empty. It has the form
// of a hybrid activation's ID, but belongs to none.
const LocalNode = "mi-00000000000000000"

// Options configure a Server. Only Dir is required.
type Options struct {
	// Dir keeps the journal, the scripts and their output, and the values of
	// Parameter Store. It is created with mode 0700. One Server at a time may
	// use it; there is no lock of its own, because Dir lies beside the ledger,
	// and the ledger's lock covers both.
	Dir string
	// Env is the environment that commands inherit; nil: an empty one.
	Env []string
	// StateDir, if not empty, is passed on as AMX_STATE_DIR. LocalNode gets it as it
	// is; another node gets the directory in it that has the node's ID.
	StateDir string
	// Nodes stand for this machine, all of them. Default: LocalNode alone.
	Nodes  []Node
	Access Access // what the sender's policy allows; default: every node
	// AgentsRepeat makes agents behave as older builds: a document that was in progress
	// when the agent died runs again, up to 15 times. Newer builds end it as Failed,
	// although its script may go on. LocalNode has no agent.
	AgentsRepeat bool
	// Region is passed on as AWS_SSM_REGION_NAME. Default: "local".
	Region string
	// Output receives the commands' output line by line while they run. Lines
	// of one stream come in order; calls for different commands may overlap.
	// After a restart the output of a command in progress comes again from its
	// beginning, so that no line is lost.
	Output func(OutputLine)
	// Ended is called with a command ID when all its invocations are over.
	Ended func(commandID string)
	// Notify is called for the end of each invocation and of each command, in no
	// certain order.
	Notify func(StatusChange)
	Now    func() time.Time // default: time.Now
	Rand   io.Reader        // of command IDs; default: crypto/rand
	Log    *slog.Logger     // default: discarded
}

// OutputLine is one line that a command wrote, without its newline.
type OutputLine struct {
	CommandID, InstanceID string
	Stream                string // "stdout" or "stderr"
	Text                  string
}

// Server runs commands. Create one with New, and Close it.
type Server struct {
	o          Options
	sys        system
	parameters *parameters

	mu       sync.Mutex
	journal  *journal
	commands map[string]*command // :: command ID → command
	order    []*command          // by seq, oldest first
	seq      uint64              // the newest command's
	spares   []string            // folders with empty output of ended commands, to use again
	agents   map[string]*agent   // :: node → its agent
	orphans  map[*pass]bool      // processes whose agent has crashed
	alarms   map[string]bool     // :: name → is it on
	closed   bool
	running  sync.WaitGroup // invocations that a goroutine or the poller follows

	poll poller
}

// New loads the commands that an earlier process left in o.Dir. It adopts those that still
// run, and runs a command again if nobody saw it end.
func New(o Options) (*Server, error) { return newServer(o, localSystem()) }

func newServer(o Options, sys system) (*Server, error) {
	if o.Dir == "" {
		return nil, fmt.Errorf("starting ssmlocal: Options.Dir is empty: name a directory for the commands")
	}
	nodes, err := checkNodes(o.Nodes)
	if err != nil {
		return nil, err
	}
	o.Nodes = nodes
	if o.Region == "" {
		o.Region = "local"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	dir, err := filepath.Abs(o.Dir) // a command's working directory must not change what the paths mean
	if err != nil {
		return nil, fmt.Errorf("finding %q: %w", o.Dir, err)
	}
	o.Dir = dir
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("creating %q: %w", o.Dir, err)
	}
	stored, err := loadParameters(o.Dir)
	if err != nil {
		return nil, err
	}
	s := &Server{
		o: o, sys: sys, parameters: stored, commands: map[string]*command{},
		agents: map[string]*agent{}, orphans: map[*pass]bool{}, alarms: map[string]bool{},
	}
	heedSignals()
	if err := s.load(); err != nil {
		return nil, err
	}
	return s, nil
}

// Close kills the process groups of all invocations that run or wait to run,
// records them as Cancelled and waits for the processes to be gone, until ctx
// is done. An invocation that waits for a reboot keeps waiting, because that
// reboot is a likely reason for Close.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	for _, c := range s.order {
		if c.expiry != nil {
			c.expiry.Stop()
		}
		for _, inv := range c.invocations {
			if inv.rebootAfter == "" {
				s.cancel(inv)
			}
		}
	}
	for p := range s.orphans {
		s.kill(p)
	}
	s.mu.Unlock()

	if err := s.Wait(ctx); err != nil {
		return err
	}
	if !first {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.journal.close()
}

// Wait waits until no invocation runs or waits to run, or until ctx is done. Call it
// when no further invocation starts.
func (s *Server) Wait(ctx context.Context) error {
	gone := make(chan struct{})
	go func() { s.running.Wait(); close(gone) }()
	select {
	case <-gone:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for commands to end: %w", ctx.Err())
	}
}
