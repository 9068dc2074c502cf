package widget

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/history"
	"github.com/amx-lambda/amx/internal/history/storetest"
	"github.com/amx-lambda/amx/internal/operate"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

const arn = "arn:aws:lambda:eu-central-1:123456789012:function:amx-WidgetFunction"

// operator is an amx whose history is in memory. It records what it is asked to do.
type operator struct {
	records []history.Record // the newest first
	status  operate.Status
	err     error

	asked []history.Query
	did   []any
}

func (o *operator) Runs(_ context.Context, q history.Query) (out history.Page, err error) {
	o.asked = append(o.asked, q)
	if q, err = q.Normal(noon); err != nil || o.err != nil {
		return out, errors.Join(err, o.err)
	}
	for i := range o.records {
		r := &o.records[i]
		if r.Position() >= history.After(q.Since) && q.Matches(r) && len(out.Records) < q.Limit {
			out.Records = append(out.Records, *r)
		}
	}
	return out, nil
}

func (o *operator) Run(_ context.Context, run string) (operate.Detail, error) {
	for _, r := range o.records {
		if r.Run == run {
			return operate.Detail{Record: r}, nil
		}
	}
	return operate.Detail{}, fmt.Errorf("run %q: %w", run, history.ErrNotFound)
}

func (o *operator) Status(context.Context) (operate.Status, error) { return o.status, o.err }

func (o *operator) Cancel(_ context.Context, in operate.CancelRequest) (operate.Cancelled, error) {
	o.did = append(o.did, in)
	return operate.Cancelled{Runs: []operate.CancelledRun{{Run: in.Run}}}, o.err
}

func (o *operator) Pause(_ context.Context, in operate.PauseRequest) ([]operate.Pause, error) {
	o.did = append(o.did, in)
	return []operate.Pause{{Command: in.Command, Until: noon.Add(in.For)}}, o.err
}

func (o *operator) Resume(_ context.Context, in operate.ResumeRequest) ([]operate.Pause, error) {
	o.did = append(o.did, in)
	return nil, o.err
}

// busy is an amx of which every part of the widget has something to show.
func busy() *operator {
	until, code := noon.Add(time.Hour), 3
	live := storetest.Sample(noon.Add(-90*time.Second), 3)
	live.State, live.Status, live.Ended, live.Command = history.Running, "", time.Time{}, "clean-disk"
	bad := storetest.Sample(noon.Add(-10*time.Minute), 2)
	bad.State, bad.Status, bad.Command, bad.Attempt, bad.RetryOf = history.Failed, "Failed", "restart-nginx", 2, storetest.RunID(noon.Add(-20*time.Minute), 9)
	bad.Nodes[0].Status, bad.Nodes[0].ExitCode, bad.Nodes[0].Output = "Failed", &code, "nginx: [emerg] bind() to 0.0.0.0:80 failed\n"
	return &operator{
		records: []history.Record{live, bad, storetest.Sample(noon.Add(-2*time.Hour), 1)},
		status: operate.Status{
			Paused:   []operate.Pause{{Command: "reboot", Who: "user/ann", Why: "database migration", Since: noon.Add(-time.Hour), Until: until}},
			Commands: []operate.Command{{Command: "restart-nginx", Failed: 3, Breaker: &until}, {Command: "clean-disk", Running: 1, Max: 2}},
			Waiting:  []operate.Waiting{{Command: "clean-disk", Count: 2, Since: noon.Add(-time.Minute), Reason: "concurrency limit reached (max: 2)"}},
			Queue:    operate.Queue{Items: 4, DeadLetters: 1},
		},
	}
}

// seen is a widget of an amx, and what its function logged.
type seen struct {
	*testing.T
	*operator
	widget *Widget
	log    *bytes.Buffer
}

func open(t *testing.T, o *operator, control bool) *seen {
	s := &seen{T: t, operator: o, log: &bytes.Buffer{}}
	s.widget = &Widget{Viewer: o, Place: "amx-prod", Log: slog.New(slog.NewJSONHandler(s.log, nil)), Now: func() time.Time { return noon }}
	if control {
		s.widget.Actor = o
	}
	return s
}

// call answers a call of a dashboard, as AWS documents it.
func (s *seen) call(parameters, typed map[string]any, change ...func(about map[string]any)) string {
	s.Helper()
	about := map[string]any{
		"dashboardName": "amx-eu-central-1", "widgetId": "widget-16", "accountId": "123456789012", "locale": "en",
		"timezone": map[string]any{"label": "UTC", "offsetISO": "+00:00", "offsetInMinutes": 0},
		"period":   300, "isAutoPeriod": true, "theme": "light", "linkCharts": true, "title": "amx",
		"forms": map[string]any{"all": typed}, "params": map[string]any{}, "width": 588, "height": 369,
	}
	for _, c := range change {
		c(about)
	}
	event := map[string]any{"widgetContext": about}
	maps.Copy(event, parameters)
	text, err := json.Marshal(event)
	if err != nil {
		s.Fatal(err)
	}
	return s.widget.Answer(s.Context(), arn, text)
}

func (s *seen) shows(text string, wants ...string) {
	s.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			s.Errorf("it lacks %q:\n%s", want, text)
		}
	}
}

func (s *seen) lacks(text string, bads ...string) {
	s.Helper()
	for _, bad := range bads {
		if strings.Contains(text, bad) {
			s.Errorf("it has %q:\n%s", bad, text)
		}
	}
}

func TestItShowsWhatGoesOn(t *testing.T) {
	s := open(t, busy(), false)
	text := s.call(nil, nil)
	s.shows(text,
		"1 run goes on, 2 alerts wait, 1 command is paused, 1 breaker is open.", "amx-prod, 12:00:00 UTC",
		`reboot is paused</b></td><td class="amx-text">database migration</td><td>user/ann</td>`, `<span title="28 Nov 2026 11:00:00 UTC">1 hour ago</span></td><td class="amx-line">28 Nov 2026 13:00:00 UTC</td>`,
		"The breaker of restart-nginx is open</b></td><td>3 runs in a row failed</td>",
		"<h3>Running</h3>", "1 m 30 s so far", "<h3>Waiting</h3>", "<td>2</td><td>Concurrency limit reached (max: 2)</td>",
		"<h3>Problems of the last 24 hours</h3>", "attempt 2</span><br/>", "Exit code 3", "<h3>Latest</h3>", "web-1",
		"clean-disk: 1 of 2 at once.", "On the queue: 4 items.", "Given up: 1 dead letter.",
	)
	s.lacks(text, `class="btn"`, "<form", "confirmation=")
	for _, q := range s.asked {
		if since := noon.Sub(q.Since); since > LookBack {
			t.Errorf("it looks %v back", since)
		}
	}
	s.shows(open(t, &operator{status: operate.Status{Queue: operate.Queue{Items: -1, DeadLetters: -1}}}, false).call(nil, nil), "Nothing runs, nothing is paused.", "Nothing ran in the last 24 hours.")
}

func TestARunHasItsAlertItsNodesAndItsOutput(t *testing.T) {
	s := open(t, busy(), true)
	text := s.call(map[string]any{"run": s.records[1].Run}, nil)
	s.shows(text, `restart-nginx <b class="amx-bad">failed</b>`, `">Run</td><td>`+s.records[1].Run, "run: firing", "<td>i-0123456789abcdef0</td>", "<td>3</td>",
		"<pre>nginx: [emerg] bind() to 0.0.0.0:80 failed\n</pre>", "<h3>Down</h3>", "web-1 is down", "receiver amx, token alertmanager", "2, retry of")
	s.shows(s.call(map[string]any{"run": "01NOBODY"}, nil), "That did not work.</b> Run &#34;01NOBODY&#34;: ")
}

func TestTimesAndColoursAreTheDashboards(t *testing.T) {
	s := open(t, busy(), false)
	text := s.call(nil, nil, func(about map[string]any) {
		about["theme"] = "dark"
		about["timezone"] = map[string]any{"label": "Local", "offsetISO": "+05:30", "offsetInMinutes": -330}
	})
	s.shows(text, `<div class="amx amx-dark">`, "17:30:00 UTC&#43;05:30", "28 Nov 2026 18:30:00 UTC&#43;05:30")
	s.shows(s.call(nil, nil), `<div class="amx">`)
}

// The console asks for documentation with describe, and shows it as Markdown. AWS's
// own widgets answer the text.
// https://github.com/aws-samples/cloudwatch-custom-widgets-samples
func TestDescribeAnswersDocumentationAndDoesNothingElse(t *testing.T) {
	s := open(t, busy(), true)
	for _, event := range []string{`{"describe":true}`, `{"describe":1,"do":"pause","all":true,"widgetContext":{"forms":{"all":{"why":"x"}}}}`} {
		if got := s.widget.Answer(t.Context(), arn, json.RawMessage(event)); got != describe || !strings.HasPrefix(got, "## ") {
			t.Errorf("%s: %s", event, got)
		}
	}
	if len(s.asked)+len(s.did) > 0 {
		t.Errorf("it asked %v and did %v", s.asked, s.did)
	}
	// The console takes the first block of code for parameters, and there are none.
	s.lacks(describe, "```")
	s.shows(s.call(map[string]any{"describe": false}, nil), "<h3>Latest</h3>")
}

func TestWithControlItsButtonsDoWhatTheySay(t *testing.T) {
	s := open(t, busy(), true)
	text := s.call(nil, nil)
	s.shows(text, `<a class="btn">Pause everything</a><cwdb-action action="call" display="popup" endpoint="`+arn+`" confirmation="Pause everything? No run starts. Those that go on are not stopped.">{"all":true,"do":"pause"}</cwdb-action>`)
	typed := map[string]any{"why": " wrong \n node ", "for": "4h"}
	want := []any{
		operate.PauseRequest{For: 4 * time.Hour, Why: "wrong node", Who: "CloudWatch console"},
		operate.ResumeRequest{Command: "reboot", Who: "CloudWatch console"},
		operate.ResumeRequest{Command: "restart-nginx", Who: "CloudWatch console"},
		operate.CancelRequest{Run: s.records[0].Run, Why: "wrong node", Who: "CloudWatch console"},
		operate.PauseRequest{Command: "clean-disk", For: 4 * time.Hour, Why: "wrong node", Who: "CloudWatch console"},
		operate.CancelRequest{Command: "clean-disk", Why: "wrong node", Who: "CloudWatch console"},
		operate.PauseRequest{Command: "clean-disk", For: 4 * time.Hour, Why: "wrong node", Who: "CloudWatch console"},
	}
	said := ""
	for _, a := range actions(t, text) {
		if a.attributes["confirmation"] == "" {
			continue // it shows a run
		}
		if a.before != "a" || a.attributes["action"] != "call" || a.attributes["display"] != "popup" || a.attributes["endpoint"] != arn {
			t.Errorf("after <%s>: %v", a.before, a.attributes)
		}
		said += s.call(a.parameters(t), typed)
	}
	if !reflect.DeepEqual(s.did, want) {
		t.Errorf("did  %+v\nwant %+v", s.did, want)
	}
	s.shows(said, "Asked 1 run to stop. Refresh the widget to see it.", "Paused everything until 28 Nov 2026 16:00:00 UTC. Runs that go on are not stopped.", "Paused &#34;clean-disk&#34; until", "Resumed &#34;reboot&#34;.")
	s.shows(s.log.String(), `"msg":"widget","do":"pause","dashboard":"amx-eu-central-1","account":"123456789012"`)
}

func TestOnlyAButtonWithAReasonDoesSomething(t *testing.T) {
	typed := map[string]any{"why": "x", "for": "1h"}
	pause := map[string]any{"do": "pause", "all": true}
	for _, tt := range []struct {
		name              string
		control           bool
		parameters, typed map[string]any
		change            func(map[string]any)
		want              string
	}{
		{"read", false, pause, typed, nil, "This widget only shows. To cancel, pause and resume here, deploy the stack with Widget=control."},
		{"read, resume", false, map[string]any{"do": "resume", "command": "reboot"}, typed, nil, "This widget only shows."},
		{"no reason", true, pause, map[string]any{"why": " \n"}, nil, "Say why, in the field above the buttons, and press again: it is kept in the record. Nothing was done."},
		{"nothing typed", true, map[string]any{"do": "cancel", "run": "01R"}, nil, nil, "Say why"},
		{"a reason that is none", true, pause, map[string]any{"why": 1}, nil, "Say why"},
		{"parameters of the widget", true, pause, typed, func(about map[string]any) { about["params"] = pause }, "A dashboard opened this widget with the parameter &#34;do&#34;."},
		{"of nothing", true, map[string]any{"do": "pause"}, typed, nil, "The button names neither a run, a command nor everything."},
		{"no such button", true, map[string]any{"do": "send", "all": true}, typed, nil, "There is no button &#34;send&#34;."},
		{"no such time", true, pause, map[string]any{"why": "x", "for": "soon"}, nil, "&#34;soon&#34;"},
	} {
		s := open(t, busy(), tt.control)
		change := tt.change
		if change == nil {
			change = func(map[string]any) {}
		}
		text := s.call(tt.parameters, tt.typed, change)
		s.shows(text, "That did not work.</b> ", tt.want)
		if len(s.did) > 0 {
			t.Errorf("%s: did %+v", tt.name, s.did)
		}
		if strings.HasPrefix(tt.name, "read") {
			s.shows(s.log.String(), `"level":"WARN","msg":"widget","refused":`)
		}
	}
}

func TestWhatGoesWrongIsToldAndLogged(t *testing.T) {
	o := busy()
	o.err = errors.New("BatchGetItem: <throttled>")
	s := open(t, o, true)
	s.shows(s.call(nil, nil), "That did not work.</b> BatchGetItem: &lt;throttled&gt;.")
	s.shows(s.log.String(), `"level":"ERROR","msg":"widget","error":"BatchGetItem: <throttled>"`)
	s.log.Reset()
	o.err = fmt.Errorf("run is over: %w", operate.ErrNothing)
	s.shows(s.call(map[string]any{"do": "resume", "all": true}, nil), "Run is over: nothing to do.")
	s.lacks(s.log.String(), "ERROR")
	for _, event := range []string{``, `null`, `[]`, `"x"`, `{"run":{},"do":[],"widgetContext":[]}`} {
		text := s.widget.Answer(t.Context(), arn, json.RawMessage(event))
		if event == "" || event == "[]" || event == `"x"` {
			s.shows(text, "This is not a call of a dashboard of CloudWatch: ")
		} else {
			s.shows(text, "Run is over") // Status: it shows what goes on
		}
	}
}

func TestListsAreCutAndSaySo(t *testing.T) {
	o := busy()
	o.status.Paused = nil
	for i := range 45 {
		r := storetest.Sample(noon.Add(-time.Duration(i+1)*time.Second), 100+i)
		r.State, r.Ended = history.Running, time.Time{}
		o.records = append(o.records, r)
		o.status.Paused = append(o.status.Paused, operate.Pause{Command: fmt.Sprintf("command-%02d", i), Until: noon.Add(time.Hour)})
	}
	slices.SortFunc(o.records, func(a, b history.Record) int { return strings.Compare(b.Run, a.Run) })
	s := open(t, o, true)
	text := s.call(nil, nil)
	s.shows(text, "The first 20 of 45 pauses: the command line of amx shows all.", "The first 20 of 46 runs: ", "command-19 is paused")
	s.lacks(text, "command-20")
}
