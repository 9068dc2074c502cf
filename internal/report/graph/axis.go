package graph

import (
	"math"
	"strconv"
	"time"
)

type tick struct {
	value float64 // of the axis; seconds since 1970 for times
	label string
}

// timeTicks are the whole hours, in UTC.
func timeTicks(from, to time.Time) []tick {
	var ticks []tick
	for t := from.UTC().Truncate(time.Hour).Add(time.Hour); !t.After(to); t = t.Add(time.Hour) {
		ticks = append(ticks, tick{float64(t.Unix()), t.Format("15:04")})
	}
	return ticks
}

// bounds are the least and the greatest value that the picture has to show.
func (g *Graph) bounds() (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	grow := func(v float64) {
		if finite(v) {
			low, high = min(low, v), max(high, v)
		}
	}
	for _, s := range g.Series {
		for _, p := range s.Points {
			grow(p.Value)
		}
	}
	if g.Threshold != nil {
		grow(g.Threshold.Value)
	}
	// If the values are not far above zero, the axis begins at zero, so that the
	// height of a line shows its value.
	if low > 0 && low <= high/2 {
		low = 0
	}
	if high < 0 && high >= low/2 {
		high = 0
	}
	if low == high {
		pad := max(math.Abs(low)/2, 1)
		if low >= 0 {
			return max(0, low-pad), high + pad
		}
		return low - pad, min(0, high+pad)
	}
	return low, high
}

// valueTicks are about six steps of 1, 2 or 5 times a power of ten, which
// enclose all values.
func valueTicks(low, high float64) []tick {
	step := niceStep((high - low) / 6)
	if step == 0 || !finite(step) {
		return []tick{{low, Format(low)}, {high, Format(high)}}
	}
	var ticks []tick
	first, last := math.Floor(low/step), math.Ceil(high/step)
	for i := first; i <= last && len(ticks) < 20; i++ {
		v := i * step
		ticks = append(ticks, tick{v, Format(v)})
	}
	return ticks
}

func niceStep(rough float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(rough)))
	for _, factor := range []float64{1, 2, 5} {
		if rough <= factor*power*1.0001 {
			return factor * power
		}
	}
	return 10 * power
}

// Format writes a value as people read it: 0.25, 1.5k, 20M.
func Format(v float64) string {
	if !(math.Abs(v) < 1e15) { // NaN too
		return strconv.FormatFloat(v, 'g', 4, 64)
	}
	for _, unit := range []struct {
		name string
		size float64
	}{{"T", 1e12}, {"G", 1e9}, {"M", 1e6}, {"k", 1e3}} {
		if math.Abs(v) >= unit.size {
			return strconv.FormatFloat(math.Round(v/unit.size*1000)/1000, 'g', 4, 64) + unit.name
		}
	}
	if math.Abs(v) < 1e-12 {
		return "0"
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}
