package widget

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/amx-lambda/amx/internal/history"
	"github.com/amx-lambda/amx/internal/operate"
	"github.com/amx-lambda/amx/internal/page"
)

// The lengths of lists. Lambda takes an answer of 6 MB, and nobody reads one: with
// the lengths of texts in the templates these keep it far below.
// https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
const (
	maxRows   = 20
	maxAlerts = 5
	maxLabels = 30
)

// view is what a template shows.
type view struct {
	Place    string
	Now      time.Time
	Endpoint string
	Control  bool // it has buttons
	Dark     bool
	Look     page.Now
	Run      runView
	Said     string
	Bad      bool

	zone *time.Location
}

// At is a time as the dashboard's time zone has it.
func (v view) At(t time.Time) string { return t.In(v.zone).Format("2 Jan 2006 15:04:05 MST") }

// Clock is when the widget was made.
func (v view) Clock() string { return v.Now.In(v.zone).Format("15:04:05 MST") }

// Moment is how long ago a time was.
func (v view) Moment(t time.Time) moment {
	if t.IsZero() {
		return moment{}
	}
	return moment{v.At(t), page.Ago(v.Now, t)}
}

type moment struct{ At, Ago string }

// Took is how long a run took, or for how long it has gone on.
func (v view) Took(r history.Record) string {
	switch d, ok := r.Took(); {
	case ok:
		return page.Took(d)
	case r.State == history.Running && !r.Claimed.IsZero():
		return page.Took(v.Now.Sub(r.Claimed)) + " so far"
	}
	return "–"
}

// Rows is a table of runs, with what its buttons are for.
func (v view) Rows(live bool, records []history.Record) rows {
	return rows{v, live, first(records, maxRows), len(records)}
}

type rows struct {
	view
	Live    bool // they go on
	Records []history.Record
	Total   int
}

// runView is one run.
type runView struct {
	operate.Detail
	Outputs []history.Node // those that wrote something
	Shown   []history.Alert
	Alerts  int // in all
	nodes   int
}

func newRun(d operate.Detail) runView {
	r := runView{Detail: d, Shown: first(d.Alerts, maxAlerts), Alerts: max(len(d.Alerts), d.AlertsTotal), nodes: len(d.Nodes)}
	slices.SortStableFunc(r.Nodes, func(a, b history.Node) int { return a.Order() - b.Order() })
	for _, n := range first(r.Nodes, history.MaxOutputs) {
		if n.Output != "" {
			r.Outputs = append(r.Outputs, n)
		}
	}
	r.Nodes = first(r.Nodes, maxRows)
	return r
}

// more says what a list leaves out.
func more(total int, one string) string {
	if total <= maxRows {
		return ""
	}
	return fmt.Sprintf("The first %d of %d %ss: the command line of amx shows all.", maxRows, total, one)
}

func first[T any](all []T, n int) []T { return slices.Clone(all[:min(len(all), n)]) }

// A button is a link, and what a click on it calls.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/add_custom_widget_dashboard_interactivity.html
type button struct {
	Class, Text       string
	Endpoint, Confirm string
	Parameters        template.HTML
}

// Show is a link that shows a run.
func (v view) Show(text, run string) (button, error) {
	return v.button("", text, "", map[string]any{"run": run})
}

// CancelRun is a button that stops a run.
func (v view) CancelRun(run, command string) (button, error) {
	ask := fmt.Sprintf("Cancel this run of %s? SSM stops what still runs on its nodes.", subject(command))
	return v.button("btn", "Cancel", ask, map[string]any{"do": "cancel", "run": run})
}

// CancelAll is a button that stops all runs of a command and drops what waits.
func (v view) CancelAll(command string) (button, error) {
	ask := fmt.Sprintf("Cancel all runs of %s, and drop the alerts that wait for one?", subject(command))
	return v.button("btn", "Cancel all", ask, map[string]any{"do": "cancel", "command": command})
}

// Pause is a button that holds back what starts; of everything where command is
// empty.
func (v view) Pause(command string) (button, error) {
	ask := fmt.Sprintf("Pause %s? No run starts. Those that go on are not stopped.", subject(command))
	return v.button("btn", pick(command == "", "Pause everything", "Pause"), ask, about("pause", command))
}

// Resume is a button that lifts a pause.
func (v view) Resume(command string) (button, error) {
	return v.button("btn", "Resume", fmt.Sprintf("Resume %s? What waits begins to run.", subject(command)), about("resume", command))
}

// Close is a button that closes a breaker.
func (v view) Close(command string) (button, error) {
	ask := fmt.Sprintf("Close the breaker of %s? Its runs start again.", subject(command))
	return v.button("btn", "Close the breaker", ask, about("resume", command))
}

func about(do, command string) map[string]any {
	if command == "" {
		return map[string]any{"do": do, "all": true}
	}
	return map[string]any{"do": do, "command": command}
}

func pick(first bool, a, b string) string {
	if first {
		return a
	}
	return b
}

// maxParameters bounds what a button hands on. A longer name than fits has none:
// cut, it would be another's.
const maxParameters = 2000

func (v view) button(class, text, confirm string, parameters map[string]any) (button, error) {
	p, err := ascii(parameters)
	if len(p) > maxParameters {
		p = ""
	}
	return button{class, text, v.Endpoint, confirm, p}, err
}

// ascii is JSON in ASCII without <, > and &, so that it is its own HTML: as AWS shows
// it, with quotes as they are, however CloudWatch reads it. Making text
// visible does not change a name in it.
func ascii(v any) (template.HTML, error) {
	text, err := json.Marshal(v) // writes \u003c for <, and so for > and &
	var out strings.Builder
	for _, r := range string(text) {
		switch {
		case r < utf8.RuneSelf && r != 0x7f:
			out.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&out, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return template.HTML(out.String()), err
}

//go:embed assets/*.html
var assets embed.FS

// templates are parsed for the first answer.
var templates = sync.OnceValue(func() *template.Template {
	functions := template.FuncMap{}
	maps.Copy(functions, page.Functions)
	functions["rows"] = func() int { return maxRows }
	functions["labels"] = func() int { return maxLabels }
	functions["more"] = more
	functions["nodes"] = func(r runView) int { return max(r.NodesTotal, r.nodes) }
	return template.Must(template.New("widget").Funcs(functions).ParseFS(assets, "assets/*.html"))
})

// render is a template as the dashboard shows it.
func render(name string, v view) (string, error) {
	if v.zone == nil {
		v.zone = time.UTC
	}
	var out bytes.Buffer
	if err := templates().ExecuteTemplate(&out, name, v); err != nil {
		return "", fmt.Errorf("the widget's template %q: %w", name, err)
	}
	return page.Plain(out.String()), nil
}
