package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// The demonstration itself is run by `make demo`. These are the ways in which
// it can fail: each is an error that says what is wrong, and leaves nothing
// behind.
func TestTheDemonstrationFailsWhereAmxIsWrong(t *testing.T) {
	const (
		ran     = `{"results":[{"command":"show-alert","action":"run","reason":"firing","run_id":"R1","command_ids":["c1"],"alerts":["f"],"status":"Success"}]}`
		skipped = `{"results":[{"command":"show-alert","action":"skip","reason":"already started for this alert","run_id":"R1","command_ids":[],"alerts":["f"],"status":""}]}`
		output  = `level=INFO msg=output command_id=c1 stream=stdout line=AMX_ALERT_1_LABEL_alertname=InstanceDown
level=INFO msg=output command_id=c1 stream=stdout line="AMX_ALERT_LEN=1"
level=INFO msg=output command_id=c1 stream=stdout line="AMX_RUN_ID=R1"
`
		status = "level=INFO msg=output command_id=c1 stream=stdout line=AMX_STATUS=firing\n"
		run    = "level=INFO msg=settled action=run command=show-alert run_id=R1 status=Success\n"
	)
	tests := []struct {
		name    string
		log     string
		answers []string // one for each request; then 500
		want    string
	}{
		{
			name: "no answer",
			want: `step 1: sending instance-down.json: want 200 and one result, got 500 Internal Server Error: {"error":"no more"}`,
		},
		{
			name: "another answer", answers: []string{skipped},
			want: `step 1: amx answered {Command:show-alert Action:skip Reason:already started for this alert RunID:R1 CommandIDs:[] Status:}, want {Command:show-alert Action:run`,
		},
		{
			name: "a variable is missing", log: output + run, answers: []string{ran},
			want: `step 1: the command's output lacks "AMX_STATUS=firing"`,
		},
		{
			name: "the duplicate runs again", log: output + status + run, answers: []string{ran, ran},
			want: `step 2: amx answered {Command:show-alert Action:run`,
		},
		{
			name: "the second command is not run", log: output + status + run, answers: []string{ran, skipped, `{"results":[]}`},
			want: `step 3: sending disk-filling.json: want 200 and one result, got 200 OK: {"results":[]}`,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if len(test.answers) == 0 {
					w.WriteHeader(http.StatusInternalServerError)
					_, _ = io.WriteString(w, `{"error":"no more"}`)
					return
				}
				_, _ = io.WriteString(w, test.answers[0])
				test.answers = test.answers[1:]
			}))
			defer server.Close()
			err := tried(t, t.Context(), "echo listening on "+server.URL+"; cat <<'END'\n"+test.log+"END\n")
			if err == nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("got error %v, want one that begins %q", err, test.want)
			}
			if err != nil && !strings.Contains(err.Error(), "what amx logged:\nlistening on "+server.URL) {
				t.Errorf("error %q lacks the log", err)
			}
		})
	}
}

func TestAmxThatEndsEarlyIsAnError(t *testing.T) {
	const want = "waiting until amx listens: amx serve ended early: exit status 3\n\nwhat amx logged:\namx: no such key"
	if err := tried(t, t.Context(), "echo amx: no such key; exit 3"); err == nil || err.Error() != want {
		t.Errorf("got error %v, want %q", err, want)
	}
}

func TestAnInterruptedDemonstrationStopsAmx(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		cancel()
		<-done
	}))
	defer server.Close()
	defer close(done)
	if err := tried(t, ctx, "echo listening on "+server.URL); err == nil || err.Error() != "interrupted" {
		t.Errorf("got error %v, want %q", err, "interrupted")
	}
}

// tried runs the demonstration with a shell script in the place of amx, which
// goes on until it is stopped, and sees that nothing is left behind.
func tried(t *testing.T, ctx context.Context, script string) error {
	t.Helper()
	dir, temporary := t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", temporary)
	binary, pidFile := filepath.Join(dir, "amx"), filepath.Join(dir, "pid")
	text := fmt.Sprintf("#!/bin/sh\nexec >&2\necho $$ >%s\n%s\nexec tail -f /dev/null\n", pidFile, script)
	if err := os.WriteFile(binary, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	err := demonstrate(ctx, binary, "../../examples", page{out: io.Discard})
	left, globErr := filepath.Glob(filepath.Join(temporary, "*"))
	if globErr != nil || len(left) > 0 {
		t.Errorf("left behind: %q (%v)", left, globErr)
	}
	pid, readErr := os.ReadFile(pidFile)
	if readErr != nil {
		t.Fatal(readErr)
	}
	n, convErr := strconv.Atoi(strings.TrimSpace(string(pid)))
	if convErr != nil || syscall.Kill(n, 0) == nil {
		t.Errorf("process %q still runs (%v)", pid, convErr)
	}
	return err
}

func TestAnswersAreReadable(t *testing.T) {
	got := strings.Join(readable([]byte(`{"results":[{"reason":"a [b]","command_ids":["c1","c2"],"alerts":[]}]}`+"\n")), "\n")
	const want = `{
  "results": [
    {
      "reason": "a [b]",
      "command_ids": ["c1","c2"],
      "alerts": []
    }
  ]
}`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
