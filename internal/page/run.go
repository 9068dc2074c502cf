package page

import (
	"context"
	"slices"
	"time"

	"github.com/amx-lambda/amx/internal/history"
	"github.com/amx-lambda/amx/internal/operate"
)

// runModel is the model of one run's view.
type runModel struct {
	operate.Detail
	Outputs []output
	Sent    *Sent
	SentWhy string           // why there is no Sent
	Others  []history.Record // runs for the same alerts, the newest first
	JSON    string
	MayTry  bool
}

func (m runModel) title() string { return m.Command + " " + string(m.State) }

// still reports whether the view will not change any more.
func (m runModel) still() bool { return m.Over() }

// output is the output of a node.
type output struct {
	Node, Stdout, Stderr string
	Kept                 string // both together, shortened, if SSM has forgotten them
}

func (p *Page) loadRun(ctx context.Context, in request) (any, error) {
	d, err := p.Operator.Run(ctx, in.run)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(d.Nodes, func(a, b history.Node) int { return a.Order() - b.Order() })
	m := runModel{Detail: d, Outputs: outputs(&d), MayTry: p.Explain != nil && len(d.Alerts) > 0}
	if m.JSON, err = indented(d); err != nil {
		return nil, err
	}
	if p.Sent != nil && len(d.CommandIDs) > 0 {
		sent, err := p.Sent(ctx, d.CommandIDs[0])
		if err != nil {
			m.SentWhy = err.Error()
		} else {
			m.Sent = &sent
		}
	}
	if m.Others, err = p.others(ctx, &d.Record, in.now); err != nil {
		return nil, err
	}
	return m, nil
}

// near is how long before and after a run the page looks for other runs of its alerts.
const near = 7 * 24 * time.Hour

// maxOthers limits the list of those runs.
const maxOthers = 10

// others returns the runs of the same ledger entry: the run that this one retries, and
// those that retry or repeat it.
func (p *Page) others(ctx context.Context, r *history.Record, now time.Time) (out []history.Record, err error) {
	if r.Entry == "" || r.Claimed.IsZero() {
		return nil, nil
	}
	q := history.Query{Command: r.Command, Since: r.Claimed.Add(-near), Limit: history.MaxLimit}
	if end := r.Claimed.Add(near); end.Before(now) {
		q.Cursor = history.After(end)
	}
	page, err := p.Operator.Runs(ctx, q)
	for _, one := range page.Records {
		if one.Entry == r.Entry && one.Run != r.Run && len(out) < maxOthers {
			out = append(out, one)
		}
	}
	return out, err
}

// outputs returns the output that SSM still has of a node, else the part in the record.
func outputs(d *operate.Detail) (out []output) {
	for _, n := range d.Nodes {
		o := output{Node: n.Node, Kept: n.Output}
		i := slices.IndexFunc(d.Streams, func(s operate.Stream) bool { return s.Node == n.Node })
		if i >= 0 && d.Streams[i].Error == "" {
			o.Stdout, o.Stderr, o.Kept = d.Streams[i].Stdout, d.Streams[i].Stderr, ""
		}
		if o.Stdout+o.Stderr+o.Kept != "" {
			out = append(out, o)
		}
	}
	return out
}
