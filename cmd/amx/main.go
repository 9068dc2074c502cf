// Command amx runs commands when Prometheus alerts fire, and stops them when
// the alerts resolve.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"
)

// version is set by the Makefile.
var version = "dev"

// versionOf prefers the version of the build over that of the module, which
// `go install …@v1.2.3` leaves in the program.
func versionOf(built string, info *debug.BuildInfo) string {
	if built != "dev" || info == nil || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return built
	}
	return info.Main.Version
}

// The rules of the command line: results go to standard output, everything else
// to standard error. Exit 0: done. 1: the answer is no. 2: the call is wrong.
const (
	exitNo    = 1
	exitUsage = 2
)

// stdio is what a process is given, so that tests can give something else.
type stdio struct {
	in       io.Reader
	out, err io.Writer
	env      []string
	hup      <-chan os.Signal // SIGHUP
	hurry    <-chan struct{}  // closed once the process was told to stop twice
}

type cli struct {
	Version kong.VersionFlag `help:"Print the version and exit."`

	Serve   serveCmd   `cmd:"" help:"Take notifications and run their commands on this machine."`
	Check   checkCmd   `cmd:"" help:"Check configuration files."`
	Explain explainCmd `cmd:"" help:"Show what a notification would run."`
	Config  configCmd  `cmd:"" help:"Print a configuration with its defaults, or packed for Parameter Store."`
	Doctor  doctorCmd  `cmd:"" help:"Check a stack on AWS for common problems."`

	Runs   runsCmd   `cmd:"" help:"List runs and refusals."`
	Show   showCmd   `cmd:"" help:"Show a run, with its output."`
	Cancel cancelCmd `cmd:"" help:"Stop a run, or all runs of a command."`
	Pause  pauseCmd  `cmd:"" help:"Keep new runs from starting for a while."`
	Resume resumeCmd `cmd:"" help:"End a pause, and close a breaker."`
	Status statusCmd `cmd:"" help:"Show pauses, limits, breakers and waiting alerts."`

	Page pageCmd `cmd:"" help:"Show runs, waiting alerts and limits in a browser."`

	Template templateCmd `cmd:"" help:"Print configuration for the sender of notifications."`

	Help       helpCmd       `cmd:"" help:"Show the help of a command."`
	Completion completionCmd `cmd:"" help:"Print the completion script of a shell."`
	Man        manCmd        `cmd:"" help:"Print the manual page amx(1)."`
}

const description = `amx runs commands when Prometheus alerts fire, and stops them when the alerts resolve.

  amx serve -f amx.yaml            # try it on this machine
  amx check amx.yaml               # is the configuration right?
  amx explain -f amx.yaml p.json   # what would this notification run?
  amx help cancel                  # flags and examples of a command`

func main() {
	if info, ok := debug.ReadBuildInfo(); ok {
		version = versionOf(version, info)
	}
	ctx, hurry := untilStopped()
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	os.Exit(run(ctx, os.Args[1:], stdio{os.Stdin, os.Stdout, os.Stderr, os.Environ(), hup, hurry}))
}

// untilStopped answers a context that ends with the first SIGINT or SIGTERM, and
// a channel that is closed at the second. The third does what it does by
// default.
func untilStopped() (ctx context.Context, hurry <-chan struct{}) {
	ctx, stop := context.WithCancel(context.Background())
	again := make(chan struct{})
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		stop()
		<-signals
		close(again)
		signal.Stop(signals)
	}()
	return ctx, again
}

// errNo is a plain no: what there is to say has been said.
var errNo = errors.New("no")

// usageError is an error of the call.
type usageError struct{ error }

func run(ctx context.Context, args []string, io stdio) (code int) {
	// kong leaves the process after --help and --version; a test must not.
	type left struct{ code int }
	defer func() {
		switch l := recover().(type) {
		case nil:
		case left:
			code = l.code
		default:
			panic(l)
		}
	}()
	parser, err := kong.New(&cli{},
		kong.Name("amx"), kong.Description(description), kong.Vars{"version": "amx " + version},
		kong.Writers(io.out, io.err), kong.Exit(func(code int) { panic(left{code}) }),
		kong.PostBuild(addExamples), kong.ExplicitGroups([]kong.Group{{Key: "where", Title: "Which amx:"}}),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(io))
	if err != nil {
		fmt.Fprintln(io.err, "amx:", err)
		return exitUsage
	}
	call, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(io.err, "amx: %v; see `amx --help`\n", err)
		return exitUsage
	}
	switch err := call.Run(); {
	case err == nil:
		return 0
	case errors.Is(err, errNo):
		return exitNo
	case errors.As(err, new(usageError)):
		fmt.Fprintln(io.err, "amx:", err)
		return exitUsage
	default:
		fmt.Fprintln(io.err, "amx:", err)
		return exitNo
	}
}
