package bench

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func (g grown) report(b *testing.B) {
	b.Helper()
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(g.File, "file-MiB")
	for _, f := range []struct {
		name string
		use
	}{{"start", g.Start}, {"backup", g.Backup}, {"check", g.Check}, {"restore", g.Restore}, {"rotation", g.Rotation},
		{"import", g.Bring}, {"end", g.End}} {
		b.ReportMetric(f.CPU.Seconds(), f.name+"-cpu-s")
		b.ReportMetric(f.Memory, f.name+"-MiB")
	}
	for _, r := range requests {
		b.ReportMetric(r.took(g).Seconds()*1e6, r.name+"-cpu-µs")
	}
	b.ReportMetric(g.brought(), "imported/cpu-s")
}

// request is one of those that are measured: its name in a metric, its title in a table.
type request struct {
	name, title string
	took        func(grown) time.Duration // CPU time of the server; 0 where it was not measured
}

var requests = []request{
	{"change", "change of a secret", func(g grown) time.Duration { return g.Change }},
	{"orgs", "first 20 organisations", func(g grown) time.Duration { return g.OrgsFirst }},
	{"last-orgs", "last 20", func(g grown) time.Duration { return g.OrgsLast }},
	{"far-orgs", "the last by `offset`", func(g grown) time.Duration { return g.OrgsFar }},
	{"names", "names of 1,000 secrets", func(g grown) time.Duration { return g.Names }},
	{"value", "one value", func(g grown) time.Duration { return g.Value }},
	{"values", "1,000 values", func(g grown) time.Duration { return g.Values }},
	{"token", "a token not used before", func(g grown) time.Duration { return g.Token }},
	{"tokens", "first 20 tokens of one", func(g grown) time.Duration { return g.TokensFirst }},
	{"last-tokens", "last 20 tokens", func(g grown) time.Duration { return g.TokensLast }},
	{"far-tokens", "the last tokens by `offset`", func(g grown) time.Duration { return g.TokensFar }},
}

// part is what the page has of one engine: its tables stand between the line begin and growthEnd.
type part struct {
	etcd           bool
	begin, picture string
	tables         func(io.Writer, []grown)
	panels         []panel
}

const growthEnd = "<!-- until here -->\n"

var parts = []part{
	{false, "<!-- written by make bench BENCH=Growth GROWTH=all -->\n", "growth.svg", writeTables, panels},
	{true, "<!-- written by make bench BENCH=Growth/over-etcd GROWTH=all -->\n", "growth-etcd.svg", writeEtcdTables,
		etcdPanels},
}

// writeGrowth writes the tables and the pictures of the engines of which there are rows. Where there is a page, the
// tables go into it.
func writeGrowth(dir string, rows []grown) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	path := filepath.Join(dir, "growth.md")
	page, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		for _, p := range parts {
			page = append(page, p.begin+growthEnd...)
		}
	} else if err != nil {
		return err
	}
	fmt.Println()
	for _, p := range parts {
		mine := slices.DeleteFunc(slices.Clone(rows), func(g grown) bool { return g.etcd != p.etcd })
		if len(mine) == 0 {
			continue
		}
		before, rest, ok := bytes.Cut(page, []byte(p.begin))
		_, after, ends := bytes.Cut(rest, []byte(growthEnd))
		if !ok || !ends {
			return fmt.Errorf("%s has no place for the tables below %s", path, p.begin)
		}
		var tables bytes.Buffer
		p.tables(&tables, mine)
		fmt.Print(tables.String())
		page = slices.Concat(before, []byte(p.begin), tables.Bytes(), []byte(growthEnd), after)
		if drawn := picture(mine, p.panels); drawn != nil {
			if err := os.WriteFile(filepath.Join(dir, p.picture), drawn, 0o644); err != nil {
				return err
			}
		}
	}
	return os.WriteFile(path, page, 0o644)
}

// writeRequests writes a table with a column for each request.
func writeRequests(w io.Writer, rows []grown, cell func(grown, request) string) {
	fmt.Fprint(w, "| data |")
	for _, r := range requests {
		fmt.Fprintf(w, " %s |", r.title)
	}
	fmt.Fprintln(w, "\n|---"+strings.Repeat("|---", len(requests))+"|")
	for _, g := range rows {
		fmt.Fprintf(w, "| %s", g)
		for _, r := range requests {
			if r.took(g) == 0 {
				fmt.Fprint(w, " | ")
				continue
			}
			fmt.Fprintf(w, " | %s", cell(g, r))
		}
		fmt.Fprintln(w, " |")
	}
}

func writeTables(w io.Writer, rows []grown) {
	fmt.Fprintf(w, "\nThe whole file: CPU time, and the process's own memory at the most.\n\n"+
		"| data | file | start | backup | check | restore | rotation | end of the largest organisation | import "+
		"| records imported |\n|---|---|---|---|---|---|---|---|---|---|\n")
	for _, g := range rows {
		fmt.Fprintf(w, "| %s | %.0f MiB", g, g.File)
		for _, u := range []use{g.Start, g.Backup, g.Check, g.Restore, g.Rotation, g.End, g.Bring} {
			fmt.Fprintf(w, " | %s, %.0f MiB", inSeconds(u.CPU), u.Memory)
		}
		fmt.Fprintf(w, " | %s/s |\n", thousands(int(g.brought())))
	}
	fmt.Fprintf(w, "\nOne request: CPU time of the server.\n\n")
	writeRequests(w, rows, func(g grown, r request) string { return inMilliseconds(r.took(g)) })
	fmt.Fprintln(w)
}

func inSeconds(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%.2f s", d.Seconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

func inMilliseconds(d time.Duration) string {
	return fmt.Sprintf("%.2f ms", d.Seconds()*1e3)
}

// The picture has three panels above each other, in pixels.
const (
	pictureWidth = 760
	panelHeight  = 250
	panelLeft    = 70
	panelRight   = 180 // for the names of the lines
	panelTop     = 44
	panelBottom  = 36
)

// line is one of a panel's.
type line struct {
	name string
	of   func(grown) float64
}

// panel is one picture of several lines over the number of organisations. Both axes are of powers of ten.
type panel struct {
	title, unit string
	lines       []line
}

var panels = []panel{
	{"CPU time for the whole file", "seconds", []line{
		{"start", func(g grown) float64 { return g.Start.CPU.Seconds() }},
		{"backup", func(g grown) float64 { return g.Backup.CPU.Seconds() }},
		{"check", func(g grown) float64 { return g.Check.CPU.Seconds() }},
		{"restore", func(g grown) float64 { return g.Restore.CPU.Seconds() }},
		{"rotation", func(g grown) float64 { return g.Rotation.CPU.Seconds() }},
		{"import", func(g grown) float64 { return g.Bring.CPU.Seconds() }},
	}},
	{"Memory of its own, at the most", "MiB", []line{
		{"start", func(g grown) float64 { return g.Start.Memory }},
		{"backup", func(g grown) float64 { return g.Backup.Memory }},
		{"check", func(g grown) float64 { return g.Check.Memory }},
		{"restore", func(g grown) float64 { return g.Restore.Memory }},
		{"rotation", func(g grown) float64 { return g.Rotation.Memory }},
		{"import", func(g grown) float64 { return g.Bring.Memory }},
		{"the file", func(g grown) float64 { return g.File }},
	}},
	{"CPU time for one request", "milliseconds", []line{
		{"change of a secret", func(g grown) float64 { return g.Change.Seconds() * 1e3 }},
		{"first organisations", func(g grown) float64 { return g.OrgsFirst.Seconds() * 1e3 }},
		{"last organisations", func(g grown) float64 { return g.OrgsLast.Seconds() * 1e3 }},
		{"one value", func(g grown) float64 { return g.Value.Seconds() * 1e3 }},
		{"1,000 values", func(g grown) float64 { return g.Values.Seconds() * 1e3 }},
	}},
}

// colours are told apart by those who see few colours too, on light and on dark ground.
var colours = []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#56b4e9", "#888888"}

// picture draws the figures of the populations that differ in organisations alone; nil where none was measured.
func picture(rows []grown, panels []panel) []byte {
	var shown []grown
	for _, g := range rows {
		if g.orgs > 0 && !g.sealed && g.secrets+g.tokens == 0 {
			shown = append(shown, g)
		}
	}
	if len(shown) == 0 {
		return nil
	}
	var w bytes.Buffer
	fmt.Fprintf(&w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-labelledby="t d">`+"\n",
		pictureWidth, panelHeight*len(panels))
	fmt.Fprintf(&w, "<title id=\"t\">What grows with the data</title>\n<desc id=\"d\">CPU time and memory over the number "+
		"of organisations, of %d secrets and a token each; the tables have the same figures.</desc>\n", secretsOfOrg)
	fmt.Fprint(&w, `<style>
text { font: 12px system-ui, sans-serif; fill: #24292f; }
.title { font-weight: 600; font-size: 14px; }
.axis { stroke: #57606a; stroke-width: 1; }
.grid { stroke: #57606a; stroke-width: 1; opacity: 0.2; }
.line { fill: none; stroke-width: 2; }
.ground { fill: #ffffff; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .axis, .grid { stroke: #9198a1; }
  .ground { fill: #0d1117; }
}
</style>
`)
	fmt.Fprintf(&w, "<rect class=\"ground\" width=\"%d\" height=\"%d\"/>\n", pictureWidth, panelHeight*len(panels))
	for i, p := range panels {
		p.draw(&w, shown, i*panelHeight)
	}
	fmt.Fprintln(&w, "</svg>")
	return w.Bytes()
}

// decades are the powers of ten around the values.
func decades(values []float64) (least, most int) {
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, v := range values {
		if v > 0 {
			lo, hi = min(lo, v), max(hi, v)
		}
	}
	if math.IsInf(lo, 0) {
		return 0, 1
	}
	least, most = int(math.Floor(math.Log10(lo))), int(math.Ceil(math.Log10(hi)))
	return least, max(most, least+1)
}

func (p panel) draw(w io.Writer, rows []grown, top int) {
	var xs, ys []float64
	for _, g := range rows {
		xs = append(xs, float64(g.orgs))
		for _, l := range p.lines {
			ys = append(ys, l.of(g))
		}
	}
	fromX, toX := decades(xs)
	fromY, toY := decades(ys)
	left, right := float64(panelLeft), float64(pictureWidth-panelRight)
	high, low := float64(top+panelTop), float64(top+panelHeight-panelBottom)
	at := func(v float64, from, to int, start, end float64) float64 {
		return start + (math.Log10(v)-float64(from))/float64(to-from)*(end-start)
	}
	x := func(v float64) float64 { return at(v, fromX, toX, left, right) }
	y := func(v float64) float64 { return at(v, fromY, toY, low, high) }
	fmt.Fprintf(w, "<text class=\"title\" x=\"%.0f\" y=\"%d\">%s, %s</text>\n", left, top+24, p.title, p.unit)
	for e := fromY; e <= toY; e++ {
		v := math.Pow10(e)
		fmt.Fprintf(w, "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/><text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
			left, y(v), right, left-8, y(v)+4, number(v))
	}
	for e := fromX; e <= toX; e++ {
		v := math.Pow10(e)
		fmt.Fprintf(w, "<path class=\"grid\" d=\"M%.1f %.1fV%.1f\"/>"+
			"<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>\n", x(v), high, low, x(v), low+16, number(v))
	}
	fmt.Fprintf(w, "<path class=\"axis\" d=\"M%.1f %.1fV%.1fH%.1f\" fill=\"none\"/>\n", left, high, low, right)
	fmt.Fprintf(w, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">organisations</text>\n", (left+right)/2, low+31)
	labels := p.labels(rows, y)
	for i, l := range p.lines {
		var points []string
		for _, g := range rows {
			if v := l.of(g); v > 0 {
				points = append(points, fmt.Sprintf("%.1f,%.1f", x(float64(g.orgs)), y(v)))
			}
		}
		fmt.Fprintf(w, "<polyline class=\"line\" stroke=\"%s\" points=\"%s\"/>\n", colours[i], strings.Join(points, " "))
		for _, at := range points {
			cx, cy, _ := strings.Cut(at, ",")
			fmt.Fprintf(w, "<circle cx=\"%s\" cy=\"%s\" r=\"3\" fill=\"%s\"/>\n", cx, cy, colours[i])
		}
		fmt.Fprintf(w, "<path d=\"M%.1f %.1fL%.1f %.1f\" stroke=\"%s\" stroke-width=\"1\"/>"+
			"<text x=\"%.1f\" y=\"%.1f\">%s</text>\n",
			x(float64(rows[len(rows)-1].orgs))+5, y(l.of(rows[len(rows)-1])), right+14, labels[i], colours[i], right+18,
			labels[i]+4, l.name)
	}
}

// labels gives where the names of the lines stand, at the lines' ends, but apart.
func (p panel) labels(rows []grown, y func(float64) float64) []float64 {
	const apart = 15.0
	last := rows[len(rows)-1]
	at := make([]float64, len(p.lines))
	order := make([]int, len(p.lines))
	for i, l := range p.lines {
		at[i], order[i] = y(l.of(last)), i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(at[a], at[b]) })
	for n := 1; n < len(order); n++ {
		at[order[n]] = max(at[order[n]], at[order[n-1]]+apart)
	}
	return at
}

// number writes a power of ten.
func number(v float64) string {
	if v >= 1 {
		return thousands(int(math.Round(v)))
	}
	return strings.TrimRight(fmt.Sprintf("%.6f", v), "0")
}
