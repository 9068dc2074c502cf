package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal is a terminal of that many columns: what a program writes to it is read
// from out.
func terminal(t *testing.T, columns uint16) (tty, out *os.File) {
	t.Helper()
	out, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { out.Close() })
	fd := int(out.Fd())
	number, err := unix.IoctlGetUint32(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns})
	}
	if err == nil {
		tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tty.Close() })
	return tty, out
}

// On a terminal states have their colours, and a table has the terminal's width.
func TestATerminalHasColours(t *testing.T) {
	account := newServices(t, nil)
	account.setenv(t)
	account.enterRuns(t)
	for _, tt := range []struct {
		name, noColor string
		columns       uint16
		want          string
	}{
		{"80 columns", "", 80, `^\S{26}  \x1b\[31mfailed   \x1b\[0m  .*restart.* Down web-1$`},
		{"NO_COLOR", "NO_COLOR=1", 80, `^\S{26}  failed     .*restart.* Down web-1$`},
		{"60 columns have no room for the alert", "NO_COLOR=1", 60, `^\S{26}  failed     5m    1m 5s    restart$`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tty, out := terminal(t, tt.columns)
			ended := make(chan int, 1)
			go func() {
				ended <- run(context.Background(), []string{"runs", "--stack", account.stack, "--state", "failed"}, stdio{out: tty, err: tty, env: []string{tt.noColor}})
			}()
			lines := bufio.NewScanner(out)
			for range 2 { // the head, and the one run that failed
				if !lines.Scan() {
					t.Fatal(lines.Err())
				}
			}
			line := strings.TrimSuffix(lines.Text(), "\r")
			if !regexp.MustCompile(tt.want).MatchString(line) {
				t.Errorf("%q, want %s", line, tt.want)
			}
			if code := <-ended; code != 0 {
				t.Errorf("exit %d", code)
			}
		})
	}
}
