// Package alertmanagertest runs a real Alertmanager, for tests.
package alertmanagertest

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// An Alertmanager is a process of one.
type Alertmanager struct {
	testing.TB
	// Ended is closed when the process has ended: then no notification comes any
	// more.
	Ended <-chan struct{}

	url string
}

var listening = regexp.MustCompile(`msg="Listening on" address=(\S+)`)

// Start runs the program with this configuration until the test is over, and
// returns when it listens. Where no program is named the test is skipped.
func Start(t testing.TB, program, config string) *Alertmanager {
	t.Helper()
	if program == "" {
		t.Skip("AMX_TEST_ALERTMANAGER names the program; .ci/run has it")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "alertmanager.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--config.file="+file, "--storage.path="+filepath.Join(dir, "data"), "--web.listen-address=127.0.0.1:0", "--cluster.listen-address=")
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	address, ended := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(log); lines.Scan(); {
			if found := listening.FindStringSubmatch(lines.Text()); found != nil {
				address <- found[1]
			}
			t.Log(lines.Text())
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // unless it has gone before
		<-ended
		_ = cmd.Wait() // killed
	})
	select {
	case a := <-address:
		return &Alertmanager{TB: t, Ended: ended, url: "http://" + a}
	case <-ended:
		t.Fatal("Alertmanager has ended")
	}
	return nil
}

// Post sends it an alert, as Prometheus does.
func (am *Alertmanager) Post(alert map[string]any) {
	am.Helper()
	text, err := json.Marshal([]any{alert})
	if err != nil {
		am.Fatal(err)
	}
	answer, err := http.Post(am.url+"/api/v2/alerts", "application/json", strings.NewReader(string(text)))
	if err != nil {
		am.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(answer.Body)
		am.Fatalf("Alertmanager answers %s: %s", answer.Status, text)
	}
}
