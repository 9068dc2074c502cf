package ssmlocal

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

func localSystem() system {
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id") // without it no process is adopted
	release, _ := os.ReadFile("/etc/os-release")
	sys := system{boot: strings.TrimSpace(string(boot)), startTime: procStartTime}
	sys.platform, sys.version = osRelease(string(release))
	return sys
}

// osRelease reads NAME and VERSION_ID of os-release(5).
func osRelease(text string) (name, version string) {
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		value = strings.Trim(value, `"'`)
		switch key {
		case "NAME":
			name = value
		case "VERSION_ID":
			version = value
		}
	}
	return name, version
}

// procStartTime is field 22 of /proc/<pid>/stat, in clock ticks since boot.
// The name in field 2 may contain anything, so fields are counted after its
// closing parenthesis. A zombie counts as over, even if nobody has reaped it yet.
func procStartTime(pid int) (string, bool) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return "", false
	}
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(f) < 20 || f[0][0] == 'Z' || f[0][0] == 'X' {
		return "", false
	}
	return string(f[19]), true
}

// waitExit waits until the child pid has ended, and leaves it to be reaped.
func waitExit(pid int) {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// onlyOurs returns an error if another process has f open. Linux grants a write lease only
// if nobody else has the file open (fcntl(2), F_SETLEASE).
func onlyOurs(f *os.File) error {
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
		return err
	}
	_, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_UNLCK)
	return err
}
