package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/amx-lambda/amx/internal/ssmlocal"
)

// parseNodes reads the values of --node, each an instance ID and, after commas,
// tag:NAME=VALUE, ip=ADDRESS or host=NAME. The local node is there beside those
// that are named: commands without targets run on it.
func parseNodes(specs []string, hostname string) ([]ssmlocal.Node, error) {
	nodes := []ssmlocal.Node{{ID: ssmlocal.LocalNode, Name: hostname}}
	seen := map[string]bool{}
	for _, spec := range specs {
		id, rest, _ := strings.Cut(spec, ",")
		n := ssmlocal.Node{ID: id, Name: hostname, Tags: map[string]string{}}
		if !ssmlocal.IsInstanceID(id) {
			return nil, usageError{fmt.Errorf("--node %q: %q is not an instance ID: write i-0123456789abcdef0,tag:Role=web", spec, id)}
		}
		if seen[id] {
			return nil, usageError{fmt.Errorf("--node %q: %s is named twice: give it all its tags at once", spec, id)}
		}
		seen[id] = true
		for part := range strings.SplitSeq(rest, ",") {
			if rest == "" {
				break
			}
			key, value, ok := strings.Cut(part, "=")
			tag, isTag := strings.CutPrefix(key, "tag:")
			switch {
			case ok && isTag && tag != "":
				n.Tags[tag] = value
			case ok && key == "ip" && net.ParseIP(value) != nil:
				n.Address = value
			case ok && key == "host" && value != "":
				n.Name = value
			default:
				return nil, usageError{fmt.Errorf("--node %q: %q is not tag:NAME=VALUE, ip=ADDRESS or host=NAME", spec, part)}
			}
		}
		if id == ssmlocal.LocalNode {
			nodes[0] = n
			continue
		}
		nodes = append(nodes, n)
	}
	return nodes, nil
}

// nodes are those of --node, and the local node.
func (c *serveCmd) nodes() ([]ssmlocal.Node, error) {
	hostname, err := os.Hostname()
	if err != nil {
		hostname = "localhost" // it only shows
	}
	return parseNodes(c.Node, hostname)
}

// checkSSMListen refuses an address that other machines can reach.
func checkSSMListen(address string) error {
	if address == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return usageError{fmt.Errorf("--ssm-listen %q: %w; write 127.0.0.1:PORT", address, err)}
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return usageError{fmt.Errorf("--ssm-listen %q can be reached from other machines: write 127.0.0.1:PORT", address)}
	}
	return nil
}

// serveSSM lets other programs use Run Command and Parameter Store here, until
// ctx ends or stop is called, and tells out what they need, in the form of lines
// for a shell. They sign with a credential that is new at each start, so that a
// program of another user, who can reach the port, still cannot use it.
func (h *host) serveSSM(ctx context.Context, address string, out io.Writer) (stop func(), err error) {
	if address == "" {
		return func() {}, nil
	}
	credential, err := ssmlocal.NewCredential(rand.Reader)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening for --ssm-listen on %q: %w", address, err)
	}
	server := h.listener(loggedSSM(h.ssm.Signed(credential), h.log))
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			h.log.ErrorContext(ctx, "serving --ssm-listen", "error", err.Error())
		}
	}()
	// No call waits for a command, so there is nothing to drain: what programs
	// have sent ends as every other command does.
	stop = func() { _ = server.Close() } // a caller that is cut off asks again
	context.AfterFunc(ctx, stop)
	fmt.Fprintf(out, "export AWS_ACCESS_KEY_ID=%s AWS_SECRET_ACCESS_KEY=%s\n", credential.AccessKeyID, credential.SecretAccessKey)
	fmt.Fprintf(out, "export AWS_ENDPOINT_URL_SSM=http://%s AWS_DEFAULT_REGION=local\n", l.Addr())
	return stop, nil
}

// loggedSSM writes a line for each call: those that change something are news,
// the others are asked often.
func loggedSSM(next http.Handler, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := time.Now()
		s := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(s, r)
		operation := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AmazonSSM.")
		level := slog.LevelDebug
		if s.status != http.StatusOK || operation == "SendCommand" || operation == "CancelCommand" || operation == "PutParameter" {
			level = slog.LevelInfo
		}
		log.Log(r.Context(), level, "ssm request", "operation", operation, "status", s.status,
			"remote", r.RemoteAddr, "duration", time.Since(begun).Round(time.Microsecond))
	})
}
