// Package graph draws an alert's metric: the last 6 h of its expression, with the
// threshold if the expression has one. It is best effort: a report goes out without a
// picture rather than late.
package graph

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
)

// maxSeries bounds the lines of one picture. The alert's own come first.
const maxSeries = 8

// A Graph has the contents of one picture.
type Graph struct {
	Title     string
	Expr      string // as the alert has it
	From, To  time.Time
	Series    []Series // at most maxSeries, the alert's own first
	Own       int      // how many of Series are the alert's
	More      int      // series that are left out
	Threshold *Threshold
	Since     time.Time // when the alert began to fire; zero for none
}

// Of returns the graph of an alert, for which it asks Prometheus. If the alert has no
// expression or Prometheus no values, it returns nil and no error: there is nothing
// to draw.
func Of(ctx context.Context, p *Prometheus, a *amx.Alert, now time.Time) (*Graph, error) {
	whole := ExpressionOf(a)
	if whole == "" {
		return nil, nil
	}
	expr, threshold := Split(whole)
	series, err := p.Range(ctx, expr, now)
	if err != nil {
		return nil, err
	}
	series = slices.DeleteFunc(series, func(s Series) bool { return !s.drawable() })
	if len(series) == 0 {
		return nil, nil
	}
	// Stable: both halves keep the order of their labels.
	slices.SortStableFunc(series, func(x, y Series) int { return foreign(x, a) - foreign(y, a) })
	own := 0
	for own < len(series) && foreign(series[own], a) == 0 {
		own++
	}
	g := &Graph{
		Title: a.Labels["alertname"], Expr: whole, From: now.Add(-span), To: now,
		Series: series[:min(len(series), maxSeries)], More: max(0, len(series)-maxSeries),
		Threshold: threshold,
	}
	g.Own = min(own, len(g.Series))
	if a.StartsAt.After(g.From) && a.StartsAt.Before(g.To) {
		g.Since = a.StartsAt
	}
	return g, nil
}

// drawable reports whether a series has a value that a picture can show.
func (s Series) drawable() bool {
	return slices.ContainsFunc(s.Points, func(p Point) bool { return finite(p.Value) })
}

// finite is false for NaN, for infinite values, and for values too large for an axis.
func finite(v float64) bool { return math.Abs(v) < 1e100 }

// foreign is 0 for a series of the alert, else 1. An alert has the labels of its series,
// and those that its rule adds.
func foreign(s Series, a *amx.Alert) int {
	for name, value := range s.Labels {
		if name != "__name__" && a.Labels[name] != value {
			return 1
		}
	}
	return 0
}

// AltText says in words what the picture shows.
func (g *Graph) AltText() string {
	text := fmt.Sprintf("Graph of %s over the last %d hours", oneLine(g.Expr), int(span.Hours()))
	if last := g.Series[0].Points; len(last) > 0 {
		text += ", now at " + Format(last[len(last)-1].Value)
	}
	return text
}

// names returns a name for each series: the labels that differ.
func (g *Graph) names() []string {
	shared := amx.KV{}
	for name, value := range g.Series[0].Labels {
		if !slices.ContainsFunc(g.Series, func(s Series) bool { return s.Labels[name] != value }) {
			shared[name] = value
		}
	}
	names := make([]string, len(g.Series))
	for i, s := range g.Series {
		var parts []string
		for _, pair := range s.Labels.SortedPairs() {
			if _, ok := shared[pair.Name]; !ok && pair.Name != "__name__" {
				parts = append(parts, pair.Name+"="+pair.Value)
			}
		}
		if len(parts) == 0 {
			for _, pair := range s.Labels.Remove([]string{"__name__"}).SortedPairs() {
				parts = append(parts, pair.Name+"="+pair.Value)
			}
		}
		names[i] = strings.Join(parts, " ")
		if names[i] == "" {
			names[i] = s.Labels["__name__"]
		}
	}
	return names
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
