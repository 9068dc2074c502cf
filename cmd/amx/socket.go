package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/user"
	"strconv"
	"time"

	"github.com/amx-lambda/amx/internal/app"
	"github.com/amx-lambda/amx/internal/operate"
)

// caller is the context's key of who asks the operator's interface.
type caller struct{}

// whoAsks names the caller of a request that was let in.
func whoAsks(r *http.Request) string {
	who, _ := r.Context().Value(caller{}).(string)
	return who
}

// serveSocket serves the operator's interface at the socket beside the ledger,
// for the user of this process and root, until stop is called. The ledger's lock
// proves that a socket that is there is a dead process's.
func (h *host) serveSocket(path string) (stop func(), err error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("removing the socket of an earlier process: %w", err)
	}
	l, err := operate.ListenSocket(path)
	if err != nil {
		return nil, fmt.Errorf("listening on the operator's socket: %w", err)
	}
	// Whoever connects before this is checked all the same.
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("closing the operator's socket to others: %w", err), l.Close())
	}
	server := h.listener(onlyUser(operate.Handler(h.operator, whoAsks, time.Now), os.Getuid()))
	server.ConnContext = func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, peer{}, c) }
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			h.log.Error("serving the operator's socket", "error", err.Error())
		}
	}()
	// Closing the listener removes the socket. Both may be closed already.
	return func() { _, _ = server.Close(), l.Close() }, nil
}

// peer is the context's key of a request's connection.
type peer struct{}

// onlyUser lets in the process's own user and root, by their names.
func onlyUser(next http.Handler, own int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _ := r.Context().Value(peer{}).(*net.UnixConn)
		uid, err := peerUser(c)
		switch {
		case err != nil:
			reply(w, app.Response{Status: http.StatusInternalServerError, Body: errorBody("cannot tell which user is asking: " + err.Error())})
		case uid != own && uid != 0:
			reply(w, app.Response{Status: http.StatusForbidden, Body: errorBody("the socket is for the user that runs amx serve, and root")})
		default:
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), caller{}, userName(uid))))
		}
	})
}

// userName is the name of a user of this machine.
func userName(uid int) string {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.Username
	}
	return "uid " + strconv.Itoa(uid)
}

// noOperator says why a token that is accepted may not act as an operator.
func noOperator(token string) string {
	return fmt.Sprintf("the token %q can send notifications and nothing else: add the word operator to its line of the token file", token)
}

// api serves the operator's interface on the listener, for operators' tokens.
func (f front) api(next http.Handler) http.Handler {
	refuse := func(w http.ResponseWriter, message string) {
		reply(w, app.Response{Status: http.StatusForbidden, Body: errorBody(message)})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f.webhook.Accepts == nil {
			refuse(w, "without tokens the operator's interface is only on the socket next to the ledger: start amx serve with --token-file, and add the word operator to a token's line")
			return
		}
		token, refusal := f.webhook.Authenticate(r.Context(), r.Header.Get("Authorization"))
		switch {
		case refusal != nil:
			reply(w, *refusal)
		case !token.Operator:
			refuse(w, noOperator(token.Name))
		default:
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), caller{}, token.Name)))
		}
	})
}
