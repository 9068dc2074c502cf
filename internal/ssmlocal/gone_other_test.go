//go:build unix && !linux

package ssmlocal

import "testing"

// waitGone waits until a process has ended, whoever's child it is.
func waitGone(_ *testing.T, pid int) { waitExit(pid) }
