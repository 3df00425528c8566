package hour

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// The charts' size in their own units; the style sheet scales them.
const (
	chartWidth  = 600.0
	chartHeight = 120.0
)

// Chart is one SVG of the last hour: curves over time, the newest to the right.
type Chart struct {
	Name    string
	Summary string // what a screen reader says of it
	Curves  []Curve
	Ticks   []string // the labels of the lines across, from the upper edge to the lower, evenly spaced; "" for none
	Times   []string // the labels of the axis below, from an hour before the last sample to it
	Rows    []Row
	Empty   bool
}

// Curve is one line. Points is an SVG path, broken where there is nothing to show.
type Curve struct {
	Name string
	Path string
	Area string
}

// Row is five minutes in numbers.
type Row struct {
	Label  string
	Values []string
}

// point is a value, or none.
type point struct {
	value float64
	ok    bool
	at    time.Time // the end of its span
}

// times label the axis of the hour that ends with the last sample.
func times(hour []sample) []string {
	if len(hour) == 0 {
		return nil
	}
	last := hour[len(hour)-1].at.UTC()
	var all []string
	for _, before := range []time.Duration{time.Hour, 30 * time.Minute, 0} {
		all = append(all, last.Add(-before).Format("15:04 UTC"))
	}
	return all
}

// scale says how high a value stands: 0 at the lower edge, 1 at the upper.
type scale func(value float64) float64

// linear is the scale from 0 to top.
func linear(top float64) scale { return func(v float64) float64 { return v / top } }

// linearTicks label a linear scale, whose middle has a label where that is a whole number.
func linearTicks(top float64, label func(float64) string) []string {
	middle := ""
	if half := top / 2; half == math.Trunc(half) {
		middle = label(half)
	}
	return []string{label(top), middle, "0"}
}

// mostDecades bounds a logarithmic scale: calls that are refused at once while Vault is away take microseconds.
const mostDecades = 4

// logarithmic is a scale over whole powers of ten up to the highest point, with a label for each: one slow call among
// thousands of fast ones would make a flat line of them on a linear one.
func logarithmic(label func(float64) string, points ...[]point) (scale, []string) {
	low, high := math.Inf(1), math.Inf(-1)
	for _, ps := range points {
		for _, p := range ps {
			if p.ok && p.value > 0 {
				low, high = min(low, math.Log10(p.value)), max(high, math.Log10(p.value))
			}
		}
	}
	if low > high {
		low, high = 0, 0
	}
	high = math.Ceil(high)
	low = max(math.Floor(low), high-mostDecades)
	if high == low {
		high++
	}
	var ticks []string
	for e := high; e >= low; e-- {
		ticks = append(ticks, label(math.Pow(10, e)))
	}
	return func(v float64) float64 { return (math.Log10(max(v, math.Pow(10, low))) - low) / (high - low) }, ticks
}

// Grid is the path of the lines across and down.
func (c Chart) Grid() string {
	var b strings.Builder
	for i := range c.Ticks {
		b.WriteString("M0 " + units(chartHeight*float64(i)/float64(len(c.Ticks)-1)) + "H" + units(chartWidth))
	}
	for i := 1; i < 4; i++ {
		b.WriteString("M" + units(chartWidth*float64(i)/4) + " 0V" + units(chartHeight))
	}
	return b.String()
}

// newCurve draws points onto a chart.
func newCurve(name string, points []point, at scale) Curve {
	var line, area strings.Builder
	open := false
	flush := func() {
		if open {
			area.WriteString("V" + units(chartHeight) + "Z")
		}
		open = false
	}
	const width = chartWidth / samplesKept
	for i, p := range points {
		// A span that nobody looked at, such as one in which the machine slept, is a gap.
		if i > 0 && p.at.Sub(points[i-1].at) > 2*sampleEvery {
			flush()
		}
		x := chartWidth - width*float64(points[len(points)-1].at.Sub(p.at))/float64(sampleEvery)
		if !p.ok || x < width {
			flush()
			continue
		}
		y := chartHeight - chartHeight*min(max(at(p.value), 0), 1)
		if !open {
			// A lone point would be a line of no length: it begins where its span does.
			start := x - chartWidth/samplesKept
			line.WriteString("M" + units(start) + " " + units(y))
			area.WriteString("M" + units(start) + " " + units(chartHeight) + "V" + units(y))
			open = true
		}
		line.WriteString("L" + units(x) + " " + units(y))
		area.WriteString("L" + units(x) + " " + units(y))
	}
	flush()
	return Curve{Name: name, Path: line.String(), Area: area.String()}
}

func units(f float64) string { return strconv.FormatFloat(f, 'f', 1, 64) }

// roundUp is the next number of the row 1, 2, 5, 10, … not below f, for the upper edge.
func roundUp(f float64) float64 {
	if f <= 0 {
		return 1
	}
	p := math.Pow(10, math.Floor(math.Log10(f)))
	for _, m := range []float64{1, 2, 5, 10} {
		if f <= m*p*(1+1e-9) {
			return m * p
		}
	}
	return 10 * p
}

func highest(points ...[]point) float64 {
	top := 0.0
	for _, ps := range points {
		for _, p := range ps {
			if p.ok {
				top = max(top, p.value)
			}
		}
	}
	return top
}
