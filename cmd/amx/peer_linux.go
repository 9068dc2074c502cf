package main

import (
	"errors"
	"net"

	"golang.org/x/sys/unix"
)

// peerUser is the user ID of the process at the other end of a socket, as the
// kernel knows it.
func peerUser(c *net.UnixConn) (int, error) {
	if c == nil {
		return 0, errors.New("not a socket")
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) {
		cred, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err := errors.Join(err, failed); err != nil {
		return 0, err
	}
	return int(cred.Uid), nil
}
