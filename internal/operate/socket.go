package operate

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
)

// maxSocket is the longest path of a socket that every system takes.
const maxSocket = 100

// OnSocket returns a client for the amx serve with this socket.
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

// ListenSocket listens on a socket. Closing the listener removes the socket.
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

// short calls f with a path that is short enough for a socket. On Linux it reaches a
// longer path through a file that stands for its folder.
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
