package ssmexec

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// mounted gives the directory a file system of its own until the test ends.
func mounted(t *testing.T, dir, options string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("mounting a tmpfs: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
}

func remount(t *testing.T, dir string, flags uintptr) {
	t.Helper()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT|flags, ""); err != nil {
		t.Fatal(err)
	}
}

// fill leaves no room for another byte.
func fill(t *testing.T, dir string) (ballast string) {
	t.Helper()
	ballast = filepath.Join(dir, "ballast")
	f, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	return ballast
}

func TestAFullDiskMovesTheGuard(t *testing.T) {
	eachShell(t, func(t *testing.T, n *node) {
		mounted(t, n.state, "size=64k")
		ballast := fill(t, n.state)
		text := runOf(t, once("3"))
		n.wantRun(t, cmd0, text, "done\n", 3)
		if _, err := os.Lstat(filepath.Join(n.full, "runs", runA)); err != nil {
			t.Errorf("the guard: %v", err)
		}
		n.wantRun(t, cmd1, text, "amx: already run here, exit 3\n", 3)
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		n.wantRun(t, cmd0, text, "amx: already run here, exit 3\n", 3)
		n.wantRun(t, cmd2, text, "amx: already run here, exit 3\n", 3)
		n.wantRun(t, cmd2, text, "amx: already run here, exit 3\n", 3)
		n.wantEffects(t, 1)
	})
}

func TestADiskThatFillsUpMeanwhileKeepsTheExitCode(t *testing.T) {
	eachShell(t, func(t *testing.T, n *node) {
		mounted(t, n.state, "size=64k")
		text := runOf(t, held)
		first := n.start(t, cmd0, text)
		first.line()
		fill(t, n.state)
		n.wantRun(t, cmd1, text, "amx: runs here: "+cmd0+"\n", 0)
		if _, code := first.end(); code != 5 {
			t.Errorf("the first pass ended with exit %d, want 5", code)
		}
		n.wantRun(t, cmd1, text, "amx: already run here, exit 5\n", 5)
		n.wantEffects(t, 1)
	})
}

// One of two passes finds the disk full, the other finds room again.
func TestRoomAgainBetweenTwoPasses(t *testing.T) {
	eachShell(t, func(t *testing.T, n *node) {
		mounted(t, n.state, "size=64k")
		ballast := fill(t, n.state)
		text := runOf(t, held)
		first := n.start(t, cmd0, text)
		first.line()
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		// As a pass would that had looked into /run/amx just before.
		late := strings.Replace(text, `if [ -L "$amx_full/runs/$amx_run" ]; then amx_dir=$amx_full; fi`, "", 1)
		n.wantRun(t, cmd1, late, "amx: runs here: "+cmd0+"\n", 0)
		first.end()

		fill(t, n.state)
		other := strings.ReplaceAll(runOf(t, once("0")), runA, "01JD8Z5T3M6Q9W2X4Y7B0C1D2F")
		// As if room came, and another pass took the run, after this one's try.
		other = strings.Replace(other, "  amx_take \"$amx_full\"\n",
			"  amx_take \"$amx_full\"\n  mkdir -p \"$amx_dir/runs\"; ln -sn "+cmd2+" \"$amx_dir/runs/$amx_run\"; ln -sn 7 \"$amx_dir/runs/$amx_run.exit\"; false; (exit 0)\n", 1)
		n.wantRun(t, cmd1, other, "amx: already run here, exit 7\n", 7)
		n.wantEffects(t, 1)
	})
}

func TestNoGuardNoRun(t *testing.T) {
	nobody := &syscall.Credential{Uid: 65534, Gid: 65534}
	for _, tt := range []struct {
		name  string
		setUp func(t *testing.T, n *node)
	}{
		{"a read-only file system", func(t *testing.T, n *node) {
			mounted(t, n.state, "size=64k")
			remount(t, n.state, syscall.MS_RDONLY)
		}},
		{"another user's directory", func(t *testing.T, n *node) {
			if os.Getuid() == 0 {
				n.as = nobody
			}
			if err := errors.Join(os.Mkdir(n.state, 0o555), os.Chmod(n.work, 0o777)); err != nil {
				t.Fatal(err)
			}
		}},
		{"no directory, and none can be made", func(t *testing.T, n *node) {
			mounted(t, n.state, "size=64k")
			remount(t, n.state, syscall.MS_RDONLY)
			n.env[2] += "/deeper/still"
		}},
		{"a full disk, and no way to /run/amx", func(t *testing.T, n *node) {
			mounted(t, n.state, "size=64k")
			fill(t, n.state)
			mounted(t, n.full, "size=64k")
			remount(t, n.full, syscall.MS_RDONLY)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			eachShell(t, func(t *testing.T, n *node) {
				tt.setUp(t, n)
				p := n.start(t, cmd0, runOf(t, once("0")))
				out, code := p.end()
				want := "amx: cannot write " + strings.TrimPrefix(n.env[2], "AMX_STATE_DIR=") + "/runs, so this run is not started\n"
				if out != "" || code != 1 || p.stderr.String() != want {
					t.Errorf("printed %q, exit %d, standard error %q\nwant standard error %q, exit 1", out, code, &p.stderr, want)
				}
				n.wantEffects(t, 0)
			})
		})
	}
}
