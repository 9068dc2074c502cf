package ssmlocal

import (
	"os"
	"os/signal"
	"syscall"
)

// heedSignals lets commands have the signals that this process was started to
// ignore, as nohup and a shell's & do. Processes pass on what they ignore, but not
// what they catch: without this a command could not be ended by such a signal.
func heedSignals() {
	for _, s := range []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT} {
		if signal.Ignored(s) {
			signal.Notify(make(chan os.Signal, 1), s) // nobody reads it: it is still without effect here
		}
	}
}
