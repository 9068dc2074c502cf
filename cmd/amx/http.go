package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/app"
	"github.com/amx-lambda/amx/internal/operate"
	"github.com/amx-lambda/amx/internal/page"
	"github.com/amx-lambda/amx/internal/runner"
)

// newServer answers the webhook at every path but those of the server itself.
// accepts is nil where everybody is accepted.
func newServer(h *host, accepts func(context.Context, string) (*app.Token, error)) *http.Server {
	f := front{host: h, webhook: app.Webhook{Runner: h.runner, Reporter: h.reporter, AllowGet: true, Accepts: accepts, Truncated: h.metrics.cutOff}}
	if accepts == nil {
		f.origins = http.NewCrossOriginProtection()
	}
	healthy := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	h.page = h.newPage(accepts)
	server := h.listener(logged(paths{
		own: map[string]http.Handler{
			"GET /_health": healthy, "GET /-/healthy": healthy, "GET /-/ready": healthy,
			"GET /metrics":   h.metrics.handler(),
			"POST /-/reload": http.HandlerFunc(f.reload),
		},
		page:   h.page,
		api:    f.api(operate.Handler(h.operator, whoAsks, time.Now)),
		others: http.HandlerFunc(f.notify),
	}, h.log))
	server.RegisterOnShutdown(h.page.Close) // an open page would hold it up
	return server
}

// listener is a server of amx serve, which logs what is wrong with connections.
func (h *host) listener(handler http.Handler) *http.Server {
	server := limited(handler)
	server.ErrorLog = slog.NewLogLogger(h.log.Handler(), slog.LevelWarn)
	return server
}

// limited is a server whose callers hold no connection for ever, however slowly
// they send.
func limited(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
}

// paths chooses by method and path, as they were sent: http.ServeMux would answer
// a path such as // with a redirect.
type paths struct {
	own    map[string]http.Handler // :: method, space, path → handler; GET is HEAD, too
	page   *page.Page              // what it takes
	api    http.Handler            // all that begins with operate.Prefix
	others http.Handler
}

func (p paths) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	handler, ok := p.own[method+" "+r.URL.Path]
	switch {
	case ok:
	case strings.HasPrefix(r.URL.Path, operate.Prefix):
		handler = p.api
	case p.page.Takes(r):
		handler = p.page
	default:
		handler = p.others
	}
	handler.ServeHTTP(w, r)
}

// front is what a request may do.
type front struct {
	host    *host
	webhook app.Webhook
	origins *http.CrossOriginProtection // nil where a token says who may send
}

// elsewhere answers the refusal of a request that a browser sends for a page of
// another origin; nil for any other. Without it every page that is open on this
// machine could run the commands, because it reaches loopback as its user does.
func (f front) elsewhere(r *http.Request) *app.Response {
	if f.origins == nil || f.origins.Check(r) == nil {
		return nil
	}
	return &app.Response{Status: http.StatusForbidden, Body: errorBody(
		"a web page of another origin sent this, and no token says that it may: start amx serve with --token-file to accept whoever has one")}
}

// notify answers the webhook.
func (f front) notify(w http.ResponseWriter, r *http.Request) {
	// This configuration decides: the answer may be hours and reloads away.
	cfg := f.host.current.Load()
	in := &incoming{Reader: r.Body}
	webhook := f.webhook
	webhook.Observe = func(r app.Response, a runner.Answer) { f.host.metrics.observe(cfg, in.cut, r, a) }
	if refusal := f.elsewhere(r); refusal != nil {
		webhook.Observe(*refusal, runner.Answer{})
		reply(w, *refusal)
		return
	}
	body, method := io.Reader(in), r.Method
	if method == http.MethodGet {
		// prometheus-am-executor takes GET with a body, and its own example
		// sends it. Without one it is somebody who looks.
		if first := make([]byte, 1); readOne(in, first) {
			body = io.MultiReader(bytes.NewReader(first), in)
		} else {
			method = "" // refused, as any other that sends no notification
		}
	}
	seen := io.Discard
	var text bytes.Buffer
	if f.host.log.Enabled(r.Context(), slog.LevelDebug) {
		seen = &text
	}
	// A caller that hangs up must not stop what has begun.
	answer := webhook.Serve(context.WithoutCancel(r.Context()), app.Request{
		Method: method, Authorization: r.Header.Get("Authorization"), Body: io.TeeReader(body, seen),
	})
	if text.Len() > 0 { // it was read, so that its sender was accepted
		f.host.log.DebugContext(r.Context(), "message", "status", answer.Status, "body", amx.WithoutRoutingKeys(text.String()))
	}
	reply(w, answer)
}

// incoming is a body that knows whether its reading failed.
type incoming struct {
	io.Reader
	cut bool
}

func (b *incoming) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	b.cut = b.cut || err != nil && !errors.Is(err, io.EOF)
	return n, err
}

// reload reads the configuration again, for who may send notifications.
func (f front) reload(w http.ResponseWriter, r *http.Request) {
	refusal := f.elsewhere(r)
	if refusal == nil {
		_, refusal = f.webhook.Authenticate(r.Context(), r.Header.Get("Authorization"))
	}
	if refusal != nil {
		reply(w, *refusal)
		return
	}
	if err := f.host.reloadNow(); err != nil {
		reply(w, app.Response{Status: http.StatusInternalServerError, Body: errorBody(err.Error())})
		return
	}
	reply(w, app.Response{Status: http.StatusOK, Body: []byte("{}\n")})
}

func errorBody(message string) []byte {
	text, _ := json.Marshal(map[string]string{"error": message}) // a text always marshals
	return append(text, '\n')
}

func reply(w http.ResponseWriter, a app.Response) {
	w.Header().Set("Content-Type", "application/json")
	switch a.Status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Bearer realm="amx"`)
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", http.MethodPost)
	}
	w.WriteHeader(a.Status)
	_, _ = w.Write(a.Body) // a caller that has gone misses it; what it asked for is done and logged
}

func readOne(r io.Reader, b []byte) bool {
	n, _ := io.ReadFull(r, b)
	return n == 1
}

// logged writes a line for each request, once it is answered.
func logged(next http.Handler, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := time.Now()
		s := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(s, r)
		level := slog.LevelInfo
		if r.Method == http.MethodGet && s.status == http.StatusOK {
			level = slog.LevelDebug // health checks and scrapes
		}
		log.Log(r.Context(), level, "request", "method", r.Method, "path", r.URL.Path, "status", s.status,
			"remote", r.RemoteAddr, "duration", time.Since(begun).Round(time.Microsecond))
	})
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (s *statusWriter) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}

// Unwrap gives http.ResponseController the writer beneath.
func (s *statusWriter) Unwrap() http.ResponseWriter { return s.ResponseWriter }
