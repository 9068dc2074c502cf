package page

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/history"
	"github.com/amx-lambda/amx/internal/history/storetest"
	"github.com/amx-lambda/amx/internal/operate"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// operator is an amx whose history is in memory. It records what it is asked to do.
type operator struct {
	mu      sync.Mutex       // over records, where the page is open when they change
	records []history.Record // the newest first
	status  operate.Status
	streams []operate.Stream
	err     error

	cancelled []operate.CancelRequest
	paused    []operate.PauseRequest
	resumed   []operate.ResumeRequest
	asked     []history.Query
}

func (o *operator) Runs(_ context.Context, q history.Query) (out history.Page, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked = append(o.asked, q)
	if q, err = q.Normal(noon); err != nil || o.err != nil {
		return out, errors.Join(err, o.err)
	}
	for i := range o.records {
		r := &o.records[i]
		if r.Position() < history.After(q.Since) || q.Cursor != "" && r.Position() >= q.Cursor || !q.Matches(r) {
			continue
		}
		if len(out.Records) == q.Limit {
			out.Next = out.Records[q.Limit-1].Position()
			break
		}
		out.Records = append(out.Records, *r)
	}
	return out, nil
}

func (o *operator) Run(_ context.Context, run string) (operate.Detail, error) {
	for _, r := range o.records {
		if r.Run == run {
			return operate.Detail{Record: r, Streams: o.streams}, nil
		}
	}
	return operate.Detail{}, fmt.Errorf("run %q: %w", run, history.ErrNotFound)
}

func (o *operator) Status(context.Context) (operate.Status, error) { return o.status, o.err }

func (o *operator) Cancel(_ context.Context, in operate.CancelRequest) (operate.Cancelled, error) {
	o.cancelled = append(o.cancelled, in)
	return operate.Cancelled{Runs: []operate.CancelledRun{{Run: in.Run}}}, o.err
}

func (o *operator) Pause(_ context.Context, in operate.PauseRequest) ([]operate.Pause, error) {
	o.paused = append(o.paused, in)
	return nil, o.err
}

func (o *operator) Resume(_ context.Context, in operate.ResumeRequest) ([]operate.Pause, error) {
	o.resumed = append(o.resumed, in)
	return nil, o.err
}

// browser is somebody at a page.
type browser struct {
	*testing.T
	*operator
	page    *Page
	host    string
	remote  string
	cookies map[string]string
}

const config = `commands:
- {name: restart, cmd: systemctl, args: [restart, nginx], match_labels: {alertname: Down}, matchers: ['env=~"prod|test"']}
- {name: watch, script: "sleep 1", scope: alert, repeat_after: 2h}
`

// open is a page with a key, and a browser that does not have it.
func open(t *testing.T, change func(*Options)) *browser {
	t.Helper()
	cfg, err := amx.ParseConfig("amx.yaml", []byte(config))
	if err != nil {
		t.Fatal(err)
	}
	o := &operator{status: operate.Status{Queue: operate.Queue{Items: 0, DeadLetters: 0}}}
	options := Options{
		Operator: operate.Operator{Viewer: o, Actor: o}, Key: "k3y", Who: "ann", Version: "v1", Place: "web-1",
		Config: func(context.Context) (Configuration, error) { return Configuration{cfg, noon}, nil },
		Explain: func(_ context.Context, body []byte, subject string) ([]Explained, error) {
			if len(body) == 0 {
				return nil, errors.New("not a notification")
			}
			return []Explained{{"restart", true, "would run <b>" + string(body) + "</b> " + subject}, {"watch", false, ""}}, nil
		},
		Sent: func(_ context.Context, id string) (Sent, error) {
			return Sent{Document: "AWS-RunShellScript", Script: "echo " + id}, nil
		},
		Now: func() time.Time { return noon },
	}
	if change != nil {
		change(&options)
	}
	return &browser{T: t, operator: o, page: New(options), host: "127.0.0.1:8080", remote: "127.0.0.1:50000", cookies: map[string]string{}}
}

// in is a browser that is logged in.
func in(t *testing.T) *browser {
	b := open(t, nil)
	b.get("/?key=k3y", http.StatusSeeOther)
	return b
}

func (b *browser) do(method, target string, form url.Values, header map[string]string) *http.Response {
	b.Helper()
	r := httptest.NewRequest(method, "http://"+b.host+target, strings.NewReader(form.Encode()))
	r.RemoteAddr = b.remote
	r.Header.Set("Accept", "text/html,*/*")
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", "http://"+b.host)
	} else {
		r.Body, r.ContentLength = http.NoBody, 0
	}
	for name, value := range header {
		r.Header.Set(name, value)
		if value == "" {
			r.Header.Del(name)
		}
	}
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	if !b.page.Takes(r) && method == http.MethodGet {
		b.Errorf("the page does not take GET %s", target)
	}
	w := httptest.NewRecorder()
	b.page.ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		if b.cookies[c.Name] = c.Value; c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		}
	}
	return w.Result()
}

func (b *browser) body(r *http.Response, status int) string {
	b.Helper()
	text, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != status {
		b.Errorf("%d %s (%v), want %d", r.StatusCode, text, err, status)
	}
	return string(text)
}

func (b *browser) get(target string, status int) string {
	b.Helper()
	return b.body(b.do(http.MethodGet, target, nil, nil), status)
}

func (b *browser) post(name string, status int, form ...string) *http.Response {
	b.Helper()
	v := url.Values{}
	for i := 0; i+1 < len(form); i += 2 {
		v.Add(form[i], form[i+1])
	}
	r := b.do(http.MethodPost, Prefix+name, v, nil)
	if r.StatusCode != status {
		b.Errorf("POST %s: %d, want %d: %s", name, r.StatusCode, status, b.body(r, r.StatusCode))
	}
	return r
}

func (b *browser) shows(text string, want ...string) {
	b.Helper()
	for _, w := range want {
		if !strings.Contains(text, w) {
			b.Errorf("the page lacks %q:\n%s", w, text)
		}
	}
}

func (b *browser) lacks(text string, unwanted ...string) {
	b.Helper()
	for _, u := range unwanted {
		if strings.Contains(text, u) {
			b.Errorf("the page has %q:\n%s", u, text)
		}
	}
}

func running(n int, ago time.Duration) history.Record {
	r := storetest.Sample(noon.Add(-ago), n)
	r.State, r.Status, r.Ended = history.Running, "InProgress", time.Time{}
	return r
}

func TestNowShowsWhatRunsWaitsAndIsHeldBack(t *testing.T) {
	b := in(t)
	breaker := noon.Add(time.Hour)
	failed := storetest.Sample(noon.Add(-time.Hour), 2)
	code := 3
	failed.State, failed.Status, failed.Nodes[0].Status, failed.Nodes[0].ExitCode = history.Failed, "Failed", "Failed", &code
	b.records = []history.Record{running(1, time.Minute), failed}
	b.status.Paused = []operate.Pause{{Command: "watch", Who: "bob", Why: "broken", Since: noon.Add(-time.Hour), Until: breaker}}
	b.status.Commands = []operate.Command{{Command: "restart", Breaker: &breaker, Failed: 3}, {Command: "watch", Running: 1, Max: 2}}
	b.status.Waiting = []operate.Waiting{{Command: "watch", Count: 2, Since: noon.Add(-time.Minute), Reason: "concurrency limit reached (max: 2)"}}
	b.status.Queue = operate.Queue{Items: 2, DeadLetters: 1}
	text := b.get("/", http.StatusOK)
	b.shows(text, "1 run goes on, 2 alerts wait, 1 command is paused, 1 breaker is open.", "watch is paused", "“broken”", "bob",
		"The breaker of restart is open", "Concurrency limit reached (max: 2)", "1 of 2 at once", "1 dead letter", "2 items", "exit code 3",
		"2 commands", `href="/runs/`+b.records[0].Run+`"`, "amx v1", ">ann</span>", "Log out")
}

func TestNowWithoutAnything(t *testing.T) {
	b := in(t)
	b.shows(b.get("/", http.StatusOK), "Nothing runs, nothing is paused.", "Nothing ran in the last 24 hours.")
}

func TestTheListIsFilteredAndPagedByItsAddress(t *testing.T) {
	b := in(t)
	for n := range 120 {
		b.records = append(b.records, storetest.Sample(noon.Add(-time.Duration(n)*time.Minute), n))
	}
	text := b.get("/runs?command=restart&state=succeeded&alert=instance%3Dweb-1&alert=&since=24h", http.StatusOK)
	if n := strings.Count(text, "<tr>"); n != 1+history.DefaultLimit {
		t.Errorf("%d rows, want %d and a head", n, history.DefaultLimit)
	}
	q := b.asked[len(b.asked)-1]
	if q.Command != "restart" || q.State != history.Succeeded || q.Alert["instance"] != "web-1" || !q.Since.Equal(noon.Add(-24*time.Hour)) {
		t.Errorf("asked for %+v", q)
	}
	b.shows(text, `<option selected>succeeded</option>`, `<option selected>restart</option>`, `value="instance=web-1"`, `<option value="24h" selected>`, `href="/runs">Clear`)
	_, older, _ := strings.Cut(text, `rel="next" href="`)
	older, _, _ = strings.Cut(older, `"`)
	text = b.get(strings.ReplaceAll(older, "&amp;", "&"), http.StatusOK)
	b.shows(text, runPath(b.records[50].Run), `>Newest</a>`)
	b.lacks(text, runPath(b.records[49].Run)+`"`)
	b.shows(b.get("/runs?state=none", http.StatusBadRequest), "State &#34;none&#34;: want one of")
	b.shows(b.get("/runs?colour=red", http.StatusBadRequest), "Unknown parameter &#34;colour&#34;")
}

func TestARunShowsAllThatIsKnown(t *testing.T) {
	b := in(t)
	r, retry := storetest.Sample(noon.Add(-time.Hour), 1), storetest.Sample(noon.Add(-time.Minute), 2)
	retry.RetryOf, retry.Attempt = r.Run, 2
	r.CancelledBy = &history.CancelledBy{Who: "bob", Why: "wrong host"}
	r.State = history.Cancelled
	b.records = []history.Record{retry, r}
	b.streams = []operate.Stream{{Node: r.Nodes[0].Node, Stdout: "out <b>\n", Stderr: "err\x1b[31m\n"}}
	text := b.get(runPath(r.Run), http.StatusOK)
	b.shows(text, "Stopped by bob: wrong host", "run: firing", r.Run, "out &lt;b&gt;", "err␛[31m", "web-1 is down", `href="http://prometheus/graph"`, `href="http://alertmanager"`,
		"receiver amx, token alertmanager", "<span>alertname</span> <bdi>Down</bdi>", "echo 11111111-2222-3333-4444-555555555555", "AWS-RunShellScript",
		"attempt 2", runPath(retry.Run), "&#34;command_ids&#34;", `<rect class="good" x="333.3" width="333.3" height="10"/>`, `href="/try?run=`+r.Run)
	b.lacks(text, "/-/page/cancel", "data-since", "data-seen")
	b.shows(b.get(runPath(retry.Run), http.StatusOK), "2, retry of", runPath(r.Run))
	b.shows(b.get("/runs/01NOBODY", http.StatusNotFound), "Not found", "Run &#34;01NOBODY&#34;: no such run in the history")
	b.records[0] = running(3, time.Minute)
	b.shows(b.get(runPath(b.records[0].Run), http.StatusOK), "/-/page/cancel", "Cancel the run", "data-since", "data-seen")
}

func TestCommandsShowHowTheyDid(t *testing.T) {
	b := in(t)
	for n := range 60 {
		r := storetest.Sample(noon.Add(-time.Duration(n)*time.Hour), n)
		if n%4 == 3 {
			r.State = history.Failed
		}
		b.records = append(b.records, r)
	}
	gone := storetest.Sample(noon.Add(-100*time.Hour), 99)
	gone.Command = "reboot"
	b.records = append(b.records, gone)
	b.status.Paused = []operate.Pause{{Command: "watch", Until: noon.Add(time.Hour)}}
	text := b.get("/commands", http.StatusOK)
	b.shows(text, "<b>75 %</b> succeeded", "<b>3.0 s</b> median", "<b>60</b> runs", `aria-label="The last 50 runs, 38 succeeded, 12 failed"`,
		"alertname=&#34;Down&#34;", "env=~&#34;prod|test&#34;", "systemctl restart nginx", "No run in the last 30 days.", "a run for each alert",
		"repeated after 2h", "Not configured any more", "reboot", `<span class="state waiting">paused</span>`, "Every alert matches.")
	if n := strings.Count(text, `<rect class="`); n != strip {
		t.Errorf("%d strokes, want %d", n, strip)
	}
	reads := len(b.asked)
	b.get("/commands", http.StatusOK)
	if len(b.asked) != reads {
		t.Error("the numbers were read again at once")
	}
}

func TestTryExplainsAndRunsNothing(t *testing.T) {
	b := in(t)
	b.records = []history.Record{storetest.Sample(noon, 1)}
	b.shows(b.get("/try?run="+b.records[0].Run, http.StatusOK), "&#34;alertname&#34;: &#34;Down&#34;")
	text := b.body(b.post("try", http.StatusOK, "body", "{}", "subject", "[FIRING:1]"), http.StatusOK)
	b.shows(text, "would run &lt;b&gt;{}&lt;/b&gt; [FIRING:1]", "No match: watch")
	b.shows(b.body(b.post("try", http.StatusOK, "body", ""), http.StatusOK), "Not a notification")
}

func TestActionsAreDoneInTheirUsersName(t *testing.T) {
	b := in(t)
	r := b.post("cancel", http.StatusSeeOther, "run", "01R", "why", " wrong host ", "back", "/runs/01R")
	if want := []operate.CancelRequest{{Run: "01R", Why: "wrong host", Who: "ann"}}; !slices.Equal(b.cancelled, want) || r.Header.Get("Location") != "/runs/01R" {
		t.Errorf("cancelled %+v, led to %q", b.cancelled, r.Header.Get("Location"))
	}
	b.shows(b.get("/", http.StatusOK), `role="status">Asked 1 run to stop.`)
	b.lacks(b.get("/", http.StatusOK), "Asked 1 run")
	b.post("pause", http.StatusSeeOther, "command", "watch", "for", "7d", "why", "broken")
	b.post("pause", http.StatusSeeOther, "all", "yes", "for", "1h", "why", "all broken")
	want := []operate.PauseRequest{{Command: "watch", For: 168 * time.Hour, Why: "broken", Who: "ann"}, {For: time.Hour, Why: "all broken", Who: "ann"}}
	if !slices.Equal(b.paused, want) {
		t.Errorf("paused %+v", b.paused)
	}
	b.post("resume", http.StatusSeeOther, "command", "watch")
	if want := []operate.ResumeRequest{{Command: "watch", Who: "ann"}}; !slices.Equal(b.resumed, want) {
		t.Errorf("resumed %+v", b.resumed)
	}
	b.post("pause", http.StatusBadRequest, "for", "1h", "why", "x") // neither a command nor everything
	b.post("nothing", http.StatusNotFound)
	b.err = fmt.Errorf("run %q is over: %w", "01R", operate.ErrNothing)
	b.post("cancel", http.StatusSeeOther, "run", "01R", "why", "x", "back", "https://example.org/")
	b.err = nil
	b.shows(b.get("/", http.StatusOK), `role="alert">Run &#34;01R&#34; is over: nothing to do.`)
	if len(b.paused) != 2 {
		t.Errorf("paused %+v", b.paused)
	}
}
