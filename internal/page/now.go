package page

import (
	"context"
	"slices"
	"time"

	"github.com/amx-lambda/amx/internal/history"
	"github.com/amx-lambda/amx/internal/operate"
)

// lookBack is how far back the page looks for runs that still go on: SSM delivers a
// command for up to 30 days.
const lookBack = 32 * 24 * time.Hour

// Now is the model of the first view.
type Now struct {
	Status    operate.Status
	Breakers  []operate.Command // with an open breaker
	Limits    []operate.Command // with other entries in their gate
	Running   []history.Record
	Problems  []history.Record // of the last day
	Recent    []history.Record // the latest that are over
	Waiting   int              // alerts
	Commands  int              // configured ones; -1: unknown
	Since     time.Time        // of the configuration
	PausedAll bool
}

// The lengths of the lists of the first view.
const (
	maxRunning  = 50
	maxProblems = 5
	maxRecent   = 10
)

func (p *Page) loadNow(ctx context.Context, in request) (any, error) {
	m, err := Look(ctx, p.Operator, in.now, lookBack)
	if err != nil {
		return nil, err
	}
	c, ok, err := p.configuration(ctx)
	if err != nil {
		return nil, err
	}
	if ok {
		m.Commands, m.Since = len(c.Commands), c.Since
	}
	return m, nil
}

// Look is what goes on at a time. Runs that go on and began more than back before
// it are not found.
func Look(ctx context.Context, v operate.Viewer, now time.Time, back time.Duration) (Now, error) {
	m := Now{Commands: -1}
	var err error
	if m.Status, err = v.Status(ctx); err != nil {
		return m, err
	}
	m.PausedAll = slices.ContainsFunc(m.Status.Paused, func(one operate.Pause) bool { return one.Command == "" })
	for _, c := range m.Status.Commands {
		if c.Breaker != nil {
			m.Breakers = append(m.Breakers, c)
		} else {
			m.Limits = append(m.Limits, c)
		}
	}
	for _, w := range m.Status.Waiting {
		m.Waiting += w.Count
	}
	running, err := v.Runs(ctx, history.Query{State: history.Running, Since: now.Add(-back), Limit: maxRunning})
	if err != nil {
		return m, err
	}
	m.Running = running.Records
	latest, err := v.Runs(ctx, history.Query{Since: now.Add(-24 * time.Hour), Limit: 200})
	if err != nil {
		return m, err
	}
	for _, r := range latest.Records {
		if r.Over() && len(m.Recent) < maxRecent {
			m.Recent = append(m.Recent, r)
		}
		if isProblem(r.State) && len(m.Problems) < maxProblems {
			m.Problems = append(m.Problems, r)
		}
	}
	return m, nil
}

// configuration returns the current configuration. ok is false if it is unknown.
func (p *Page) configuration(ctx context.Context) (c Configuration, ok bool, err error) {
	if p.Config == nil {
		return c, false, nil
	}
	c, err = p.Config(ctx)
	return c, c.Config != nil, err
}

func isProblem(s history.State) bool {
	return slices.Contains([]history.State{history.Failed, history.Refused, history.Expired, history.Unknown}, s)
}

// commandNames returns the configured commands, and also the one that a filter names.
func (p *Page) commandNames(ctx context.Context, also string) ([]string, error) {
	c, ok, err := p.configuration(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	if ok {
		for _, one := range c.Commands {
			names = append(names, one.Name)
		}
	}
	if also != "" && !slices.Contains(names, also) {
		names = append(names, also)
	}
	slices.Sort(names)
	return names, nil
}
