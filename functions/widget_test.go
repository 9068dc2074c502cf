package functions

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/amx-lambda/amx/internal/lambdatest"
)

// look calls the widget as a dashboard does, with what was typed into its form.
func (s *stack) look(f *lambdatest.Function, parameters map[string]any, typed map[string]string) string {
	s.Helper()
	event := map[string]any{"widgetContext": map[string]any{
		"dashboardName": "amx-eu-central-1", "widgetId": "widget-1", "accountId": "123456789012", "theme": "light",
		"timezone": map[string]any{"label": "UTC", "offsetISO": "+00:00", "offsetInMinutes": 0},
		"forms":    map[string]any{"all": typed}, "params": map[string]any{},
	}}
	maps.Copy(event, parameters)
	a := f.Invoke(must(event), 30*time.Second)
	if a.Err != nil {
		s.Fatal(a.Err)
	}
	var html string
	if err := json.Unmarshal(a.Body, &html); err != nil {
		s.Fatalf("the answer is no text: %v\n%s", err, a.Body)
	}
	return html
}

func (s *stack) shows(html string, wants ...string) {
	s.Helper()
	for _, want := range wants {
		if !strings.Contains(html, want) {
			s.Errorf("the widget lacks %q:\n%s", want, html)
		}
	}
}

var shownRun = regexp.MustCompile(`\{"run":"([0-9A-Z]{26})"\}`)

func TestTheWidgetShowsARunAndCancelsIt(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.post(s.webhook(), episode{"DiskFull", node1, start, start}.webhookEvent("firing"))
	f := s.widget("control")
	typed := map[string]string{"why": "wrong node", "for": "4h"}
	html := s.look(f, nil, nil)
	s.shows(html, "1 run goes on, nothing is paused.", "<a>clean</a>", "DiskFull", "<b class=\"amx-on\">running</b>", "amx, ", "On the queue: 0 items.",
		`endpoint="arn:aws:lambda:eu-central-1:123456789012:function:amx"`)
	found := shownRun.FindStringSubmatch(html)
	if found == nil {
		t.Fatalf("no run in %s", html)
	}
	run := found[1]
	s.shows(s.look(f, map[string]any{"run": run}, nil), `">Run</td><td>`+run, "/tmp/it&#39;s {{ssm:secret}} $(id)", node1)

	s.shows(s.look(f, map[string]any{"do": "cancel", "run": run}, nil), "Say why")
	if n := len(s.wire.Calls("CancelCommand")); n > 0 {
		t.Errorf("%d cancels without a reason", n)
	}
	s.shows(s.look(f, map[string]any{"do": "cancel", "run": run}, typed), "Asked 1 run to stop.")
	cancels := s.wire.Calls("CancelCommand")
	if len(cancels) != 1 || string(cancels[0].Body) != `{"CommandId":"`+s.ssm.Commands()[0].ID+`"}` {
		t.Errorf("cancelled by %q", cancels)
	}
	s.shows(s.look(f, map[string]any{"run": run}, nil), "by CloudWatch console: wrong node")

	s.shows(s.look(f, map[string]any{"do": "pause", "command": "clean"}, typed), "Paused &#34;clean&#34; until ")
	s.shows(s.look(f, nil, nil), "1 command is paused", "clean is paused</b></td><td class=\"amx-text\">wrong node</td><td>CloudWatch console</td>")
	a := s.post(s.webhook(), episode{"DiskFull", node2, start, start}.webhookEvent("firing"))
	if !strings.Contains(a.Body, `"action":"later"`) || !strings.Contains(a.Body, "CloudWatch console") {
		t.Errorf("a paused command: %s", a.Body)
	}
	s.shows(s.look(f, map[string]any{"do": "resume", "command": "clean"}, nil), "Resumed &#34;clean&#34;.")
	s.shows(s.look(f, nil, nil), "nothing is paused")

	for _, want := range []string{
		fmt.Sprintf(`"message":"operator","action":"cancel","command":"clean","run_id":%q,"who":"CloudWatch console","why":"wrong node"`, run),
		`"message":"operator","action":"pause","command":"clean","for":14400000000000,"who":"CloudWatch console","why":"wrong node"`,
		`"message":"widget","do":"cancel","dashboard":"amx-eu-central-1","account":"123456789012","requestId":"00000000-`,
	} {
		if !strings.Contains(f.Log(), want) {
			t.Errorf("the log lacks %s:\n%s", want, f.Log())
		}
	}
	if n := len(s.ssm.Commands()); n != 1 {
		t.Errorf("%d commands were sent", n)
	}
}

// A widget that only shows makes no call that changes anything, whatever it is asked.
func TestAWidgetThatOnlyShowsDoesNothing(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.post(s.webhook(), episode{"DiskFull", node1, start, start}.webhookEvent("firing"))
	for _, mode := range []string{"read", ""} {
		f := s.widget(mode)
		s.table.Operations()
		s.wire.Operations()
		html := s.look(f, nil, nil)
		if strings.Contains(html, `class="btn"`) || strings.Contains(html, "<form") {
			t.Errorf("mode %q has buttons:\n%s", mode, html)
		}
		run := shownRun.FindStringSubmatch(html)[1]
		for _, asked := range []map[string]any{
			{"do": "cancel", "run": run}, {"do": "cancel", "command": "clean"}, {"do": "pause", "all": true}, {"do": "resume", "command": "clean"},
		} {
			s.shows(s.look(f, asked, map[string]string{"why": "x", "for": "1h"}), "This widget only shows.")
		}
		for _, operation := range s.table.Operations() {
			if operation != "BatchGetItem" && operation != "Query" {
				t.Errorf("mode %q called %s", mode, operation)
			}
		}
		if calls := s.wire.Operations(); len(calls) > 0 {
			t.Errorf("mode %q called SSM: %s", mode, calls)
		}
	}
}

func TestTheWidgetDescribesItself(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	f := s.widget("control")
	a := f.Invoke([]byte(`{"describe":true}`), 30*time.Second)
	var text string
	if err := json.Unmarshal(a.Body, &text); err != nil || a.Err != nil || !strings.HasPrefix(text, "## amx") {
		t.Errorf("%v, %v: %s", a.Err, err, a.Body)
	}
	if calls := append(s.table.Operations(), s.wire.Operations()...); len(calls) > 0 {
		t.Errorf("called %s", calls)
	}
}

// A refresh of an open dashboard makes the calls that docs/cost.md counts: it looks at
// the index for each day on which a waiting, running or ended run may have begun.
func TestCallsPerLook(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	if a := s.worker().Invoke([]byte(`{"Records":[{"eventSource":"aws:sqs","messageId":"1","body":"{}"}]}`), 30*time.Second); a.Err != nil {
		t.Fatal(a.Err)
	}
	f := s.widget("read")
	s.table.Operations()
	s.queue.Operations()
	s.look(f, nil, nil)
	calls := map[string]int{}
	for _, operation := range append(s.table.Operations(), s.queue.Operations()...) {
		calls[operation]++
	}
	// Five days back, and one day ahead, since another's clock may be ahead, are seven
	// days by UTC for waiting and for running, and three for ended runs.
	if got, want := fmt.Sprint(calls), "map[BatchGetItem:3 GetQueueAttributes:2 Query:17]"; got != want {
		t.Errorf("called %s, want %s", got, want)
	}
}
