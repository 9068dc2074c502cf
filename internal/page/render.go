package page

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"html/template"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/amx-lambda/amx/internal/history"
	"github.com/amx-lambda/amx/internal/operate"
)

// shell is the frame of every view.
type shell struct {
	Title, View    string
	Place, Version string
	Who            string // empty: nobody is logged in
	Said           *said
	Now            time.Time
	Seen           string // the digest of the view; empty: it does not change
	Again          bool   // load Back at once
	Back           string
	CanTry         bool
	Main           any
}

// A request is the request for a view.
type request struct {
	run   string // of the view of a run
	query url.Values
	now   time.Time
}

// A viewer loads the model of a view. The model has no value that changes with time alone,
// so its digest shows whether there is news.
type viewer struct {
	name, title string
	load        func(*Page, context.Context, request) (any, error)
	still       bool // it shows nothing that changes
}

var views = map[string]viewer{ // :: path → view
	"/":         {name: "now", title: "Now", load: (*Page).loadNow},
	"/runs":     {name: "runs", title: "Runs", load: (*Page).loadRuns},
	"/commands": {name: "commands", title: "Commands", load: (*Page).loadCommands},
	"/try":      {name: "try", title: "Try", load: (*Page).loadTry, still: true},
}

var runView = viewer{name: "run", title: "Run", load: (*Page).loadRun}

// find returns the view at a path.
func find(path string) (v viewer, run string, ok bool) {
	if v, ok = views[path]; ok {
		return v, "", true
	}
	run, ok = strings.CutPrefix(path, "/runs/")
	return runView, run, ok && run != "" && !strings.Contains(run, "/")
}

// view writes the view of a request.
func (p *Page) view(w http.ResponseWriter, r *http.Request, s *session) {
	v, run, ok := find(r.URL.Path)
	if !ok {
		p.problem(w, r, http.StatusNotFound, "There is no such page.")
		return
	}
	in := request{run: run, query: r.URL.Query(), now: p.Now()}
	model, err := v.load(p, r.Context(), in)
	if err != nil {
		p.failed(w, r, s, err)
		return
	}
	out := p.shell(v, s, in)
	if m, ok := model.(interface{ title() string }); ok {
		out.Title = m.title()
	}
	out.Main = model
	if m, ok := model.(interface{ still() bool }); !v.still && (!ok || !m.still()) {
		out.Seen = digest(model)
	}
	p.write(w, http.StatusOK, v.name, out)
}

func (p *Page) shell(v viewer, s *session, in request) shell {
	return shell{
		Title: v.title, View: v.name, Place: p.Place, Version: p.Version, Who: s.who, Said: p.sessions.heard(s),
		Now: in.now, CanTry: p.Explain != nil,
	}
}

// digest changes when the model changes.
func digest(model any) string {
	h := fnv.New64a()
	if err := json.NewEncoder(h).Encode(model); err != nil {
		return ""
	}
	return fmt.Sprintf("%016x", h.Sum64())
}

// failed writes why a view or an action did not work.
func (p *Page) failed(w http.ResponseWriter, r *http.Request, s *session, err error) {
	status := http.StatusInternalServerError
	switch {
	case errors.As(err, new(operate.InvalidError)), errors.As(err, new(queryError)):
		status = http.StatusBadRequest
	case errors.Is(err, history.ErrNotFound):
		status = http.StatusNotFound
	case errors.Is(err, operate.ErrNothing):
		status = http.StatusConflict
	default:
		p.Log.ErrorContext(r.Context(), "page", "path", r.URL.Path, "error", err.Error())
	}
	p.write(w, status, "problem", shell{
		Title: "Not found", View: "problem", Place: p.Place, Version: p.Version, Who: s.who, Now: p.Now(), CanTry: p.Explain != nil,
		Main: problemModel{sentence(err.Error())},
	}.titled(status))
}

func (s shell) titled(status int) shell {
	if status != http.StatusNotFound {
		s.Title = "That did not work"
	}
	return s
}

type problemModel struct{ Text string }

// problem writes to the client why a request is refused.
func (p *Page) problem(w http.ResponseWriter, r *http.Request, status int, text string) {
	s := shell{Title: "Not found", View: "problem", Place: p.Place, Version: p.Version, Now: p.Now(), Main: problemModel{text}}
	p.write(w, status, "problem", s.titled(status))
}

// write writes a template whole, or an error: never half of one.
func (p *Page) write(w http.ResponseWriter, status int, name string, s shell) {
	var text bytes.Buffer
	if err := templates()[name].Execute(&text, s); err != nil {
		p.Log.Error("page", "view", name, "error", err.Error())
		http.Error(w, "amx: this page cannot be shown; its log says why", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, Plain(text.String())) // the browser has gone
}

// templates has each view, in the layout. It parses them when the first page is shown,
// because most commands of the command line show none.
var templates = sync.OnceValue(func() map[string]*template.Template {
	out := map[string]*template.Template{}
	for _, name := range []string{"now", "runs", "run", "commands", "try", "login", "problem"} {
		t := template.New("layout.html").Funcs(Functions)
		out[name] = template.Must(t.ParseFS(assets, "assets/layout.html", "assets/parts.html", "assets/"+name+".html"))
	}
	return out
})
