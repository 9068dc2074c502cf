package page

import (
	"context"
	"net/http"
	"strings"

	"github.com/amx-lambda/amx/internal/amx"
)

// tryModel has a notification, and its effects.
type tryModel struct {
	Able      bool
	Body      string
	Subject   string
	Done      bool
	Explained []Explained
	Others    []string // commands that do not match
	Why       string   // why it is no notification
}

// loadTry fills the form with the alerts of a run, if the request names one.
func (p *Page) loadTry(ctx context.Context, in request) (any, error) {
	m := tryModel{Able: p.Explain != nil}
	run := in.query.Get("run")
	if run == "" {
		return m, nil
	}
	d, err := p.Operator.Run(ctx, run)
	if err != nil {
		return nil, err
	}
	data := amx.Data{Status: amx.Firing, Receiver: d.Source.Receiver, ExternalURL: d.Source.ExternalURL}
	for _, a := range d.Alerts {
		data.Alerts = append(data.Alerts, amx.Alert{
			Status: amx.Firing, Labels: a.Labels, Annotations: a.Annotations, StartsAt: a.StartsAt, GeneratorURL: a.GeneratorURL,
		})
	}
	m.Body, err = indented(data)
	return m, err
}

func (p *Page) try(w http.ResponseWriter, r *http.Request, s *session) {
	m := tryModel{Able: p.Explain != nil, Body: r.PostForm.Get("body"), Subject: r.PostForm.Get("subject"), Done: true}
	if m.Able {
		all, err := p.Explain(r.Context(), []byte(strings.ReplaceAll(m.Body, "\r\n", "\n")), m.Subject)
		if err != nil {
			m.Why = sentence(err.Error())
		}
		for _, e := range all {
			if e.Matches {
				m.Explained = append(m.Explained, e)
			} else {
				m.Others = append(m.Others, e.Command)
			}
		}
	}
	out := p.shell(views["/try"], s, request{now: p.Now()})
	out.Main = m
	p.write(w, http.StatusOK, "try", out)
}
