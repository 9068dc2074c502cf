package ssmexec

import (
	"fmt"
	"strings"
	"testing"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/ssmlocal"
)

func TestAnAlarmStopsARunOnItsWay(t *testing.T) {
	m := newMachine(t, func(o *ssmlocal.Options) {
		o.Nodes = append(o.Nodes, ssmlocal.Node{ID: "i-0123456789abcdef1"}, ssmlocal.Node{ID: "i-0123456789abcdef2"})
	})
	m.cue("cue", true)
	c := command(t, "name: fix\nscript: echo up; read -r x <"+m.dir+"/cue\nmax_concurrency: '1'\nstop_alarm: errors")
	j := job(c)
	j.Targets = []amx.Target{{Key: KeyInstanceIDs, Values: []string{agentNode, "i-0123456789abcdef1", "i-0123456789abcdef2"}}}
	id := m.sendJob(j)
	m.cue("cue", false)
	m.says(id, "up")
	m.says(id, "up") // the second node
	m.server.SetAlarm("errors", true)
	m.cue("cue", false)
	m.over(id)
	s, err := m.x.State(t.Context(), []Asked{{CommandID: id, Nodes: j.Targets[0].Values}})
	if err != nil {
		t.Fatal(err)
	}
	var ends []string
	for _, i := range s.Invocations {
		ends = append(ends, i.Status)
	}
	if got := strings.Join(ends, " "); got != "Success Success Terminated" || !s.Over || !s.Failed() || s.Status != "Terminated" {
		t.Errorf("the run is %s, and its nodes are %s", fmt.Sprint(s.Over, s.Status), got)
	}
}
