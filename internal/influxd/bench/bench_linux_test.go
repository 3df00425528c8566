// Package bench measures the server beside the least that could do the same, on the same machine at the same
// time: lists beside a bare net/http handler that writes the same bytes, changes beside a bare bbolt update, and
// either beside direct requests to Vault. It has no code of its own; `make bench` runs it, and
// docs/performance.md has what came out.
//
// Only the ratio of the two says something: what a machine gives alone does not carry over. Each side is a process of
// its own, the two take turns of a fraction of a second, and what is reported is the median of the turns' ratios, so
// that what else the machine does falls on both.
package bench

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"testing"

	"strongroom/internal/secret/vault/vaulttest"
)

func TestMain(m *testing.M) {
	if what := os.Getenv(bareEnv); what != "" {
		fmt.Fprintln(os.Stderr, serveBare(what))
		os.Exit(1)
	}
	code := m.Run()
	vaulttest.StopShared()
	table(os.Stdout)
	os.Exit(code)
}

// figure is one line of the table in docs/performance.md.
type figure struct {
	what, beside   string
	got, besideGot string // in words
	ratio          float64
	cpu            bool // theirs is a server that needs no other, so that the servers' CPU time compares
	cpuRatio       float64
	wanted         float64 // 0 where nothing is
	wantedSays     string  // "" for "at least wanted"
	reached        bool
}

var figures []figure

// rates fills in what came of a comparison: requests a second, and their ratio.
func (f *figure) rates(b *testing.B, our, their, ratio float64) {
	b.ReportMetric(our, "req/s")
	b.ReportMetric(their, "beside-req/s")
	b.ReportMetric(ratio, "ratio")
	f.got, f.besideGot, f.ratio, f.reached = fmt.Sprintf("%.0f/s", our), fmt.Sprintf("%.0f/s", their), ratio,
		ratio >= f.wanted
}

// report puts the figure into the table. The benchmark has reported its metrics.
func (f figure) report(b *testing.B) {
	b.ReportMetric(0, "ns/op") // an operation is a turn of each side here: its time says nothing
	if f.wanted > 0 {
		b.ReportMetric(f.wanted, "wanted")
	}
	figures = append(figures, f)
}

// table writes the figures as they stand in docs/performance.md.
func table(w io.Writer) {
	if len(figures) == 0 {
		return
	}
	fmt.Fprintf(w, "\n| | Strongroom | beside | | ratio | of CPU time | wanted | "+
		"|\n|---|---|---|---|---|---|---|---|\n")
	for _, f := range figures {
		ratio, cpu, wanted, verdict := "", "", "", ""
		if f.ratio > 0 {
			ratio = fmt.Sprintf("%.2f", f.ratio)
		}
		if f.cpu {
			cpu = fmt.Sprintf("%.2f", f.cpuRatio)
		}
		if f.wanted > 0 {
			wanted, verdict = cmp.Or(f.wantedSays, fmt.Sprintf("at least %v", f.wanted)), "reached"
			if !f.reached {
				verdict = "**not reached**"
			}
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", f.what, f.got, f.beside, f.besideGot, ratio, cpu,
			wanted, verdict)
	}
	fmt.Fprintln(w)
}
