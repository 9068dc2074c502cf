// Package widget is amx in a dashboard of CloudWatch: the HTML of a custom widget,
// which a Lambda function answers with. It shows what runs, waits, is paused and
// ran, and has buttons where it may do something.
//
// Whatever an alert or a command says is text, as in [page]: html/template escapes
// it, and [page.Plain] makes control characters visible. CloudWatch removes scripts,
// so there is none; what a state means is in words, so that nothing depends on the
// style.
//
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/add_custom_widget_dashboard_about.html
package widget

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"github.com/amx-lambda/amx/internal/history"
	"github.com/amx-lambda/amx/internal/operate"
	"github.com/amx-lambda/amx/internal/page"
)

// Who is who did it, in records and logs: CloudWatch passes no user.
const Who = "CloudWatch console"

// LookBack is how far back the widget looks for what still goes on or waits: alerts
// wait for 4 days at most. The limits in the table show an older run as well.
const LookBack = 5 * 24 * time.Hour

// A Widget answers calls of dashboards. Viewer is required.
type Widget struct {
	Viewer operate.Viewer
	Actor  operate.Actor // nil: the widget only shows
	Place  string        // what the stack is called
	Log    *slog.Logger
	Now    func() time.Time
}

//go:embed assets/describe.md
var describe string

// Answer is what the dashboard shows: HTML, or the widget's documentation in
// Markdown where it is asked for. endpoint is the ARN that buttons call. The answer
// says what went wrong.
func (w *Widget) Answer(ctx context.Context, endpoint string, event json.RawMessage) string {
	e, err := decode(event)
	if err != nil {
		return w.problem(ctx, view{}, err)
	}
	v := view{Place: w.Place, Endpoint: endpoint, Control: w.Actor != nil, Dark: e.theme == "dark", zone: e.zone, Now: w.Now()}
	var out string
	switch {
	case e.describe:
		return describe
	case e.do != "":
		out, err = w.act(ctx, v, e)
	case e.run != "":
		out, err = w.run(ctx, v, e.run)
	default:
		v.Look, err = page.Look(ctx, w.Viewer, v.Now, LookBack)
		if err == nil {
			out, err = render("now", v)
		}
	}
	if err != nil {
		return w.problem(ctx, v, err)
	}
	return out
}

func (w *Widget) run(ctx context.Context, v view, run string) (string, error) {
	d, err := w.Viewer.Run(ctx, run)
	if err != nil {
		return "", err
	}
	v.Run = newRun(d)
	return render("run", v)
}

// problem is an error for people. Those that are not theirs are in the log, too.
func (w *Widget) problem(ctx context.Context, v view, err error) string {
	switch {
	case errors.As(err, new(refusal)), errors.As(err, new(operate.InvalidError)), errors.Is(err, operate.ErrNothing), errors.Is(err, history.ErrNotFound):
	default:
		w.Log.ErrorContext(ctx, "widget", "error", err.Error())
	}
	v.Said, v.Bad = err.Error(), true
	out, err := render("said", v)
	if err != nil { // the template is the package's own, and the tests render it
		return "amx: the widget cannot be shown"
	}
	return out
}
