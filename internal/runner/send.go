package runner

import (
	"context"
	"slices"
	"sync"

	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/ssmexec"
)

// verdicts has the ledger's term for each verdict on an error of SendCommand.
var verdicts = map[ssmexec.Verdict]ledger.Verdict{
	ssmexec.Unknown:     ledger.Unknown,
	ssmexec.Refused:     ledger.Refused,
	ssmexec.Unavailable: ledger.Unsent,
	ssmexec.Throttled:   ledger.Unsent,
}

// send sends portions of a run whose claim this delivery holds.
func (t *task) send(ctx context.Context, a ledger.Send) ledger.Event {
	t.mu.Lock()
	inputs := t.inputs[a.Run]
	t.mu.Unlock()
	sends, cancel := context.WithDeadline(ctx, t.sends)
	defer cancel()
	var mu sync.Mutex
	var ids []string
	sent := ledger.Sent{Send: a}
	parallel(a.Portions, func(p ledger.Portion) {
		in := inputs[p.Part]
		if p.Nodes != nil {
			narrowed := *in
			narrowed.InstanceIds = p.Nodes
			in = &narrowed
		}
		for _, s := range t.Exec.SendToAll(sends, in) {
			answer := ledger.Answer{Part: p.Part, Nodes: s.Nodes, Command: s.CommandID, Err: s.Err}
			switch {
			case s.Unavailable:
				answer.Verdict = ledger.Unsent
			case s.Err != nil:
				answer.Verdict = verdicts[ssmexec.Judge(s.Err)]
			}
			mu.Lock()
			sent.Answers = append(sent.Answers, answer)
			if s.Err == nil {
				ids = append(ids, s.CommandID)
			}
			mu.Unlock()
		}
	})
	if len(ids) > 0 {
		slices.Sort(ids)
		t.Log.InfoContext(ctx, "sent", "command", t.command.Name, "reason", string(a.Reason), "run_id", a.Run, "command_ids", ids, "alerts", a.Shown())
	}
	return sent
}
