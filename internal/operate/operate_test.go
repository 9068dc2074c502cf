package operate

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/amx-lambda/amx/internal/history"
	historybolt "github.com/amx-lambda/amx/internal/history/bolt"
	"github.com/amx-lambda/amx/internal/history/storetest"
	ledgerbolt "github.com/amx-lambda/amx/internal/ledger/bolt"
)

var noon = storetest.Noon

// stopper keeps what it was asked to stop.
type stopper struct {
	asked []StopRequest
	err   error
}

func (s *stopper) Stop(_ context.Context, r StopRequest) error {
	s.asked = append(s.asked, r)
	return s.err
}

// outputs has what the command wrote on one node.
type outputs struct{}

func (outputs) GetCommandInvocation(_ context.Context, in *ssm.GetCommandInvocationInput, _ ...func(*ssm.Options)) (*ssm.GetCommandInvocationOutput, error) {
	if *in.InstanceId != "i-1" || *in.CommandId != "c-2" {
		return nil, &types.InvocationDoesNotExist{}
	}
	return &ssm.GetCommandInvocationOutput{StandardOutputContent: aws.String("out\n"), StandardErrorContent: aws.String("err\n")}, nil
}

// gates has one command whose breaker is open.
type gates struct{ open bool }

func (g *gates) Gates(context.Context) ([]Command, error) {
	until := noon.Add(time.Hour)
	return []Command{{Command: "reboot", Running: 1, Max: 2, Breaker: &until, Failed: 3}}, nil
}

func (g *gates) CloseBreaker(_ context.Context, command string) (bool, error) {
	was := g.open && command == "reboot"
	g.open = g.open && !was
	return was, nil
}

// world is an operator with what stands behind it.
type world struct {
	*testing.T
	o       Operator
	store   *historybolt.Store
	stopper *stopper
	gates   *gates
}

// everyWay runs a test at the desk itself, and over HTTP on a socket.
func everyWay(t *testing.T, f func(*world)) {
	for _, way := range []string{"at the desk", "over a socket"} {
		t.Run(way, func(t *testing.T) {
			dir := t.TempDir()
			now := func() time.Time { return noon }
			file, err := ledgerbolt.Open(filepath.Join(dir, "ledger.db"), now)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { file.Close() })
			w := &world{T: t, store: &historybolt.Store{File: file, Keep: history.Default, Now: now}, stopper: new(stopper), gates: &gates{open: true}}
			oldest := noon.Add(-time.Minute)
			desk := &Desk{
				History: w.store, Ledger: file, Outputs: outputs{}, Stopper: w.stopper, Gates: w.gates, Now: now,
				Queue: func(context.Context) (Queue, error) { return Queue{Items: 2, DeadLetters: 1, Oldest: &oldest}, nil },
			}
			w.o = desk.Operator()
			if way == "over a socket" {
				path := filepath.Join(dir, "a-folder-with-a-name-that-makes-the-path-longer-than-a-socket-may-have-it-on-any-system-that-there-is", "ledger.sock")
				if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				l, err := ListenSocket(path)
				if err != nil {
					t.Fatal(err)
				}
				server := httptest.NewUnstartedServer(Handler(desk.Operator(), func(*http.Request) string { return "ann" }, now))
				server.Listener.Close()
				server.Listener = l
				server.Start()
				t.Cleanup(server.Close)
				w.o = OnSocket(path).Operator()
			}
			f(w)
		})
	}
}

func (w *world) put(records ...history.Record) {
	w.Helper()
	for _, r := range records {
		if err := w.store.Put(w.Context(), r); err != nil {
			w.Fatal(err)
		}
	}
}

// refuses wants an error of that text, and of that kind.
func (w *world) refuses(err error, is error, text string) {
	w.Helper()
	if err == nil || !strings.Contains(err.Error(), text) || is != nil && !errors.Is(err, is) {
		w.Errorf("got %v, want %s (%v)", err, text, is)
	}
}

func running(ago time.Duration, n int, command string) history.Record {
	r := storetest.Sample(noon.Add(-ago), n)
	r.Command, r.State, r.Ended = command, history.Running, time.Time{}
	return r
}

func waiting(command, fingerprint string) history.Record {
	return history.Record{
		Run: history.WaitingID("0123456789abcdef", fingerprint), Command: command, State: history.Waiting, Entry: "0123456789abcdef",
		Reason: "concurrency limit reached (max: 2)", Claimed: noon.Add(-time.Minute), Updated: noon,
	}
}

func TestRuns(t *testing.T) {
	everyWay(t, func(w *world) {
		old, late := storetest.Sample(noon.Add(-time.Hour), 1), running(time.Minute, 2, "reboot")
		w.put(old, late)
		page, err := w.o.Runs(w.Context(), history.Query{Limit: 1})
		if err != nil || len(page.Records) != 1 || page.Records[0].Run != late.Run || page.Next == "" {
			w.Fatalf("got %+v, %v", page, err)
		}
		page, err = w.o.Runs(w.Context(), history.Query{Limit: 1, Cursor: page.Next})
		if err != nil || len(page.Records) != 1 || !reflect.DeepEqual(page.Records[0], old) {
			w.Errorf("got %+v, %v", page, err)
		}
		page, err = w.o.Runs(w.Context(), history.Query{
			Since: noon.Add(-30 * time.Minute), Command: "reboot", State: history.Running, Alert: map[string]string{"instance": "web-1"},
		})
		if err != nil || len(page.Records) != 1 || page.Next != "" {
			w.Errorf("got %+v, %v", page, err)
		}
		_, err = w.o.Runs(w.Context(), history.Query{State: "done"})
		w.refuses(err, nil, `state "done": want one of ["waiting"`)
	})
}

func TestRun(t *testing.T) {
	everyWay(t, func(w *world) {
		r := storetest.Sample(noon, 1)
		r.CommandIDs = []string{"c-1", "c-2"}
		r.Nodes = append(r.Nodes, history.Node{Node: "i-1", Status: "Failed"})
		w.put(r)
		got, err := w.o.Run(w.Context(), r.Run)
		if err != nil {
			w.Fatal(err)
		}
		want := []Stream{{Node: "i-1", Stdout: "out\n", Stderr: "err\n"}, {Node: "i-0123456789abcdef0", Error: "SSM does not keep the output any more"}}
		if got.State != history.Succeeded || !reflect.DeepEqual(got.Streams, want) {
			w.Errorf("got %+v", got)
		}
		_, err = w.o.Run(w.Context(), "01NOBODY")
		w.refuses(err, history.ErrNotFound, `run "01NOBODY": no such run in the history`)
	})
}

func TestCancel(t *testing.T) {
	everyWay(t, func(w *world) {
		one, other, over := running(time.Hour, 1, "restart"), running(time.Minute, 2, "restart"), storetest.Sample(noon, 3)
		w.put(one, other, over, waiting("restart", "aa"), running(time.Minute, 4, "reboot"))
		by := func(run, entry string) StopRequest {
			return StopRequest{Run: run, Entry: entry, Command: "restart", Who: w.who(), Why: "wrong host"}
		}
		out, err := w.o.Cancel(w.Context(), CancelRequest{Run: one.Run, Why: "wrong host", Who: w.who()})
		if err != nil || !reflect.DeepEqual(out.Runs, []CancelledRun{{Run: one.Run, Command: "restart", State: history.Running}}) {
			w.Errorf("got %+v, %v", out, err)
		}
		if want := []StopRequest{by(one.Run, one.Entry)}; !reflect.DeepEqual(w.stopper.asked, want) {
			w.Errorf("asked %+v, want %+v", w.stopper.asked, want)
		}
		w.stopper.asked, w.stopper.err = nil, errors.New("CancelCommand: throttled")
		out, err = w.o.Cancel(w.Context(), CancelRequest{Command: "restart", Why: "wrong host", Who: w.who()})
		if want := []StopRequest{by("", "0123456789abcdef"), by(other.Run, other.Entry), by(one.Run, one.Entry)}; err != nil || !reflect.DeepEqual(w.stopper.asked, want) {
			w.Errorf("asked %+v, want %+v; %v", w.stopper.asked, want, err)
		}
		if len(out.Runs) != 3 || out.Runs[0].State != history.Waiting || out.Runs[2].Error != "CancelCommand: throttled" {
			w.Errorf("got %+v", out)
		}
		w.stopper.err = nil
		if _, err = w.o.Cancel(w.Context(), CancelRequest{Run: waiting("restart", "aa").Run, Why: "not today", Who: w.who()}); err != nil {
			w.Error(err)
		}
		page, err := w.o.Runs(w.Context(), history.Query{State: history.Cancelled})
		if err != nil || len(page.Records) != 1 || page.Records[0].CancelledBy.Why != "not today" {
			w.Errorf("dropped: %+v, %v", page.Records, err)
		}
		if page, err = w.o.Runs(w.Context(), history.Query{State: history.Waiting}); err != nil || len(page.Records) != 0 {
			w.Errorf("still waiting: %+v, %v", page.Records, err)
		}
		_, err = w.o.Cancel(w.Context(), CancelRequest{Run: over.Run, Why: "x"})
		w.refuses(err, ErrNothing, `is over (succeeded): nothing to do`)
		_, err = w.o.Cancel(w.Context(), CancelRequest{Command: "none", Why: "x"})
		w.refuses(err, ErrNothing, `no run of command "none" goes on, and none waits: nothing to do`)
		_, err = w.o.Cancel(w.Context(), CancelRequest{Run: "01NOBODY", Why: "x"})
		w.refuses(err, history.ErrNotFound, "no such run")
		_, err = w.o.Cancel(w.Context(), CancelRequest{Run: one.Run})
		w.refuses(err, InvalidError("say why: it is kept in the record"), "say why")
		_, err = w.o.Cancel(w.Context(), CancelRequest{Why: "x"})
		w.refuses(err, InvalidError("name either a run or a command"), "name either")
	})
}

// who is the caller: the handler names its own.
func (w *world) who() string { return "ann" }

func TestPauseAndResume(t *testing.T) {
	everyWay(t, func(w *world) {
		day := noon.Add(24 * time.Hour)
		all := Pause{Who: "ann", Why: "maintenance", Since: noon, Until: day}
		one := Pause{Command: "restart", Who: "ann", Why: "broken", Since: noon, Until: noon.Add(2 * time.Hour)}
		paused, err := w.o.Pause(w.Context(), PauseRequest{Command: "restart", For: 2 * time.Hour, Why: "broken", Who: w.who()})
		if err != nil || !reflect.DeepEqual(paused, []Pause{one}) {
			w.Errorf("got %+v, %v", paused, err)
		}
		paused, err = w.o.Pause(w.Context(), PauseRequest{Why: "maintenance", Who: w.who()})
		if err != nil || !reflect.DeepEqual(paused, []Pause{all, one}) {
			w.Errorf("got %+v, %v", paused, err)
		}
		paused, err = w.o.Resume(w.Context(), ResumeRequest{})
		if err != nil || !reflect.DeepEqual(paused, []Pause{one}) {
			w.Errorf("got %+v, %v", paused, err)
		}
		_, err = w.o.Resume(w.Context(), ResumeRequest{})
		w.refuses(err, ErrNothing, "everything is not paused: nothing to do")
		paused, err = w.o.Resume(w.Context(), ResumeRequest{Command: "reboot"}) // its breaker is open
		if err != nil || w.gates.open || len(paused) != 1 {
			w.Errorf("got %+v, %v; the breaker is open: %v", paused, err, w.gates.open)
		}
		_, err = w.o.Resume(w.Context(), ResumeRequest{Command: "reboot"})
		w.refuses(err, ErrNothing, `command "reboot" is neither paused nor is its breaker open`)
		_, err = w.o.Pause(w.Context(), PauseRequest{})
		w.refuses(err, nil, "say why")
		_, err = w.o.Pause(w.Context(), PauseRequest{Why: "x", For: time.Second})
		w.refuses(err, nil, "a pause of 1s: want 1m to 2160h0m0s")
	})
}

func TestStatus(t *testing.T) {
	everyWay(t, func(w *world) {
		w.put(waiting("restart", "aa"), waiting("restart", "bb"), waiting("reboot", "cc"))
		if _, err := w.o.Pause(w.Context(), PauseRequest{Why: "x", Who: w.who()}); err != nil {
			w.Fatal(err)
		}
		s, err := w.o.Status(w.Context())
		if err != nil {
			w.Fatal(err)
		}
		got, err := json.Marshal(s)
		if err != nil {
			w.Fatal(err)
		}
		const want = `{"paused":[{"who":"ann","why":"x","since":"2026-11-28T12:00:00Z","until":"2026-11-29T12:00:00Z"}],` +
			`"commands":[{"command":"reboot","running":1,"max":2,"breaker_until":"2026-11-28T13:00:00Z","failed":3}],` +
			`"waiting":[{"command":"reboot","count":1,"since":"2026-11-28T11:59:00Z","reason":"concurrency limit reached (max: 2)"},` +
			`{"command":"restart","count":2,"since":"2026-11-28T11:59:00Z","reason":"concurrency limit reached (max: 2)"}],` +
			`"queue":{"items":2,"dead_letters":1,"oldest":"2026-11-28T11:59:00Z"}}`
		if string(got) != want {
			w.Errorf("got\n%s\nwant\n%s", got, want)
		}
	})
}

func TestRequestsThatAreWrong(t *testing.T) {
	h := Handler((&Desk{}).Operator(), func(*http.Request) string { return "ann" }, func() time.Time { return noon })
	for _, tt := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "/api/v1/runs?snice=3h", "", 400, `{"error":"unknown parameter \"snice\": want since, command, state, alert, limit or cursor"}`},
		{"GET", "/api/v1/runs?since=soon", "", 400, `{"error":"since \"soon\": want a duration such as 24h or 7d, or a time such as 2026-11-28T12:00:00Z"}`},
		{"GET", "/api/v1/runs?alert=x", "", 400, `{"error":"alert \"x\": want label=value"}`},
		{"GET", "/api/v1/runs?limit=0", "", 400, `{"error":"limit \"0\": want 1 to 1000"}`},
		{"POST", "/api/v1/pause", `{"comand":"x","why":"y"}`, 400, `{"error":"reading the body, a JSON object: json: unknown field \"comand\""}`},
		{"POST", "/api/v1/pause", `{"why":"y"} {}`, 400, `{"error":"reading the body, a JSON object: something follows it"}`},
		{"POST", "/api/v1/pause", `{"why":"y","for":"long"}`, 400, `{"error":"for: duration \"long\": want a form such as 90s, 24h or 7d"}`},
		{"GET", "/api/v1/nothing", "", 404, `{"error":"GET /api/v1/nothing: there is no such call; docs/api.md lists them"}`},
		{"GET", "/api/v1/pause", "", 404, `{"error":"GET /api/v1/pause: there is no such call; docs/api.md lists them"}`},
	} {
		out := httptest.NewRecorder()
		h.ServeHTTP(out, httptest.NewRequest(tt.method, tt.path, strings.NewReader(tt.body)))
		if got := strings.TrimSpace(out.Body.String()); out.Code != tt.status || got != tt.want {
			t.Errorf("%s %s %s: %d %s, want %d %s", tt.method, tt.path, tt.body, out.Code, got, tt.status, tt.want)
		}
	}
}

func TestAClientAtAnotherServer(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<html>")) }))
	defer other.Close()
	_, err := (&Client{Base: other.URL, HTTP: other.Client()}).Status(t.Context())
	if err == nil || !strings.HasSuffix(err.Error(), "does not answer as amx serve does: is it the address of an amx serve?") {
		t.Errorf("got %v", err)
	}
	_, err = OnSocket(filepath.Join(t.TempDir(), "ledger.sock")).Status(t.Context())
	if err == nil || !strings.HasSuffix(err.Error(), "no such file or directory: amx serve does not run there") {
		t.Errorf("got %v", err)
	}
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{"": 0, "90s": 90 * time.Second, "7d": 168 * time.Hour, "1.5d": 36 * time.Hour, "24h": 24 * time.Hour} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("%q is %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"d", "-1d", "7", "1w"} {
		if _, err := ParseDuration(text); err == nil {
			t.Errorf("%q is a duration", text)
		}
	}
}

func TestStatusLooksBackAsFarAsItIsTold(t *testing.T) {
	now := func() time.Time { return noon }
	file, err := ledgerbolt.Open(filepath.Join(t.TempDir(), "ledger.db"), now)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	desk := &Desk{History: &historybolt.Store{File: file, Keep: history.Default, Now: now}, Ledger: file, Now: now}
	r := storetest.Sample(noon.Add(-48*time.Hour), 1)
	r.Run, r.State, r.Ended, r.Updated = history.WaitingID(r.Entry), history.Waiting, time.Time{}, r.Claimed
	if err := desk.History.Put(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	for back, want := range map[time.Duration]int{0: 1, 72 * time.Hour: 1, 24 * time.Hour: 0} {
		desk.LookBack = back
		if s, err := desk.Status(t.Context()); err != nil || len(s.Waiting) != want {
			t.Errorf("%v back: %+v, %v; want %d", back, s.Waiting, err, want)
		}
	}
}
