package graph

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/go-analyze/charts/chartdraw"
	"github.com/go-analyze/charts/chartdraw/drawing"
)

// The picture's size in pixels. Slack shows it at half of that or less, so its letters
// are twice the size for reading.
const (
	width, height = 1200, 600

	margin     = 28
	titleSize  = 28
	textSize   = 22
	lineHeight = 32
)

// colors are the colors of a picture. The picture has a ground of its own, neither white
// nor black, because Slack shows it in its light and its dark theme.
var colors = struct {
	ground, text, faint, grid, threshold, since drawing.Color
	own, others                                 []drawing.Color
}{
	ground:    drawing.ColorFromHex("22272e"),
	text:      drawing.ColorFromHex("e6edf3"),
	faint:     drawing.ColorFromHex("9da7b3"),
	grid:      drawing.ColorFromHex("3d444d"),
	threshold: drawing.ColorFromHex("ff7b72"),
	since:     drawing.ColorFromHex("d29922"),
	own:       hexes("58a6ff", "56d4dd", "7ee787", "d2a8ff"),
	// For series that do not belong to the alert, for comparison.
	others: hexes("768390", "8b949e", "636e7b", "57606a", "6e7681"),
}

// family is a font that comes with the library.
const family = "roboto"

func hexes(texts ...string) []drawing.Color {
	all := make([]drawing.Color, len(texts))
	for i, text := range texts {
		all[i] = drawing.ColorFromHex(text)
	}
	return all
}

// PNG draws the graph.
//
// It draws the axes itself, on the library's renderer: the library's own line chart has
// categories on the x-axis, and can show neither whole hours nor gaps in a series.
func (g *Graph) PNG() ([]byte, error) {
	c := canvas{r: chartdraw.PNG(width, height), g: g}
	c.r.SetDPI(72) // a point is a pixel
	c.r.SetFont(chartdraw.GetFont(family))
	c.layOut()
	c.rectangle(0, 0, width, height, colors.ground)
	c.head()
	c.axes()
	c.sinceLine()
	for i := range slices.Backward(g.Series) { // the alert's own last: on top
		c.line(i)
	}
	c.thresholdLine()
	c.legend()
	var out bytes.Buffer
	if err := c.r.Save(&out); err != nil {
		return nil, fmt.Errorf("drawing the graph: %w", err)
	}
	return out.Bytes(), nil
}

func (g *Graph) color(series int) drawing.Color {
	if series < g.Own || g.Own == 0 && series < len(colors.own) {
		return colors.own[series%len(colors.own)]
	}
	return colors.others[series%len(colors.others)]
}

// canvas is a picture that is being drawn.
type canvas struct {
	r chartdraw.Renderer
	g *Graph

	left, right, top, bottom int // of the area between the axes
	values, times            []tick
	legendRows               [][]int // series
}

func (c *canvas) layOut() {
	c.values = valueTicks(c.g.bounds())
	c.times = timeTicks(c.g.From, c.g.To)
	labels := 0
	for _, t := range c.values {
		labels = max(labels, c.textWidth(t.label, textSize))
	}
	c.left, c.right = margin+labels+14, width-margin
	c.top = margin + titleSize + 8 + textSize + 24
	c.legendRows = c.rows()
	c.bottom = height - margin - lineHeight - lineHeight*len(c.legendRows)
}

func (c *canvas) x(seconds float64) int {
	from, to := float64(c.g.From.Unix()), float64(c.g.To.Unix())
	return c.left + int((seconds-from)/(to-from)*float64(c.right-c.left))
}

func (c *canvas) y(value float64) int {
	low, high := c.values[0].value, c.values[len(c.values)-1].value
	return c.bottom - int((value-low)/(high-low)*float64(c.bottom-c.top))
}

func (c *canvas) head() {
	c.text(c.fit(c.g.Title, titleSize, width-2*margin), margin, margin+titleSize-4, titleSize, colors.text)
	c.text(c.fit(oneLine(c.g.Expr), textSize, width-2*margin), margin, margin+titleSize+8+textSize, textSize, colors.faint)
}

func (c *canvas) axes() {
	for _, t := range c.values {
		y := c.y(t.value)
		c.stroke(colors.grid, 1, nil, c.left, y, c.right, y)
		c.text(t.label, c.left-14-c.textWidth(t.label, textSize), y+textSize/3, textSize, colors.faint)
	}
	const zone = "UTC"
	c.text(zone, margin, c.bottom+lineHeight, textSize, colors.faint)
	end := margin + c.textWidth(zone, textSize)
	for _, t := range c.times {
		x := c.x(t.value)
		c.stroke(colors.grid, 1, nil, x, c.top, x, c.bottom)
		w := c.textWidth(t.label, textSize)
		if at := min(x-w/2, width-margin/2-w); at > end+10 {
			c.text(t.label, at, c.bottom+lineHeight, textSize, colors.faint)
		}
	}
}

// line draws a series, with a gap where it has no value for more than two steps.
func (c *canvas) line(i int) {
	strokeWidth := 3.0
	if i >= c.g.Own && c.g.Own > 0 {
		strokeWidth = 2
	}
	var path []int
	flush := func() {
		if len(path) == 2 { // one value alone is a dot
			c.dot(path[0], path[1], c.g.color(i))
		} else {
			c.stroke(c.g.color(i), strokeWidth, nil, path...)
		}
		path = nil
	}
	points := c.g.Series[i].Points
	for j, p := range points {
		if !finite(p.Value) || j > 0 && p.At.Sub(points[j-1].At) > 2*step {
			flush()
		}
		if finite(p.Value) {
			path = append(path, c.x(float64(p.At.UnixMilli())/1000), c.y(p.Value))
		}
	}
	flush()
}

func (c *canvas) thresholdLine() {
	if c.g.Threshold == nil {
		return
	}
	y := c.y(c.g.Threshold.Value)
	c.stroke(colors.threshold, 2.5, []float64{12, 8}, c.left, y, c.right, y)
	label := c.g.Threshold.Operator + " " + Format(c.g.Threshold.Value)
	above := y - 10
	if above-textSize < c.top {
		above = y + textSize + 6
	}
	// On the left: an alert's line crosses its threshold on the right.
	w := c.textWidth(label, textSize)
	c.rectangle(c.left+1, above-textSize, c.left+w+14, above+6, colors.ground)
	c.text(label, c.left+7, above, textSize, colors.threshold)
}

// sinceLine marks when the alert began to fire.
func (c *canvas) sinceLine() {
	if c.g.Since.IsZero() {
		return
	}
	x := c.x(float64(c.g.Since.Unix()))
	c.rectangle(x, c.top, c.right, c.bottom, colors.since.WithAlpha(28))
	c.stroke(colors.since, 2, nil, x, c.top, x, c.bottom)
	label := "firing since " + c.g.Since.UTC().Format("15:04")
	at := min(x, c.right-c.textWidth(label, textSize))
	c.text(label, at, c.top-8, textSize, colors.since)
}
