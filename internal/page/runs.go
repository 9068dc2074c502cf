package page

import (
	"context"
	"maps"
	"net/url"
	"slices"

	"github.com/amx-lambda/amx/internal/history"
	"github.com/amx-lambda/amx/internal/operate"
)

// defaultSince is how far back the list goes by default.
const defaultSince = "7d"

// runsModel is a page of the list, with its filters.
type runsModel struct {
	Records  []history.Record
	Commands []string
	States   []history.State
	Sinces   []choice

	Command string
	State   history.State
	Since   string
	Alerts  []string // label=value
	Older   string   // the address of the next page; empty: there is none
	Newest  string   // the address of the first page; empty: this is it
	Every   string   // the address without filters; empty: there are none
}

type choice struct{ Value, Text string }

var sinces = []choice{{"1h", "last hour"}, {"24h", "last 24 hours"}, {"7d", "last 7 days"}, {"30d", "last 30 days"}, {"90d", "last 90 days"}}

// queryError says that the address itself is wrong.
type queryError struct{ error }

func (p *Page) loadRuns(ctx context.Context, in request) (any, error) {
	given := url.Values{}
	for name, values := range in.query {
		if values = slices.DeleteFunc(slices.Clone(values), func(v string) bool { return v == "" }); len(values) > 0 {
			given[name] = values
		}
	}
	m := runsModel{
		States: history.States, Sinces: sinces, Command: given.Get("command"),
		State: history.State(given.Get("state")), Alerts: given["alert"], Since: given.Get("since"),
	}
	if m.Since == "" {
		m.Since = defaultSince
	}
	if !slices.ContainsFunc(sinces, func(c choice) bool { return c.Value == m.Since }) {
		m.Sinces = append(slices.Clone(sinces), choice{m.Since, "since " + m.Since})
	}
	asked := url.Values{"since": {m.Since}}
	maps.Copy(asked, given)
	q, err := operate.ParseQuery(asked, in.now)
	if err != nil {
		return nil, queryError{err}
	}
	page, err := p.fill(ctx, q)
	if err != nil {
		return nil, err
	}
	m.Records = page.Records
	if m.Commands, err = p.commandNames(ctx, m.Command); err != nil {
		return nil, err
	}
	if page.Next != "" {
		m.Older = address(given, "cursor", page.Next)
	}
	if given.Has("cursor") {
		m.Newest = address(given, "cursor", "")
	}
	given.Del("cursor")
	if len(given) > 0 {
		m.Every = "/runs"
	}
	return m, nil
}

// maxReads limits how often a store is asked for one page. Each time it looks at a
// limited number of records, and a filter may choose only few of them.
const maxReads = 5

// fill returns a page, as full as a few reads can make it.
func (p *Page) fill(ctx context.Context, q history.Query) (out history.Page, err error) {
	limit := q.Limit
	for range maxReads {
		q.Limit = limit - len(out.Records)
		page, err := p.Operator.Runs(ctx, q)
		if err != nil {
			return out, err
		}
		out.Records = append(out.Records, page.Records...)
		q.Cursor, out.Next = page.Next, page.Next
		if page.Next == "" || len(out.Records) >= limit {
			break
		}
	}
	return out, nil
}

// address is the address of the list with one parameter changed. An empty value
// leaves the parameter out.
func address(v url.Values, name, value string) string {
	changed := maps.Clone(v)
	if changed.Del(name); value != "" {
		changed.Set(name, value)
	}
	if len(changed) == 0 {
		return "/runs"
	}
	return "/runs?" + changed.Encode()
}
