package page

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/amx-lambda/amx/internal/history"
)

// quiet is how long a stream stays silent. A proxy may close a stream that is silent for
// longer.
const quiet = 15 * time.Second

// fullLook is how often a view looks at the latest runs before it looks at everything that
// it shows, which may take the records of a month.
const fullLook = 15

// pulse changes when the latest runs change, or the run of a view. It takes one small
// read.
func (p *Page) pulse(ctx context.Context, run string, now time.Time) (string, error) {
	if run != "" {
		d, err := p.Operator.Run(ctx, run)
		return digest(d), err
	}
	page, err := p.Operator.Runs(ctx, history.Query{Since: now.Add(-24 * time.Hour)})
	return digest(page.Records), err
}

// events is a stream of server-sent events for one open view. It sends `changed` with the
// view's new digest, if that differs from the digest that the page has.
func (p *Page) events(w http.ResponseWriter, r *http.Request) {
	if _, ok := p.sessions.of(r); !ok {
		http.Error(w, "log in first", http.StatusForbidden)
		return
	}
	of, err := url.Parse(r.URL.Query().Get("of"))
	if err != nil {
		http.Error(w, "of: want the address of a view", http.StatusBadRequest)
		return
	}
	v, run, ok := find(of.Path)
	if !ok || v.still {
		http.Error(w, "of: want the address of a view", http.StatusBadRequest)
		return
	}
	stream := http.NewResponseController(w)
	_ = stream.SetReadDeadline(time.Time{}) // the stream outlives the request; not every writer can
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	seen, spoke := r.URL.Query().Get("seen"), p.Now()
	if !send(w, stream, "retry: 5000\n\n") {
		return
	}
	var pulse string
	ticker := time.NewTicker(p.Every)
	defer ticker.Stop()
	for n := 0; ; n++ {
		select {
		case <-r.Context().Done():
			return
		case <-p.closed:
			return
		case <-ticker.C:
		}
		if _, ok := p.sessions.of(r); !ok {
			return
		}
		now := p.Now()
		text := ""
		// The next loading of the page shows an error.
		if beat, err := p.pulse(r.Context(), run, now); err == nil && (beat != pulse || n%fullLook == 0) {
			pulse = beat
			model, err := v.load(p, r.Context(), request{run: run, query: of.Query(), now: now})
			if d := digest(model); err == nil && d != seen {
				seen, text = d, fmt.Sprintf("event: changed\ndata: %s\n\n", d)
			}
		}
		if text == "" {
			if now.Sub(spoke) < quiet {
				continue
			}
			text = ": still here\n\n"
		}
		if spoke = now; !send(w, stream, text) {
			return
		}
	}
}

func send(w http.ResponseWriter, stream *http.ResponseController, text string) bool {
	_, err := w.Write([]byte(text))
	return err == nil && stream.Flush() == nil
}
