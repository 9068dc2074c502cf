package browser

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// binary is amx, built once for all tests.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "amx-browser-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "amx")
		build := exec.Command("go", "build", "-trimpath", "-o", binary, "./cmd/amx")
		build.Dir, build.Stderr = "..", os.Stderr
		if err := build.Run(); err != nil {
			fmt.Fprintln(os.Stderr, "building amx:", err)
			return 1
		}
		return m.Run()
	}())
}

// amx is a running amx serve.
type amx struct {
	*testing.T
	dir, url string
	page     string // the address with the key; empty with tokens
}

// serve starts amx serve with a configuration, and more flags.
func serve(t *testing.T, config string, flags ...string) *amx {
	t.Helper()
	return serveIn(t, t.TempDir(), config, flags...)
}

// serveIn is serve in a folder that has a ledger already.
func serveIn(t *testing.T, dir, config string, flags ...string) *amx {
	t.Helper()
	a := &amx{T: t, dir: dir}
	if err := os.WriteFile(filepath.Join(dir, "amx.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"serve", "-f", "amx.yaml", "-l", "127.0.0.1:0", "--ledger", filepath.Join(dir, "ledger.db"), "--drain", "0s"}, flags...)
	cmd := exec.Command(binary, args...)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-read
		if err := cmd.Wait(); err != nil {
			t.Errorf("amx serve ended: %v", err)
		}
	})
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 4<<20)
	var log []string
	for lines.Scan() {
		log = append(log, lines.Text())
		a.url = cutPrefix(lines.Text(), "listening on ", a.url)
		a.page = cutPrefix(lines.Text(), "page: ", a.page)
		if a.page != "" || a.url != "" && slices.Contains(flags, "--token-file") {
			break
		}
	}
	go func() {
		defer close(read)
		for lines.Scan() { // or it would block
		}
	}()
	if a.url == "" {
		t.Fatalf("amx serve does not listen:\n%s", strings.Join(log, "\n"))
	}
	return a
}

func cutPrefix(line, prefix, otherwise string) string {
	if rest, ok := strings.CutPrefix(line, prefix); ok {
		return rest
	}
	return otherwise
}

// alert is one of a notification.
type alert struct {
	Status       string            `json:"status"`
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations,omitempty"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt,omitzero"`
	GeneratorURL string            `json:"generatorURL,omitempty"`
}

func firing(labels, annotations map[string]string) alert {
	return alert{"firing", labels, annotations, time.Now().Add(-2 * time.Minute), time.Time{}, "http://prometheus.example:9090/graph?g0.expr=up"}
}

// sends sends a notification as Alertmanager does, and answers the runs that it
// began.
func (a *amx) sends(alerts ...alert) (runs []string) {
	a.Helper()
	body, err := json.Marshal(map[string]any{
		"version": "4", "status": alerts[0].Status, "receiver": "amx", "externalURL": "http://alertmanager.example:9093",
		"groupLabels": alerts[0].Labels, "commonLabels": alerts[0].Labels, "commonAnnotations": alerts[0].Annotations, "alerts": alerts,
	})
	if err != nil {
		a.Fatal(err)
	}
	r, err := http.NewRequestWithContext(a.Context(), http.MethodPost, a.url, bytes.NewReader(body))
	if err != nil {
		a.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer s3cret")
	out, err := http.DefaultClient.Do(r)
	if err != nil {
		a.Fatal(err)
	}
	defer out.Body.Close()
	var answer struct {
		Error   string
		Results []struct {
			RunID string `json:"run_id"`
		}
	}
	if err := json.NewDecoder(out.Body).Decode(&answer); err != nil {
		a.Fatal(err)
	}
	for _, r := range answer.Results {
		runs = append(runs, r.RunID)
	}
	if len(runs) == 0 {
		a.Fatalf("nothing ran: %+v", answer)
	}
	return runs
}
