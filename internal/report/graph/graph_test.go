package graph

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/amx-lambda/amx/internal/amx"
	"github.com/amx-lambda/amx/internal/reporttest"
)

var noon = time.Date(2026, 11, 28, 12, 17, 0, 0, time.UTC)

// wave rises 75 minutes before noon.
func wave(base, rise float64) func(time.Time) float64 {
	return func(at time.Time) float64 {
		m := at.Sub(noon.Add(-75 * time.Minute)).Minutes()
		return base + base*(0.1*math.Sin(m/14)+0.04*math.Sin(m*0.85)) + rise*min(1, max(0, m/30))
	}
}

func series(labels amx.KV, value func(time.Time) float64) Series {
	s := Series{Labels: labels}
	for at := noon.Add(-span); !at.After(noon); at = at.Add(step) {
		s.Points = append(s.Points, Point{at, value(at)})
	}
	return s
}

func without(s Series, from, to time.Duration) Series {
	s.Points = slices.DeleteFunc(slices.Clone(s.Points), func(p Point) bool {
		return p.At.After(noon.Add(-from)) && p.At.Before(noon.Add(-to))
	})
	return s
}

// draw returns the picture. With AMX_PICTURES it is also written there, so that
// somebody can look at it.
func draw(t *testing.T, name string, g *Graph) image.Image {
	t.Helper()
	g.From, g.To = noon.Add(-span), noon
	picture, err := g.PNG()
	if err != nil {
		t.Fatal(err)
	}
	if dir := os.Getenv("AMX_PICTURES"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	decoded, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		t.Fatal(err)
	}
	if size := decoded.Bounds().Size(); size != image.Pt(width, height) {
		t.Errorf("the picture is of %v", size)
	}
	return decoded
}

// painted counts the pixels of a color.
func painted(picture image.Image, c color.Color) int {
	r, g, b, _ := c.RGBA()
	n := 0
	for y := range height {
		for x := range width {
			if pr, pg, pb, _ := picture.At(x, y).RGBA(); pr == r && pg == g && pb == b {
				n++
			}
		}
	}
	return n
}

func TestThePictureShowsTheAlertsSeriesAndItsThreshold(t *testing.T) {
	g := &Graph{
		Title: "HighCPU", Expr: `avg by (instance, job) (rate(node_cpu_seconds_total{mode!="idle"}[5m])) > 0.9`,
		Own: 1, Since: noon.Add(-50 * time.Minute), Threshold: &Threshold{">", 0.9},
		Series: []Series{
			series(amx.KV{"instance": "web-1", "job": "node"}, wave(0.5, 0.43)),
			series(amx.KV{"instance": "web-2", "job": "node"}, wave(0.3, 0.1)),
			without(series(amx.KV{"instance": "web-3", "job": "node"}, wave(0.42, 0)), 4*time.Hour, 3*time.Hour),
		},
	}
	picture := draw(t, "cpu", g)
	for name, c := range map[string]color.Color{"its own series": colors.own[0], "the threshold": colors.threshold, "since when it fires": colors.since, "another series": colors.others[1]} {
		if painted(picture, c) < 300 {
			t.Errorf("%s is hardly seen: %d pixels", name, painted(picture, c))
		}
	}
	g.Threshold = nil
	if n := painted(draw(t, "cpu-without-threshold", g), colors.threshold); n != 0 {
		t.Errorf("no threshold, and %d pixels of it", n)
	}
}

// Whatever a Prometheus has, there is a picture. Their looks are for eyes.
func TestPicturesOfAllKindsOfValues(t *testing.T) {
	many := func(n int) (all []Series) {
		for i := range n {
			all = append(all, series(amx.KV{"instance": fmt.Sprintf("10.0.%d.1:9100", i), "mountpoint": "/var/lib/" + strings.Repeat("x", 3*i)}, wave(float64(i+1)*1e8, 0)))
		}
		return all
	}
	constant := func(v float64) func(time.Time) float64 { return func(time.Time) float64 { return v } }
	dot := series(amx.KV{"pod": "a"}, wave(3, 0))
	dot.Points = dot.Points[100:101]
	tests := map[string]*Graph{
		"up":       {Title: "InstanceDown", Expr: "up == 0", Threshold: &Threshold{"==", 0}, Series: []Series{series(amx.KV{"instance": "web-1"}, func(at time.Time) float64 { return math.Round(min(1, max(0, noon.Sub(at).Minutes()-20))) })}, Own: 1},
		"bytes":    {Title: "DiskWillFill", Expr: "predict_linear(node_filesystem_avail_bytes[6h], 4 * 3600) < 0", Threshold: &Threshold{"<", 0}, Series: many(8), More: 5, Own: 1},
		"zero":     {Title: "Nothing", Expr: "rate(x[5m])", Series: []Series{series(amx.KV{}, constant(0))}},
		"constant": {Title: "Constant", Expr: "x > 5", Threshold: &Threshold{">", 5}, Series: []Series{series(amx.KV{"__name__": "x"}, constant(5))}},
		"negative": {Title: "Offset", Expr: "offset < -3", Threshold: &Threshold{"<", -3}, Series: []Series{series(amx.KV{"a": "b"}, wave(-4, 1))}},
		"tiny":     {Title: "Tiny", Expr: "x", Series: []Series{series(amx.KV{"a": "b"}, wave(3e-9, 0))}},
		"huge":     {Title: "Huge", Expr: "x", Series: []Series{series(amx.KV{"a": "b"}, wave(7e40, 0))}},
		"widest":   {Title: "Widest", Expr: "x", Series: []Series{series(amx.KV{"a": "b"}, func(at time.Time) float64 { return math.MaxFloat64 * math.Sin(float64(at.Unix())) })}},
		"a dot":    {Title: "Dot", Expr: "x", Series: []Series{dot}},
		"odd":      {Title: strings.Repeat("Überlänge 界 ", 80), Expr: strings.Repeat("sum(x) + ", 200), Series: []Series{series(amx.KV{"a": "\x00\n"}, func(at time.Time) float64 { return []float64{1, math.NaN(), math.Inf(1), 2}[at.Unix()/120%4] })}},
	}
	for name, g := range tests {
		if n := painted(draw(t, name, g), colors.ground); n < width*height/3 || n == width*height {
			t.Errorf("%s: %d pixels are ground", name, n)
		}
	}
}

func TestTicksAreRound(t *testing.T) {
	tests := []struct {
		low, high float64
		want      string
	}{
		{0, 1, "0 0.2 0.4 0.6 0.8 1"},
		{0, 97, "0 20 40 60 80 100"},
		{-4.2, -2.6, "-4.5 -4 -3.5 -3 -2.5"},
		{1.2e9, 1.9e9, "1.2G 1.4G 1.6G 1.8G 2G"},
		{0, 0.00042, "0 0.0001 0.0002 0.0003 0.0004 0.0005"},
	}
	for _, tt := range tests {
		var labels []string
		for _, tick := range valueTicks(tt.low, tt.high) {
			labels = append(labels, tick.label)
		}
		if got := strings.Join(labels, " "); got != tt.want {
			t.Errorf("%g to %g: got %s, want %s", tt.low, tt.high, got, tt.want)
		}
	}
	var hours []string
	for _, tick := range timeTicks(noon.Add(-span), noon) {
		hours = append(hours, tick.label)
	}
	if got := strings.Join(hours, " "); got != "07:00 08:00 09:00 10:00 11:00 12:00" {
		t.Errorf("hours %s", got)
	}
}

func TestTheAlertsOwnSeriesComesFirst(t *testing.T) {
	var all []reporttest.Series
	for i := range 12 {
		all = append(all, reporttest.Series{Labels: map[string]string{"__name__": "cpu", "instance": fmt.Sprintf("web-%02d", i)}, Value: wave(1, 0)})
	}
	all = append(all, reporttest.Series{Labels: map[string]string{"instance": "nan"}, Value: func(time.Time) float64 { return math.NaN() }})
	p, stop := reporttest.NewPrometheus(all...)
	defer stop()
	a := &amx.Alert{
		Labels: amx.KV{"alertname": "HighCPU", "instance": "web-07", "severity": "page"}, StartsAt: noon.Add(-time.Hour),
		GeneratorURL: "https://prometheus.example/graph?g0.expr=cpu+%3E+2",
	}
	g, err := Of(t.Context(), &Prometheus{URL: p.URL, Client: http.DefaultClient}, a, noon)
	if err != nil {
		t.Fatal(err)
	}
	if g.Own != 1 || g.Series[0].Labels["instance"] != "web-07" || len(g.Series) != maxSeries || g.More != 4 || g.Threshold.String() != "> 2" || !g.Since.Equal(a.StartsAt) {
		t.Errorf("got %d own, %d series and %d more, first %v, threshold %v, since %v", g.Own, len(g.Series), g.More, g.Series[0].Labels, g.Threshold, g.Since)
	}
	if got := g.AltText(); !strings.HasPrefix(got, "Graph of cpu > 2 over the last 6 hours, now at ") {
		t.Errorf("alt text %q", got)
	}
	if got := p.Queries(); !slices.Equal(got, []string{"cpu"}) {
		t.Errorf("asked for %q", got)
	}
}

func TestWhatPrometheusRefusesIsSaid(t *testing.T) {
	p, stop := reporttest.NewPrometheus()
	defer stop()
	prometheus := &Prometheus{URL: p.URL + "/", Client: http.DefaultClient}
	if _, err := prometheus.Range(t.Context(), "", noon); err == nil || err.Error() != `Prometheus answers "" with status 400: invalid parameter query` {
		t.Errorf("got %v", err)
	}
	p.Add("/workspaces/ws-1/api/v1/query_range", reporttest.Fault{Status: 503})
	if _, err := prometheus.Range(t.Context(), "up", noon); err == nil || err.Error() != `Prometheus answers "up" with status 503: not the JSON of a range query: ""` {
		t.Errorf("got %v", err)
	}
	// No expression and no series are no error, and no graph.
	for _, a := range []*amx.Alert{{}, {Annotations: amx.KV{Annotation: "up"}}} {
		if g, err := Of(t.Context(), prometheus, a, noon); g != nil || err != nil {
			t.Errorf("got %v, %v", g, err)
		}
	}
}

func TestAQueryToAMPIsSigned(t *testing.T) {
	p, stop := reporttest.NewPrometheus()
	defer stop()
	credentials := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "s3cr3t", SessionToken: "t0ken"}, nil
	})
	sign := SigV4(credentials, "eu-west-1", func() time.Time { return noon })
	prometheus := &Prometheus{URL: p.URL, Client: http.DefaultClient, Sign: sign}
	if _, err := prometheus.Range(t.Context(), "up", noon); err != nil {
		t.Fatal(err)
	}
	h := p.Headers()[0]
	if got, want := h.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261128/eu-west-1/aps/aws4_request, "; !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want %q and so on", got, want)
	}
	if h.Get("X-Amz-Security-Token") != "t0ken" || h.Get("X-Amz-Date") != "20261128T121700Z" {
		t.Errorf("headers %v", h)
	}
	for host, want := range map[string]string{"aps-workspaces.us-east-2.amazonaws.com": "us-east-2", "localhost": "eu-west-1", "aps-workspaces.": "eu-west-1"} {
		if got := regionOf(host, "eu-west-1"); got != want {
			t.Errorf("%s: region %q, want %q", host, got, want)
		}
	}
}
