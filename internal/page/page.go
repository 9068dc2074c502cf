// Package page shows amx in a browser: the runs, the alerts that wait, the reasons, and
// buttons to cancel, pause and resume. It makes HTML on the server, which works without
// JavaScript. A short script keeps an open page up to date.
//
// Text of an alert or a command stays text: html/template escapes it, [Plain] makes
// control characters visible, and the Content-Security-Policy allows only the package's
// own script.
package page

import (
	"context"
	"embed"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/operate"
)

// Options say what a page shows, and who may see it. Operator is required. If another
// field is nil, the page does not show its part.
type Options struct {
	Operator operate.Operator
	// Config is the configuration in use.
	Config func(context.Context) (Configuration, error)
	// Explain says what a notification would do, without doing it.
	Explain func(ctx context.Context, body []byte, subject string) ([]Explained, error)
	// Sent returns the script or parameters that the nodes got under a command ID.
	Sent func(ctx context.Context, commandID string) (Sent, error)

	// Login returns the name of the operator with this token. The page shows its error,
	// which says why the token is refused.
	Login func(ctx context.Context, token string) (who string, err error)
	// Key opens the page, only on loopback, if Login is nil.
	Key string
	// Who is the caller's name if Login is nil.
	Who string

	Version string
	Place   string        // what is shown: a host, a stack
	Every   time.Duration // how often an open page looks for news; 0: every 2 s
	Log     *slog.Logger  // nil: none
	Now     func() time.Time
}

// A Configuration with the time since which it is in use.
type Configuration struct {
	*amx.Config
	Since time.Time // zero: not known
}

// Explained says what a notification would do to one command.
type Explained struct {
	Command string
	Matches bool
	Text    string
}

// Sent is a command as the nodes have it.
type Sent struct {
	Document   string
	Script     string // empty: there is none
	Parameters string // where there is no script, a line each
}

// Page is the handler. Close ends the streams of open pages.
type Page struct {
	Options
	sessions sessions
	stats    statistics

	closing sync.Once
	closed  chan struct{}
}

// New makes a page.
func New(o Options) *Page {
	if o.Every == 0 {
		o.Every = 2 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Page{Options: o, sessions: sessions{now: o.Now}, closed: make(chan struct{})}
}

// Close ends the streams of open pages, for a server that shuts down.
func (p *Page) Close() { p.closing.Do(func() { close(p.closed) }) }

// Prefix begins the paths that are not views: assets and actions.
const Prefix = "/-/page/"

// Takes reports whether a request is for the page: a browser's GET of a view, or any
// request under [Prefix]. The server handles all other requests, at the same paths. A GET
// with a body does not come from a browser.
func (p *Page) Takes(r *http.Request) bool {
	if strings.HasPrefix(r.URL.Path, Prefix) {
		return true
	}
	_, _, ok := find(r.URL.Path)
	return ok && (r.Method == http.MethodGet || r.Method == http.MethodHead) && r.ContentLength == 0 &&
		strings.Contains(r.Header.Get("Accept"), "text/html")
}

//go:embed assets
var assets embed.FS

// policy lets a page load the package's own files, and nothing else. There is no
// inline script or style that it would have to allow.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// ServeHTTP answers the requests that [Page.Takes] takes.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin") // with no-referrer a form's Origin would be null
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	if p.Login == nil {
		if why := notLoopback(r); why != "" {
			p.problem(w, r, http.StatusForbidden, why)
			return
		}
	}
	if r.Method == http.MethodPost {
		if !sameOrigin(r) {
			p.problem(w, r, http.StatusForbidden, "This was sent from a page of another origin. Nothing was done.")
			return
		}
		p.post(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD, POST")
		p.problem(w, r, http.StatusMethodNotAllowed, "The page takes GET and POST.")
		return
	}
	p.get(w, r)
}

func (p *Page) get(w http.ResponseWriter, r *http.Request) {
	name, under := strings.CutPrefix(r.URL.Path, Prefix)
	switch {
	case under && name == "login":
		p.loginForm(w, r, http.StatusOK, "")
	case under && name == "events":
		p.events(w, r)
	case under:
		p.asset(w, r, name)
	case p.Login == nil && r.URL.Query().Has("key"):
		p.openByKey(w, r)
	default:
		s, ok := p.sessions.of(r)
		if !ok {
			http.Redirect(w, r, loginURL(r.URL.RequestURI()), http.StatusSeeOther)
			return
		}
		p.view(w, r, s)
	}
}

// asset is a file that everybody may read: it is the same on every server.
func (p *Page) asset(w http.ResponseWriter, r *http.Request, name string) {
	switch name {
	case "style.css", "script.js", "icon.svg":
		w.Header().Set("Cache-Control", "no-cache")
		files, _ := fs.Sub(assets, "assets") // the name is valid
		http.ServeFileFS(w, r, files, name)
	default:
		p.problem(w, r, http.StatusNotFound, "There is no such page.")
	}
}

func (p *Page) post(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		p.problem(w, r, http.StatusBadRequest, "The form cannot be read: "+err.Error())
		return
	}
	name := strings.TrimPrefix(r.URL.Path, Prefix)
	if name == "login" {
		p.login(w, r)
		return
	}
	s, ok := p.sessions.of(r)
	if !ok {
		p.problem(w, r, http.StatusForbidden, "You are not logged in any more. Nothing was done: log in, and do it again.")
		return
	}
	switch name {
	case "logout":
		p.sessions.end(w, r)
		http.Redirect(w, r, Prefix+"login", http.StatusSeeOther)
	case "cancel", "pause", "resume":
		p.act(w, r, s, name)
	case "try":
		p.try(w, r, s)
	default:
		p.problem(w, r, http.StatusNotFound, "There is no such page.")
	}
}
