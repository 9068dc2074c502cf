// Command demo shows the main job of amx on this machine, without AWS: an alert
// comes in, its command runs, and stops when the alert resolves. It starts the
// built binary with examples/ in a temporary folder, sends what Alertmanager
// would send, and checks all that it shows: a wrong answer is an error.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// patience is how long the whole demonstration may take.
const patience = 25 * time.Second

func main() {
	// Whoever reads the output may leave, as `head` does: SIGPIPE too must
	// leave no process and no folder behind.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr, colorful(os.Stdout, os.Getenv)))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer, color bool) int {
	if len(args) != 1 {
		fmt.Fprintln(stderr, "usage: demo AMX; AMX is the built binary, and examples/ is in the working directory")
		return 2
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := demonstrate(ctx, args[0], "examples", page{out: stdout, color: color}); err != nil {
		fmt.Fprintln(stderr, "demo:", err)
		return 1
	}
	return 0
}

// demonstrate goes through the steps, and leaves nothing behind however it ends.
func demonstrate(ctx context.Context, binary, examples string, p page) error {
	begun := time.Now()
	dir, err := os.MkdirTemp("", "amx-demo-")
	if err != nil {
		return fmt.Errorf("making a temporary folder: %w", err)
	}
	err = inFolder(ctx, binary, examples, dir, p)
	if left := os.RemoveAll(dir); left != nil {
		err = errors.Join(err, fmt.Errorf("removing the temporary folder: %w", left))
	}
	if err != nil {
		return err
	}
	p.line("Done in %.1f s, and nothing is left behind. To go on: %s serve -f examples/amx.yaml", time.Since(begun).Seconds(), binary)
	return nil
}

func inFolder(ctx context.Context, binary, examples, dir string, p page) error {
	if err := os.CopyFS(dir, os.DirFS(examples)); err != nil {
		return fmt.Errorf("copying the examples: %w", err)
	}
	a, err := start(ctx, binary, dir)
	if err != nil {
		return err
	}
	d := &demo{amx: a, page: p, dir: dir}
	err = d.steps(ctx)
	stopped := a.stop()
	d.killWatcher()
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return errors.New("interrupted")
	case err != nil || stopped != nil:
		return a.withLog(errors.Join(err, stopped))
	}
	return nil
}
