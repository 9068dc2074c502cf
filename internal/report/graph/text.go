package graph

import (
	"fmt"
	"sort"
	"strings"

	"github.com/go-analyze/charts/chartdraw"
	"github.com/go-analyze/charts/chartdraw/drawing"
)

// rows divides the legend into at most three rows. Each row has as many series as fit.
func (c *canvas) rows() [][]int {
	names := c.g.names()
	if len(names) == 1 && c.g.More == 0 && len(names[0]) == 0 {
		return nil
	}
	const maxRows = 3
	var rows [][]int
	room := 0
	for i := range names {
		w := c.entryWidth(c.entry(names, i))
		if len(rows) == 0 || w > room {
			if len(rows) == maxRows {
				break
			}
			rows, room = append(rows, nil), width-2*margin
		}
		rows[len(rows)-1] = append(rows[len(rows)-1], i)
		room -= w
	}
	return rows
}

const swatch = 22 // the width of the line before a legend's entry

func (c *canvas) entry(names []string, i int) string {
	return c.fit(names[i], textSize, (width-2*margin)/2-swatch-40)
}

func (c *canvas) entryWidth(name string) int { return swatch + 10 + c.textWidth(name, textSize) + 30 }

func (c *canvas) legend() {
	names := c.g.names()
	shown := 0
	for row, entries := range c.legendRows {
		y := c.bottom + lineHeight + lineHeight*(row+1) + 4
		x := margin
		for _, i := range entries {
			name := c.entry(names, i)
			c.stroke(c.g.color(i), 5, nil, x, y-textSize/3, x+swatch, y-textSize/3)
			c.text(name, x+swatch+10, y, textSize, colors.text)
			x += c.entryWidth(name)
			shown++
		}
	}
	if more := c.g.More + len(names) - shown; more > 0 && shown > 0 {
		label := fmt.Sprintf("and %d more", more)
		c.text(label, c.right-c.textWidth(label, textSize), margin+titleSize-4, textSize, colors.faint)
	}
}

func (c *canvas) text(text string, x, y int, size float64, color drawing.Color) {
	c.r.SetFontSize(size)
	c.r.SetFontColor(color)
	c.r.Text(known(text), x, y)
}

func (c *canvas) textWidth(text string, size float64) int {
	c.r.SetFontSize(size)
	return c.r.MeasureText(known(text)).Width()
}

// known replaces each character that the font lacks by a question mark. The font has
// Latin, Greek and Cyrillic.
func known(text string) string {
	font := chartdraw.GetFont(family)
	return strings.Map(func(r rune) rune {
		if font.Index(r) == 0 {
			return '?'
		}
		return r
	}, text)
}

// fit cuts text until it is at most room pixels wide.
func (c *canvas) fit(text string, size float64, room int) string {
	const longest = 400 // characters: more is never shown, and measuring takes time
	runes := []rune(text)
	if len(runes) <= longest && c.textWidth(text, size) <= room {
		return text
	}
	runes = runes[:min(len(runes), longest)]
	tooLong := func(n int) bool { return c.textWidth(string(runes[:n])+"…", size) > room }
	n := sort.Search(len(runes), func(n int) bool { return tooLong(n + 1) })
	return string(runes[:n]) + "…"
}

// stroke draws a line through points: x, y, x, y and so on.
func (c *canvas) stroke(color drawing.Color, strokeWidth float64, dashes []float64, points ...int) {
	if len(points) < 4 {
		return
	}
	c.r.SetStrokeColor(color)
	c.r.SetStrokeWidth(strokeWidth)
	c.r.SetStrokeDashArray(dashes)
	c.r.MoveTo(points[0], points[1])
	for i := 2; i < len(points); i += 2 {
		c.r.LineTo(points[i], points[i+1])
	}
	c.r.Stroke()
}

func (c *canvas) dot(x, y int, color drawing.Color) {
	c.r.SetFillColor(color)
	c.r.Circle(3, x, y)
	c.r.Fill()
}

func (c *canvas) rectangle(left, top, right, bottom int, color drawing.Color) {
	c.r.SetFillColor(color)
	c.r.MoveTo(left, top)
	c.r.LineTo(right, top)
	c.r.LineTo(right, bottom)
	c.r.LineTo(left, bottom)
	c.r.Close()
	c.r.Fill()
}
