package storetest

import (
	"strings"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/history"
)

func newestFirst(s *store) {
	var want []string
	for i, ago := range []time.Duration{0, time.Second, 11 * time.Hour, 12*time.Hour + time.Minute, 3 * 24 * time.Hour, 40 * 24 * time.Hour} {
		r := Sample(Noon.Add(-ago), i)
		want = append(want, r.Run)
	}
	for _, i := range []int{3, 0, 5, 2, 1, 4} {
		r := Sample(Noon, 0)
		r.Run = want[i]
		s.put(r)
	}
	s.lists(history.Query{}, want[:4]...)
	s.lists(history.Query{Since: Noon.Add(-10 * 24 * time.Hour)}, want[:5]...)
	s.lists(history.Query{Since: Noon.Add(-89 * 24 * time.Hour)}, want...)
}

func pages(s *store) {
	var want []string
	for i := range 57 {
		r := Sample(Noon.Add(-time.Duration(i)*time.Hour), i)
		s.put(r)
		want = append(want, r.Run)
	}
	for _, limit := range []int{1, 7, 57, 1000} {
		s.lists(history.Query{Since: Noon.Add(-90 * time.Hour), Limit: limit}, want...)
	}
	page, err := s.List(s.ctx, history.Query{Since: Noon.Add(-90 * time.Hour), Limit: 3})
	if err != nil || len(page.Records) != 3 || page.Next == "" {
		s.Errorf("the first page has %d records, next %q, %v", len(page.Records), page.Next, err)
	}
}

func chooses(s *store) {
	var runs []string
	for i, change := range []func(*history.Record){
		func(*history.Record) {},
		func(r *history.Record) { r.Command = "reboot" },
		func(r *history.Record) { r.State = history.Failed },
		func(r *history.Record) { r.Alerts[0].Labels = amx.KV{"alertname": "Slow", "instance": "web-1"} },
		func(r *history.Record) { r.Command, r.State = "reboot", history.Failed },
	} {
		r := Sample(Noon.Add(-time.Duration(i)*time.Minute), i)
		change(&r)
		s.put(r)
		runs = append(runs, r.Run)
	}
	s.lists(history.Query{}, runs...)
	s.lists(history.Query{Command: "reboot"}, runs[1], runs[4])
	s.lists(history.Query{State: history.Failed}, runs[2], runs[4])
	s.lists(history.Query{State: history.Failed, Command: "reboot"}, runs[4])
	s.lists(history.Query{Alert: map[string]string{"alertname": "Slow", "instance": "web-1"}}, runs[3])
	s.lists(history.Query{Alert: map[string]string{"instance": "web-2"}})
	s.lists(history.Query{Since: Noon.Add(-90 * time.Second)}, runs[:2]...)
	s.lists(history.Query{Since: Noon.Add(-90 * time.Second), Command: "reboot", Limit: 1}, runs[1])
}

func outputs(s *store) {
	r := Sample(Noon, 1)
	long := strings.Repeat("é", history.MaxOutput)
	r.Nodes[0].Output = long
	s.put(r)
	page, err := s.List(s.ctx, history.Query{})
	if err != nil || len(page.Records) != 1 || len(page.Records[0].Nodes) != 1 || page.Records[0].Nodes[0].Output != "" {
		s.Errorf("listed %+v, %v", page, err)
	}
	if got := s.get(r.Run).Nodes[0].Output; got != long[:history.MaxOutput] {
		s.Errorf("the output has %d bytes", len(got))
	}
}

func refusal(at time.Time) history.Record {
	const reason = "targets: no node has this address"
	return history.Record{
		Run: history.RefusedID("0123456789abcdef", reason, "00000000000000aa"), Command: "restart", State: history.Refused, Reason: reason,
		Claimed: at, Updated: at,
	}
}

func repeats(s *store) {
	run := Sample(Noon.Add(-time.Hour), 1)
	first, second := refusal(Noon.Add(-30*time.Hour)), refusal(Noon)
	s.put(first)
	s.put(run)
	s.put(second)
	s.put(first) // reordered
	s.lists(history.Query{Since: Noon.Add(-48 * time.Hour)}, second.Run, run.Run)
	if got := s.get(first.Run); !got.Updated.Equal(Noon) {
		s.Errorf("it is %+v", got)
	}
}

func waited(s *store) {
	waiting := history.Record{
		Run: history.WaitingID("0123456789abcdef", "00000000000000aa"), Command: "restart", State: history.Waiting,
		Reason: "concurrency limit reached (max: 2)", Claimed: Noon, Updated: Noon,
	}
	s.put(waiting)
	s.lists(history.Query{}, waiting.Run)
	over := waiting
	over.Ended, over.Updated = Noon.Add(time.Minute), Noon.Add(time.Minute)
	run := Sample(Noon.Add(time.Minute), 1)
	s.put(over)
	s.put(run)
	s.put(waiting) // reordered
	s.lists(history.Query{}, run.Run)
	again := waiting
	again.Updated = Noon.Add(2 * time.Hour)
	s.clock.set(Noon.Add(2 * time.Hour))
	s.put(again)
	s.lists(history.Query{State: history.Waiting}, waiting.Run)
	expired := again
	expired.State, expired.Updated, expired.Ended = history.Expired, Noon.Add(8*time.Hour), Noon.Add(8*time.Hour)
	s.clock.set(Noon.Add(8 * time.Hour))
	s.put(expired)
	s.lists(history.Query{State: history.Waiting})
	s.lists(history.Query{State: history.Expired}, waiting.Run)
}
