package ui

import (
	"math"
	"strconv"
	"strings"
)

// The charts' size in their own units; the style sheet scales them.
const (
	chartWidth  = 600.0
	chartHeight = 120.0
)

// chart is one SVG of the last hour: curves over time, the newest to the right.
type chart struct {
	Name    string
	Summary string // what a screen reader says of it
	Curves  []curve
	Top     string // the label of the upper edge
	Rows    []chartRow
	Empty   bool
}

// curve is one line. Points is an SVG path, broken where there is nothing to show.
type curve struct {
	Name string
	Path string
	Area string
}

type chartRow struct {
	Label  string
	Values []string
}

// point is a value, or none.
type point struct {
	value float64
	ok    bool
}

// newCurve draws points onto a chart whose upper edge is top.
func newCurve(name string, points []point, top float64) curve {
	var line, area strings.Builder
	open := false
	flush := func() {
		if open {
			area.WriteString("V" + units(chartHeight) + "Z")
		}
		open = false
	}
	for i, p := range points {
		if !p.ok {
			flush()
			continue
		}
		x := chartWidth * float64(samplesKept-len(points)+i+1) / samplesKept
		y := chartHeight - chartHeight*min(p.value/top, 1)
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
	return curve{Name: name, Path: line.String(), Area: area.String()}
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
