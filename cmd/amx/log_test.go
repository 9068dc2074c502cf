package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/amx-lambda/amx/internal/operate"
)

// Each decision is a line that has what people search for. A repeat that changes
// nothing has none.
func TestADecisionIsALineToSearchFor(t *testing.T) {
	m := newMachine(t, "commands: [{name: long, cmd: sleep, args: ['300'], wait: 0s}]")
	const body = `{"version":"4","receiver":"amx","status":"firing","groupLabels":{"alertname":"NginxDown"},"alerts":[
		{"status":"firing","labels":{"alertname":"NginxDown","instance":"web-1:9100"},"startsAt":"2026-11-28T12:00:00Z"}]}`
	r := m.post(body).Results[0]
	sent := ` level=INFO msg=sent command=long reason=firing run_id=` + r.RunID + ` command_ids=[` + r.CommandIDs[0] + `] alerts=[` + r.Alerts[0] + "]\n"
	if !strings.Contains(m.log.String(), sent) {
		t.Errorf("no line %s in\n%s", sent, m.log.String())
	}
	line := regexp.MustCompile(`(?m)^time=\S+ level=INFO msg=settled action=run command=long reason=firing run_id=` + r.RunID +
		` command_ids=\[` + r.CommandIDs[0] + `\] alerts=\[` + r.Alerts[0] + `\] status="" receiver=amx alertname=NginxDown instance=web-1:9100$`)
	if !line.MatchString(m.log.String()) {
		t.Errorf("no line %s in\n%s", line, m.log.String())
	}
	if a := m.post(body); a.Results[0].Action != "skip" || strings.Count(m.log.String(), "msg=settled") != 1 {
		t.Errorf("a repeat, %+v:\n%s", a.Results, m.log.String())
	}
	if _, err := m.host.operator.Cancel(t.Context(), operate.CancelRequest{Run: r.RunID, Why: "wrong host", Who: "ann"}); err != nil {
		t.Fatal(err)
	}
	if want := ` level=INFO msg=operator action=cancel command=long run_id=` + r.RunID + ` who=ann why="wrong host"`; !strings.Contains(m.log.String(), want) {
		t.Errorf("no line %s in\n%s", want, m.log.String())
	}
}
