package graph

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/amx-lambda/amx/internal/amx"
)

const (
	span = 6 * time.Hour
	// step makes 180 points: more than the pixels of the picture show.
	step = 2 * time.Minute
	// maxAnswer is how many bytes of an answer are read. A picture of more data would
	// be unreadable.
	maxAnswer = 8 << 20
)

// A Prometheus answers the queries for graphs: a Prometheus, an AMP workspace, or another
// server with the same HTTP API.
type Prometheus struct {
	// URL is the address that /api/v1 is appended to:
	// https://aps-workspaces.REGION.amazonaws.com/workspaces/ID for AMP.
	URL string
	// Client sends the queries. Required.
	Client *http.Client
	// Sign signs a request with its body, as AMP wants it; nil for none.
	Sign func(ctx context.Context, r *http.Request, body []byte) error
}

// A Series is one line of a graph.
type Series struct {
	Labels amx.KV
	Points []Point // by time
}

// A Point is a value at a time.
type Point struct {
	At    time.Time
	Value float64
}

// Range asks for an expression's values in the 6 h before now. Series come
// sorted by their labels.
func (p *Prometheus) Range(ctx context.Context, expr string, now time.Time) ([]Series, error) {
	body := url.Values{
		"query": {expr},
		"start": {unix(now.Add(-span))},
		"end":   {unix(now)},
		"step":  {strconv.Itoa(int(step.Seconds()))},
	}.Encode()
	address := strings.TrimSuffix(p.URL, "/") + "/api/v1/query_range"
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("asking Prometheus: %w", err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if p.Sign != nil {
		if err := p.Sign(ctx, r, []byte(body)); err != nil {
			return nil, fmt.Errorf("signing the query to Prometheus: %w", err)
		}
	}
	response, err := p.Client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("asking Prometheus: %w", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading Prometheus's answer to %q: %w", expr, err)
	case len(text) > maxAnswer:
		return nil, fmt.Errorf("Prometheus answers %q with over %d bytes: name a narrower expression in the annotation %s", expr, maxAnswer, Annotation)
	}
	series, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("Prometheus answers %q with status %d: %w", expr, response.StatusCode, err)
	}
	return series, nil
}

func unix(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

// parse reads an answer of the HTTP API:
// https://prometheus.io/docs/prometheus/latest/querying/api/#range-queries
func parse(text []byte) ([]Series, error) {
	var answer struct {
		Status, Error string
		Data          struct {
			Result []struct {
				Metric amx.KV
				Values [][2]json.RawMessage
			}
		}
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return nil, fmt.Errorf("not the JSON of a range query: %.80q", text)
	}
	if answer.Status != "success" {
		return nil, errors.New(cmp.Or(answer.Error, "the query failed, and Prometheus gives no reason"))
	}
	all := make([]Series, 0, len(answer.Data.Result))
	for _, result := range answer.Data.Result {
		s := Series{Labels: result.Metric}
		for _, pair := range result.Values {
			point, err := parsePoint(pair)
			if err != nil {
				return nil, err
			}
			s.Points = append(s.Points, point)
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b Series) int { return strings.Compare(a.Labels.String(), b.Labels.String()) })
	return all, nil
}

func parsePoint(pair [2]json.RawMessage) (Point, error) {
	var seconds float64
	var text string
	if json.Unmarshal(pair[0], &seconds) != nil || json.Unmarshal(pair[1], &text) != nil {
		return Point{}, fmt.Errorf("not a point of a range query: %.40q", pair)
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return Point{}, fmt.Errorf("not a value of a range query: %.40q", text)
	}
	return Point{time.UnixMilli(int64(seconds * 1000)), value}, nil
}
