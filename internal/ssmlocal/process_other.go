//go:build unix && !linux

package ssmlocal

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

func localSystem() system {
	for _, name := range []string{"kern.bootsessionuuid", "kern.boottime"} { // the first is macOS's
		if out, err := exec.Command("sysctl", "-n", name).Output(); err == nil {
			return system{boot: strings.TrimSpace(string(out)), startTime: psStartTime}
		}
	}
	return system{startTime: psStartTime}
}

// psStartTime is when pid started, to the second, unless it is a zombie.
func psStartTime(pid int) (string, bool) {
	cmd := exec.Command("ps", "-o", "stat=", "-o", "lstart=", "-p", strconv.Itoa(pid))
	cmd.Env = []string{"PATH=/bin:/usr/bin", "LC_ALL=C", "TZ=UTC"}
	out, err := cmd.Output()
	state, start, found := strings.Cut(strings.TrimSpace(string(out)), " ")
	if err != nil || !found || strings.HasPrefix(state, "Z") {
		return "", false
	}
	return strings.TrimSpace(start), true
}

// waitExit waits until the child pid has ended, and leaves it to be reaped.
// If kqueue does not know the process, it has ended already.
func waitExit(pid int) {
	kq, err := unix.Kqueue()
	if err != nil {
		return // then reapChild waits, with the lock held
	}
	defer unix.Close(kq)
	var change, got [1]unix.Kevent_t
	unix.SetKevent(&change[0], pid, unix.EVFILT_PROC, unix.EV_ADD|unix.EV_ONESHOT)
	change[0].Fflags = unix.NOTE_EXIT
	for {
		_, err := unix.Kevent(kq, change[:], got[:], nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// onlyOurs returns an error, because such a system cannot tell.
func onlyOurs(*os.File) error { return errors.ErrUnsupported }
