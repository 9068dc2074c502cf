package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// demo is the demonstration under way.
type demo struct {
	amx  *amx
	page page
	dir  string // with a copy of examples/

	watcher int // the process of the command that goes on; 0: not started
}

// result is one element of the answer's results, as docs/contract.md has them.
type result struct {
	Command    string   `json:"command"`
	Action     string   `json:"action"`
	Reason     string   `json:"reason"`
	RunID      string   `json:"run_id"`
	CommandIDs []string `json:"command_ids"`
	Status     string   `json:"status"`
}

func (d *demo) steps(ctx context.Context) error {
	d.page.line("amx serve takes alerts at %s and runs the commands of examples/amx.yaml.", d.amx.url)
	for i, step := range []func(context.Context) error{d.fires, d.firesTwice, d.goesOn, d.resolves} {
		d.page.number = i + 1
		if err := step(ctx); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	return nil
}

// fires shows a command with the alert in its environment, and the answer.
func (d *demo) fires(ctx context.Context) error {
	r, answer, err := d.send(ctx, "instance-down.json")
	if err != nil {
		return err
	}
	if err := want(r, result{Command: "show-alert", Action: "run", Reason: "firing", Status: "Success"}); err != nil {
		return err
	}
	d.page.step("InstanceDown fires: %s runs, with the alert in its environment.", r.Command)
	lines, err := d.amx.output(ctx, r)
	if err != nil {
		return err
	}
	for _, variable := range []string{
		"AMX_ALERT_1_LABEL_alertname=InstanceDown", "AMX_ALERT_LEN=1", "AMX_RUN_ID=" + r.RunID, "AMX_STATUS=firing",
	} {
		if !slices.Contains(lines, variable) {
			return fmt.Errorf("the command's output lacks %q:\n%s", variable, strings.Join(lines, "\n"))
		}
	}
	d.page.block(lines)
	d.page.line("   Alertmanager is answered:")
	d.page.block(readable(answer))
	return nil
}

// firesTwice sends the same again, as the other of a pair of Alertmanagers does.
func (d *demo) firesTwice(ctx context.Context) error {
	r, _, err := d.send(ctx, "instance-down.json")
	if err != nil {
		return err
	}
	if err := want(r, result{Command: "show-alert", Action: "skip", Reason: "already started for this alert"}); err != nil {
		return err
	}
	d.page.step("The same alert comes from a second Alertmanager: skipped, %q.", r.Reason)
	return nil
}

// goesOn starts a command that does not end by itself.
func (d *demo) goesOn(ctx context.Context) error {
	r, _, err := d.send(ctx, "disk-filling.json")
	if err != nil {
		return err
	}
	if err := want(r, result{Command: "watch-disk", Action: "run", Reason: "firing"}); err != nil {
		return err
	}
	line, err := d.amx.line(ctx, r, "process ")
	if err != nil {
		return err
	}
	word, _, _ := strings.Cut(strings.TrimPrefix(line, "process "), " ")
	pid, err := strconv.Atoi(word)
	if err != nil || gone(pid) {
		return fmt.Errorf("the command says %q, and there is no such process", line)
	}
	d.watcher = pid
	d.page.step("DiskFilling fires: %s starts, and goes on as process %d.", r.Command, pid)
	return nil
}

// resolves ends it.
func (d *demo) resolves(ctx context.Context) error {
	r, _, err := d.send(ctx, "disk-filling-resolved.json")
	if err != nil {
		return err
	}
	if err := want(r, result{Command: "watch-disk", Action: "cancel", Reason: "resolved: cancelled", Status: "Cancelled"}); err != nil {
		return err
	}
	for !gone(d.watcher) { // init reaps it
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("process %d runs on, although amx says %q", d.watcher, r.Reason)
		}
	}
	d.page.step("DiskFilling resolves: %s is cancelled, and process %d is gone.", r.Command, d.watcher)
	d.watcher = 0
	return nil
}

// send posts a payload of examples/, as Alertmanager does, and answers the only
// result and the whole answer.
func (d *demo) send(ctx context.Context, payload string) (result, []byte, error) {
	body, err := os.ReadFile(filepath.Join(d.dir, "payloads", payload))
	if err != nil {
		return result{}, nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, d.amx.url, bytes.NewReader(body))
	if err != nil {
		return result{}, nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return result{}, nil, fmt.Errorf("sending %s: %w", payload, err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return result{}, nil, fmt.Errorf("sending %s: %w", payload, err)
	}
	var decoded struct{ Results []result }
	if err := json.Unmarshal(answer, &decoded); err != nil || response.StatusCode != http.StatusOK || len(decoded.Results) != 1 {
		return result{}, nil, fmt.Errorf("sending %s: want 200 and one result, got %s: %s", payload, response.Status, answer)
	}
	return decoded.Results[0], answer, nil
}

// want compares what can be known before.
func want(got, want result) error {
	want.RunID, want.CommandIDs = got.RunID, got.CommandIDs
	if got.Command != want.Command || got.Action != want.Action || got.Reason != want.Reason || got.Status != want.Status {
		return fmt.Errorf("amx answered %+v, want %+v", got, want)
	}
	return nil
}

// killWatcher ends the command that goes on, should amx have failed to.
func (d *demo) killWatcher() {
	if d.watcher != 0 && !gone(d.watcher) {
		_ = syscall.Kill(d.watcher, syscall.SIGKILL)
	}
}

// gone says that a process has ended. One that nobody has reaped yet has: in
// many containers nobody does.
func gone(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return true
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, state, ok := bytes.Cut(stat, []byte(") "))
	return err == nil && ok && bytes.HasPrefix(state, []byte("Z"))
}
