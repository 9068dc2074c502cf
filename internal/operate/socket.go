package operate

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
)

// maxSocket is the length of a socket's path that every system takes.
const maxSocket = 100

// OnSocket is the client of the amx serve whose socket this is.
func OnSocket(path string) *Client {
	dial := func(ctx context.Context, _, _ string) (c net.Conn, err error) {
		err = short(path, func(path string) error {
			c, err = new(net.Dialer).DialContext(ctx, "unix", path)
			return err
		})
		return c, err
	}
	return &Client{Base: "http://amx", HTTP: &http.Client{Transport: &http.Transport{DialContext: dial}}}
}

// ListenSocket listens on a socket. Who closes the listener removes it.
func ListenSocket(path string) (l net.Listener, err error) {
	err = short(path, func(path string) error {
		l, err = net.Listen("unix", path)
		return err
	})
	if err == nil {
		l.(*net.UnixListener).SetUnlinkOnClose(false) // the short path may be gone by then
		l = socket{l, path}
	}
	return l, err
}

type socket struct {
	net.Listener
	path string
}

func (s socket) Close() error {
	_ = os.Remove(s.path) // the next process removes it, too
	return s.Listener.Close()
}

// short calls f with a path that the system takes for a socket: one that is too
// long is reached through its folder, where Linux has that as a file.
func short(path string, f func(path string) error) error {
	if len(path) <= maxSocket {
		return f(path)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return f(fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)))
}
