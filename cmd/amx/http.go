package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/amx-lambda/amx/internal/app"
)

// newServer answers the webhook at every path but those of the server itself.
func newServer(w *app.Webhook, log *slog.Logger) *http.Server {
	mux := http.NewServeMux()
	for _, path := range []string{"/_health", "/-/healthy", "/-/ready"} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "ok\n")
		})
	}
	mux.HandleFunc("/", func(rw http.ResponseWriter, r *http.Request) {
		// A caller that hangs up must not stop what has begun.
		ctx := context.WithoutCancel(r.Context())
		body, method := io.Reader(r.Body), r.Method
		if method == http.MethodGet {
			// prometheus-am-executor takes GET with a body, and its own example
			// sends it. Without one it is somebody who looks.
			if first := make([]byte, 1); readOne(r.Body, first) {
				body = io.MultiReader(bytes.NewReader(first), r.Body)
			} else {
				method = "GET without a body"
			}
		}
		a := w.Serve(ctx, app.Request{Method: method, Authorization: r.Header.Get("Authorization"), Body: body})
		rw.Header().Set("Content-Type", "application/json")
		switch a.Status {
		case http.StatusUnauthorized:
			rw.Header().Set("WWW-Authenticate", `Bearer realm="amx"`)
		case http.StatusMethodNotAllowed:
			rw.Header().Set("Allow", http.MethodPost)
		}
		rw.WriteHeader(a.Status)
		_, _ = rw.Write(a.Body) // the caller has gone; what it asked for is done and logged
	})
	return &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

func readOne(r io.Reader, b []byte) bool {
	n, _ := io.ReadFull(r, b)
	return n == 1
}
